"""Polar's control point: what is asked, what is answered, and what an answer's status means for the wearer.

Layout: Polar BLE SDK, `technical_documentation/online_measurement.pdf` (2024-08).  A request is op, measurement type,
settings; a reply is F0, op, type, status, more, settings; a setting is type(1) count(1) values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from posturewatch.drivers.polar_frames import ACC
from posturewatch.errors import SensorRefused

GET_SETTINGS, START, STOP = 1, 2, 3
SDK_MODE = 9  # a "measurement" that is started and stopped like one
OK, ALREADY, INVALID_STATE = 0, 6, 12
UNSUPPORTED = frozenset({1, 2, 3})
_REPLY, _FEATURES, _STOPPED = 0xF0, 0x0F, 0x01
_STATUS_AT, _MORE_AT, _CONTENT_AT = 3, 4, 5
_MAX_REPLY_BYTES = 1024
RATE, RESOLUTION, RANGE, RANGE_MILLI, CHANNELS, FACTOR = 0, 1, 2, 3, 4, 5
_VALUE_BYTES = {RATE: 2, RESOLUTION: 2, RANGE: 2, RANGE_MILLI: 4, CHANNELS: 1, FACTOR: 4, 6: 16}
_SHORTEST_SETTING = 3
_STATUS = {
    1: "it does not know the request; update its firmware",
    2: "it does not know this measurement; update its firmware",
    3: "it does not support this; update its firmware",
    4: "the request has the wrong length",
    5: "a parameter is wrong",
    6: "it is streaming already and does not stop; disconnect every other app, or restart the sensor",
    7: "it refuses the resolution",
    8: "it refuses the rate; leave the rate out of the configuration",
    9: "it refuses the range; leave the range out of the configuration",
    10: "the packets of this connection are too small for it (MTU); use another Bluetooth adapter or a newer BlueZ",
    11: "it refuses the channels",
    12: "it is not ready; a Verity Sense must be in sensor mode (the heart-shaped light), not recording or swimming",
    13: "it is in its charger; take it out",
    14: "its memory is full; empty it with Polar's own app",
}


@dataclass(slots=True)
class Reply:
    """Collects the packets of one reply: called with each indication, true at the last one."""

    op: int
    measurement: int
    status: int = OK
    content: bytearray = field(default_factory=bytearray)

    def __call__(self, packet: bytes) -> bool:
        """Whether `packet` ends the reply; other traffic is let pass."""
        if len(packet) <= _STATUS_AT or tuple(packet[:_STATUS_AT]) != (_REPLY, self.op, self.measurement):
            return False
        self.status = packet[_STATUS_AT]
        self.content += packet[_CONTENT_AT:]
        has_more = len(packet) > _MORE_AT and packet[_MORE_AT] != 0
        return not has_more or self.status != OK or len(self.content) > _MAX_REPLY_BYTES


def offers_acceleration(features: bytes) -> bool:
    """The feature list says so, or it is not a feature list and cannot deny it."""
    return len(features) < 2 or features[0] != _FEATURES or bool(features[1] >> ACC & 1)  # noqa: PLR2004  mark and map


def says_stopped(packet: bytes) -> bool:
    """The sensor reports, unasked, that it ended the stream of acceleration."""
    return packet[:1] == bytes([_STOPPED]) and ACC in packet[1:]


def parse_settings(content: bytes) -> dict[int, tuple[int, ...]]:
    """Values by type; what follows an unknown type, or is too short for a setting, is left."""
    found: dict[int, tuple[int, ...]] = {}
    at = 0
    while at + _SHORTEST_SETTING <= len(content):
        kind, count = content[at], content[at + 1]
        size = _VALUE_BYTES.get(kind)
        start, at = at + 2, at + 2 + (size or 0) * count
        if size is None or at > len(content):
            break
        found[kind] = tuple(int.from_bytes(content[i : i + size], "little") for i in range(start, at, size))
    return found


def factor_of(settings: dict[int, tuple[int, ...]]) -> float | None:
    """The g per count of a start reply."""
    if not settings.get(FACTOR):
        return None
    (factor,) = struct.unpack("<f", settings[FACTOR][0].to_bytes(4, "little"))
    return float(factor) if 0.0 < factor < 1.0e3 else None  # noqa: PLR2004  a NaN and nonsense are none


def choose(offered: dict[int, tuple[int, ...]], rate_hz: float, range_g: float) -> dict[int, int]:
    """Of each setting the lowest value that is enough, else the highest."""
    wanted = {RATE: rate_hz, RANGE: range_g, RANGE_MILLI: range_g * 1000.0}
    chosen = {}
    for kind in (RATE, RESOLUTION, RANGE, RANGE_MILLI, CHANNELS):
        values = sorted(offered.get(kind, ()))
        if values:
            chosen[kind] = next((v for v in values if kind in wanted and v >= wanted[kind]), values[-1])
    return chosen


def start_command(chosen: dict[int, int]) -> bytes:
    """Start acceleration with these settings, one value each."""
    settings = (bytes([kind, 1]) + value.to_bytes(_VALUE_BYTES[kind], "little") for kind, value in chosen.items())
    return bytes([START, ACC]) + b"".join(settings)


def refuse(wish: str, status: int) -> SensorRefused:
    """The error for a status that is not OK."""
    return SensorRefused(f"the Polar sensor refuses {wish}: {_STATUS.get(status, 'for no known reason')} ({status=})")
