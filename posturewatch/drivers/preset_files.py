"""Preset files: those that come with the program, and those of the user.  The one place here that reads files.

A preset file is TOML with one table for each sensor; the table's name is the name of the family.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from posturewatch.config.places import find_line
from posturewatch.config.toml_files import parse, read_text
from posturewatch.drivers import USER_FOLDER, discover
from posturewatch.drivers.described import DescribedFamily
from posturewatch.drivers.preset_checks import find_problems, to_preset
from posturewatch.drivers.preset_model import PresetKeys
from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posturewatch.config.places import Path as KeyPath
    from posturewatch.drivers import Family

_OWN_FOLDER = Path(__file__).parent / "presets"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_BYTES, _MAX_FILES = 64_000, 200


def families(config_folder: Path | None) -> dict[str, Family]:
    """All families by id: those that are built in, and those of `<config folder>/sensors/*.toml`."""
    found = dict(discover())
    if config_folder is None:
        return found
    for family, place in _load(config_folder / USER_FOLDER):
        if family.id in found:
            raise ConfigError(f"{place}: {family.id}: a sensor of this name is known already; choose another name")
        found[family.id] = family
    return found


def load_presets(folder: Path) -> dict[str, DescribedFamily]:
    """The presets of `folder/*.toml` by name.  Raises `ConfigError`, one line for each mistake."""
    return {family.id: family for family, _ in _load(folder)}


def _load(folder: Path) -> Iterator[tuple[DescribedFamily, str]]:
    """Each preset with its place."""
    paths = sorted(folder.glob("*.toml"))
    if len(paths) > _MAX_FILES:
        raise ConfigError(f"{folder}: {len(paths)} preset files; at most {_MAX_FILES} are read")
    problems: list[str] = []
    places: dict[str, str] = {}
    loaded = []
    for path in paths:
        try:
            entries = parse_presets(read_text(path, "preset", _MAX_BYTES), str(path))
        except ConfigError as error:
            problems += str(error).splitlines()
            continue
        for family, place in entries:
            if family.id in places:
                problems.append(f"{place}: {family.id}: described already in {places[family.id]}; choose another name")
            places[family.id] = place
            loaded.append((family, place))
    if problems:
        raise ConfigError("\n".join(problems))
    yield from loaded


def parse_presets(text: str, path: str) -> list[tuple[DescribedFamily, str]]:
    """The presets of one file with their places; `path` names it in errors."""
    tree, lines = parse(text, path, "preset")
    found, problems = [], []
    for name, table in tree.items():
        place = _place(path, lines, (name,))
        try:
            found.append((DescribedFamily(to_preset(name, _check(name, table))), place))
        except _Mistakes as mistakes:
            problems += [f"{_place(path, lines, at)}: {_dotted(at)}: {why}" for at, why in mistakes.found]
    if not tree:
        problems.append(f"{path}: no preset inside: a table such as [my_sensor] is needed")
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return found


class _Mistakes(Exception):
    """What is wrong with one preset: key paths and words."""

    def __init__(self, found: list[tuple[KeyPath, str]]) -> None:
        super().__init__(found)
        self.found = found


def _check(name: str, table: object) -> PresetKeys:
    if not isinstance(table, dict):
        raise _Mistakes([((name,), "a key outside of a table; begin with a line such as [my_sensor]")])
    if not _NAME.fullmatch(name):
        raise _Mistakes([((name,), "the name of a sensor is made of a-z 0-9 _, begins with a letter, at most 40")])
    try:
        keys = PresetKeys.model_validate(table)
    except ValidationError as error:
        raise _Mistakes(list(_explain(name, error))) from None
    if problems := [((name, *path), why) for path, why in find_problems(keys)]:
        raise _Mistakes(problems)
    return keys


def _explain(name: str, error: ValidationError) -> Iterator[tuple[KeyPath, str]]:
    for problem in error.errors(include_url=False):
        at = problem["loc"]
        if problem["type"] == "extra_forbidden":
            yield (name, *at), f"unknown key{_suggest(at)}"
            continue
        message = "this key is required" if problem["type"] == "missing" else problem["msg"]
        message = message.removeprefix("Value error, ")
        is_plain = problem["type"] != "missing" and not isinstance(problem["input"], dict | list)
        yield (name, *at), f"{message}, not {problem['input']!r}" if is_plain else message


def _fields_of(model: Any) -> list[str]:
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_at(model: Any, key: str) -> Any:
    """The model inside a field's type; None where there is none."""
    field = model.model_fields.get(key) if _fields_of(model) else None
    pending = [field.annotation] if field else []
    while pending:
        annotation = pending.pop()
        if _fields_of(annotation):
            return annotation
        pending += get_args(annotation)
    return None


def _suggest(at: KeyPath) -> str:
    node: Any = PresetKeys
    for part in at[:-1]:
        node = _model_at(node, part) if isinstance(part, str) else node
    valid = _fields_of(node)
    near = difflib.get_close_matches(str(at[-1]), valid, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; possible are: {', '.join(valid)}"


def _place(path: str, lines: dict[KeyPath, int], at: KeyPath) -> str:
    line = find_line(lines, at)
    return path if line is None else f"{path}:{line}"


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


FAMILIES = tuple(load_presets(_OWN_FOLDER).values())
