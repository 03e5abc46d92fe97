"""A wearer's state as plain numbers, strings, lists and dicts, and back, to the last bit.

The core's state is made of records (dataclasses and slotted classes), enum members, numpy arrays and the usual
containers.  What JSON knows goes as it is; everything else goes as a dict with one key that begins with `$` and says
what it is.  Records go by the name of their class, which must live in the core or in `types.py`, so that reading a
snapshot can create nothing else.  A field that a snapshot does not know yet takes its default; one that the record
no longer has is left out; anything else is a `SnapshotError`.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from posturewatch.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = 1  # raise it when an older state can no longer be read field by field
_ROOMS = ("posturewatch.core.", "posturewatch.types")
_DTYPES = frozenset({"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_FLOATS = frozenset({"float32", "float64"})


def dump_state(state: object) -> dict[str, Any]:
    """The state as a dict that JSON can hold; TypeError, naming the place, for what no snapshot can hold."""
    dumped = _dump(state, "state")
    return dumped if isinstance(dumped, dict) else {"$value": dumped}


def load_state(content: object) -> Any:
    """The state again, equal to the last bit.  Raises `SnapshotError` for anything that `dump_state` did not make."""
    try:
        if isinstance(content, dict) and set(content) == {"$value"}:
            return _load(content["$value"])
        return _load(content)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, IndexError, RecursionError) as error:
        raise SnapshotError(f"the state does not fit this version of the program: {error!r}") from error


def _dump(value: Any, place: str) -> Any:  # noqa: PLR0911  one return for each kind of value
    if isinstance(value, Enum):
        return {"$enum": [_name(type(value), place), value.name]}
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, np.ndarray | np.generic):
        return _dump_array(np.asarray(value), isinstance(value, np.generic), place)
    if type(value) is list:
        return [_dump(item, f"{place}[{at}]") for at, item in enumerate(value)]
    if type(value) in (tuple, set, frozenset, deque):
        return _dump_container(value, place)
    if type(value) is bytes:
        return {"$bytes": value.hex()}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") and type(key) is str for key in value):
            return {key: _dump(item, f"{place}[{key!r}]") for key, item in value.items()}
        return {"$dict": [[_dump(key, place), _dump(item, f"{place}[{key!r}]")] for key, item in value.items()]}
    fields = {name: _dump(getattr(value, name), f"{place}.{name}") for name in _field_names(type(value), place)}
    return {"$record": _name(type(value), place), **fields}


def _dump_container(value: Any, place: str) -> dict[str, Any]:
    items = sorted(value) if isinstance(value, set | frozenset) else value
    dumped = [_dump(item, f"{place}[{at}]") for at, item in enumerate(items)]
    if isinstance(value, deque):
        return {"$deque": dumped, "maxlen": value.maxlen}
    return {f"${type(value).__name__}": dumped}


def _dump_array(array: Any, is_scalar: bool, place: str) -> dict[str, Any]:
    name = str(array.dtype)
    if name not in _DTYPES | _FLOATS:
        raise TypeError(f"{place}: an array of {name} cannot be in a snapshot")
    flat = array.ravel().tolist()
    numbers = [_dump(number, place) for number in flat] if name in _FLOATS else flat
    return {"$array": name, "shape": None if is_scalar else list(array.shape), "numbers": numbers}


def _field_names(cls: type, place: str) -> list[str]:
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    slots = [slot for parent in reversed(cls.__mro__) for slot in vars(parent).get("__slots__", ())]
    if not slots:
        raise TypeError(f"{place}: a {cls.__name__} cannot be in a snapshot: neither a dataclass nor slotted")
    return slots


def _name(cls: type, place: str) -> str:
    if not f"{cls.__module__}.".startswith(_ROOMS) or "<" in cls.__qualname__:
        raise TypeError(f"{place}: a {cls.__module__}.{cls.__qualname__} cannot be in a snapshot: not of the core")
    return f"{cls.__module__.removeprefix('posturewatch.')}:{cls.__qualname__}"


def _find_class(name: str) -> Any:
    module, _, qualname = name.partition(":")
    if not f"posturewatch.{module}.".startswith(_ROOMS):
        raise ValueError(f"{name!r} is not of the core")
    try:
        found: Any = importlib.import_module(f"posturewatch.{module}")
    except ImportError as error:
        raise ValueError(f"there is no {name!r}") from error
    for part in qualname.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or found.__module__ != f"posturewatch.{module}":
        raise ValueError(f"{name!r} is not a class of that module")
    return found


def _load(value: Any) -> Any:
    if isinstance(value, list):
        return [_load(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = next((key for key in value if key.startswith("$")), None)
    if kind is None:
        return {key: _load(item) for key, item in value.items()}
    return _LOADERS[kind](value)


def _load_record(value: dict[str, Any]) -> Any:
    cls = _find_class(value["$record"])
    record = cls.__new__(cls)
    for name in _field_names(cls, cls.__name__):
        object.__setattr__(record, name, _load(value[name]) if name in value else _find_default(cls, name))
    return record


def _find_default(cls: type, name: str) -> Any:
    field = getattr(cls, "__dataclass_fields__", {})[name]
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is dataclasses.MISSING:
        raise KeyError(f"{cls.__name__}.{name}")
    return field.default


def _load_enum(value: dict[str, Any]) -> Any:
    name, member = value["$enum"]
    cls = _find_class(name)
    if not issubclass(cls, Enum):
        raise ValueError(f"{name!r} is not an enumeration")
    return cls[member]


def _load_array(value: dict[str, Any]) -> Any:
    if value["$array"] not in _DTYPES | _FLOATS:
        raise ValueError(f"no arrays of {value['$array']!r}")
    array = np.array([_load(number) for number in value["numbers"]], dtype=value["$array"])
    return array[0] if value["shape"] is None else array.reshape(value["shape"])


def _load_float(value: dict[str, Any]) -> float:
    return float(value["$float"])


_LOADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$record": _load_record,
    "$enum": _load_enum,
    "$array": _load_array,
    "$float": _load_float,
    "$bytes": lambda value: bytes.fromhex(value["$bytes"]),
    "$tuple": lambda value: tuple(_load(value["$tuple"])),
    "$set": lambda value: set(_load(value["$set"])),
    "$frozenset": lambda value: frozenset(_load(value["$frozenset"])),
    "$deque": lambda value: deque(_load(value["$deque"]), value["maxlen"]),
    "$dict": lambda value: {_load(key): _load(item) for key, item in value["$dict"]},
}
