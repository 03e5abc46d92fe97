"""RuuviTag advertisements: data formats 5 (RAWv2) and 3 (RAWv1), as Ruuvi documents them; the payload is big-endian."""

from __future__ import annotations

import struct

COMPANY = 0x0499
SEQ_MODULUS = 65_535  # 65535 means "no value"
MOVEMENT_MODULUS = 255
TEMPERATURE_C, HUMIDITY_PCT, PRESSURE_PA, TX_POWER_DBM = 24.3, 53.49, 100_044, 4


def df5(acc_mg: tuple[int, int, int], *, battery_mv: int, movements: int, seq: int, mac: bytes) -> bytes:
    """Format 5: 24 bytes."""
    power = ((battery_mv - 1600) & 0x7FF) << 5 | (TX_POWER_DBM + 40) // 2
    return struct.pack(
        ">BhHHhhhHBH6s",
        5,
        round(TEMPERATURE_C / 0.005),
        round(HUMIDITY_PCT / 0.0025),
        PRESSURE_PA - 50_000,
        *acc_mg,
        power,
        movements % MOVEMENT_MODULUS,
        seq % SEQ_MODULUS,
        mac,
    )


def df3(acc_mg: tuple[int, int, int], *, battery_mv: int) -> bytes:
    """Format 3: 14 bytes, without a counter."""
    whole, hundredths = divmod(round(TEMPERATURE_C * 100), 100)
    head = struct.pack(">BBBBH", 3, round(HUMIDITY_PCT * 2), whole, hundredths, PRESSURE_PA - 50_000)
    return head + struct.pack(">hhhH", *acc_mg, battery_mv)
