"""Polar's measurement data (PMD): frames and control point messages, after Polar's "Online measurement" document, 1.0.

A frame is: type of measurement, u64 ns since 2000 of its last sample, frame type (bit 7: compressed), content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

ACC = 2
RAW_16_BIT, DELTA_COUNTS, DELTA_MG = 0x01, 0x80, 0x81
HEADER_BYTES = 10
BLOCK_SAMPLES = 30
RATE, RESOLUTION, RANGE, RANGE_MILLI, CHANNELS, FACTOR = range(6)  # settings
SETTING_BYTES = {RATE: 2, RESOLUTION: 2, RANGE: 2, RANGE_MILLI: 4, CHANNELS: 1, FACTOR: 4}
RESPONSE = 0xF0
FEATURES = 0x0F
Digits = NDArray[np.int64]  # [n, 3]


def _header(t_ns: int, frame_type: int) -> bytes:
    return struct.pack("<BQB", ACC, t_ns, frame_type)


def raw_frame(t_ns: int, acc_mg: Digits) -> bytes:
    """As the H10 sends it: three i16 in mg for each sample."""
    return _header(t_ns, RAW_16_BIT) + bytes(acc_mg.astype("<i2").tobytes())


def delta_frame(t_ns: int, digits: Digits, frame_type: int) -> bytes:
    """As the Verity Sense sends it: the first sample whole, then differences in as few bits as each block needs."""
    steps = np.diff(digits, axis=0)
    blocks = (steps[i : i + BLOCK_SAMPLES] for i in range(0, len(steps), BLOCK_SAMPLES))
    first = bytes(digits[0].astype("<i2").tobytes())
    return _header(t_ns, frame_type) + first + b"".join(map(_block, blocks))


def _block(steps: Digits) -> bytes:
    """Width in bits, number of samples, then a stream of bits, the least significant first, padded to whole bytes."""
    values = [int(step) for step in steps.ravel()]
    width = max(_width(value) for value in values)
    stream = 0
    for at, value in enumerate(values):
        stream |= (value & ((1 << width) - 1)) << (at * width)
    return bytes((width, len(steps))) + stream.to_bytes((width * len(values) + 7) // 8, "little")


def _width(value: int) -> int:
    """Bits of the two's complement."""
    return (value if value >= 0 else ~value).bit_length() + 1


def settings(found: Mapping[int, Iterable[float]]) -> bytes:
    """Kind, number of values, values; for each setting."""
    return b"".join(_setting(kind, list(values)) for kind, values in found.items())


def _setting(kind: int, values: list[float]) -> bytes:
    head = bytes((kind, len(values)))
    if kind == FACTOR:
        return head + struct.pack(f"<{len(values)}f", *values)
    return head + b"".join(int(value).to_bytes(SETTING_BYTES[kind], "little") for value in values)


def response(op: int, measurement: int, status: int, parameters: bytes | None = b"") -> bytes:
    """An answer of the control point; None leaves out the flag that more follows, as refusals do."""
    head = bytes((RESPONSE, op, measurement, status))
    return head if parameters is None else head + b"\x00" + parameters


def features(bits: int) -> bytes:
    """What reading the control point gives."""
    return bytes((FEATURES, bits)) + bytes(15)


def stopped(measurement: int) -> bytes:
    """Unsolicited: the device stopped this measurement."""
    return bytes((0x01, measurement))
