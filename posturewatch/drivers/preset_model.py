"""The keys of a preset file: types and ranges of each alone.  How they fit together is seen in `preset_checks.py`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_SHORT_UUID = re.compile(r"(?:0x)?([0-9a-f]{4}|[0-9a-f]{8})")
_LONG_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SIG_TAIL = "-0000-1000-8000-00805f9b34fb"  # of the UUIDs that the Bluetooth SIG assigns (Core 5.4, 3.B.2.5.1)
_MAX_BYTES = 512


def _expand_uuid(value: object) -> object:
    text = value.lower() if isinstance(value, str) else ""
    if short := _SHORT_UUID.fullmatch(text):
        return short[1].rjust(8, "0") + _SIG_TAIL
    if not _LONG_UUID.fullmatch(text):
        raise ValueError('a UUID in quotes is needed, such as "0x2C1E" or one of 128 bits')
    return text


def _parse_hex(value: object) -> object:
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if not 0 < len(data) <= _MAX_BYTES:
        raise ValueError(f'1 to {_MAX_BYTES} bytes as hex digits in quotes are needed, such as "a103"')
    return data


def _parse_length(value: object) -> object:
    pair = [value, value] if isinstance(value, int) else value
    if not isinstance(pair, list) or len(pair) != 2 or not all(type(end) is int for end in pair):  # noqa: PLR2004  ends
        raise ValueError("a number of bytes is needed, or [least, most]")
    if not 1 <= pair[0] <= pair[1] <= _MAX_BYTES:
        raise ValueError(f"from 1 to {_MAX_BYTES} bytes are possible, and not less at most than at least")
    return tuple(pair)


def _parse_repeat(value: object) -> object:
    if value == "rest":
        return 0
    if type(value) is not int or not 1 <= value <= _MAX_BYTES:
        raise ValueError(f'a number of samples from 1 to {_MAX_BYTES} is needed, or "rest"')
    return value


Uuid = Annotated[str, BeforeValidator(_expand_uuid)]
Hex = Annotated[bytes, BeforeValidator(_parse_hex)]
Offset = Annotated[int, Field(ge=0, lt=_MAX_BYTES)]
Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
Length = Annotated[tuple[int, int], BeforeValidator(_parse_length)]
Repeat = Annotated[int, BeforeValidator(_parse_repeat)]
Invalid = Annotated[list[int], Field(max_length=16)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class MatchKeys(Strict):
    name_prefix: str | None = Field(default=None, min_length=1, max_length=64)
    name_contains: str | None = Field(default=None, min_length=1, max_length=64)
    company: int | None = Field(default=None, ge=0, le=0xFFFF)
    service_uuid: Uuid | None = None
    service_data_uuid: Uuid | None = None


class SplitKeys(Strict):
    x: Uuid
    y: Uuid
    z: Uuid


class SeqKeys(Strict):
    offset: Offset
    type: Literal["u8", "u16", "u32"]
    invalid: int | None = Field(default=None, ge=0, le=0xFFFFFFFF)


class TimeKeys(Strict):
    offset: Offset
    type: Literal["u32", "u64"]
    unit: Literal["ns", "us", "ms", "s"]
    of: Literal["first", "last"] = "last"


class BatteryKeys(Strict):
    source: Literal["0x2A19"] | None = None
    offset: Offset | None = None
    type: Literal["u8", "u16"] | None = None
    unit: Literal["%", "mV"] | None = None
    invalid: int | None = Field(default=None, ge=0, le=0xFFFF)


class IdentityKeys(Strict):
    offset: Offset
    length: int = Field(ge=1, le=16)


class LayoutKeys(Strict):
    header: Hex | None = None
    mask: Hex | None = None
    length: Length | None = None
    endian: Literal["<", ">"] = "<"
    type: Literal["i8", "i16", "i24", "i32", "u16", "f32", "f64"] | None = None
    offset: Offset = 0
    stride: int | None = Field(default=None, ge=1, le=_MAX_BYTES)
    repeat: Repeat = 1  # 0: as many as there are
    order: Annotated[list[Axis], Field(min_length=3, max_length=3)] | None = None
    unit: Literal["g", "mg", "m/s2"] | None = None
    scale: float = Field(default=1.0, ge=-1e6, le=1e6)
    bias: float = Field(default=0.0, ge=-1e9, le=1e9)
    sign: Literal[1, -1] = 1
    invalid: Invalid = []
    seq: SeqKeys | None = None
    time: TimeKeys | None = None
    battery: BatteryKeys | None = None
    identity: IdentityKeys | None = None


class SetUpKeys(Strict):
    service: Uuid | None = None
    char: Uuid
    hex: Hex
    response: bool = True
    expect: Hex | None = None
    readback: Literal[True, False, "period_ms"] = False
    restore: bool = False


class PresetKeys(LayoutKeys):
    title: str | None = Field(default=None, min_length=1, max_length=80)
    kind: Literal["notify", "read", "manufacturer", "service_data", "text"]
    match: MatchKeys = MatchKeys()
    service: Uuid | None = None
    char: Uuid | None = None
    split: SplitKeys | None = None
    layout: list[LayoutKeys] = Field(default=[], max_length=8)
    separator: str | None = Field(default=None, min_length=1, max_length=4)
    rate_hz: float | None = Field(default=None, ge=0.01, le=3200.0)
    range_g: float | None = Field(default=None, gt=0.0, le=200.0)
    step_mg: float | None = Field(default=None, gt=0.0, le=1000.0)
    silence: Literal["fault", "hold", "sparse"] | None = None
    poll_s: float | None = Field(default=None, ge=0.02, le=3600.0)
    on_start: list[SetUpKeys] = Field(default=[], max_length=16)
    on_stop: list[SetUpKeys] = Field(default=[], max_length=16)
    max_packet: int = Field(default=_MAX_BYTES, ge=1, le=_MAX_BYTES)
    max_line: int = Field(default=200, ge=5, le=_MAX_BYTES)
