"""Packets of fixed layout that a table describes: where the numbers stand, and what they mean.  Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from posturewatch.drivers import Packet
from posturewatch.drivers.units import MAX_PACKET_BYTES, convert
from posturewatch.errors import DecodeError
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = {"i8": 1, "u8": 1, "i16": 2, "u16": 2, "i24": 3, "i32": 4, "u32": 4, "u64": 8, "f32": 4, "f64": 8}
_CODES = {"i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I", "u64": "Q", "f32": "f", "f64": "d"}
_FULL_PCT = 100
_MAX_TIME_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Number:
    """One number in a packet."""

    type: str
    offset: int
    endian: str = "<"
    invalid: frozenset[int] = frozenset()

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + SIZES[self.type]

    def read(self, payload: bytes) -> float | int | None:
        """Its raw value; None where it says that it has none, or where the packet is too short."""
        if self.end > len(payload):
            return None
        if self.type == "i24":
            order: Any = "little" if self.endian == "<" else "big"
            value = int.from_bytes(payload[self.offset : self.end], order, signed=True)
        else:
            (value,) = struct.unpack_from(self.endian + _CODES[self.type], payload, self.offset)
        return None if value in self.invalid else value


@dataclass(frozen=True, slots=True)
class Scale:
    """From a raw number to g: raw * `g_per_digit` + `bias_g`."""

    g_per_digit: float
    bias_g: float = 0.0

    @np.errstate(invalid="ignore", over="ignore")  # what is no number is left out later, and worth no warning
    def apply(self, raw: NDArray[np.float64], factor: float | None = None) -> NDArray[np.float64]:
        """In g; `factor` in place of the described g per digit."""
        return raw * (self.g_per_digit if factor is None else factor) + self.bias_g


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of packet."""

    type: str
    scale: Scale
    offset: int = 0
    endian: str = "<"
    stride: int = 0  # bytes from one sample to the next
    repeat: int | None = 1  # samples; None: as many as there are
    order: tuple[tuple[int, int], ...] = ((0, 1), (1, 1), (2, 1))  # axis and sign of each number of a sample
    invalid: frozenset[int] = frozenset()
    header: bytes = b""
    mask: bytes = b""
    length: tuple[int, int] = (0, MAX_PACKET_BYTES)
    seq: Number | None = None
    seq_modulus: int = 0
    time: Number | None = None
    ns_per_tick: int = 1
    is_time_of_first: bool = False
    battery: Number | None = None
    is_battery_mv: bool = False
    identity: tuple[int, int] | None = None  # offset and length of what names the sensor

    @property
    def sample_bytes(self) -> int:
        """Bytes of three axes."""
        return 3 * SIZES[self.type]

    @property
    def wraps_after_ns(self) -> int:
        """When the packet's time begins anew; 0: never, or there is none."""
        return 0 if self.time is None or self.time.type == "u64" else self.ns_per_tick << (8 * SIZES[self.time.type])

    def fits(self, payload: bytes) -> bool:
        """Whether length and header are those of this layout."""
        if not self.length[0] <= len(payload) <= self.length[1] or len(payload) < len(self.header):
            return False
        mask = self.mask or b"\xff" * len(self.header)
        return all(byte & m == h & m for byte, h, m in zip(payload, self.header, mask, strict=False))

    def describe(self) -> str:
        """What fits, in words."""
        least, most = self.length
        size = f"{least} bytes" if least == most else f"{least} to {most} bytes"
        return f"{size} that begin {self.header.hex()}" if self.header else size

    def decode(self, payload: bytes, rate_hz: float, factor: float | None = None) -> Packet:
        """A packet that `fits`."""
        count = self._count_samples(payload)
        raw = self._read_axes(payload, count)
        is_valid = ~np.isin(raw, list(self.invalid)).any(axis=1) if self.invalid else np.ones(count, dtype=bool)
        placed = np.empty((int(is_valid.sum()), 3))
        in_g = self.scale.apply(raw[is_valid], factor)
        for at, (axis, sign) in enumerate(self.order):
            placed[:, axis] = sign * in_g[:, at]
        acc_10ug, impossible = convert(placed, 1.0)
        level = None if self.battery is None else self.battery.read(payload)
        return Packet(
            acc_10ug,
            rate_hz,
            device_ns=self._read_time(payload, count, rate_hz),
            seq=self._read_seq(payload),
            seq_modulus=self.seq_modulus,
            invalid=count - len(placed) + impossible,
            battery_pct=int(min(max(level, 0), _FULL_PCT)) if level is not None and not self.is_battery_mv else None,
            battery_mv=int(level) if level is not None and self.is_battery_mv else None,
        )

    def name_of(self, payload: bytes) -> str | None:
        """What names the sensor, as pairs of hex digits."""
        if self.identity is None:
            return None
        start, size = self.identity
        return payload[start : start + size].hex(":").upper()

    def _count_samples(self, payload: bytes) -> int:
        room = len(payload) - self.offset - self.sample_bytes
        count = self.repeat or room // self.stride + 1
        over = room - (count - 1) * self.stride
        if over < 0 or count < 1:
            raise DecodeError(f"{len(payload)} bytes are too few for the samples at byte {self.offset}")
        if self.repeat is None and over not in (0, self.stride - self.sample_bytes):
            raise DecodeError(f"{len(payload)} bytes are not a whole number of samples of {self.stride} bytes")
        return count

    @np.errstate(invalid="ignore")
    def _read_axes(self, payload: bytes, count: int) -> NDArray[np.float64]:
        size = SIZES[self.type]
        if self.type != "i24":
            dtype = np.dtype(self.endian + _CODES[self.type])
            view: NDArray[Any] = np.ndarray((count, 3), dtype, payload, self.offset, (self.stride, size))
            return view.astype(np.float64)
        parts: NDArray[np.uint8] = np.ndarray((count, 3, 3), np.uint8, payload, self.offset, (self.stride, size, 1))
        weights = np.array([1, 256, 65536] if self.endian == "<" else [65536, 256, 1], dtype=np.int64)
        values = parts.astype(np.int64) @ weights
        return ((values ^ 0x800000) - 0x800000).astype(np.float64)

    def _read_seq(self, payload: bytes) -> int | None:
        value = None if self.seq is None else self.seq.read(payload)
        return None if value is None else int(value)

    def _read_time(self, payload: bytes, count: int, rate_hz: float) -> int | None:
        value = None if self.time is None else self.time.read(payload)
        if value is None:
            return None
        after_ns = round((count - 1) * NS_PER_S / rate_hz) if self.is_time_of_first else 0
        time_ns = int(value) * self.ns_per_tick + after_ns
        if time_ns > _MAX_TIME_NS:
            raise DecodeError(f"the time {value} of the packet is not possible")
        return time_ns


def decode_first(layouts: tuple[Layout, ...], payload: bytes, rate_hz: float, factor: float | None = None) -> Packet:
    """By the first layout that fits; `DecodeError` says what would."""
    for layout in layouts:
        if layout.fits(payload):
            return layout.decode(payload, rate_hz, factor)
    wanted = " or ".join(layout.describe() for layout in layouts)
    raise DecodeError(f"{len(payload)} bytes that begin {payload[:4].hex() or 'with nothing'}: expected {wanted}")
