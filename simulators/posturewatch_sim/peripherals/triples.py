"""Finished devices that send plain triples: PineTime with InfiniTime, micro:bit, Adafruit's boards, Thingy:52."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

from bumble.att import ATT_Error
from bumble.gatt import Characteristic, Service

from posturewatch_sim.packets import advertising, triples
from posturewatch_sim.peripherals.connected import (
    INVALID_LENGTH,
    NOTIFY,
    READ,
    UNLIKELY_ERROR,
    WRITE,
    ConnectedSensor,
    characteristic,
    uuid,
)
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

MOTION_SERVICE = "00030000-78fc-48fe-8e23-433b3a1942d0"
STEPS, MOTION = "00030001-78fc-48fe-8e23-433b3a1942d0", "00030002-78fc-48fe-8e23-433b3a1942d0"
HEART_RATE = 0x180D
MICROBIT_SERVICE = "e95d0753-251d-470a-a062-fa1922dfa9a8"
MICROBIT_DATA, MICROBIT_PERIOD = "e95dca4b-251d-470a-a062-fa1922dfa9a8", "e95dfb24-251d-470a-a062-fa1922dfa9a8"
MICROBIT_PERIODS_MS = (1, 2, 5, 10, 20, 40, 100, 1000)  # of the V2's chip: what is asked for is rounded up
ADAFRUIT = "adaf{:04x}-c332-42a8-93bd-25e905756cb8"
ADAFRUIT_COMPANY = 0x0822
ADAFRUIT_ADVERT = bytes.fromhex("04010072 80".replace(" ", ""))  # length, field 1, USB product id of a CLUE
THINGY = "ef68{:04x}-9b35-4933-9b10-52ffa9740042"
THINGY_COMPANY = 0x0059
THINGY_CONFIGURATION = bytes.fromhex("e803f401f4010a0001")


class TripleSensor(ConnectedSensor):
    """One sample in each notification."""

    properties: ClassVar = READ | NOTIFY
    data_uuid: ClassVar[str]
    service_uuid: ClassVar[str]

    def services(self) -> list[Service]:
        """Data, and what belongs to it."""
        self._data = characteristic(self.data_uuid, self.properties, read=self._now)
        return [Service(uuid(self.service_uuid), [self._data, *self.more()])]

    def more(self) -> list[Characteristic[bytes]]:
        """Other characteristics of the service."""
        return []

    @property
    def data(self) -> Characteristic[bytes]:
        """The triples."""
        return self._data

    @abc.abstractmethod
    def pack(self, acc_g: Floats) -> bytes:
        """One sample."""

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """One for each sample."""
        self.samples += len(t_s)
        return [self.pack(row) for row in acc_g]

    def _now(self) -> bytes:
        return self.pack(self.worn.snapshot_g(self.clock.now_s())[0])


class InfiniTime(TripleSensor):
    """The watch polls its chip every 100 ms and notifies only what changed: a watch at rest is silent."""

    kind = "infinitime"
    about = "InfiniTime"
    model = SensorModel("infinitime", 10.0, 180.0, 1000.0 / 1024.0, 2.0, packet=1, rate_error_frac=0.0)
    options: ClassVar = {"firmware": ("1.16", "1.14")}  # the older sends nothing, as if its screen were off
    service_uuid, data_uuid = MOTION_SERVICE, MOTION
    packet_s = 0.1
    company_name = "PINE64"

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self._last = b""

    def advertisement(self) -> bytes:
        """The motion service is not in it."""
        return advertising.flags() + advertising.short_uuids(HEART_RATE)

    def scan_response(self) -> bytes:
        """The name."""
        return advertising.name(self.name)

    def more(self) -> list[Characteristic[bytes]]:
        """Steps."""
        return [characteristic(STEPS, READ | NOTIFY, read=lambda: bytes(4))]

    def begin(self) -> None:
        """The first value is news."""
        self._last = b""

    def pack(self, acc_g: Floats) -> bytes:
        """1024 per g."""
        return triples.infinitime(acc_g)

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """What is new."""
        if self.option("firmware") == "1.14":
            return []
        new = []
        for payload in super().payloads(t_s, acc_g):
            if payload != self._last:
                new.append(payload)
            self._last = payload
        return new


class MicroBit(TripleSensor):
    """Version 2, with a program that needs no pairing."""

    kind = "microbit"
    about = "BBC micro:bit V2"
    model = SensorModel("microbit", 50.0, 200.0, 1000.0 / 1024.0, 2.0, packet=1)
    service_uuid, data_uuid = MICROBIT_SERVICE, MICROBIT_DATA
    packet_s = 0.02
    has_battery_service = False
    company_name = "BBC"

    def __init__(self, given: Given, air: Air) -> None:
        self.sample_ms = 20
        super().__init__(given, air)

    @property
    def factory_name(self) -> str:
        """With five letters of its own."""
        letters = "".join("zvgptuaeio"[int(digit)] for digit in f"{self.given.number:05d}")
        return f"BBC micro:bit [{letters}]"

    def more(self) -> list[Characteristic[bytes]]:
        """The period."""
        return [
            characteristic(
                MICROBIT_PERIOD, READ | WRITE, read=lambda: self.sample_ms.to_bytes(2, "little"), write=self._set_period
            )
        ]

    def pack(self, acc_g: Floats) -> bytes:
        """1024 per g, the other way round."""
        return triples.microbit(acc_g)

    def _set_period(self, value: bytes) -> None:
        if len(value) != 2:  # noqa: PLR2004  # u16
            raise ATT_Error(INVALID_LENGTH)
        asked_ms = int.from_bytes(value, "little")
        self.sample_ms = next((ms for ms in MICROBIT_PERIODS_MS if ms >= asked_ms), MICROBIT_PERIODS_MS[-1])
        self.worn.set_rate(1000.0 / self.sample_ms)


class AdafruitBoard(TripleSensor):
    """A CLUE: the characteristic for the period has the same UUID in each of its services."""

    kind = "adafruit"
    about = "Adafruit CLUE"
    model = SensorModel("adafruit", 1.0, 90.0, 0.061, 2.0, packet=1)
    service_uuid, data_uuid = ADAFRUIT.format(0x0200), ADAFRUIT.format(0x0201)
    packet_s = 0.05
    has_battery_service = False
    company_name = "Adafruit Industries"

    def __init__(self, given: Given, air: Air) -> None:
        self.sample_ms = 1000
        super().__init__(given, air)

    @property
    def factory_name(self) -> str:
        """With the end of its address."""
        return f"CIRCUITPY{self.serial[-4:].lower()}"

    @property
    def is_streaming(self) -> bool:
        """A period of -1 stops it."""
        return super().is_streaming and self.sample_ms > 0

    def services(self) -> list[Service]:
        """A thermometer comes first, so that the first period is the wrong one."""
        thermometer = Service(
            uuid(ADAFRUIT.format(0x0100)),
            [
                characteristic(ADAFRUIT.format(0x0101), READ | NOTIFY, read=lambda: bytes(4)),
                characteristic(ADAFRUIT.format(1), READ | WRITE, read=lambda: b"\xe8\x03\0\0", write=lambda _: None),
            ],
        )
        return [thermometer, *super().services()]

    def more(self) -> list[Characteristic[bytes]]:
        """Period and version."""
        period = characteristic(
            ADAFRUIT.format(1),
            READ | WRITE,
            read=lambda: self.sample_ms.to_bytes(4, "little", signed=True),
            write=self._set_period,
        )
        return [period, characteristic(ADAFRUIT.format(2), READ, read=lambda: b"\x01\0\0\0")]

    def advertisement(self) -> bytes:
        """The maker's field."""
        return advertising.flags() + advertising.manufacturer(ADAFRUIT_COMPANY, ADAFRUIT_ADVERT)

    def scan_response(self) -> bytes:
        """The name."""
        return advertising.name(self.name)

    def pack(self, acc_g: Floats) -> bytes:
        """m/s²."""
        return triples.adafruit(acc_g)

    def _set_period(self, value: bytes) -> None:
        if len(value) != 4:  # noqa: PLR2004  # i32
            raise ATT_Error(INVALID_LENGTH)
        self.sample_ms = int.from_bytes(value, "little", signed=True)
        if self.sample_ms > 0:
            self.worn.set_rate(1000.0 / self.sample_ms)


