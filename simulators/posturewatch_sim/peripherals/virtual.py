"""What all virtual sensors have: a radio, an address, a body to be worn on, a battery, and what can be done to them."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from bumble import hci
from bumble.device import AdvertisingType, Device, DeviceConfiguration

from posturewatch_sim.air import Air, VirtualController
from posturewatch_sim.noise import generator
from posturewatch_sim.packets import advertising

if TYPE_CHECKING:
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.sensor import SensorModel
    from posturewatch_sim.wearing import WornSensor

Say = Callable[..., None]
LOW_BATTERY_PCT = 4
FULL_MV, EMPTY_MV = 3000, 2000  # of a coin cell
UNIX_TO_2000_S = 946_684_800
DISTURBANCES = ("none", "repeat", "swap", "cut", "pad", "noise", "invalid")
PADDING = b"\xff\xff\xff"


class PeripheralError(Exception):
    """A device or a command that cannot be meant: what was given, what is allowed."""


class SimClock:
    """The scenario's time: seconds since its start, `speed` times as fast as the world's."""

    def __init__(self, start_ns: int, speed: float = 1.0) -> None:
        """`start_ns` is the time of day at which the scenario starts."""
        self.start_ns = start_ns
        self.speed = speed
        self._began_s = asyncio.get_running_loop().time()

    def now_s(self) -> float:
        """How far the scenario is."""
        return (asyncio.get_running_loop().time() - self._began_s) * self.speed

    async def sleep_until(self, at_s: float) -> None:
        """Wait for a moment of the scenario."""
        await asyncio.sleep(max(at_s - self.now_s(), 0.0) / self.speed)


@dataclass
class Given:
    """What makes one sensor out of a kind."""

    id: str  # its name in reports and commands
    number: int  # over all sensors, from 1
    worn: WornSensor
    clock: SimClock
    say: Say
    name: str | None = None  # as advertised; None: as the kind is called from the factory
    address: str | None = None
    rssi_dbm: int = -50
    mtu: int = 247  # the largest that it agrees to
    advertise_ms: int = 100
    options: dict[str, str] = field(default_factory=dict)  # of its kind


class VirtualSensor(abc.ABC):
    """One sensor on the air."""

    kind: ClassVar[str]
    about: ClassVar[str]
    model: ClassVar[SensorModel]  # its chip, as its firmware sets it
    options: ClassVar[dict[str, tuple[str, ...]]] = {}  # what a kind can be told, and the values; the first is usual
    advertising_type: ClassVar[AdvertisingType] = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE

    def __init__(self, given: Given, air: Air) -> None:
        """Make it; it is silent until `start`."""
        self.given = given
        self.air = air
        self.worn = given.worn
        self.clock = given.clock
        self.address = (given.address or f"C0:5E:00:00:00:{given.number & 0xFF:02X}").upper()
        self.serial = f"{0x5E50_0000 + given.number:08X}"
        self.battery_pct = 87
        self.packets = self.samples = self.dropped = 0  # sent; taken; lost on purpose
        self.is_mute = False
        self.is_stopped = False
        self.is_held = False  # by somebody else
        self.disturbance = "none"
        self._held_back: bytes | None = None
        self.booted_s = 0.0
        public = f"00:5E:00:00:00:{given.number & 0xFF:02X}"
        self.radio = VirtualController(given.id, air, public, rssi_dbm=given.rssi_dbm)
        self.device = Device.from_config_with_hci(
            DeviceConfiguration(
                name=self.name,
                address=hci.Address(self.address),
                advertising_interval_min=given.advertise_ms,
                advertising_interval_max=given.advertise_ms,
            ),
            self.radio,
            self.radio,
        )
        self.device.gatt_server.max_mtu = given.mtu
        self.tasks: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------ what a kind says

    @property
    def factory_name(self) -> str:
        """The advertised name of one that nobody renamed."""
        return self.about

    def advertisement(self) -> bytes:
        """At most 31 bytes."""
        return advertising.flags() + advertising.name(self.name)

    def scan_response(self) -> bytes:
        """At most 31 bytes."""
        return b""

    @abc.abstractmethod
    async def stream(self) -> None:
        """Send what is measured, until cancelled."""

    # ------------------------------------------------------------ what is so for all

    @property
    def name(self) -> str:
        """As advertised."""
        return self.given.name or self.factory_name

    @property
    def mac(self) -> bytes:
        """The address as some put it into their payloads."""
        return bytes.fromhex(self.address.replace(":", ""))

    @property
    def battery_mv(self) -> int:
        """Of a coin cell, roughly."""
        return EMPTY_MV + (FULL_MV - EMPTY_MV) * self.battery_pct // 100

    def option(self, name: str) -> str:
        """What it was told, or the usual."""
        return self.given.options.get(name, self.options[name][0])

    def device_s(self, true_s: float) -> float:
        """Its own clock since it was switched on: a little fast or slow, and it may jump."""
        since_boot_s = true_s - self.booted_s
        return since_boot_s + float(self.worn.faults.clock_error_s(np.array([true_s]))[0])

    async def start(self) -> None:
        """Switch on."""
        await self.device.power_on()
        await self.show()
        self.tasks = [asyncio.create_task(job, name=f"{self.given.id}") for job in (self.stream(), self._suffer())]

    async def stop(self) -> None:
        """Switch off."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.air.remove(self.radio)

    async def show(self) -> None:
        """Advertise."""
        data, response = self.advertisement(), self.scan_response()
        if max(len(data), len(response)) > advertising.MAX_BYTES:
            raise PeripheralError(f"{self.given.id}: the name {self.name!r} does not fit into an advertisement")
        await self.device.start_advertising(
            advertising_type=self.advertising_type,
            advertising_data=data,
            scan_response_data=response,
        )
        self.given.say("advertising", device=self.given.id, address=self.address, name=self.name)

    def is_dropped(self) -> bool:
        """Whether the next packet gets lost; the same ones for the same seed."""
        lost = self.worn.faults.drop_frac > 0.0 and (
            float(generator(self.worn.key, "radio drop", self.packets + self.dropped).random())
            < self.worn.faults.drop_frac
        )
        self.dropped += lost
        return lost

    def disturbed(self, payload: bytes) -> list[bytes]:
        """What arrives instead of one packet."""
        held, self._held_back = self._held_back, None
        if self.disturbance == "swap" and held is None:
            self._held_back = payload
            return []
        changed = {
            "repeat": [payload, payload],
            "cut": [payload[: len(payload) // 2]],
            "pad": [payload + PADDING],
            "noise": [generator(self.worn.key, "radio noise", self.packets).bytes(len(payload))],
        }
        arriving = changed.get(self.disturbance, [payload])
        return arriving if held is None else [*arriving, held]

    def measured(self, acc_g: Floats) -> Floats:
        """The chip's readings, or none that are valid."""
        return np.full_like(acc_g, np.nan) if self.disturbance == "invalid" else acc_g

    async def _suffer(self) -> None:
        """Gaps, kicks and an empty battery at their moments."""
        faults = self.worn.faults
        moments: list[tuple[float, Callable[[], Any]]] = []
        for at_s, length_s in faults.gaps:
            moments += [(at_s, self.lose), (at_s + length_s, self.back)]
        moments += [(at_s, self.kick) for at_s in faults.kicks_s]
        if faults.battery_low_s is not None:
            moments.append((faults.battery_low_s, lambda: self.set_battery(LOW_BATTERY_PCT)))
        for at_s, happen in sorted(moments, key=lambda moment: moment[0]):
            await self.clock.sleep_until(at_s)
            done = happen()
            if done is not None:
                await done

    # ------------------------------------------------------------ what can be done to it

    def lose(self, supervision_s: float = 0.0) -> None:
        """Carry it out of range."""
        self.air.lose(self.radio, supervision_s)
        self.given.say("lost", device=self.given.id)

    def back(self) -> None:
        """Bring it back."""
        self.air.recover(self.radio)
        self.given.say("back", device=self.given.id)

    async def kick(self) -> None:
        """End the connection from the sensor's side."""
        for connection in list(self.device.connections.values()):
            with contextlib.suppress(hci.HCI_Error):
                await connection.disconnect(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)

    async def hold(self) -> None:
        """Somebody else, such as a phone, holds it: nobody hears of it any more."""
        self.is_held = True
        await self.kick()
        await self.device.stop_advertising()
        self.given.say("held", device=self.given.id)

    def disturb(self, how: str) -> None:
        """From now on packets are repeated, swapped, cut, padded, noise, or say that they hold no valid values."""
        if how not in DISTURBANCES:
            raise PeripheralError(f"{how!r} is not known; packets can be disturbed by {', '.join(DISTURBANCES)}")
        self.disturbance = how

    def halt(self) -> None:
        """It stops measuring by itself, and stays connected."""
        self.is_stopped = True

    def resume(self) -> None:
        """It measures again when it is asked to."""
        self.is_stopped = False

    async def release(self) -> None:
        """Nobody holds it any more."""
        self.is_held = False
        await self.show()

    async def set_battery(self, pct: int) -> None:
        """Fill or empty the battery."""
        self.battery_pct = pct

    async def reboot(self) -> None:
        """It restarts: clock and counters begin anew, settings are as from the factory."""
        await self.kick()
        self.booted_s = self.clock.now_s()

    def counts(self) -> dict[str, Any]:
        """For the report."""
        return {
            "packets": self.packets,
            "samples": self.samples,
            "dropped": self.dropped,
            "connections": len(self.device.connections),
            "battery_pct": self.battery_pct,
        }
