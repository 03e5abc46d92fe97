"""Movesense with the GATT SensorData Protocol: hello, subscribe by path, packets of a few samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from bumble.gatt import Characteristic, Service

from posturewatch_sim.packets import advertising, movesense
from posturewatch_sim.peripherals.connected import (
    NOTIFY,
    WRITE,
    WRITE_WITHOUT_RESPONSE,
    ConnectedSensor,
    characteristic,
    uuid,
)
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from bumble.device import Connection

    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

SERVICE = "34802252-7185-4d5d-b431-630e7050e8f0"
COMMAND = "34800001-7185-4d5d-b431-630e7050e8f0"
DATA = "34800002-7185-4d5d-b431-630e7050e8f0"
COMPANY, ADVERTISED = 0x009F, 0xFE06
HELLO, SUBSCRIBE, UNSUBSCRIBE, GET = 0, 1, 2, 4
ACC_PATH, BATTERY_PATH = "/Meas/Acc/", "/System/Energy/Level"
RATES_HZ = (13, 26, 52, 104, 208, 416)
SAMPLES_PER_PACKET = 4


class Movesense(ConnectedSensor):
    """One subscription to the accelerometer."""

    kind = "movesense"
    about = "Movesense MD"
    model = SensorModel("movesense", 13.0, 90.0, 0.244, 8.0, packet=SAMPLES_PER_PACKET)
    options: ClassVar = {"service": ("yes", "no")}  # without the protocol's service, as stock firmware may be
    packet_s = 0.05
    has_battery_service = False
    company_name = "Movesense"

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self.reference: int | None = None  # of the subscription
        self._kept: list[tuple[float, Floats]] = []

    @property
    def digits(self) -> str:
        """The serial number."""
        return f"{202530000000 + self.given.number:012d}"

    @property
    def factory_name(self) -> str:
        """With its serial number."""
        return f"Movesense {self.digits}"

    def advertisement(self) -> bytes:
        """Nothing of the protocol is in it."""
        return advertising.flags() + advertising.short_uuids(ADVERTISED) + advertising.manufacturer(COMPANY, b"\x01")

    def scan_response(self) -> bytes:
        """The name."""
        return advertising.name(self.name)

    def services(self) -> list[Service]:
        """One, if the firmware has it."""
        self._data = characteristic(DATA, NOTIFY)
        command = characteristic(COMMAND, WRITE | WRITE_WITHOUT_RESPONSE, write=self._on_command)
        return [Service(uuid(SERVICE), [command, self._data])] if self.option("service") == "yes" else []

    @property
    def data(self) -> Characteristic[bytes]:
        """Answers and samples."""
        return self._data

    @property
    def is_streaming(self) -> bool:
        """Somebody subscribed to the accelerometer."""
        return self.reference is not None and not self.is_stopped

    def begin(self) -> None:
        """Nothing is kept from before."""
        self._kept = []

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """One packet, in as many parts as needed, for each four samples."""
        self._kept += zip(t_s.tolist(), acc_g, strict=True)
        made: list[bytes] = []
        while len(self._kept) >= SAMPLES_PER_PACKET and self.reference is not None:
            some, self._kept = self._kept[:SAMPLES_PER_PACKET], self._kept[SAMPLES_PER_PACKET:]
            self.samples += len(some)
            stamp_ms = round(self.device_s(some[0][0]) * 1000.0)
            acc = np.array([values for _, values in some])
            made += movesense.acceleration(self.reference, stamp_ms, acc, self.room_bytes)
        return made

    # ------------------------------------------------------------ commands

    def _on_command(self, command: bytes) -> None:
        self.soon(self.notify(self._data, self.answer(command)))

    def answer(self, command: bytes) -> bytes:
        """Operation, reference, path."""
        if len(command) < 2 or command[1] == 0:  # noqa: PLR2004  # a reference is never zero
            return movesense.response(0, movesense.BAD_REQUEST)
        op, reference, path = command[0], command[1], command[2:].decode("ascii", "replace")
        if op == HELLO:
            return movesense.hello(reference, self.digits, "MD", self.address, "GATT sensordata app", "1.0.0")
        if op == GET and path == BATTERY_PATH:
            return movesense.response(reference, movesense.OK, bytes((self.battery_pct,)))
        if op == UNSUBSCRIBE and reference == self.reference:
            self.reference = None
            return movesense.response(reference, movesense.OK)
        if op == SUBSCRIBE and path.startswith(ACC_PATH) and path.removeprefix(ACC_PATH) in map(str, RATES_HZ):
            self.worn.set_rate(float(path.removeprefix(ACC_PATH)))
            self.reference = reference
            return movesense.response(reference, movesense.OK)
        return movesense.response(reference, movesense.NOT_FOUND)

    def _connected(self, connection: Connection) -> None:
        super()._connected(connection)
        self.reference = None  # subscriptions do not outlive a connection


KINDS = (Movesense,)
