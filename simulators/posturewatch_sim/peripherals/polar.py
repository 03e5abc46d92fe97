"""Polar H10 and Verity Sense: the PMD service with its control point, its refusals and its habits.

A stream that nobody stopped goes on after the connection ended, as on the real ones: the next start is then refused as
"already in state".
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from bumble.gatt import Characteristic, Service

from posturewatch_sim.packets import advertising, polar
from posturewatch_sim.peripherals import polar_control as control
from posturewatch_sim.peripherals.connected import (
    INDICATE,
    NOTIFY,
    READ,
    WRITE,
    ConnectedSensor,
    characteristic,
    uuid,
)
from posturewatch_sim.peripherals.virtual import UNIX_TO_2000_S
from posturewatch_sim.sensor import SensorModel

if TYPE_CHECKING:
    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

PMD_SERVICE = "FB005C80-02E7-F387-1CAD-8ACD2D8DF0C8"
PMD_CONTROL = "FB005C81-02E7-F387-1CAD-8ACD2D8DF0C8"
PMD_DATA = "FB005C82-02E7-F387-1CAD-8ACD2D8DF0C8"
HEART_RATE, FILE_TRANSFER = 0x180D, 0xFEEE
HEART_RATE_MEASUREMENT = 0x2A37
COMPANY = 0x006B
COMPANY_DATA = bytes.fromhex("3f000036")

H10_EPOCH_NS = 599_616_000_000_000_000  # 2019-01-01, since 2000: where its clock starts after each switch-off
NS_PER_S = 1_000_000_000


@dataclass
class Wanted:
    """The settings of the stream that runs."""

    rate_hz: int
    range_g: int


class PolarSensor(ConnectedSensor):
    """What both have."""

    packet_s = 0.1
    feature_bits: ClassVar[int]
    allowed: ClassVar[control.Allowed]
    sdk_allowed: ClassVar[control.Allowed | None] = None
    min_mtu: ClassVar[int]
    frame_samples: ClassVar[int]
    company_name = "Polar Electro Oy"

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self.refusal = 0  # the status that starts are answered with; set by a command
        self.is_sdk_mode = False
        self.wanted: Wanted | None = None
        self._times = np.empty(0)
        self._accs = np.empty((0, 3))

    # ------------------------------------------------------------ on the air

    @property
    def factory_name(self) -> str:
        """With its serial number."""
        return f"Polar {'H10' if self.kind == 'polar_h10' else 'Sense'} {self.serial}"

    def advertisement(self) -> bytes:
        """PMD is not in it: heart rate, file transfer, power, company."""
        return (
            advertising.flags()
            + advertising.short_uuids(HEART_RATE, FILE_TRANSFER)
            + advertising.tx_power(4)
            + advertising.manufacturer(COMPANY, COMPANY_DATA)
        )

    def scan_response(self) -> bytes:
        """The name."""
        return advertising.name(self.name)

    def services(self) -> list[Service]:
        """PMD and heart rate."""
        self._control = characteristic(
            PMD_CONTROL,
            READ | WRITE | INDICATE,
            read=lambda: polar.features(self.feature_bits),
            write=self._on_control,
        )
        self._data = characteristic(PMD_DATA, NOTIFY)
        return [
            Service(uuid(PMD_SERVICE), [self._control, self._data]),
            Service(uuid(HEART_RATE), [characteristic(HEART_RATE_MEASUREMENT, NOTIFY)]),
        ]

    @property
    def data(self) -> Characteristic[bytes]:
        """PMD data."""
        return self._data

    @property
    def is_streaming(self) -> bool:
        """Measuring was started; whether anybody listens does not matter."""
        return self.wanted is not None and not self.is_stopped

    # ------------------------------------------------------------ the control point

    @property
    def settings_now(self) -> control.Allowed:
        """What may be asked for in this mode."""
        return self.sdk_allowed if self.is_sdk_mode and self.sdk_allowed is not None else self.allowed

    def _on_control(self, command: bytes) -> None:
        self.soon(self._indicate(self.answer(command)))

    async def _indicate(self, answer: bytes) -> None:
        for connection in list(self.device.connections.values()):
            with contextlib.suppress(TimeoutError):  # the link ended before the confirmation came
                await self.device.gatt_server.indicate_subscriber(connection, self._control, answer)

    def answer(self, command: bytes) -> bytes:
        """Carry out one command."""
        op, measurement = (*command[:2], 0, 0)[:2]
        if len(command) < 2:  # noqa: PLR2004  # an operation and what it is about
            return polar.response(op, 0, control.INVALID_LENGTH, None)
        if op not in (control.GET_SETTINGS, control.START, control.STOP):
            return polar.response(op, measurement, control.INVALID_OP, None)
        if measurement == control.SDK_MODE and op != control.GET_SETTINGS:
            return self._switch_sdk_mode(op)
        if measurement != polar.ACC:
            return polar.response(op, measurement, control.NOT_SUPPORTED, None)
        if op == control.GET_SETTINGS:
            return polar.response(op, measurement, control.SUCCESS, polar.settings(self.settings_now))
        return self._stop() if op == control.STOP else self._start(command[2:])

    def _stop(self) -> bytes:
        status = control.SUCCESS if self.wanted is not None else control.ALREADY_IN_STATE
        self.wanted = None
        return polar.response(control.STOP, polar.ACC, status)

    def _switch_sdk_mode(self, op: int) -> bytes:
        if self.sdk_allowed is None:
            return polar.response(op, control.SDK_MODE, control.NOT_SUPPORTED, None)
        if self.is_sdk_mode is (op == control.START) or self.wanted is not None:
            return polar.response(op, control.SDK_MODE, control.ALREADY_IN_STATE, None)
        self.is_sdk_mode = op == control.START
        return polar.response(op, control.SDK_MODE, control.SUCCESS)

    def _start(self, parameters: bytes) -> bytes:
        status, chosen = control.read_settings(parameters, self.settings_now)
        if self.wanted is not None:
            status = control.ALREADY_IN_STATE
        elif status == control.SUCCESS and self.room_bytes + 3 < self.min_mtu:
            status = control.INVALID_MTU
        status = self.refusal or status
        if status != control.SUCCESS:
            return polar.response(control.START, polar.ACC, status, None)
        self.wanted = Wanted(chosen[polar.RATE], chosen[polar.RANGE])
        self.worn.set_rate(float(chosen[polar.RATE]))
        return polar.response(control.START, polar.ACC, control.SUCCESS, self.start_parameters())

    @abc.abstractmethod
    def start_parameters(self) -> bytes:
        """What follows the status of a good start."""

    # ------------------------------------------------------------ frames

    def begin(self) -> None:
        """Frames start empty."""
        self._times, self._accs = np.empty(0), np.empty((0, 3))

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """Full frames."""
        self._times, self._accs = np.concatenate((self._times, t_s)), np.concatenate((self._accs, acc_g))
        made = []
        room = self.room_bytes if self.device.connections else 228
        while len(self._times) >= self._frame_size(room):
            count = self._frame_size(room)
            frame = self._frame(count)
            while len(frame) > room and count > 1:
                count = count // 2
                frame = self._frame(count)
            self.samples += count
            self._times, self._accs = self._times[count:], self._accs[count:]
            made.append(frame)
        return made

    def _frame_size(self, room: int) -> int:
        return min(self.frame_samples, max((room - polar.HEADER_BYTES) // 6, 1))

    def _frame(self, count: int) -> bytes:
        """The first `count` samples that wait, clipped to the range that was asked for."""
        range_g = self.wanted.range_g if self.wanted is not None else 8
        acc_g = np.nan_to_num(self._accs[:count], nan=-range_g).clip(-range_g, range_g)
        return self.encode(self.device_ns(float(self._times[count - 1])), acc_g)

    @abc.abstractmethod
    def encode(self, t_ns: int, acc_g: Floats) -> bytes:
        """One frame."""

    @abc.abstractmethod
    def device_ns(self, true_s: float) -> int:
        """Nanoseconds since 2000 on its own clock."""

    # ------------------------------------------------------------ what can be done to it

    def halt(self) -> None:
        """It stops by itself, and says so on the control point."""
        if self.wanted is not None:
            self.wanted = None
            self.soon(self._indicate(polar.stopped(polar.ACC)))

    async def reboot(self) -> None:
        """No stream survives that, nor the mode."""
        self.wanted, self.is_sdk_mode = None, False
        await super().reboot()


class PolarH10(PolarSensor):
    """The chest strap: raw samples in mg."""

    kind = "polar_h10"
    about = "Polar H10 chest strap"
    model = SensorModel("polar_h10", 50.0, 130.0, 1.0, 8.0, packet=36)
    feature_bits = 0x05
    allowed: ClassVar[control.Allowed] = {
        polar.RATE: (25, 50, 100, 200),
        polar.RESOLUTION: (16,),
        polar.RANGE: (2, 4, 8),
    }
    min_mtu = 70
    frame_samples = 36
    unworn_s: ClassVar[float] = 45.0  # so long it stays on without skin to touch, unless it streams

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self.is_off = False
        self._needed_s = 0.0  # when it was last on skin, or streamed

    async def start(self) -> None:
        """And feel for skin."""
        await super().start()
        self.tasks.append(asyncio.create_task(self._feel(), name=f"{self.given.id} skin"))

    async def _feel(self) -> None:
        """Off the strap it switches itself off; the strap put on switches it on."""
        while True:
            now_s = self.clock.now_s()
            if self.worn.is_worn or (self.is_streaming and not self.is_off):
                self._needed_s = now_s
            is_off = now_s - self._needed_s > self.unworn_s
            if is_off and not self.is_off:
                self.is_off = True
                await self.kick()
                await self.device.stop_advertising()
                self.given.say("off", device=self.given.id)
            elif self.is_off and not is_off:
                await self.reboot()
                self.is_off = False
                await self.show()
            await self.clock.sleep_until(now_s + 1.0)

    async def show(self) -> None:
        """Nothing while it is off."""
        if not self.is_off:
            await super().show()

    def start_parameters(self) -> bytes:
        """One reserved byte."""
        return b"\x01"

    def encode(self, t_ns: int, acc_g: Floats) -> bytes:
        """Frame type 0x01."""
        return polar.raw_frame(t_ns, np.rint(acc_g * 1000.0).astype(np.int64))

    def device_ns(self, true_s: float) -> int:
        """From 2019 on, whenever it was switched on."""
        return H10_EPOCH_NS + round(self.device_s(true_s) * NS_PER_S)


class VeritySense(PolarSensor):
    """The arm band: differences, in mg or (older firmware) in counts with a factor; SDK mode for wear as a clip."""

    kind = "verity_sense"
    about = "Polar Verity Sense"
    model = SensorModel("verity_sense", 52.0, 130.0, 0.244, 8.0, packet=63)
    options: ClassVar = {"firmware": ("new", "old"), "worn": ("skin", "clip")}
    feature_bits = 0x6E
    allowed: ClassVar[control.Allowed] = {
        polar.RATE: (52,),
        polar.RESOLUTION: (16,),
        polar.RANGE: (8,),
        polar.CHANNELS: (3,),
    }
    sdk_allowed: ClassVar[control.Allowed | None] = {
        polar.RATE: (26, 52, 104, 208, 416),
        polar.RESOLUTION: (16,),
        polar.RANGE: (2, 4, 8, 16),
        polar.CHANNELS: (3,),
    }
    min_mtu = 140
    frame_samples = 63
    factor_g: ClassVar[float] = 0.000244
    no_pulse_s: ClassVar[float] = 600.0  # so long it stays on without a heart to hear, but for its SDK mode

    def _frame_size(self, _room: int) -> int:
        return self.frame_samples

    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """Full frames, until it switches itself off for want of a pulse."""
        has_pulse = self.option("worn") == "skin" or self.is_sdk_mode
        if not has_pulse and self.clock.now_s() - self.booted_s > self.no_pulse_s and not self.is_held:
            self.soon(self.hold())
        return super().payloads(t_s, acc_g)

    def start_parameters(self) -> bytes:
        """Older firmware tells the factor."""
        return polar.settings({polar.FACTOR: (self.factor_g,)}) if self.option("firmware") == "old" else b""

    def encode(self, t_ns: int, acc_g: Floats) -> bytes:
        """Frame type 0x80 or 0x81."""
        is_old = self.option("firmware") == "old"
        per_g = 1.0 / self.factor_g if is_old else 1000.0
        digits = np.rint(acc_g * per_g).clip(-32768, 32767).astype(np.int64)
        return polar.delta_frame(t_ns, digits, polar.DELTA_COUNTS if is_old else polar.DELTA_MG)

    def device_ns(self, true_s: float) -> int:
        """The time of day, which it keeps until its battery is empty."""
        since_2000_ns = self.clock.start_ns - UNIX_TO_2000_S * NS_PER_S
        return since_2000_ns + round((self.booted_s + self.device_s(true_s)) * NS_PER_S)


KINDS = (PolarH10, VeritySense)
