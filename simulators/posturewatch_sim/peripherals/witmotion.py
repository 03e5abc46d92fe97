"""WitMotion WT901BLE5 and its kin: streams as soon as somebody listens; the rate and registers by command."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bumble.gatt import Characteristic, Service

from posturewatch_sim.packets import advertising, witmotion
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
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

# The end of these UUIDs is the maker's: 9a34fb, where the SIG's has 9b34fb.
SERVICE = "0000ffe5-0000-1000-8000-00805f9a34fb"
DATA = "0000ffe4-0000-1000-8000-00805f9a34fb"
COMMAND = "0000ffe9-0000-1000-8000-00805f9a34fb"
RATES_HZ = {1: 0.2, 2: 0.5, 3: 1.0, 4: 2.0, 5: 5.0, 6: 10.0, 7: 20.0, 8: 50.0, 9: 100.0, 11: 200.0}
USUAL_RATE_HZ = 10.0
SET_RATE, SAVE, READ_REGISTER, UNLOCK = 0x03, 0x00, 0x27, 0x69
UNLOCKED_S = 10.0
BATTERY_REGISTER = 0x64
VOLTS_100 = (
    (90, 396),
    (75, 393),
    (60, 387),
    (50, 382),
    (40, 379),
    (30, 377),
    (20, 373),
    (15, 370),
    (10, 368),
    (5, 350),
)
EMPTY_100 = 340
MAX_PER_NOTIFICATION = 10


class WitMotion(ConnectedSensor):
    """Ten samples a second from the factory; at high rates several packets share a notification."""

    kind = "witmotion"
    about = "WitMotion WT901BLE"
    model = SensorModel("witmotion", USUAL_RATE_HZ, 150.0, 0.48828125, 16.0, packet=1)
    options: ClassVar = {
        "cut": ("no", "yes"),  # packets that are cut at the end of a notification
        "rate": ("10", "50"),  # samples a second, as its owner set and saved it
    }
    packet_s = 0.1
    has_battery_service = False
    company_name = "WitMotion"

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self.saved_hz = float(self.option("rate"))
        self.worn.set_rate(self.saved_hz)
        self.has_saved = False  # settings that survive a restart: nobody should do that to somebody's device
        self._unlocked_until_s = 0.0
        self._rest = b""
        self._answers: list[bytes] = []

    @property
    def factory_name(self) -> str:
        """With WT in it."""
        return f"WT901BLE{self.given.number:02d}"

    def advertisement(self) -> bytes:
        """The name."""
        return advertising.flags() + advertising.name(self.name)

    def services(self) -> list[Service]:
        """One."""
        self._data = characteristic(DATA, NOTIFY)
        command = characteristic(COMMAND, WRITE | WRITE_WITHOUT_RESPONSE, write=self._on_command)
        return [Service(uuid(SERVICE), [self._data, command])]

    @property
    def data(self) -> Characteristic[bytes]:
        """Everything comes here."""
        return self._data

    def begin(self) -> None:
        """Nothing is left over; what was asked since somebody listens is answered."""
        self._rest = b""

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """Packets, as many as fit into a notification; answers between them."""
        self.samples += len(t_s)
        stream = self._rest + b"".join(map(witmotion.measurement, acc_g)) + b"".join(self._answers)
        self._answers = []
        size = min(MAX_PER_NOTIFICATION, max(self.room_bytes // 20, 1)) * 20
        if self.option("cut") == "yes":
            size -= 7
        cut = len(stream) if self.option("cut") == "no" else len(stream) // size * size
        self._rest = stream[cut:]
        return [stream[at : at + size] for at in range(0, cut, size)]

    def _on_command(self, command: bytes) -> None:
        """`FF AA register low high`; anything else is ignored, as is a change without an unlock before it."""
        if len(command) != 5 or command[:2] != b"\xff\xaa":  # noqa: PLR2004  # five bytes
            return
        what, low = command[2], command[3]
        now_s = self.clock.now_s()
        if what == UNLOCK:
            self._unlocked_until_s = now_s + UNLOCKED_S
        elif what == READ_REGISTER:
            self._answers += [witmotion.register(low, self._register(low))] if self.has_listener(self._data) else []
        elif now_s > self._unlocked_until_s:
            return
        elif what == SET_RATE and low in RATES_HZ:
            self.worn.set_rate(RATES_HZ[low])
        elif what == SAVE:
            self.saved_hz, self.has_saved = self.worn.model.rate_hz, True

    def _register(self, number: int) -> int:
        if number == BATTERY_REGISTER:
            return self._volts_100()
        rate_hz = self.worn.model.rate_hz
        return next((code for code, hz in RATES_HZ.items() if hz == rate_hz), 0) if number == SET_RATE else 0

    def _volts_100(self) -> int:
        return next((volts + 1 for pct, volts in VOLTS_100 if self.battery_pct >= pct), EMPTY_100)

    async def reboot(self) -> None:
        """What was not saved is forgotten."""
        await super().reboot()
        self.worn.set_rate(self.saved_hz)


KINDS = (WitMotion,)
