"""A seeded week of an office worker, second by second: prompts within the budgets, none when they would be wrong."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from posturewatch.config.core_settings import tabulate_utc_offsets
from posturewatch.config.quiet import find_quiet_periods
from posturewatch.core.body import Body
from posturewatch.core.reminding import command, initial, step, surround
from posturewatch.core.settings import Reminding, Settings
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.rules import discover
from posturewatch.types import (
    NS_PER_S,
    BoutPhase,
    BreakKind,
    Command,
    CommandResult,
    Happened,
    Level,
    Link,
    Motion,
    Posture,
    Prompt,
    Surroundings,
    Verb,
    Wear,
)

ZONE = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 23, 0, 0, tzinfo=ZONE)  # on Sunday the clocks go forward
QUIET = ("17:30-08:00", "sat,sun 00:00-24:00")
HOUR_NS = 3600 * NS_PER_S
SEEDS = (1, 2)


class Worker:
    """Somebody at a desk, and everything that was said to them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_s = round(MONDAY.timestamp())
        quiet = find_quiet_periods(QUIET, "Europe/Berlin", self.now_s * NS_PER_S)
        offsets = tabulate_utc_offsets("Europe/Berlin", self.now_s * NS_PER_S)
        self.settings = Settings("anna", (), discover(), reminding=Reminding(quiet=quiet, utc_offsets=offsets))
        self.state = initial(self.settings)
        self.body = Body(now_ns=self.now_s * NS_PER_S, link=Link.OK, wear=Wear.OFF_BODY, motion=Motion.STILL)
        self.body.posture, self.body.bout = Posture.UPRIGHT_UNKNOWN, BoutPhase.STATIC
        self.events: list[Any] = []
        self.asked: list[tuple[Prompt, str]] = []  # with why it was wrong to ask, if it was
        self.in_hold = False

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC).astimezone(ZONE)

    def until(self, day: int, hour: float) -> int:
        """Seconds to that hour of the wearer's clock."""
        moment = (MONDAY + timedelta(days=day)).replace(hour=int(hour), minute=round(hour % 1 * 60), tzinfo=ZONE)
        return max(0, round(moment.timestamp()) - self.now_s)

    def second(self, **flags: bool) -> None:
        body = self.body
        self.now_s += 1
        body.now_ns = self.now_s * NS_PER_S
        for name in flags:
            setattr(body, name, True)
        before = len(self.events)
        step(self.state, body, self.settings, self.events)
        self.asked += [(e, self._why_wrong()) for e in self.events[before:] if isinstance(e, Prompt) and not e.test]
        for name in flags:
            setattr(body, name, False)

    def _why_wrong(self) -> str:
        local = self.local()
        minute = 60 * local.hour + local.minute
        if local.weekday() >= 5 or not 8 * 60 <= minute < 17 * 60 + 30:
            return "quiet"
        if self.body.wear is not Wear.WORN or self.body.link is not Link.OK:
            return "not known to be worn"
        if self.body.motion not in (Motion.STILL, Motion.MICRO):
            return "moving"
        return "in a hold" if self.in_hold else ""

    def begin_bout(self) -> None:
        self.body.static_s, self.body.static_since_ns = 0.0, self.body.now_ns

    def put_on(self) -> None:
        self.body.wear = Wear.WORN
        self.begin_bout()
        self.body.sedentary_s, self.body.sedentary_since_ns = 0.0, self.body.now_ns
        self.second(mounted=True)

    def sit(self, seconds: int, obeys: float = 0.0) -> None:
        """Sit; now and then shift; when asked, sometimes do it within two minutes, snooze, or skip."""
        body, moves_at = self.body, -1
        for at in range(seconds):
            body.static_s += 1.0
            body.sedentary_s += 1.0
            before = len(self.asked)
            if self.rng.random() < 1 / 2400:
                self.begin_bout()
                self.second(shift_ended=True)
            else:
                self.second()
            if len(self.asked) > before and moves_at < at:
                moves_at = self._respond(at, obeys)
            if at == moves_at:
                self.walk(self.rng.choice([60, 150, 180]))

    def _respond(self, at: int, obeys: float) -> int:
        if self.rng.random() < obeys:
            return at + self.rng.randrange(5, 120)
        verb = self.rng.choice([Verb.SNOOZE, Verb.ACK, Verb.SKIP, None, None])
        if verb is not None:
            self.say(verb)
        return -1

    def walk(self, seconds: int) -> None:
        body = self.body
        body.motion = Motion.WALKING
        for at in range(1, seconds + 1):
            body.break_progress_frac = min(at / 120, 1.0)
            body.break_kind = BreakKind.REAL if at >= 120 else BreakKind.MICRO if at >= 30 else None
            body.sedentary_s = 0.0 if at >= 120 else body.sedentary_s + 1.0
            self.second(**({"real_break_reached": True} if at == 120 else {}))
        body.motion, kind, body.break_progress_frac = Motion.STILL, body.break_kind, 0.0
        self.begin_bout()
        if kind is BreakKind.REAL:
            body.sedentary_since_ns = body.now_ns
        self.second(break_over=True, **({"micro_break_ended": True} if kind is BreakKind.MICRO else {}))
        body.break_kind = None

    def away(self, seconds: int, wear: Wear = Wear.OFF_BODY) -> None:
        """Off the body; or, with `unknown`, without data."""
        self.body.wear, self.body.link = wear, Link.OK if wear is Wear.OFF_BODY else Link.LOST
        if wear is Wear.OFF_BODY:
            self.body.static_s = self.body.sedentary_s = 0.0
        for _ in range(seconds):
            self.second()
        self.body.link = Link.OK
        self.put_on() if wear is Wear.OFF_BODY else setattr(self.body, "wear", Wear.WORN)

    def say(self, verb: Verb, **about: Any) -> CommandResult:
        command(self.state, Command(self.body.now_ns, verb, **about), self.body, self.settings, self.events)
        return next(e for e in reversed(self.events) if isinstance(e, CommandResult))

    def meet(self, minutes: int) -> None:
        """A meeting: the camera says so, or the wearer does."""
        now_ns, by_camera = self.body.now_ns, self.rng.random() < 0.5
        if by_camera:
            surround(self.state, Surroundings(now_ns, "in a meeting", now_ns + 4 * HOUR_NS), now_ns, self.events)
        else:
            assert self.say(Verb.HOLD, minutes=float(minutes)).ok
        self.in_hold = True
        self.sit(60 * minutes)
        self.in_hold = False
        if by_camera:
            surround(self.state, Surroundings(self.body.now_ns, None, 0), self.body.now_ns, self.events)

    def restart(self) -> None:
        self.state = load_state(json.loads(json.dumps(dump_state(self.state))))


