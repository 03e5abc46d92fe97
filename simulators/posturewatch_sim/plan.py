"""A scenario and a seed become a plan: who does exactly what, when, in which pose.  The truth is read off it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from posturewatch_sim.activities import ACTIVITIES, LAID, Activity, Pose, part_of
from posturewatch_sim.noise import generator
from posturewatch_sim.scenarios import Group, Scenario, Step, Wearer

SETTLE_S = 60.0  # no shift of posture in the first and last minute of a step, so that none touches another change
LEAN_DEG = (20.0, 30.0)  # where a shift leads, from the usual pose of the step
SHIFT_DEG = 16.0  # a shift is clearly more than the 10 degrees that count
LEG_TURN_DEG = 20.0  # legs crossed and uncrossed
Vector = tuple[float, float, float]
Moved = tuple[float, float, int]  # flexion and lateral degrees away from the usual pose; how many shifts so far


@dataclass(frozen=True)
class Fidget:
    """A short excursion that returns."""

    start_s: float
    length_s: float
    flexion_deg: float
    lateral_deg: float


@dataclass(frozen=True)
class Piece:
    """One stretch of one activity in one pose (or sliding between two)."""

    start_s: float
    end_s: float
    do: str
    activity: Activity
    up_from: Vector  # of the part that carries the sensor, in its own axes
    up_to: Vector
    trunk_deg: float  # true flexion of the trunk at the end
    options: dict[str, float]
    slip_from_deg: float = 0.0
    slip_to_deg: float = 0.0
    fidgets: tuple[Fidget, ...] = ()


@dataclass
class Plan:
    """The pieces of one wearer, made as far as they were asked for; the same whatever was asked first."""

    scenario: Scenario
    seed: int
    who: str | None = None
    pieces: list[Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find the wearer; every wearer draws from a seed of their own."""
        self.wearer: Wearer = self.scenario.wearer(self.who)
        self.part = part_of(self.wearer.placement)
        self.key = int(generator(self.seed, "wearer", self.wearer.id).integers(1 << 62))
        self._slip_deg = 0.0
        self._source = self._all()
        self.complete = False

    def until(self, end_s: float) -> list[Piece]:
        """All pieces that start before `end_s`."""
        while not self.complete and (not self.pieces or self.pieces[-1].end_s < end_s):
            piece = next(self._source, None)
            if piece is None:
                self.complete = True
            else:
                self.pieces.append(piece)
        return self.pieces

    def end_s(self, duration_s: float | None = None) -> float:
        """Where the recording ends: as asked, or as the scenario says, or with the script."""
        limit = duration_s if duration_s is not None else self.scenario.duration_s
        if self.wearer.endless:
            return math.inf if limit is None else limit
        last = self.until(math.inf)[-1].end_s
        return last if limit is None else min(last, limit)

    def _all(self) -> Iterator[Piece]:
        at_s, lap = 0.0, 0
        steps: Sequence[Step | Group] = self.wearer.script
        while steps:
            draw = generator(self.key, "plan", lap)
            for step in _unrolled(steps, draw):
                for piece in self._pieces(step, at_s, draw):
                    yield piece
                    at_s = piece.end_s
            steps, lap = self.wearer.endless, lap + 1

    def _pieces(self, step: Step, at_s: float, draw: np.random.Generator) -> Iterator[Piece]:
        length_s = round(float(draw.uniform(*step.for_s)), 1)
        ranges = {**self.wearer.usual, **step.options}
        options = {name: float(draw.uniform(*ranges[name])) for name in sorted(ranges)}
        activity = ACTIVITIES[step.do]
        slip_from, self._slip_deg = self._slip_deg, self._slip_deg + options.get("slip_deg", 0.0)
        bounds = [0.0, *_shift_times(length_s, options.get("shifts_per_h", activity.shifts_per_h), draw), length_s]
        moved = (0.0, 0.0, 0)
        for k, (a, b) in enumerate(pairwise(bounds)):
            moved = _next_shift(moved, draw) if k else moved
            up_from, up_to = self._ups(step, activity, options, moved)
            slip = [slip_from + (self._slip_deg - slip_from) * x / length_s for x in (a, b)]
            yield Piece(
                at_s + a,
                at_s + b,
                step.do,
                activity,
                up_from,
                up_to,
                options.get("to_deg", options.get("flexion_deg", activity.trunk.flexion_deg)) + moved[0],
                options,
                slip[0],
                slip[1],
                self._fidgets(at_s + a, at_s + b, activity, options, draw),
            )

    def _ups(self, step: Step, activity: Activity, options: dict[str, float], moved: Moved) -> tuple[Vector, Vector]:
        """Up at the start and at the end of a piece, in the axes of the part that carries the sensor."""
        if activity.stir == "lying_about":
            return LAID[step.face], LAID[step.face]
        pose = activity.pose(self.part)
        if self.part in ("trunk", "head"):
            offset = pose.flexion_deg - activity.trunk.flexion_deg
            start = options.get("flexion_deg", activity.trunk.flexion_deg)
            end = options.get("to_deg", start)
            lateral = options.get("lateral_deg", pose.lateral_deg) + moved[1]
            roll = moved[1] * 2.0 if activity.stir == "lying" else pose.roll_deg
            first, last = (Pose(f + offset + moved[0], lateral, roll) for f in (start, end))
            return first.up(), last.up()
        if self.part == "thigh":
            turned = pose.moved(roll_deg=LEG_TURN_DEG * (moved[2] % 2))
            return turned.up(), turned.up()
        turned = pose.moved(flexion_deg=moved[0], roll_deg=3.0 * moved[1])
        return turned.up(), turned.up()

    def _fidgets(
        self, start_s: float, end_s: float, activity: Activity, options: dict[str, float], draw: np.random.Generator
    ) -> tuple[Fidget, ...]:
        per_h = options.get("fidgets_per_h", activity.fidgets_per_h)
        room_s = end_s - start_s - 20.0
        if per_h <= 0.0 or room_s <= 0.0:
            return ()
        starts = np.sort(draw.uniform(start_s + 10.0, end_s - 10.0, draw.poisson(per_h * room_s / 3600.0)))
        size = draw.uniform(3.0, 8.0, len(starts)) * draw.choice((-1.0, 1.0), len(starts))
        aside = draw.uniform(-4.0, 4.0, len(starts))
        length = draw.uniform(1.5, 5.0, len(starts))
        rows = zip(starts, length, size, aside, strict=True)
        kept: list[Fidget] = []
        for row in rows:
            fidget = Fidget(*(float(x) for x in row))
            if not kept or fidget.start_s > kept[-1].start_s + kept[-1].length_s + 5.0:
                kept.append(fidget)
        return tuple(kept)


def _unrolled(steps: Sequence[Step | Group], draw: np.random.Generator) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Step):
            yield step
            continue
        for _ in range(round(float(draw.uniform(*step.times)))):
            yield from _unrolled(step.steps, draw)


def _shift_times(length_s: float, per_h: float, draw: np.random.Generator) -> list[float]:
    """Moments of larger shifts inside a step, at least 25 s apart."""
    room_s = length_s - 2.0 * SETTLE_S
    if per_h <= 0.0 or room_s <= 0.0:
        return []
    times: list[float] = []
    for at in np.sort(draw.uniform(SETTLE_S, length_s - SETTLE_S, draw.poisson(per_h * room_s / 3600.0))):
        if not times or at > times[-1] + 25.0:
            times.append(float(at))
    return times


def _next_shift(moved: Moved, draw: np.random.Generator) -> Moved:
    """Another lean, clearly away from the one before and from the usual pose."""
    while True:
        size, turn = draw.uniform(*LEAN_DEG), draw.uniform(0.0, 2.0 * math.pi)
        new = (size * math.cos(turn), size * math.sin(turn), moved[2] + 1)
        if math.hypot(new[0] - moved[0], new[1] - moved[1]) >= SHIFT_DEG:
            return new
