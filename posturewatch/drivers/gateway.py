"""Samples as gateways and small boards send them over MQTT: JSON, or 16-bit triples with MQTT 5 user properties.

Pure: bytes and properties in, numbers out, `DecodeError` for everything else.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from posturewatch.drivers.units import G_PER_UNIT, MAX_ACC_G
from posturewatch.errors import DecodeError
from posturewatch.types import UNITS_PER_G

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from posturewatch.types import Int32Array

MAX_PAYLOAD_BYTES = 4096
MAX_RATE_HZ = 3200.0
MIN_RATE_HZ = 0.01
MAX_SEQ = 2**63 - 1
MIN_SCALE_G, MAX_SCALE_G = 1e-7, 0.1
I16_TRIPLE_BYTES = 6
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 2000, 2200


@dataclass(frozen=True, slots=True)
class GatewayBatch:
    """What one message says; who sent it and when it arrived is known from elsewhere."""

    acc_10ug: Int32Array  # [n, 3], oldest first, n >= 1
    rate_hz: float
    last_ns: int | None
    seq: int | None


def decode(payload: bytes, properties: Mapping[str, str]) -> GatewayBatch:
    """One message of `<base>/sensor/<id>/samples`; binary if it has the property `scale_g`, else JSON."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise DecodeError(f"{len(payload)} bytes of samples: at most {MAX_PAYLOAD_BYTES} in one message")
    return _decode_binary(payload, properties) if "scale_g" in properties else _decode_json(payload)


def _decode_binary(payload: bytes, properties: Mapping[str, str]) -> GatewayBatch:
    if not payload or len(payload) % I16_TRIPLE_BYTES:
        raise DecodeError(f"{len(payload)} bytes of binary samples: not a number of little-endian i16 triples")
    scale_g = _property(properties, "scale_g", MIN_SCALE_G, MAX_SCALE_G)
    digits = np.frombuffer(payload, dtype="<i2").reshape(-1, 3)
    seq, time_ns = properties.get("seq"), properties.get("time_ns")
    return GatewayBatch(
        acc_10ug=_in_units(digits * scale_g),
        rate_hz=_property(properties, "rate_hz", MIN_RATE_HZ, MAX_RATE_HZ),
        last_ns=None if time_ns is None else _checked_time(_whole(time_ns, "time_ns")),
        seq=None if seq is None else _whole(seq, "seq"),
    )


def _decode_json(payload: bytes) -> GatewayBatch:
    try:
        message = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DecodeError(
            f"samples are not JSON, and the property scale_g of binary ones is missing: {error}"
        ) from error
    if not isinstance(message, dict):
        raise DecodeError('samples: an object {"rate_hz", "unit", "acc"} is needed')
    unit = message.get("unit")
    if not isinstance(unit, str) or unit not in G_PER_UNIT:
        raise DecodeError(f"samples: unit {unit!r}; allowed are {', '.join(G_PER_UNIT)}")
    time, seq = message.get("time"), message.get("seq")
    return GatewayBatch(
        acc_10ug=_in_units(_triples(message.get("acc")) * G_PER_UNIT[unit]),
        rate_hz=_number(message.get("rate_hz"), "rate_hz", MIN_RATE_HZ, MAX_RATE_HZ),
        last_ns=None if time is None else _iso_ns(time),
        seq=None if seq is None else _whole(seq, "seq"),
    )


def _triples(acc: object) -> NDArray[np.float64]:
    try:
        values = np.asarray(acc)
    except (ValueError, OverflowError) as error:
        raise DecodeError("samples: acc must be [[x, y, z], …]") from error
    if values.dtype.kind not in "iuf" or values.ndim != 2 or values.shape[1] != 3 or not len(values):  # noqa: PLR2004  # rows of three axes
        raise DecodeError("samples: acc must be [[x, y, z], …], all numbers")
    return values.astype(np.float64)


def _in_units(acc_g: NDArray[np.float64]) -> Int32Array:
    """From g to the 10 µg of the core; what is not finite or not possible is refused."""
    if not np.isfinite(acc_g).all():
        raise DecodeError("samples: acc has a value that is not finite")
    highest_g = float(np.abs(acc_g).max())
    if highest_g > MAX_ACC_G:
        raise DecodeError(f"samples: {highest_g:.0f} g is not possible; is the unit right?")
    return np.rint(acc_g * UNITS_PER_G).astype(np.int32)


def _property(properties: Mapping[str, str], name: str, least: float, most: float) -> float:
    text = properties.get(name)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    return _number(value, name, least, most)


def _number(value: object, name: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise DecodeError(f"samples: {name} must be a number from {least:g} to {most:g}")
    return float(value)


def _whole(value: object, name: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_SEQ)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise DecodeError(f"samples: {name} must be a whole number from 0")
    return value


def _iso_ns(text: object) -> int:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not FIRST_YEAR < moment.year < LAST_YEAR:
        raise DecodeError("samples: time must be ISO 8601 with its zone, such as 2026-03-01T09:30:00Z")
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def _checked_time(time_ns: int) -> int:
    if not FIRST_YEAR <= 1970 + time_ns / 31_556_952e9 <= LAST_YEAR:
        raise DecodeError("samples: time_ns must be nanoseconds since 1970, UTC")
    return time_ns


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
