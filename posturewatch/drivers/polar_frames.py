"""Frames of acceleration of Polar's measurement service (PMD): raw, or a reference and blocks of differences.

Layout: Polar BLE SDK, `technical_documentation/online_measurement.pdf` (2024-08): type(1) time(8) frame type(1)
content.  The time is in nanoseconds since 2000, of the last sample.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.drivers.units import MAX_PACKET_BYTES, convert
from posturewatch.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posturewatch.types import Int32Array, Int64Array

ACC = 2  # measurement type
_TYPE_MASK = 0x3F
_HEADER = struct.Struct("<BQB")
_REFERENCE = struct.Struct("<3h")
_RAW_BYTES = {0x00: 1, 0x01: 2, 0x02: 3}  # of one axis
_PLAIN_BYTES = 2  # a width that numpy reads by itself
_COUNTS, _MILLI_G = 0x80, 0x81
_MAX_WIDTH_BITS = 32
_MAX_SAMPLES = 2048
_MAX_TIME_NS = 2**63 - 1


def measurement_of(payload: bytes) -> int:
    """What a frame is about: 2 is acceleration; -1 for no frame."""
    return payload[0] & _TYPE_MASK if payload else -1


def decode_frame(payload: bytes, factor: float | None) -> tuple[Int32Array, int, int]:
    """Samples, how many were impossible, and the time of the last.  `factor`: g per count of a frame 0x80."""
    if not _HEADER.size < len(payload) <= MAX_PACKET_BYTES:
        raise DecodeError(f"Polar frame of {len(payload)} bytes: {_HEADER.size + 1} to {MAX_PACKET_BYTES} are possible")
    _, time_ns, frame_type = _HEADER.unpack_from(payload)
    if measurement_of(payload) != ACC:
        raise DecodeError(f"Polar frame of measurement type {measurement_of(payload)}: {ACC} is acceleration")
    if time_ns > _MAX_TIME_NS:
        raise DecodeError(f"Polar frame with the impossible time {time_ns} ns")
    content = payload[_HEADER.size :]
    if frame_type in _RAW_BYTES:
        digits, g_per_digit = _read_raw(content, _RAW_BYTES[frame_type]), 1e-3
    elif frame_type in (_COUNTS, _MILLI_G):
        digits, g_per_digit = _read_differences(content), _scale_of(frame_type, factor)
    else:
        raise DecodeError(f"Polar frame type 0x{frame_type:02x}: known are 0x00, 0x01, 0x02, 0x80 and 0x81")
    acc_10ug, impossible = convert(digits, g_per_digit)
    return acc_10ug, impossible, time_ns


def _scale_of(frame_type: int, factor: float | None) -> float:
    if frame_type == _MILLI_G:
        return 1e-3 * (1.0 if factor is None else factor)
    if factor is None:
        raise DecodeError("Polar frame type 0x80 holds counts: the factor of the start reply is needed")
    return factor


def _read_raw(content: bytes, width_bytes: int) -> Int64Array:
    """Little-endian triples, 1 to 3 bytes an axis, two's complement."""
    if len(content) % (3 * width_bytes):
        raise DecodeError(f"Polar frame with {len(content)} bytes of samples: not a number of {3 * width_bytes}")
    if width_bytes == _PLAIN_BYTES:  # what the H10 sends all day
        return np.frombuffer(content, dtype="<i2").astype(np.int64).reshape(-1, 3)
    digits = np.frombuffer(content, dtype=np.uint8).reshape(-1, width_bytes).astype(np.int64)
    values = digits @ (np.int64(1) << (8 * np.arange(width_bytes, dtype=np.int64)))
    return _sign(values, 8 * width_bytes).reshape(-1, 3)


def _read_differences(content: bytes) -> Int64Array:
    """The reference sample, then blocks of differences, each to the sample before it."""
    if len(content) < _REFERENCE.size:
        raise DecodeError(f"Polar frame with {len(content)} bytes of content: the reference sample alone has 6")
    reference = np.array([_REFERENCE.unpack_from(content)], dtype=np.int64)
    rows = [reference]
    samples = 1
    for block in _read_blocks(content[_REFERENCE.size :]):
        samples += len(block)
        if samples > _MAX_SAMPLES:
            raise DecodeError(f"Polar frame of more than {_MAX_SAMPLES} samples")
        rows.append(block)
    return np.cumsum(np.concatenate(rows), axis=0)


def _read_blocks(content: bytes) -> Iterator[Int64Array]:
    """width(1) count(1), then count triples of `width` bits, least significant bit first; blocks begin on a byte."""
    at = 0
    while at < len(content):
        if at + 2 > len(content):
            raise DecodeError("Polar frame ends inside the head of a block")
        width, count = content[at], content[at + 1]
        if width > _MAX_WIDTH_BITS:
            raise DecodeError(f"Polar block of {width}-bit differences: at most {_MAX_WIDTH_BITS} are possible")
        start, at = at + 2, at + 2 + (width * count * 3 + 7) // 8
        if at > len(content):
            raise DecodeError(f"Polar block of {count} samples of {width} bits runs past the end of the frame")
        bits = np.unpackbits(np.frombuffer(content[start:at], dtype=np.uint8), bitorder="little")
        digits = bits[: width * count * 3].reshape(count * 3, width).astype(np.int64)
        values = digits @ (np.int64(1) << np.arange(width, dtype=np.int64))
        yield _sign(values, width).reshape(count, 3)


def _sign(values: Int64Array, width_bits: int) -> Int64Array:
    """Two's complement; a width of nothing is no change."""
    if width_bits == 0:
        return values
    half = np.int64(1) << np.int64(width_bits - 1)
    return (values ^ half) - half
