"""A sensor on a simulated body that can be read at any moment: what its chip says, before anything travels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posturewatch_sim.faults import Faults
from posturewatch_sim.noise import Floats
from posturewatch_sim.plan import Plan
from posturewatch_sim.scenarios import Scenario, Step
from posturewatch_sim.sensor import SensorModel
from posturewatch_sim.stream import TILE_S, Stream

KEPT_TILES = 2
UNITS_PER_G = 100_000.0  # 10 µg
FOREVER_S = 1e6
EARLIEST_S, APART_S = 10.0, 3.0  # into a minute, for making the next
Readings = tuple[Floats, NDArray[np.int32]]  # true times in seconds, and [n, 3] in units of 10 µg


class WornSensor:
    """One specimen of a model on the body of a wearer, or laid on the desk."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        model: SensorModel,
        *,
        wearer: str | None = None,
        faults: Faults | None = None,
    ) -> None:
        """What happens on the way (drops, gaps, kicks, wrong clocks) is for the radio to do."""
        given = scenario.faults.joined(faults)
        self.faults = given
        self._chip_faults = replace(given, drop_frac=0.0, gaps=(), kicks_s=(), clock_skew_ppm=0.0, clock_jumps=())
        plan = Plan(scenario, seed, wearer)
        self.key = plan.key
        self.plan = plan
        self.model = model
        laid_aside = replace(plan.wearer, script=(Step("on_desk", (FOREVER_S, FOREVER_S)),), endless=())
        self._desk = Plan(replace(scenario, wearers=(laid_aside,)), seed)
        self._streams: dict[tuple[bool, float], Stream] = {}
        self._tiles: dict[tuple[bool, float, int], Readings] = {}
        self._is_worn = True
        self._stuck: dict[int, int] = {}
        self._to_stick: set[int] = set()

    def set_rate(self, rate_hz: float) -> None:
        """From now on so many samples a second, as far as this specimen's clock is right."""
        self.model = replace(self.model, rate_hz=rate_hz)

    @property
    def is_worn(self) -> bool:
        """Whether it is where the script wears it, and nobody took it off by hand."""
        return self._is_worn

    def take_off(self) -> None:
        """Onto the desk."""
        self._is_worn = False

    def put_on(self) -> None:
        """Back on the body, which went on with its script."""
        self._is_worn = True

    def stick(self, axis: int | None) -> None:
        """Freeze an axis at its next reading; None heals all."""
        if axis is None:
            self._stuck.clear()
            self._to_stick.clear()
        else:
            self._to_stick.add(axis)

    def readings(self, from_s: float, until_s: float) -> Readings:
        """All samples taken in this span of true time."""
        first, last = math.floor(from_s / TILE_S), math.floor(until_s / TILE_S)
        times, accs = [], []
        for number in range(first, last + 1):
            t_s, acc = self._tile(number)
            a, b = np.searchsorted(t_s, (from_s, until_s))
            times.append(t_s[a:b])
            accs.append(acc[a:b])
        return np.concatenate(times), self._with_stuck_axes(np.concatenate(accs))

    def prepare(self, at_s: float, number: int) -> None:
        """Make the next minute in time; each of several sensors at another moment, so that none holds up the rest."""
        minute, into_s = divmod(at_s, TILE_S)
        if into_s > EARLIEST_S + number * APART_S % (TILE_S - 2 * EARLIEST_S):
            self._tile(int(minute) + 1)

    def snapshot_g(self, at_s: float) -> Floats:
        """The newest sample at this moment, as `[1, 3]` in g."""
        lately_s = max(at_s, 3.0 / self.model.rate_hz)
        _, acc = self.readings(max(lately_s - 3.0 / self.model.rate_hz, 0.0), lately_s)
        return np.asarray(acc[-1:] / UNITS_PER_G)

    def _tile(self, number: int) -> Readings:
        key = (self._is_worn, self.model.rate_hz, number)
        if key not in self._tiles:
            tile = self._stream().tile(max(number, 0), math.inf)
            self._tiles[key] = (tile.true_s, tile.acc_10ug)
            while len(self._tiles) > KEPT_TILES:
                del self._tiles[next(iter(self._tiles))]
        return self._tiles[key]

    def _stream(self) -> Stream:
        key = (self._is_worn, self.model.rate_hz)
        if key not in self._streams:
            self._streams[key] = Stream(self.plan if self._is_worn else self._desk, self.model, self._chip_faults, 0)
        return self._streams[key]

    def _with_stuck_axes(self, acc: NDArray[np.int32]) -> NDArray[np.int32]:
        if len(acc):
            self._stuck.update({axis: int(acc[0, axis]) for axis in self._to_stick})
            self._to_stick.clear()
        if self._stuck:
            acc = acc.copy()
            for axis, value in self._stuck.items():
                acc[:, axis] = value
        return acc
