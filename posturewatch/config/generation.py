"""The sample configuration and the JSON schema, written from the models so that they cannot lag behind."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import SecretStr, create_model
from pydantic_core import PydanticUndefined

from posturewatch.config.model import Config
from posturewatch.config.values import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_HEAD = """\
# posturewatch: every setting, with its default.  Lines that begin with `#` and a key are optional: remove the `#`.
# Units are in the names: _s seconds, _min minutes, _deg degrees, _mg thousandths of g, _hz samples a second.
# The environment overrides this file: POSTUREWATCH_BROKER__HOST, POSTUREWATCH_WEARER__0__STATIC_LIMIT_MIN …
# Check it with: posturewatch config check FILE
"""
_MADE = "# Made by `python -m posturewatch.config config/`; edit a copy.\n"
_WIDTH = 118


def write_samples(folder: Path) -> list[Path]:
    """Write `posturewatch.toml` and `schema.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in (("posturewatch.toml", render_sample()), ("schema.json", render_schema())):
        path = folder / name
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def render_schema() -> str:
    """The JSON schema of the configuration, for editors."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def render_sample() -> str:
    """A configuration file with every key, its range, its default and what it does."""
    return "\n".join((_HEAD + _MADE, *_render_tables({})))


def render_config(tree: Mapping[str, Any]) -> str:
    """The same with the values of `tree` (as `tomllib` gives it) in force, for somebody to go on editing."""
    return "\n".join((_HEAD, *_render_tables(tree)))


def _render_tables(tree: Mapping[str, Any]) -> Iterator[str]:
    for name, info in Config.model_fields.items():
        yield from _render_table((name,), info, tree.get(name))


def _render_table(path: tuple[str, ...], info: FieldInfo, given: Any) -> Iterator[str]:
    """One table, or an array of them: of each member what is set, and below the first all that could be."""
    is_array = get_origin(info.annotation) is tuple
    model = get_args(info.annotation)[0] if is_array else info.annotation
    if not isinstance(model, type) or not issubclass(model, Section):
        raise TypeError(f"{'.'.join(path)} is not a table")
    header = ".".join(path)
    yield from _comment(" ".join((model.__doc__ or "").split()))
    mark = "#" if is_array and path != ("wearer",) and info.default == () and not given else ""  # nobody needs it
    for at, values in enumerate((given or [{}]) if is_array else [given or {}]):
        yield f"{mark}[[{header}]]" if is_array else f"[{header}]"
        tables = {name: member for name, member in model.model_fields.items() if _is_table(member)}
        for name, member in model.model_fields.items():
            if name not in tables and (at == 0 or name in values):
                yield from _render_key(name, member, values.get(name), mark)
        yield ""
        for name, member in tables.items():
            if at == 0 or name in values:
                yield from _render_table((*path, name), member, values.get(name))


def _is_table(info: FieldInfo) -> bool:
    annotation = get_args(info.annotation)[0] if get_origin(info.annotation) is tuple else info.annotation
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _render_key(name: str, info: FieldInfo, given: Any, mark: str = "") -> Iterator[str]:
    allowed = _describe_allowed(info)
    yield from _comment((info.description or "") + (f" ({allowed})" if allowed else ""))
    if given is not None:
        yield f"{name} = {_to_toml(given)}"
        return
    if info.default is PydanticUndefined:
        yield f"{mark}{name} = {_to_toml(info.examples[0] if info.examples else '')}"
        return
    value = info.examples[0] if info.default in (None, ()) and info.examples else info.default
    yield f"#{name} = {_to_toml(value)}" + ("" if value == info.default else "  # an example; not set by default")


def _describe_allowed(info: FieldInfo) -> str:
    schema = _schema_of(info)
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if schema.get("maximum", 0) > 10**12:
        return ""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    parts = [f"{low:.12g}" if low is not None else f"above {above:.12g}" if above is not None else ""]
    parts.append(f"{high:.12g}" if high is not None else f"below {below:.12g}" if below is not None else "")
    return " to ".join(part for part in parts if part)


def _schema_of(info: FieldInfo) -> dict[str, Any]:
    """The part of the JSON schema that says what one value may be."""
    annotation: Any = info.annotation
    schema = create_model("Holder", value=(annotation, info)).model_json_schema()
    node: dict[str, Any] = schema["properties"]["value"]
    node = next((option for option in node.get("anyOf", ()) if option.get("type") != "null"), node)
    node = node.get("items", node)
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return schema["$defs"][name] if name else node


def _to_toml(value: object) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_to_toml(item) for item in value)}]"
    if isinstance(value, SecretStr):
        return json.dumps(value.get_secret_value())
    return json.dumps(value.as_posix() if isinstance(value, Path) else str(value), ensure_ascii=False)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
