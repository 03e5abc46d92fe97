"""BTHome version 2 without encryption: objects `id value`, in the order of their ids (bthome.io/format)."""

from __future__ import annotations

import numpy as np

from posturewatch_sim.noise import Floats
from posturewatch_sim.packets.triples import STANDARD_GRAVITY

SERVICE = 0xFCD2
VERSION_2 = 0x40
PACKET_ID, BATTERY, ACCELERATION = 0x00, 0x01, 0x63
UNIT_MS2 = 1e-6
NO_VALUE_G = -200.0  # there is no code for it: what no body does


def acceleration(acc_g: Floats, *, packet_id: int, battery_pct: int) -> bytes:
    """Packet id, battery and three signed accelerations: x, y, z."""
    values = (round(axis * STANDARD_GRAVITY / UNIT_MS2) for axis in np.nan_to_num(acc_g, nan=NO_VALUE_G).tolist())
    axes = b"".join(bytes((ACCELERATION,)) + value.to_bytes(4, "little", signed=True) for value in values)
    return bytes((VERSION_2, PACKET_ID, packet_id & 0xFF, BATTERY, battery_pct)) + axes
