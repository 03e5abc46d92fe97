"""Boards that people program themselves: the SIG's characteristic, and one whose packets are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bumble.att import ATT_Error
from bumble.gatt import Characteristic, Service

from posturewatch_sim.packets import advertising, triples
from posturewatch_sim.peripherals.connected import (
    INSUFFICIENT_AUTHENTICATION,
    NOTIFY,
    READ,
    WRITE,
    WRITE_WITHOUT_RESPONSE,
    ConnectedSensor,
    characteristic,
    uuid,
)
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

ACCELERATION_3D, PRECISE_ACCELERATION_3D = 0x2C1D, 0x2C1E
SIG_SERVICE = "5e500001-7077-4d53-9a1b-0c5d2e8f4a10"
COUNTED_SERVICE = "5e500010-7077-4d53-9a1b-0c5d2e8f4a10"
COUNTED_DATA = "5e500011-7077-4d53-9a1b-0c5d2e8f4a10"
SAMPLES_PER_PACKET = 5
UART_SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
UART_IN, UART_OUT = "6e400002-b5a3-f393-e0a9-e50e24dcca9e", "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
UART_PIECE = 20  # bytes: what fits without a larger MTU
SPLIT_SERVICE = "5e500020-7077-4d53-9a1b-0c5d2e8f4a10"
SPLIT_AXES = tuple(f"5e50002{number}-7077-4d53-9a1b-0c5d2e8f4a10" for number in (1, 2, 3))


class SigBoard(ConnectedSensor):
    """One sample in each notification of Precise Acceleration 3D."""

    kind = "sig"
    about = "Board with the SIG's characteristic 0x2C1E"
    model = SensorModel("sig", 25.0, 220.0, 1.0, 2.0, packet=1)
    # It forgot to allow notifications, or reads, or wants to be paired before it is read.
    options: ClassVar = {"wrong": ("no", "properties", "unreadable", "unpaired")}
    packet_s = 0.04

    @property
    def factory_name(self) -> str:
        """Numbered."""
        return f"Board {self.given.number}"

    def services(self) -> list[Service]:
        """One, of its own."""
        properties = {"properties": READ, "unreadable": NOTIFY}.get(self.option("wrong"), READ | NOTIFY)
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
        if self.option("wrong") == "unpaired":
            raise ATT_Error(INSUFFICIENT_AUTHENTICATION)
        return triples.precise_acceleration_3d(self.worn.snapshot_g(self.clock.now_s())[0])


class CoarseSigBoard(SigBoard):
    """Acceleration 3D: one byte for each axis, up to 1.25 g."""

    kind = "sig_coarse"
    about = "Board with the SIG's coarse characteristic 0x2C1D"
    model = SensorModel("sig_coarse", 10.0, 220.0, 10.0, 1.25, packet=1)
    options: ClassVar = {}
    packet_s = 0.1

    def services(self) -> list[Service]:
        """One, of its own."""
        self._data = characteristic(ACCELERATION_3D, READ | NOTIFY, read=self._now)
        return [Service(uuid(SIG_SERVICE), [self._data])]

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """One for each sample."""
        self.samples += len(t_s)
        return [triples.acceleration_3d(row) for row in acc_g]

    def _now(self) -> bytes:
        return triples.acceleration_3d(self.worn.snapshot_g(self.clock.now_s())[0])


class UartBoard(ConnectedSensor):
    """A script that prints lines over the Nordic UART, which cuts them where a packet is full."""

    kind = "uart_text"
    about = "Board that prints x,y,z over the Nordic UART"
    model = SensorModel("uart_text", 10.0, 220.0, 1.0, 2.0, packet=1)
    packet_s = 0.1
    has_battery_service = False

    @property
    def factory_name(self) -> str:
        """As Espruino names a Puck.js: with the end of its address."""
        return f"Puck.js {self.mac[-2:].hex()}"

    def services(self) -> list[Service]:
        """Nordic's: one characteristic to write to, one that notifies."""
        self._data = characteristic(UART_OUT, NOTIFY)
        typed = characteristic(UART_IN, WRITE | WRITE_WITHOUT_RESPONSE, write=lambda _: None)
        return [Service(uuid(UART_SERVICE), [typed, self._data])]

    @property
    def data(self) -> Characteristic[bytes]:
        """What is printed."""
        return self._data

    def scan_response(self) -> bytes:
        """The service."""
        return advertising.long_uuid(UART_SERVICE)

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """A line for each sample, in pieces of 20 bytes."""
        self.samples += len(t_s)
        printed = b"".join(triples.text_line(row) for row in acc_g)
        return [printed[at : at + UART_PIECE] for at in range(0, len(printed), UART_PIECE)]


class SplitBoard(ConnectedSensor):
    """A characteristic for each axis, as sketches for Arduino have it."""

    kind = "split"
    about = "Board with a characteristic for each axis"
    model = SensorModel("split", 10.0, 220.0, 1.0, 2.0, packet=1)
    packet_s = 0.1

    @property
    def factory_name(self) -> str:
        """Numbered."""
        return f"Split {self.given.number}"

    def services(self) -> list[Service]:
        """One, of its own."""
        self._axes = [characteristic(which, NOTIFY) for which in SPLIT_AXES]
        return [Service(uuid(SPLIT_SERVICE), self._axes)]

    @property
    def data(self) -> Characteristic[bytes]:
        """The first axis; whoever listens to it listens to the others."""
        return self._axes[0]

    def advertisement(self) -> bytes:
        """Its service."""
        return advertising.flags() + advertising.long_uuid(SPLIT_SERVICE)

    def scan_response(self) -> bytes:
        """Its name."""
        return advertising.name(self.name)

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """One for each sample; `send` takes it apart."""
        self.samples += len(t_s)
        return [triples.mg(row) for row in acc_g]

    async def send(self, payload: bytes) -> None:
        """Notify the axes, one after the other, unless a fault eats the sample."""
        if self.is_mute or self.is_dropped():
            return
        self.packets += 1
        for arriving in self.disturbed(payload):
            for number, axis in enumerate(self._axes):
                await self.notify(axis, arriving[2 * number : 2 * number + 2])


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


KINDS = (SigBoard, CoarseSigBoard, UartBoard, SplitBoard, CountedBoard)
