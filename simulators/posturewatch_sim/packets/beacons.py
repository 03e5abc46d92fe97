"""Accelerometer beacons: KKM (and Blue Charm) and Minew; both big-endian, neither counts."""

from __future__ import annotations

import struct

from posturewatch_sim.noise import Floats
from posturewatch_sim.packets.triples import NO_VALUE

KKM_SERVICE, MINEW_SERVICE = 0xFEAA, 0xFFE1
VOLTAGE, TEMPERATURE, HUMIDITY, ACCELERATION = 1, 2, 4, 8
TEMPERATURE_C, HUMIDITY_PCT = 24.0, 45.0
PER_G = 256.0


def digits(acc_g: Floats, per_g: float) -> tuple[int, ...]:
    """Whole numbers of 16 bits; the lowest of them for no value."""
    return tuple(NO_VALUE if axis != axis else round(axis * per_g) for axis in map(float, acc_g))  # noqa: PLR0124  NaN


def kkm(acc_g: Floats, *, battery_mv: int, with_humidity: bool) -> bytes:
    """KSensor frame: `21 01`, a mask, voltage, temperature (8.8), humidity (8.8) if there is a sensor, mg."""
    mask = VOLTAGE | TEMPERATURE | ACCELERATION | (HUMIDITY if with_humidity else 0)
    head = struct.pack(">BBBHh", 0x21, 0x01, mask, battery_mv, round(TEMPERATURE_C * 256))
    middle = struct.pack(">H", round(HUMIDITY_PCT * 256)) if with_humidity else b""
    return head + middle + struct.pack(">3h", *digits(acc_g, 1000.0))


def minew(acc_g: Floats, *, battery_pct: int, mac: bytes) -> bytes:
    """ACC frame: `A1 03`, battery in percent, three i16 of 1/256 g, MAC."""
    return struct.pack(">BBB3h6s", 0xA1, 0x03, battery_pct, *digits(acc_g, PER_G), mac)
