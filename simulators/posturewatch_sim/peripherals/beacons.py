"""Beacons whose advertisements cannot be answered: BTHome, KKM (Blue Charm), Minew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from posturewatch_sim.packets import advertising, beacons, bthome
from posturewatch_sim.peripherals.advertised import AdvertisedSensor
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given


class BtHomeBoard(AdvertisedSensor):
    """A board that somebody programmed, with BTHome's signed acceleration and a packet id."""

    kind = "bthome"
    about = "Board with BTHome's acceleration object"
    model = SensorModel("bthome", 10.0, 220.0, 1.0, 2.0, packet=1)
    every_s = 0.5

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self.seq = 0

    def payload(self, acc_g: Floats, at_s: float) -> bytes:  # noqa: ARG002  a snapshot has no history
        """27 bytes, as flags need three."""
        self.seq = (self.seq + 1) & 0xFF
        data = bthome.acceleration(acc_g[0], packet_id=self.seq, battery_pct=self.battery_pct)
        return advertising.flags() + advertising.service_data(bthome.SERVICE, data)

    async def reboot(self) -> None:
        """The packet id begins anew."""
        await super().reboot()
        self.seq = 0

    def counts(self) -> dict[str, Any]:
        """With its packet id."""
        return {**super().counts(), "seq": self.seq}


class KkmBeacon(AdvertisedSensor):
    """KSensor frame in Eddystone's service data."""

    kind = "kkm"
    about = "KKM or Blue Charm beacon"
    model = SensorModel("kkm", 10.0, 220.0, 1.0, 2.0, packet=1)
    options: ClassVar = {"humidity": ("no", "yes")}
    every_s = 1.0

    def payload(self, acc_g: Floats, at_s: float) -> bytes:  # noqa: ARG002  a snapshot has no history
        """Eddystone's service and its data."""
        with_humidity = self.option("humidity") == "yes"
        data = beacons.kkm(acc_g[0], battery_mv=self.battery_mv, with_humidity=with_humidity)
        return (
            advertising.flags()
            + advertising.short_uuids(beacons.KKM_SERVICE)
            + advertising.service_data(beacons.KKM_SERVICE, data)
        )


class MinewBeacon(AdvertisedSensor):
    """ACC frame; coarse: 3.9 mg steps."""

    kind = "minew"
    about = "Minew beacon"
    model = SensorModel("minew", 10.0, 220.0, 1000.0 / 256.0, 2.0, packet=1)
    every_s = 1.0

    def payload(self, acc_g: Floats, at_s: float) -> bytes:  # noqa: ARG002  a snapshot has no history
        """Its service and its data."""
        data = beacons.minew(acc_g[0], battery_pct=self.battery_pct, mac=self.mac)
        return (
            advertising.flags()
            + advertising.short_uuids(beacons.MINEW_SERVICE)
            + advertising.service_data(beacons.MINEW_SERVICE, data)
        )


KINDS = (BtHomeBoard, KkmBeacon, MinewBeacon)
