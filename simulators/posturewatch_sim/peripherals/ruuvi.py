"""RuuviTag: data format 5 and the older 3.  Stock firmware measures every 2.57 s and says it twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from bumble.device import AdvertisingType

from posturewatch_sim.packets import advertising, ruuvi
from posturewatch_sim.packets.beacons import digits
from posturewatch_sim.peripherals.advertised import AdvertisedSensor
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

ADVERTISE_MS = 1285
MOVEMENT_MG = 64.0  # the activity interrupt of the LIS2DH12, after its high-pass filter
UNITS_PER_MG = 100.0
CHIP = SensorModel("ruuvi", 10.0, 220.0, 4.0, 2.0, bias_mg=20.0, packet=1)


class RuuviTag(AdvertisedSensor):
    """Data format 5."""

    kind = "ruuvi"
    about = "RuuviTag, data format 5 (RAWv2)"
    model = CHIP
    options: ClassVar = {"pace": ("stock", "fast", "longlife")}
    advertising_type: ClassVar = AdvertisingType.UNDIRECTED_SCANNABLE
    every_s = 2 * ADVERTISE_MS / 1000.0

    def __init__(self, given: Given, air: Air) -> None:
        given.advertise_ms = {"stock": ADVERTISE_MS, "fast": 211, "longlife": 8995}[given.options.get("pace", "stock")]
        super().__init__(given, air)
        self.every_s = 2 * given.advertise_ms / 1000.0  # type: ignore[misc]  # the pace is an option here
        self.seq = self.movements = 0
        self._looked_s = 0.0

    @property
    def factory_name(self) -> str:
        """With the end of the address."""
        return f"Ruuvi {self.address[-5:].replace(':', '')}"

    def scan_response(self) -> bytes:
        """The name."""
        return advertising.name(self.name)

    def payload(self, acc_g: Floats, at_s: float) -> bytes:
        """Flags and the company's data: 31 bytes."""
        self._count_movements(at_s)
        self.seq = (self.seq + 1) % ruuvi.SEQ_MODULUS
        return advertising.flags() + advertising.manufacturer(ruuvi.COMPANY, self._data(_mg(acc_g)))

    def _data(self, acc_mg: tuple[int, int, int]) -> bytes:
        return ruuvi.df5(acc_mg, battery_mv=self.battery_mv, movements=self.movements, seq=self.seq, mac=self.mac)

    def _count_movements(self, at_s: float) -> None:
        _, acc = self.worn.readings(self._looked_s, at_s)
        self._looked_s = max(at_s, self._looked_s)
        steps_mg = np.abs(np.diff(acc, axis=0)).max(axis=1) / UNITS_PER_MG if len(acc) > 1 else np.zeros(0)
        over = steps_mg > MOVEMENT_MG
        self.movements += int(np.count_nonzero(over[1:] & ~over[:-1])) + int(bool(over[:1].any()))

    async def reboot(self) -> None:
        """The counters begin anew."""
        await super().reboot()
        self.seq = self.movements = 0

    def counts(self) -> dict[str, Any]:
        """With its counter."""
        return {**super().counts(), "seq": self.seq}


class OldRuuviTag(RuuviTag):
    """Data format 3."""

    kind = "ruuvi_df3"
    about = "RuuviTag, data format 3 (RAWv1)"

    def _data(self, acc_mg: tuple[int, int, int]) -> bytes:
        return ruuvi.df3(acc_mg, battery_mv=self.battery_mv)


def _mg(acc_g: Floats) -> tuple[int, int, int]:
    x, y, z = digits(acc_g[0], 1000.0)
    return x, y, z


KINDS = (RuuviTag, OldRuuviTag)