class Thingy52(TripleSensor):
    """Nordic's kit: raw data of all nine axes."""

    kind = "thingy52"
    about = "Thingy"
    model = SensorModel("thingy52", 10.0, 250.0, 1000.0 / 1024.0, 4.0, packet=1)
    properties: ClassVar = NOTIFY
    service_uuid, data_uuid = THINGY.format(0x0400), THINGY.format(0x0406)
    packet_s = 0.05
    company_name = "Nordic Semiconductor"

    def __init__(self, given: Given, air: Air) -> None:
        self.configuration = THINGY_CONFIGURATION
        super().__init__(given, air)

    def more(self) -> list[Characteristic[bytes]]:
        """The configuration."""
        return [
            characteristic(THINGY.format(0x0401), READ | WRITE, read=lambda: self.configuration, write=self._configure)
        ]

    def advertisement(self) -> bytes:
        """Its configuration service."""
        return advertising.flags() + advertising.long_uuid(THINGY.format(0x0100))

    def scan_response(self) -> bytes:
        """The name, and its company."""
        return advertising.name(self.name) + advertising.manufacturer(THINGY_COMPANY, self.mac[-4:])

    def pack(self, acc_g: Floats) -> bytes:
        """18 bytes."""
        return triples.thingy52(acc_g)

    def _configure(self, value: bytes) -> None:
        if len(value) != len(THINGY_CONFIGURATION):
            raise ATT_Error(INVALID_LENGTH)
        motion_hz = int.from_bytes(value[6:8], "little")
        if not 5 <= motion_hz <= 200:  # noqa: PLR2004  # as its firmware allows
            raise ATT_Error(UNLIKELY_ERROR)
        self.configuration = value
        self.worn.set_rate(float(motion_hz))


KINDS = (InfiniTime, MicroBit, AdafruitBoard, Thingy52)
