"""Movesense's GATT SensorData Protocol, after the documentation of its maker, version 1."""

from __future__ import annotations

import struct

from posturewatch_sim.noise import Floats
from posturewatch_sim.packets.triples import STANDARD_GRAVITY

RESPONSE, DATA, DATA_PART_2 = 1, 2, 3
OK, BAD_REQUEST, NOT_FOUND = 200, 400, 404


def hello(reference: int, *texts: str) -> bytes:
    """The answer to HELLO: no status, but protocol version, serial, product, address, app and its version."""
    return bytes((RESPONSE, reference, 1)) + b"".join(text.encode() + b"\x00" for text in texts)


def response(reference: int, status: int, body: bytes = b"") -> bytes:
    """The answer to everything else."""
    return bytes((RESPONSE, reference)) + status.to_bytes(2, "little") + body


def acceleration(reference: int, device_ms: int, acc_g: Floats, room_bytes: int) -> list[bytes]:
    """u32 ms of the first sample, then f32 m/s² triples; what does not fit comes as part 2."""
    body = struct.pack("<I", device_ms & 0xFFFFFFFF) + (acc_g * STANDARD_GRAVITY).astype("<f4").tobytes()
    room = room_bytes - 2
    first, rest = body[:room], body[room:]
    parts = [bytes((DATA, reference)) + first]
    return parts + [bytes((DATA_PART_2, reference)) + rest[at : at + room] for at in range(0, len(rest), room)]
