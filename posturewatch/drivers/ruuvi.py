"""RuuviTag: formats 5 and 3 of its advertisements; each measurement is sent twice or more.

Layout: docs.ruuvi.com, data format 5 (RAWv2) and data format 3 (RAWv1); big-endian, after the company identifier.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.drivers import NO, SURE, Capabilities, Packet, Silence
from posturewatch.drivers.units import NO_SAMPLES, convert
from posturewatch.errors import DecodeError

if TYPE_CHECKING:
    from posturewatch.drivers import Advert, Options

COMPANY = 0x0499
_FORMAT_5 = struct.Struct(">B h H H hhh H B H 6s")
_FORMAT_3 = struct.Struct(">B B h H hhh H")
_NO_AXIS, _NO_POWER, _NO_MOVES, _NO_SEQ, _NO_MAC = -0x8000, 2047, 0xFF, 0xFFFF, b"\xff" * 6
_SEQ_MODULUS, _LEAST_MV = 65535, 1600
_FRESH_EVERY_S = 2.57  # two advertisements of 1285 ms


@dataclass(frozen=True, slots=True)
class RuuviFrame:
    """What one advertisement says; None where the tag says that it does not know."""

    acc_mg: tuple[int, int, int] | None
    battery_mv: int | None
    moves: int | None = None  # counts shoves of over 64 mg, 0 to 254
    seq: int | None = None  # counts measurements, 0 to 65534
    mac: str | None = None

    def to_packet(self, has_moved: bool | None = None) -> Packet:
        """The frame in the units of the core."""
        acc_10ug = NO_SAMPLES if self.acc_mg is None else convert([self.acc_mg], 1e-3)[0]
        return Packet(
            acc_10ug,
            1.0 / _FRESH_EVERY_S,
            seq=self.seq,
            seq_modulus=0 if self.seq is None else _SEQ_MODULUS,
            invalid=int(self.acc_mg is None),
            has_moved=has_moved,
            battery_mv=self.battery_mv,
        )


def read_frame(payload: bytes) -> RuuviFrame:
    """One payload of the manufacturer data."""
    if len(payload) == _FORMAT_5.size and payload[0] == 5:  # noqa: PLR2004  the format's own number
        return _read_format_5(payload)
    if len(payload) == _FORMAT_3.size and payload[0] == 3:  # noqa: PLR2004
        _, _, _, _, x, y, z, battery_mv = _FORMAT_3.unpack(payload)
        return RuuviFrame((x, y, z), battery_mv)
    start = payload[:1].hex() or "no bytes"
    raise DecodeError(
        f"{len(payload)} bytes that begin with {start}: Ruuvi format 5 has {_FORMAT_5.size} bytes and begins with 05, "
        f"format 3 has {_FORMAT_3.size} and begins with 03; other formats hold no acceleration"
    )


def _read_format_5(payload: bytes) -> RuuviFrame:
    _, _, _, _, x, y, z, power, moves, seq, mac = _FORMAT_5.unpack(payload)
    return RuuviFrame(
        acc_mg=None if _NO_AXIS in (x, y, z) else (x, y, z),
        battery_mv=None if power >> 5 == _NO_POWER else (power >> 5) + _LEAST_MV,
        moves=None if moves == _NO_MOVES else moves,
        seq=None if seq == _NO_SEQ else seq,
        mac=None if mac == _NO_MAC else mac.hex(":").upper(),
    )


class RuuviDriver:
    """One tag that is listened to."""

    def __init__(self) -> None:
        self._last: RuuviFrame | None = None

    def decode(self, advert: Advert) -> Packet | None:
        """A new measurement; None for a repeated one, another format, or one without anything valid."""
        payload = advert.manufacturer.get(COMPANY)
        if payload is None or not _may_hold_acceleration(payload):
            return None
        frame, last = read_frame(payload), self._last
        if frame.acc_mg is None and frame.battery_mv is None:
            return None
        if last is not None and frame.seq is not None and (frame.mac, frame.seq) == (last.mac, last.seq):
            return None
        self._last = frame
        return frame.to_packet(_tell_moved(frame, last))


def _tell_moved(frame: RuuviFrame, last: RuuviFrame | None) -> bool | None:
    """Whether the tag was shoved since its last advertisement; None: it does not say, or it began anew."""
    if last is None or frame.mac != last.mac or frame.moves is None or last.moves is None:
        return None
    if frame.seq is None or last.seq is None or (frame.seq - last.seq) % _SEQ_MODULUS > _SEQ_MODULUS // 2:
        return None
    return frame.moves != last.moves


def _may_hold_acceleration(payload: bytes) -> bool:
    return payload[:1] in (b"\x05", b"\x03")


class RuuviFamily:
    """Tags with one measurement in some seconds, without a connection."""

    id = "ruuvi"
    title = "RuuviTag"
    capabilities = Capabilities(
        is_advertised=True,
        rate_hz=1.0 / _FRESH_EVERY_S,
        range_g=2.0,
        step_mg=3.9,  # 10 bits over ±2 g
        silence=Silence.SPARSE,
        expected_every_s=_FRESH_EVERY_S,
        is_exclusive=False,
    )

    def match(self, advert: Advert) -> int:
        """By the maker and the format."""
        return SURE if _may_hold_acceleration(advert.manufacturer.get(COMPANY, b"")) else NO

    def identity(self, advert: Advert) -> str:
        """The address inside the payload, which every operating system shows."""
        try:
            return read_frame(advert.manufacturer.get(COMPANY, b"")).mac or advert.address
        except DecodeError:
            return advert.address

    def create(self, options: Options) -> RuuviDriver:  # noqa: ARG002  there is nothing to ask a tag for
        """The driver of one tag."""
        return RuuviDriver()

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:  # noqa: ARG002  the scale is fixed
        """One payload of the manufacturer data, after the company identifier."""
        return read_frame(payload).to_packet()


FAMILIES = (RuuviFamily(),)
