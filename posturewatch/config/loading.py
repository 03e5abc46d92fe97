"""Defaults, then the file, then the environment: each value knows where it came from, each error where it stands."""

from __future__ import annotations

import difflib
import json
import platform
import tomllib
import types
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import platformdirs
from pydantic import BaseModel, ValidationError

from posturewatch.config.core_settings import to_core
from posturewatch.config.model import Config
from posturewatch.config.places import find_line
from posturewatch.config.toml_files import parse, read_text
from posturewatch.errors import ConfigError
from posturewatch.mqtt.settings import MQTT_5, MQTT_311, MqttSettings, TlsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posturewatch.config.places import Path as KeyPath
    from posturewatch.config.wearer import Wearer
    from posturewatch.core.settings import Settings
    from posturewatch.drivers.bound import BoundSensor

PREFIX = "POSTUREWATCH_"
_MAX_BYTES = 4_000_000
_MESSAGES = {"missing": "this key is required", "too_short": "at least one is needed"}
_DEFAULT_PORT, _DEFAULT_TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The effective configuration, and the origin of every value that is not a default, by its path."""

    config: Config
    origins: Mapping[KeyPath, str] = field(default_factory=dict)
    path: Path | None = None

    def origin(self, path: KeyPath) -> str:
        """Where the value at `path` came from: `default`, file and line, or the environment variable."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return "default"

    def state_folder(self) -> Path:
        """Where the daemon keeps its state."""
        folder = self.config.storage.folder
        return platformdirs.user_state_path("posturewatch", appauthor=False) if folder is None else self.resolve(folder)

    def resolve(self, path: Path) -> Path:
        """A path of the configuration, relative to the folder of its file."""
        return path if self.path is None else self.path.parent / path

    def to_core(self, wearer: Wearer, now_ns: int) -> Settings:
        """The core's settings of one wearer; local time tables run from a day before `now_ns` for two years."""
        return to_core(wearer, now_ns, None if self.path is None else self.path.parent, self.bind_sensors())

    def bind_sensors(self) -> Mapping[str, BoundSensor]:
        """The Bluetooth sensors by id; `ConfigError` for one that cannot be."""
        if not any(sensor.source == "ble" for wearer in self.config.wearer for sensor in wearer.sensor):
            return {}
        from posturewatch.config.bluetooth import bind_sensors  # noqa: PLC0415  drivers are for who has such sensors

        return bind_sensors(self.config, None if self.path is None else self.path.parent, self.origin)

    def to_mqtt(self) -> MqttSettings:
        """How to reach the broker; for the embedded one its address and password are set by who starts it."""
        own = self.config.broker
        tls = None
        if own.tls:
            files = (own.tls_cafile, own.tls_certfile, own.tls_keyfile)
            tls = TlsSettings(*(None if path is None else self.resolve(path) for path in files))
        return MqttSettings(
            host=own.host or "127.0.0.1",
            port=own.port or (_DEFAULT_TLS_PORT if own.tls else _DEFAULT_PORT),
            protocol=MQTT_311 if own.protocol == 311 else MQTT_5,  # noqa: PLR2004  one of the two values of the key
            falls_back=own.protocol is None,
            username=own.username,
            password=self._read_password(),
            tls=tls,
            client_id=own.client_id or self._make_client_id(),
            base_topic=own.base_topic,
            insecure=own.insecure,
        )

    def _make_client_id(self) -> str:
        """The same at every start, another for another machine or state folder: equal ids throw each other out."""
        instance = f"{platform.node()}:{self.state_folder().absolute()}"
        return f"posturewatch-{zlib.crc32(instance.encode()):08x}"

    def _read_password(self) -> str | None:
        own = self.config.broker
        if own.password is not None:
            return own.password.get_secret_value()
        if own.password_file is None:
            return None
        path = self.resolve(own.password_file)
        place = self.origin(("broker", "password_file"))
        try:
            password = path.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigError(f"{place}: broker.password_file: {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{place}: broker.password_file: {path}: not a text file in UTF-8") from error
        if not password:
            raise ConfigError(f"{place}: broker.password_file: {path}: the file is empty")
        return password


def load(path: Path | None, environ: Mapping[str, str]) -> LoadedConfig:
    """Read `path` (None: no file) and the environment.  Raises `ConfigError`, one line for each mistake."""
    text = "" if path is None else read_text(path, "configuration", _MAX_BYTES)
    tree, lines = parse(text, path, "configuration")
    origins: dict[KeyPath, str] = {at: f"{path}:{line}" for at, line in lines.items() if _is_value(tree, at)}
    problems = list(_overlay(tree, environ, origins))
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        config = Config.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, path, lines, origins))) from None
    return LoadedConfig(config, origins, path)


def find_file(environ: Mapping[str, str]) -> Path | None:
    """The file to read when none is named: POSTUREWATCH_CONFIG, else the platform's; None if there is none."""
    if named := environ.get(f"{PREFIX}CONFIG"):
        return Path(named)
    path = platformdirs.user_config_path("posturewatch", appauthor=False) / "posturewatch.toml"
    return path if path.exists() else None


