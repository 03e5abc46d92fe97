"""WitMotion's BLE 5.0 protocol, after the maker's manuals: 20 bytes, without counter, time or checksum."""

from __future__ import annotations

import struct

import numpy as np

from posturewatch_sim.noise import Floats

RANGE_G, TURN_DPS, ANGLE_DEG = 16.0, 2000.0, 180.0
FULL_SCALE = 32768.0


def measurement(acc_g: Floats) -> bytes:
    """`55 61`: acceleration, turn rate (at rest) and the angles that follow from gravity, each three i16."""
    x, y, z = (float(axis) for axis in np.nan_to_num(acc_g, nan=-RANGE_G))
    angles = (np.degrees(np.arctan2(y, z)), np.degrees(np.arctan2(-x, np.hypot(y, z))), 0.0)
    digits = [round(axis / RANGE_G * FULL_SCALE) for axis in (x, y, z)]
    digits += [0, 0, 0]
    digits += [round(float(angle) / ANGLE_DEG * FULL_SCALE) for angle in angles]
    return b"\x55\x61" + struct.pack("<9h", *(max(-32768, min(32767, digit)) for digit in digits))


def register(number: int, first: int) -> bytes:
    """`55 71`: the answer to a read, eight registers from this one on; the rest are zero here."""
    return b"\x55\x71" + bytes((number, 0)) + struct.pack("<8h", first, *[0] * 7)