@cache
def week(seed: int) -> Worker:
    """Five days at the desk with meetings, a lunch, a lost sensor and restarts; then a weekend with the sensor on."""
    worker = Worker(seed)
    for day in range(7):
        for _ in range(worker.until(day, 7.75)):
            worker.second()
        worker.put_on()
        obeys = (0.9, 0.7, 0.5, 0.3, 0.1, 0.5, 0.5)[day]
        worker.sit(worker.until(day, 9.5), obeys)
        worker.meet(45)
        worker.sit(worker.until(day, 11.5), obeys)
        worker.away(240, Wear.UNKNOWN)
        worker.restart()
        worker.sit(worker.until(day, 12.5), obeys)
        worker.away(2400)
        worker.sit(worker.until(day, 14.5), obeys)
        worker.meet(90)
        worker.sit(worker.until(day, 18.5), obeys)
        worker.body.wear, worker.body.static_s, worker.body.sedentary_s = Wear.OFF_BODY, 0.0, 0.0
        worker.second(removed=True)
    for _ in range(worker.until(7, 1.0)):  # past the last midnight
        worker.second()
    return worker


def day_of(prompt: Prompt) -> str:
    return datetime.fromtimestamp(prompt.t_ns / NS_PER_S, UTC).astimezone(ZONE).date().isoformat()


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_asked_when_it_would_be_wrong(seed):
    asked = week(seed).asked
    assert len(asked) > 50
    assert Counter(why for _, why in asked if why) == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_prompts_stay_within_the_budgets_of_hour_and_day(seed):
    first = [prompt for prompt, _ in week(seed).asked if prompt.repeat == 0]
    breaks = [prompt for prompt in first if prompt.level is Level.BREAK]
    assert max(Counter(map(day_of, breaks)).values()) <= 10
    assert {day_of(prompt) for prompt in first} <= {f"2026-03-{day}" for day in range(23, 28)}
    for level, most in ((Level.SHIFT, 3), (Level.BREAK, 2)):
        moments = [prompt.t_ns for prompt in first if prompt.level is level]
        for at_ns in moments:
            assert sum(at_ns - HOUR_NS < other_ns <= at_ns for other_ns in moments) <= most


@pytest.mark.parametrize("seed", SEEDS)
def test_what_happened_adds_up(seed):
    worker = week(seed)
    happened = Counter(event.event_type for event in worker.events if isinstance(event, Happened))
    summaries = [e for e in worker.events if isinstance(e, Happened) and e.event_type == "day_summary"]
    told: Counter[str] = Counter()
    for summary in summaries:
        for key, value in summary.detail.items():
            told[key.split("_")[0]] += int(value)
    assert len(summaries) == 5  # nothing happened at the weekend
    assert told["breaks"] == happened["break_completed"] + happened["self_initiated"]
    assert told["snoozes"] == happened["snoozed"]
    assert told["missed"] <= happened["missed"]
    assert happened["held"] == 14
    assert happened["skipped"] > 0
    cycles = {prompt.cycle for prompt, _ in worker.asked}
    assert told["answered"] + told["missed"] <= len(cycles)
    assert told["answered"] >= len(cycles) / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_at_the_desk_brings_twenty_reminders_at_most_and_nothing_loud(seed):
    asked = [prompt for prompt, _ in week(seed).asked]
    assert max(Counter(day_of(prompt) for prompt in asked if not prompt.repeat).values()) <= 20
    assert max(Counter(map(day_of, asked)).values()) <= 35
    assert max(prompt.rung for prompt in asked) == 2