def find_folder(environ: Mapping[str, str], path: Path | None = None) -> Path:
    """The folder of the configuration, and of what lies beside it: that of `path`, else of the file in use."""
    if path is None and (named := environ.get(f"{PREFIX}CONFIG")):
        path = Path(named)
    return platformdirs.user_config_path("posturewatch", appauthor=False) if path is None else path.parent


def _overlay(tree: dict[str, Any], environ: Mapping[str, str], origins: dict[KeyPath, str]) -> Iterator[str]:
    """Put POSTUREWATCH_A__B=… at a.b of the tree; variables without a double underscore are not settings."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        parts = tuple(int(p) if p.isdecimal() else p.lower() for p in name.removeprefix(PREFIX).split("__"))
        try:
            annotation = _find_annotation(parts)
        except KeyError as error:
            yield f"environment {name}: no such setting{_suggest(str(parts[error.args[0]]), error.args[1])}"
            continue
        problem = _place(tree, parts, _parse_value(environ[name], annotation))
        if problem:
            yield f"environment {name}: {problem}"
        origins[parts] = f"environment {name}"


def _place(tree: dict[str, Any], parts: KeyPath, value: Any) -> str:
    node: Any = tree
    for at, (part, following) in enumerate(zip(parts, (*parts[1:], None), strict=True)):
        filler: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(node, dict):
            if following is None:
                node[part] = value
            node = node.setdefault(part, filler)
        elif isinstance(node, list) and isinstance(part, int):
            if part > len(node):
                return f"entry {part} of {_dotted(parts[:at])} without entry {len(node)} before it"
            if part == len(node):
                node.append(filler)
            if following is None:
                node[part] = value
            node = node[part]
        else:
            return f"{_dotted(parts[:at])} is not a table"
    return ""


def _parse_value(raw: str, annotation: Any) -> Any:
    """Text where the setting takes text, else a TOML value; what is neither is left for the model to refuse."""
    try:
        value = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return raw
    is_plain = set(value) == {"value"} and isinstance(value["value"], bool | int | float | list | dict)
    takes_numbers = {bool, int, float, tuple, dict} & {get_origin(a) or a for a in _flatten(annotation)}
    return value["value"] if is_plain and takes_numbers else raw


def _flatten(annotation: Any) -> Iterator[Any]:
    """The members of a union, and the types of a literal's values."""
    if get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _flatten(member)
    elif annotation is not None and get_args(annotation) and not isinstance(annotation, type):
        values = get_args(annotation)
        is_literal = all(isinstance(value, str | int) for value in values)
        yield from ({type(value) for value in values} if is_literal else {annotation})
    else:
        yield annotation


def _find_annotation(path: KeyPath) -> Any:
    """The type at a key path; KeyError(position, valid keys) where it leaves the model."""
    node: Any = Config
    for at, part in enumerate(path):
        if isinstance(part, int) and get_origin(node) is tuple:
            node = get_args(node)[0]
        elif isinstance(part, str) and isinstance(node, type) and issubclass(node, BaseModel):
            if part not in node.model_fields:
                raise KeyError(at, list(node.model_fields))
            node = node.model_fields[part].annotation
        else:
            raise KeyError(at, [])
    return node


def _suggest(key: str, valid: list[str]) -> str:
    near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; possible are: {', '.join(valid)}" if valid else ""


def _explain(
    error: ValidationError,
    path: Path | None,
    lines: dict[KeyPath, int],
    origins: Mapping[KeyPath, str],
) -> Iterator[str]:
    """One line for each mistake: place, key, what is wrong, what would be right."""
    problems = error.errors(include_url=False)
    for problem in problems:
        at = tuple(problem["loc"])
        if problem["type"] == "too_short" and any(other["loc"][: len(at)] == at != other["loc"] for other in problems):
            continue  # it has a member, a faulty one, and that is told
        place = origins.get(at, "")
        if not place.startswith("environment"):
            place = _place_name(path, lines, at)
        if problem["type"] == "extra_forbidden":
            try:
                _find_annotation(at)
                hint = ""
            except KeyError as unknown:
                hint = _suggest(str(at[-1]), unknown.args[1])
            yield f"{place}: {_dotted(at)}: unknown key{hint}"
            continue
        message = _MESSAGES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
        if problem["type"] != "missing" and not isinstance(problem["input"], dict | list) and "password" not in at:
            message += f", not {problem['input']!r}" if problem["type"] != "value_error" else ""
        yield f"{place}: {_dotted(at)}: {message}" if at else f"{place}: {message}"


def _place_name(path: Path | None, lines: dict[KeyPath, int], at: KeyPath) -> str:
    line = find_line(lines, at)
    if path is None:
        return "configuration"
    return str(path) if line is None else f"{path}:{line}"


def _dotted(path: KeyPath) -> str:
    """A path as people read it: wearer[0].sensor[1].placement."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _is_value(tree: Any, path: KeyPath) -> bool:
    """Whether `path` leads to a plain value; a key that `places` misread leads nowhere."""
    node: Any = tree
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return False
    return not (isinstance(node, dict) or (isinstance(node, list) and bool(node) and isinstance(node[0], dict)))
