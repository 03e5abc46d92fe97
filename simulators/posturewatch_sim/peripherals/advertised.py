"""Sensors that only advertise: a new measurement every so often, said once or several times."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

from bumble import hci
from bumble.device import AdvertisingType

from posturewatch_sim.peripherals.virtual import PeripheralError, VirtualSensor

if TYPE_CHECKING:
    from posturewatch_sim.noise import Floats

USUAL_DISTURBANCES = ("none", "swap", "invalid")  # repeating is what advertisements do anyway


class AdvertisedSensor(VirtualSensor):
    """A beacon."""

    advertising_type: ClassVar[AdvertisingType] = AdvertisingType.UNDIRECTED
    every_s: ClassVar[float] = 1.0  # between measurements

    @abc.abstractmethod
    def payload(self, acc_g: Floats, at_s: float) -> bytes:
        """The advertisement of one measurement, `[1, 3]`; counters count."""

    def advertisement(self) -> bytes:
        """With the newest measurement."""
        now_s = self.clock.now_s()
        return self.payload(self.measured(self.worn.snapshot_g(now_s)), now_s)

    async def stream(self) -> None:
        """Measure and say it; the counters go on while nobody hears."""
        at_s = self.clock.now_s()
        while True:
            at_s += self.every_s
            await self.clock.sleep_until(at_s)
            if self.is_mute or self.is_stopped or not self.device.is_advertising:
                continue
            self.worn.prepare(at_s, self.given.number)
            data = self.advertisement()
            self.samples += 1
            if self.is_dropped():
                continue
            self.packets += 1
            for number, arriving in enumerate(self.disturbed(data)):
                if number:  # the one before has to be heard
                    await self.clock.sleep_until(self.clock.now_s() + self.every_s / 2.0)
                await self._say(arriving)

    def disturb(self, how: str) -> None:
        """What does not parse as an advertisement is no news to anybody."""
        if how not in USUAL_DISTURBANCES:
            raise PeripheralError(f"{self.kind} can be disturbed by {', '.join(USUAL_DISTURBANCES)}")
        super().disturb(how)

    async def _say(self, data: bytes) -> None:
        self.device.advertising_data = data
        await self.device.host.send_sync_command(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=data))
