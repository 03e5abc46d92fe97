"""A simulated wearer instead of a sensor: the same samples as `posturewatch simulate`, at the pace of the clock."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from posturewatch_sim.activities import PLACEMENTS
from posturewatch_sim.scenarios import Scenario, ScenarioError, Step, load
from posturewatch_sim.stream import model_named, samples
from posturewatch_sim.telling import Telling

from posturewatch.core.settings import Calibration
from posturewatch.errors import ConfigError
from posturewatch.types import NS_PER_S, LinkChanged, SampleBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from posturewatch.clock import Clock
    from posturewatch.types import Placement

UPRIGHT_S = 10.0
PACKET_S = 0.2  # a sensor at 50 Hz sends ten samples at once
MOST_PACKETS_PER_S = 20.0  # of real time, however fast the clock runs


@dataclass(frozen=True, slots=True)
class SimulatedSensor:
    """Which body does what, wearing what."""

    sensor: str
    scenario: str
    seed: int
    placement: Placement | None = None  # None: as the scenario says
    device: str | None = None


def find_scenario(sensor: SimulatedSensor) -> Scenario:
    """The script; `ConfigError`, naming the sensor, if there is none or its device is unknown."""
    try:
        found = load(sensor.scenario)
        if sensor.device is not None:
            model_named(sensor.device)
    except ScenarioError as error:
        raise ConfigError(f"sensor {sensor.sensor}: {error}") from error
    if sensor.placement is not None and str(sensor.placement) in PLACEMENTS:
        wearer = replace(found.wearers[0], placement=str(sensor.placement))
        found = replace(found, wearers=(wearer, *found.wearers[1:]))
    return found


def find_upright(sensor: SimulatedSensor) -> Calibration:
    """What a calibration would find: the sensor's direction of up while the same body stands with it."""
    scenario = find_scenario(sensor)
    standing = replace(scenario.wearers[0], script=(Step("stand", (UPRIGHT_S, UPRIGHT_S)),), endless=())
    scene = replace(scenario, wearers=(standing,))
    chunk = next(samples(scene, seed=sensor.seed, start_ns=0, sensor_model=sensor.device, chunk_s=UPRIGHT_S))
    x, y, z = (float(mean) for mean in chunk.acc_10ug.mean(axis=0))
    length = math.hypot(x, y, z)
    return Calibration(up=(x / length, y / length, z / length), source="poses", grade="B")


class SimulatedSource:
    """One simulated sensor."""

    def __init__(
        self,
        sensor: SimulatedSensor,
        put: Callable[[SampleBatch | LinkChanged], None],
        clock: Clock,
        speed: float = 1.0,
        tell: Callable[[Mapping[str, Any], int], None] | None = None,
    ) -> None:
        """`speed` is the clock's: beyond some packets a second they grow instead.

        `tell` gets the truth, each event when it begins, and the moment when the simulation began.
        """
        self._sensor = sensor
        self._scenario = find_scenario(sensor)
        self._put = put
        self._clock = clock
        self._tell = tell
        self._chunk_s = max(PACKET_S, speed / MOST_PACKETS_PER_S)

    async def run(self) -> None:
        """Wear the sensor until cancelled; after the end of the script it is lost."""
        truth = None if self._tell is None else asyncio.create_task(self._work_out_truth())
        start_ns, name = self._clock.now_ns(), self._sensor.sensor
        self._put(LinkChanged(name, start_ns, up=True))
        chunks = samples(
            self._scenario,
            seed=self._sensor.seed,
            start_ns=start_ns,
            sensor_model=self._sensor.device,
            chunk_s=self._chunk_s,
        )
        for chunk in chunks:
            due_ns = start_ns + round(chunk.until_s * NS_PER_S)
            await self._clock.sleep(max(due_ns - self._clock.now_ns(), 0) / NS_PER_S)
            if truth is not None and truth.done() and self._tell is not None:
                for told in truth.result().until(chunk.until_s):
                    self._tell(told, start_ns)
            if len(chunk.t_ns):
                self._put(SampleBatch(name, chunk.t_ns, chunk.acc_10ug))
        self._put(LinkChanged(name, self._clock.now_ns(), up=False, reason="the script ended"))
        await asyncio.Event().wait()

    async def _work_out_truth(self) -> Telling:
        """Beside the samples, which do not wait for it."""
        return await asyncio.to_thread(Telling, self._scenario, seed=self._sensor.seed)
