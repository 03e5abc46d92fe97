"""Boards that people program themselves: the SIG's characteristic, and one whose packets are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bumble.gatt import Characteristic, Service

from posturewatch_sim.packets import advertising, triples
from posturewatch_sim.peripherals.connected import NOTIFY, READ, ConnectedSensor, characteristic, uuid
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

PRECISE_ACCELERATION_3D = 0x2C1E
SIG_SERVICE = "5e500001-7077-4d53-9a1b-0c5d2e8f4a10"
COUNTED_SERVICE = "5e500010-7077-4d53-9a1b-0c5d2e8f4a10"
COUNTED_DATA = "5e500011-7077-4d53-9a1b-0c5d2e8f4a10"
SAMPLES_PER_PACKET = 5


class SigBoard(ConnectedSensor):
    """One sample in each notification of Precise Acceleration 3D."""

    kind = "sig"
    about = "Board with the SIG's characteristic 0x2C1E"
    model = SensorModel("sig", 25.0, 220.0, 1.0, 2.0, packet=1)
    options: ClassVar = {"wrong": ("no", "properties", "unreadable")}  # it forgot to allow notifications, or reads
    packet_s = 0.04

    @property
    def factory_name(self) -> str:
        """Numbered."""
        return f"Board {self.given.number}"

    def services(self) -> list[Service]:
        """One, of its own."""
        properties = {"no": READ | NOTIFY, "properties": READ, "unreadable": NOTIFY}[self.option("wrong")]
        self._data = characteristic(PRECISE_ACCELERATION_3D, properties, read=self._now)
        return [Service(uuid(SIG_SERVICE), [self._data])]

    @property
    def data(self) -> Characteristic[bytes]:
        """0x2C1E."""
        return self._data

    def advertisement(self) -> bytes:
        """Its service."""
        return advertising.flags() + advertising.long_uuid(SIG_SERVICE)

    def scan_response(self) -> bytes:
        """Its name."""
        return advertising.name(self.name)

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """One for each sample."""
        self.samples += len(t_s)
        return [triples.precise_acceleration_3d(row) for row in acc_g]

    def _now(self) -> bytes:
        return triples.precise_acceleration_3d(self.worn.snapshot_g(self.clock.now_s())[0])


class CountedBoard(ConnectedSensor):
    """Five samples in each packet, with a counter and a time: what is lost or doubled shows."""

    kind = "counted"
    about = "Board with counted packets of five samples"
    model = SensorModel("counted", 50.0, 130.0, 1.0, 8.0, packet=SAMPLES_PER_PACKET)
    packet_s = 0.1

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self.seq = 0
        self._kept: list[tuple[float, Floats]] = []

    @property
    def factory_name(self) -> str:
        """Numbered."""
        return f"Counted {self.given.number}"

    def services(self) -> list[Service]:
        """One, of its own."""
        self._data = characteristic(COUNTED_DATA, NOTIFY)
        return [Service(uuid(COUNTED_SERVICE), [self._data])]

    @property
    def data(self) -> Characteristic[bytes]:
        """The packets."""
        return self._data

    def advertisement(self) -> bytes:
        """Its service."""
        return advertising.flags() + advertising.long_uuid(COUNTED_SERVICE)

    def scan_response(self) -> bytes:
        """Its name."""
        return advertising.name(self.name)

    def begin(self) -> None:
        """The counter goes on, so that what is lost between connections shows too."""
        self._kept = []

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """One for each five samples."""
        self._kept += zip(t_s.tolist(), acc_g, strict=True)
        made = []
        while len(self._kept) >= SAMPLES_PER_PACKET:
            five, self._kept = self._kept[:SAMPLES_PER_PACKET], self._kept[SAMPLES_PER_PACKET:]
            self.samples += len(five)
            stamp_ms = round(self.device_s(five[-1][0]) * 1000.0)
            made.append(b"".join((triples.counted_head(self.seq, stamp_ms), *(triples.mg(acc) for _, acc in five))))
            self.seq += 1
        return made

    async def reboot(self) -> None:
        """The counter begins anew."""
        await super().reboot()
        self.seq = 0

    def counts(self) -> dict[str, Any]:
        """With its counter: the next packet's."""
        return {**super().counts(), "seq": self.seq}


KINDS = (SigBoard, CountedBoard)
