"""What a perfect detector would say of a plan: the rules of posturewatch applied to the script, not to samples.

The intervals and reminders have the form that `posturewatch replay` prints.  Nothing here is shared with the
detector, so that a comparison of the two can fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from posturewatch_sim.activities import HEAD_NOD_DEG
from posturewatch_sim.faults import Faults
from posturewatch_sim.intervals import Event, covering
from posturewatch_sim.plan import Plan
from posturewatch_sim.scenarios import Scenario, Wearer

LIMITS = {  # rule: (seconds, level)
    "static": (1200.0, "shift"),  # McLean 2001
    "sedentary": (1800.0, "break"),  # Evans 2012
    "sedentary_firm": (3600.0, "break"),  # HSE
}
REAL_BREAK_S, WINDOW_S = 120, 180
MICRO_BREAK_S = 30
STANDING_BREAK_S = 300
OFF_BODY_BREAK_S = 300
GAP_PAUSE_S, GAP_SEDENTARY_S = 60.0, 300.0
OUT_DEG, IN_DEG, SHIFT_S = 10.0, 7.0, 10
ANCHOR_S = 300.0
CLOSE_S = 20.0  # seconds around a limit in which a reminder may come or not
CLOSE_LOOK_BACK = 6  # events that can have happened meanwhile
MAHT_S = ((20.0, 240.0), (40.0, 150.0), (60.0, 60.0))  # ISO 11226, trunk: holding time over inclination
HEAD_MAHT_S = ((25.0, 480.0), (85.0, 60.0))
NEUTRAL_TAU_S = 300.0
BREAK_TAU_S = 89.0
DEFAULT_HORIZON_S = 24 * 3600.0


def truth(
    scenario: Scenario,
    *,
    seed: int,
    wearer: str | None = None,
    faults: Faults | None = None,
    duration_s: float | None = None,
) -> list[Event]:
    """All true intervals and reminder moments of one wearer, in seconds since the first sample."""
    plan = Plan(scenario, seed, wearer)
    end_s = plan.end_s(duration_s)
    end_s = DEFAULT_HORIZON_S if math.isinf(end_s) else end_s
    silences = scenario.faults.joined(faults).silences(plan.key)
    silences = tuple((a, min(b, end_s)) for a, b in silences if a < end_s)
    seconds = _Seconds.of(plan, end_s, silences)
    clocks = _Clocks(plan.wearer, seconds)
    clocks.run()
    events = [*covering(plan, end_s, silences), *clocks.events]
    return sorted(events, key=lambda e: (e.get("start_s", e.get("t_s", 0.0)), e["type"]))


@dataclass(frozen=True)
class _Seconds:
    """The plan as one row a second: what is true in the middle of each."""

    up: np.ndarray[Any, np.dtype[np.float64]]
    worn: list[bool]
    heard: list[bool]
    active: list[bool]
    standing: list[bool]
    lying: list[bool]  # as far as this placement can tell
    trunk_deg: list[float]
    asleep: list[bool]

    @classmethod
    def of(cls, plan: Plan, end_s: float, silences: tuple[tuple[float, float], ...]) -> _Seconds:
        pieces = plan.until(end_s)
        mid = np.arange(math.floor(end_s)) + 0.5
        starts = np.array([p.start_s for p in pieces])
        index = np.searchsorted(starts, mid, side="right") - 1
        done = ((mid - starts[index]) / np.array([p.end_s - p.start_s for p in pieces])[index]).clip(0.0, 1.0)[:, None]
        ups = np.array([(p.up_from, p.up_to) for p in pieces])
        up = ups[index, 0] * (1.0 - done) + ups[index, 1] * done
        up /= np.linalg.norm(up, axis=1)[:, None]
        heard = np.ones(len(mid), dtype=bool)
        for a, b in silences:
            heard &= (mid < a) | (mid >= b)
        which = [pieces[i] for i in index]
        return cls(
            up,
            [p.activity.worn for p in which],
            [bool(h) for h in heard],
            [p.activity.motion in ("walking", "moving") for p in which],
            [p.activity.posture == "standing" for p in which],
            [p.activity.posture == "lying" and plan.part == "trunk" for p in which],
            [p.trunk_deg for p in which],
            [p.activity.asleep for p in which],
        )


@dataclass
class _Clocks:
    """The two bout clocks, the hold dose and the breaks, counted second by second."""

    wearer: Wearer
    rows: _Seconds
    events: list[Event] = field(default_factory=list)
    static_from: float | None = None
    static_s: float = 0.0
    sedentary_from: float | None = None
    sedentary_s: float = 0.0
    dose: float = 0.0
    dose_due: bool = False
    silent_s: float = 0.0
    off_s: float = 0.0
    anchor: Any = None
    away_from: int | None = None

    def run(self) -> None:
        """Go through the day."""
        placement = self.wearer.placement
        self.with_static = placement != "wrist"
        self.with_dose = placement in ("chest", "torso", "upper_back", "neck", "head")
        moves = _breaks(self.rows, placement)
        self.break_of = {second: k for k, (_, a, b) in enumerate(moves) for second in range(a, b)}
        for kind, a, b in moves:
            self.events.append({"type": "break", "kind": kind, "start_s": float(a), "end_s": float(b)})
        self.moves = moves
        for second in range(len(self.rows.worn)):
            self._second(second)
        end = float(len(self.rows.worn))
        self._end_static(end, "censored")
        self._end_sedentary(end, "censored")

    def _second(self, second: int) -> None:
        rows = self.rows
        if not rows.heard[second]:
            self._silence(second)
            return
        if self.silent_s > 0.0:
            self._heard_again(second)
        if not rows.worn[second]:
            self.off_s += 1.0
            self._end_static(float(second), "off_body")
            if self.off_s >= OFF_BODY_BREAK_S:
                self._end_sedentary(float(second) + 1.0 - self.off_s, "off_body")
            return
        self.off_s = 0.0
        resting = self.break_of.get(second)
        kind = None if resting is None else self.moves[resting][0]
        self._dose(second, kind is not None)
        if kind is not None:
            self._end_static(float(second), "break")
            if kind == "real":
                self._end_sedentary(float(second), "break")
                return
        if rows.lying[second]:
            self._end_static(float(second), "shift")
            return
        if not (self.wearer.placement == "thigh" and rows.standing[second]):
            self.sedentary_from = float(second) if self.sedentary_from is None else self.sedentary_from
            self.sedentary_s += 1.0
            firm = self.sedentary_s % LIMITS["sedentary_firm"][0] == 0.0  # takes the place of the soft one
            self._due(second, "sedentary_firm" if firm else "sedentary", self.sedentary_s)
        if kind is None and self.with_static:
            self._static(second)

    def _static(self, second: int) -> None:
        """Section 6 of the detection rules on noise-free directions: an anchor, and ten seconds away from it."""
        up = self.rows.up[second]
        if self.static_from is None:
            self.static_from, self.static_s, self.anchor, self.away_from = float(second), 0.0, up, None
        off_deg = math.degrees(math.acos(float(np.clip(up @ self.anchor, -1.0, 1.0))))
        if self.away_from is None and off_deg > OUT_DEG:
            self.away_from = second
        elif self.away_from is not None and off_deg < IN_DEG:
            self.away_from = None
        self.static_s += 1.0
        if self.away_from is None:
            anchor = self.anchor + (up - self.anchor) / ANCHOR_S
            self.anchor = anchor / np.linalg.norm(anchor)
        elif second + 1 - self.away_from >= SHIFT_S:
            began = self.away_from
            self._end_static(float(began), "shift")
            self.static_from, self.static_s, self.anchor = float(began), float(second + 1 - began), up
            return
        self._due(second, "static", self.static_s)

    def _dose(self, second: int, resting: bool) -> None:
        """ISO 11226 step 2 as a dose: seconds held over the longest time allowed; rest lets it fade."""
        if not self.with_dose or self.rows.lying[second]:
            return
        lines = HEAD_MAHT_S if self.wearer.placement == "head" else MAHT_S
        lean = self.rows.trunk_deg[second] + (HEAD_NOD_DEG if self.wearer.placement == "head" else 0.0)
        if resting or self.rows.active[second]:
            self.dose *= math.exp(-1.0 / BREAK_TAU_S)
        elif lean < lines[0][0]:
            self.dose *= math.exp(-1.0 / NEUTRAL_TAU_S)
        else:
            longest = float(np.interp(lean, [a for a, _ in lines], [t for _, t in lines]))
            self.dose += 1.0 / longest
        if self.dose >= 1.0 and not self.dose_due:
            self.dose_due = True
            self._remind(second + 1.0, "hold_dose", "shift")
        elif self.dose < 0.5:  # noqa: PLR2004  # well below: a new hold
            self.dose_due = False

    def _due(self, second: int, rule: str, clock_s: float) -> None:
        """Nobody reacts to a recording: a rule comes due again after its interval."""
        limit_s, level = LIMITS[rule]
        if clock_s >= limit_s and clock_s % limit_s == 0.0:
            self._remind(second + 1.0, rule, level)

    def _remind(self, t_s: float, rule: str, level: str, *, optional: bool = False) -> None:
        reminder: Event = {"type": "reminder", "rule": rule, "level": level, "t_s": t_s}
        if optional or self.rows.asleep[min(int(t_s), len(self.rows.asleep)) - 1]:
            reminder["optional"] = True
        self.events.append(reminder)

    def _silence(self, second: int) -> None:
        if self.silent_s == 0.0:
            self.silent_from = float(second)
            self.before = self.rows.up[second - 1] if second else None
        self.silent_s += 1.0

    def _heard_again(self, second: int) -> None:
        if self.silent_s > GAP_PAUSE_S:
            self._end_static(self.silent_from, "censored")
            moved = self.before is None or float(self.rows.up[second] @ self.before) < math.cos(math.radians(OUT_DEG))
            if self.silent_s > GAP_SEDENTARY_S or moved:
                self._end_sedentary(self.silent_from, "censored")
        self.silent_s = 0.0

    def _close_call(self, at: float, rules: tuple[str, ...], clock_s: float) -> None:
        """A bout that ends within seconds of a limit: whether that reminder comes is not to be judged."""
        for event in reversed(self.events[-CLOSE_LOOK_BACK:]):
            if event.get("rule") in rules and event["t_s"] > at - CLOSE_S:
                event["optional"] = True
        for rule in rules:
            limit_s, level = LIMITS[rule]
            short_s = -clock_s % limit_s
            if 0.0 < short_s <= CLOSE_S:
                self._remind(at + short_s, rule, level, optional=True)

    def _end_static(self, at: float, why: str) -> None:
        if self.static_from is not None and at > self.static_from:
            self._close_call(at, ("static",), self.static_s)
            self.events.append({"type": "static", "start_s": self.static_from, "end_s": at, "closed_by": why})
        self.static_from, self.static_s, self.away_from = None, 0.0, None

    def _end_sedentary(self, at: float, why: str) -> None:
        if self.sedentary_from is not None and at > self.sedentary_from:
            self._close_call(at, ("sedentary", "sedentary_firm"), self.sedentary_s)
            self.events.append({"type": "sedentary", "start_s": self.sedentary_from, "end_s": at, "closed_by": why})
        self.sedentary_from, self.sedentary_s = None, 0.0


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    """Stretches of True as (first, after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.array(flags, dtype=np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _breaks(rows: _Seconds, placement: str) -> list[tuple[str, int, int]]:
    """Every break once, with its final kind: (kind, from, to)."""
    usable = [w and h for w, h in zip(rows.worn, rows.heard, strict=True)]
    moving = [a and u for a, u in zip(rows.active, usable, strict=True)]
    joined: list[list[int]] = []
    for a, b in _runs(moving):
        if joined and a - joined[-1][1] <= WINDOW_S - REAL_BREAK_S:
            joined[-1][1] = b
        else:
            joined.append([a, b])
    found: list[tuple[str, int, int]] = []
    for a, b in joined:
        counts = np.concatenate([[0], np.cumsum(moving[a:b])])
        widest = min(WINDOW_S, b - a)
        most = int((counts[widest:] - counts[:-widest]).max())
        if most >= REAL_BREAK_S:
            found.append(("real", a, b))
        elif most >= MICRO_BREAK_S:
            found.append(("micro", a, b))
    if placement == "thigh":
        upright = [s and u for s, u in zip(rows.standing, usable, strict=True)]
        stood = [("real", a, b) for a, b in _runs(upright) if b - a >= STANDING_BREAK_S]
        found = [f for f in found if not any(a <= f[1] and f[2] <= b for _, a, b in stood)] + stood
    return sorted(found, key=lambda f: f[1])
