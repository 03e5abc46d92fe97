"""Three numbers and little else: the packets of small boards and watches.  Readings come in g, as `[n, 3]`."""

from __future__ import annotations

import numpy as np

from posturewatch_sim.noise import Floats

STANDARD_GRAVITY = 9.80665  # m/s², by definition
Q10 = 1024.0  # digits per g
MOST_I8 = 0x7D  # the largest value of 0x2C1D; the two above mean something else
NO_VALUE = -32768  # what chips say when they have none; NaN comes in then


def _digits(acc_g: Floats, per_g: float, most: int = 32767, none: int = NO_VALUE) -> bytes:
    digits = np.rint(acc_g * per_g).clip(-32768, most)
    return bytes(np.nan_to_num(digits, nan=none).astype("<i2").tobytes())


def precise_acceleration_3d(acc_g: Floats) -> bytes:
    """The SIG's characteristic 0x2C1E: three i16 of 0.001 g; 0x7FFE and 0x7FFF are no values."""
    return _digits(acc_g, 1000.0, most=0x7FFD, none=0x7FFF)


def acceleration_3d(acc_g: Floats) -> bytes:
    """The SIG's characteristic 0x2C1D: three i8 of 0.01 g; 0x7E is out of range, 0x7F no value."""
    digits = np.rint(acc_g * 100.0)
    digits = np.where(digits > MOST_I8, MOST_I8 + 1, digits.clip(min=-128))
    return bytes(np.nan_to_num(digits, nan=0x7F).astype("i1").tobytes())


def text_line(acc_g: Floats) -> bytes:
    """What a script prints: "x,y,z" in g, and nothing where there is no value."""
    return (",".join("" if np.isnan(value) else f"{value:.3f}" for value in acc_g) + "\r\n").encode()


def infinitime(acc_g: Floats) -> bytes:
    """InfiniTime's raw motion: three i16, 1024 per g."""
    return _digits(acc_g, Q10)


def microbit(acc_g: Floats) -> bytes:
    """The micro:bit's accelerometer data: three i16, called milli-g, in truth 1024 per g and the other way round."""
    return _digits(acc_g, -Q10)


def adafruit(acc_g: Floats) -> bytes:
    """Adafruit's accelerometer service: three f32 in m/s²."""
    return (acc_g * STANDARD_GRAVITY).astype("<f4").tobytes()


def thingy52(acc_g: Floats) -> bytes:
    """Thingy:52's raw data: acceleration (1024 per g), gyroscope and compass, each three i16; the last two at rest."""
    return _digits(acc_g, Q10) + bytes(12)


def mg(acc_g: Floats) -> bytes:
    """Three i16 of 0.001 g for each sample."""
    return _digits(acc_g, 1000.0)


def counted_head(seq: int, device_ms: int) -> bytes:
    """What the counted board puts before its samples: u16 packet counter, u32 ms of the last sample."""
    return (seq & 0xFFFF).to_bytes(2, "little") + (device_ms & 0xFFFFFFFF).to_bytes(4, "little")
