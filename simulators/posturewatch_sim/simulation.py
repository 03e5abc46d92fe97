"""Virtual sensors on a virtual radio, all worn by the bodies of one scenario."""

from __future__ import annotations

import asyncio
import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from posturewatch_sim.activities import PLACEMENTS
from posturewatch_sim.air import Air
from posturewatch_sim.peripherals import discover
from posturewatch_sim.peripherals.virtual import Given, PeripheralError, SimClock, VirtualSensor
from posturewatch_sim.wearing import WornSensor

if TYPE_CHECKING:
    from posturewatch_sim.faults import Faults
    from posturewatch_sim.scenarios import Scenario

Say = Callable[..., None]
ALIASES = {"h10": "polar_h10", "verity": "verity_sense", "df3": "ruuvi_df3", "pinetime": "infinitime"}
NUMBERS = {"rssi": (-120, 20), "mtu": (23, 517), "advertise_ms": (20, 10_240)}
TEXTS = ("name", "address", "wearer", "placement")
REPORT_EVERY_S = 10.0


@dataclass(frozen=True)
class DeviceSpec:
    """One `--device`: a kind, and what is special about this one."""

    kind: str
    said: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> DeviceSpec:
        """`polar_h10` or `polar_h10,name=Polar H10 12345678,placement=thigh,mtu=23`."""
        name, *parts = (part.strip() for part in text.split(","))
        kinds = discover()
        kind = ALIASES.get(name, name)
        if kind not in kinds:
            near = difflib.get_close_matches(kind, kinds, 3) or sorted(kinds)
            raise PeripheralError(f"--device {name!r} is not known; there are {', '.join(near)}")
        own = kinds[kind].options
        said = {}
        for part in parts:
            key, _, value = part.partition("=")
            if key not in (*TEXTS, *NUMBERS, *own) or not value:
                raise PeripheralError(
                    f"--device {text!r}: {part!r} is not known; {kind} takes {', '.join((*TEXTS, *NUMBERS, *own))}"
                )
            said[key] = _checked(text, key, value, own.get(key))
        return cls(kind, said)


def _checked(text: str, key: str, value: str, allowed: tuple[str, ...] | None) -> str:
    if allowed is not None and value not in allowed:
        raise PeripheralError(f"--device {text!r}: {key} is one of {', '.join(allowed)}")
    if key == "placement" and value not in PLACEMENTS:
        raise PeripheralError(f"--device {text!r}: placement is one of {', '.join(PLACEMENTS)}")
    if key in NUMBERS:
        low, high = NUMBERS[key]
        try:
            fits = low <= int(value) <= high
        except ValueError:
            fits = False
        if not fits:
            raise PeripheralError(f"--device {text!r}: {key} is a whole number from {low} to {high}")
    if key == "address":
        parts = value.split(":")
        if len(parts) != 6 or any(len(p) != 2 or set(p.upper()) - set("0123456789ABCDEF") for p in parts):  # noqa: PLR2004  # six bytes of two digits
            raise PeripheralError(f"--device {text!r}: an address is written like C0:5E:00:00:00:01")
    return value


class Simulation:
    """Everything that is on the air."""

    def __init__(  # noqa: PLR0913  # all that makes it
        self, scenario: Scenario, devices: Sequence[DeviceSpec], seed: int, faults: Faults, clock: SimClock, say: Say
    ) -> None:
        """Make it; nobody hears of it before `start`."""
        self.air = Air()
        self.clock = clock
        self.say = say
        self.sensors: dict[str, VirtualSensor] = {}
        kinds = discover()
        for number, spec in enumerate(devices, 1):
            kind = kinds[spec.kind]
            count = sum(each.kind == spec.kind for each in devices[: number - 1])
            name = spec.kind if not count else f"{spec.kind}-{count + 1}"
            worn = _worn(scenario, spec, seed, kind, faults)
            self.sensors[name] = kind(_given(spec, name, number, worn, clock, say), self.air)

    async def start(self) -> None:
        """Switch everything on."""
        for sensor in self.sensors.values():
            await sensor.start()

    async def stop(self) -> None:
        """Switch everything off."""
        for sensor in self.sensors.values():
            await sensor.stop()

    def named(self, which: str) -> Iterator[VirtualSensor]:
        """The sensor of this name, the n-th, or `all`."""
        if which == "all":
            yield from self.sensors.values()
        elif which in self.sensors:
            yield self.sensors[which]
        elif which.isdigit() and 1 <= int(which) <= len(self.sensors):
            yield list(self.sensors.values())[int(which) - 1]
        else:
            raise PeripheralError(f"no device {which!r}; there are {', '.join(self.sensors)}, their numbers, and all")

    def counts(self) -> dict[str, Any]:
        """What was sent so far, by device."""
        return {name: sensor.counts() for name, sensor in self.sensors.items()}

    async def report(self) -> None:
        """Say the counts now and then, until cancelled."""
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self.say("sent", devices=self.counts())

    async def until_failure(self) -> None:
        """For ever, or until a sensor fails, which is a bug: raises what it was."""
        tasks = [task for sensor in self.sensors.values() for task in sensor.tasks]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def until_end(self, duration_s: float | None) -> None:
        """Until the last script has ended; for ever if one has no end."""
        ends_s = [sensor.worn.plan.end_s(duration_s) for sensor in self.sensors.values()]
        end_s = max(ends_s)
        if math.isinf(end_s):
            await asyncio.Event().wait()
        await self.clock.sleep_until(end_s)


def _worn(scenario: Scenario, spec: DeviceSpec, seed: int, kind: type[VirtualSensor], faults: Faults) -> WornSensor:
    """The same wearer may have several sensors: one script, one seed, another place."""
    wearer = scenario.wearer(spec.said.get("wearer"))
    placed = replace(wearer, placement=spec.said.get("placement", wearer.placement))
    return WornSensor(replace(scenario, wearers=(placed,)), seed, kind.model, faults=faults)


def _given(  # noqa: PLR0913  # what makes one sensor
    spec: DeviceSpec, name: str, number: int, worn: WornSensor, clock: SimClock, say: Say
) -> Given:
    said = spec.said
    given = Given(name, number, worn, clock, say, said.get("name"), said.get("address"))
    given.rssi_dbm = int(said.get("rssi", given.rssi_dbm))
    given.mtu = int(said.get("mtu", given.mtu))
    given.advertise_ms = int(said.get("advertise_ms", given.advertise_ms))
    given.options = {key: value for key, value in said.items() if key not in (*TEXTS, *NUMBERS)}
    return given
