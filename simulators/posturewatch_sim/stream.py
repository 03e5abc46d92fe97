"""A scenario as a stream of samples: the same seed gives the same bytes, however the stream is cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from posturewatch_sim.body import Body
from posturewatch_sim.faults import Faults
from posturewatch_sim.noise import Floats
from posturewatch_sim.plan import Plan
from posturewatch_sim.scenarios import Scenario, ScenarioError
from posturewatch_sim.sensor import MODELS, SensorModel, Specimen

TILE_S = 60  # samples are made a minute at a time, on the absolute time axis; chunks are cut out of these


@dataclass(frozen=True)
class Chunk:
    """Samples as the gateway stamps them; empty where nothing arrived."""

    t_ns: NDArray[np.int64]  # [n]
    acc_10ug: NDArray[np.int32]  # [n, 3]
    until_s: float = 0.0  # true time at the end of the chunk, in seconds since the start


@dataclass(frozen=True)
class _Tile:
    true_s: Floats
    t_ns: NDArray[np.int64]
    acc_10ug: NDArray[np.int32]


class Stream:
    """One wearer's sensor."""

    def __init__(self, plan: Plan, model: SensorModel, faults: Faults, start_ns: int) -> None:
        """Put one specimen of this model on the body of the plan."""
        self.plan = plan
        self.faults = faults
        self.start_ns = start_ns
        self.body = Body(plan)
        self.specimen = Specimen.drawn(model, plan.key)

    def tile(self, number: int, end_s: float) -> _Tile:
        """The samples of one minute that arrive."""
        true_s, acc, count = self._readings(number, end_s)
        if len(true_s) == 0:
            return _Tile(true_s, np.empty(0, np.int64), np.empty((0, 3), np.int32))
        for axis, at in self.faults.flipped:
            acc[true_s >= at, axis] *= -1
        for k, (axis, at) in enumerate(self.faults.stuck):
            acc[true_s >= at, axis] = self._stuck_at[k]
        stamped = true_s + self.specimen.jitter_s(len(true_s), number) + self.faults.clock_error_s(true_s)
        t_ns = self.start_ns + np.rint(stamped * 1e9).astype(np.int64)
        keep = self.faults.kept(true_s, count // self.specimen.model.packet, self.plan.key)
        return _Tile(true_s[keep], t_ns[keep], acc[keep])

    def _readings(self, number: int, end_s: float = math.inf) -> tuple[Floats, NDArray[np.int32], NDArray[np.int64]]:
        """True times, readings and running numbers of all samples that the sensor takes in one minute."""
        rate = self.specimen.rate_hz
        low = math.ceil(number * TILE_S * rate)
        count = np.arange(low, math.ceil((number + 1) * TILE_S * rate), dtype=np.int64)
        true_s = count / rate
        if len(true_s) == 0 or true_s[0] >= end_s:
            return true_s[:0], np.empty((0, 3), np.int32), count[:0]
        force = self.body.force_g(true_s)
        acc = self.specimen.digitise(true_s, force, number, self.faults.drift_mg_per_h)
        inside = true_s < end_s
        return true_s[inside], acc[inside], count[inside]

    @cached_property
    def _stuck_at(self) -> list[int]:
        """The reading at which each stuck axis stays: the first after the fault."""
        values = []
        for axis, at in self.faults.stuck:
            true_s, acc, _ = self._readings(int(at // TILE_S))
            first = min(int(np.searchsorted(true_s, at)), len(true_s) - 1)
            values.append(int(acc[first, axis]))
        return values


def model_named(name: str) -> SensorModel:
    """The sensor model of this name."""
    if name not in MODELS:
        raise ScenarioError(f"no sensor model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def samples(  # noqa: PLR0913  # all but the first are named
    scenario: Scenario,
    *,
    seed: int,
    start_ns: int,
    wearer: str | None = None,
    sensor_model: str | None = None,
    faults: Faults | None = None,
    chunk_s: float = 60.0,
    duration_s: float | None = None,
) -> Iterator[Chunk]:
    """The samples of one wearer in chunks of `chunk_s` seconds of true time, for ever if the scenario is endless."""
    if not chunk_s > 0.0:
        raise ValueError(f"chunk_s is {chunk_s}, must be more than 0")
    plan = Plan(scenario, seed, wearer)
    stream = Stream(plan, model_named(sensor_model or plan.wearer.sensor), scenario.faults.joined(faults), start_ns)
    return _chunks(stream, plan.end_s(duration_s), chunk_s)


def _chunks(stream: Stream, end_s: float, chunk_s: float) -> Iterator[Chunk]:
    held: list[_Tile] = []
    made = 0
    number = 0
    while number * chunk_s < end_s:
        low, high = number * chunk_s, min((number + 1) * chunk_s, end_s)
        while made * TILE_S < high:
            held.append(stream.tile(made, end_s))
            made += 1
        t_parts, acc_parts = [], []
        for tile in held:
            a, b = np.searchsorted(tile.true_s, (low, high))
            t_parts.append(tile.t_ns[a:b])
            acc_parts.append(tile.acc_10ug[a:b])
        yield Chunk(np.concatenate(t_parts), np.concatenate(acc_parts), high)
        held = [tile for k, tile in enumerate(held, made - len(held)) if (k + 1) * TILE_S > high]
        number += 1
