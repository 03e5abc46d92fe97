"""A seeded week of an office worker: simulated samples through the whole pipeline, answers by what the body then does.

What is right is judged by the script of the simulation, not by what the detector made of it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from posturewatch_sim import stream
from posturewatch_sim.body import Body
from posturewatch_sim.plan import Plan
from posturewatch_sim.scenarios import Scenario, Step
from posturewatch_sim.scenarios import Wearer as SimulatedWearer

from posturewatch.config.core_settings import tabulate_utc_offsets
from posturewatch.config.quiet import find_quiet_periods
from posturewatch.core import pipeline
from posturewatch.core.settings import Calibration, Reminding, SensorSettings, Settings
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.rules import discover
from posturewatch.types import (
    NS_PER_S,
    Command,
    CommandResult,
    Concluded,
    Happened,
    Level,
    Motion,
    MotionChanged,
    Placement,
    Prompt,
    ReminderPhase,
    SampleBatch,
    Surroundings,
    Tick,
    Verb,
    Wear,
    WearChanged,
    WearRevised,
    Withdrawn,
)

ZONE = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 23, 0, 0, tzinfo=ZONE)  # on Sunday the clocks go forward
QUIET = ("17:30-08:00", "sat,sun 00:00-24:00")
SENSOR = "lsm6dsox_12hz"  # a slow one, so that a week takes seconds
OBEYS = (0.9, 0.7, 0.5, 0.3, 0.1)  # how often a prompt is followed, from Monday to Friday
HOUR_NS = 3600 * NS_PER_S
LAG_S = 5  # until a detector can know that a walk began
MEETINGS = 10
SEEDS = (1,)  # each takes half a minute of a processor


def scene(do: str, minutes: float, **options: float) -> Scenario:
    step = Step(do, (60.0 * minutes,) * 2, {name: (value, value) for name, value in options.items()})
    return Scenario("week", do, do, (SimulatedWearer("anna", "chest", SENSOR, (step,)),))


class Worker:
    """Somebody with a sensor, minute by minute, and everything that was said to them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.now_ns = round(MONDAY.timestamp()) * NS_PER_S
        quiet = find_quiet_periods(QUIET, "Europe/Berlin", self.now_ns)
        offsets = tabulate_utc_offsets("Europe/Berlin", self.now_ns)
        up = Body(Plan(scene("sit", 1), seed, "anna")).mount @ (0.0, 0.0, 1.0)
        sensor = SensorSettings("s", Placement.CHEST, calibration=Calibration(tuple(map(float, up))))
        manners = Reminding(quiet=quiet, utc_offsets=offsets)
        self.settings = Settings("anna", (sensor,), discover(), reminding=manners)
        self.state = pipeline.initial(self.settings)
        self.events: list[Any] = []
        self.done: list[tuple[int, int, str]] = []  # from, to, what the script says
        self.holds: list[tuple[int, int]] = []
        self.walks = 0

    def use(self, incoming: Any) -> list[Any]:
        self.state, new = pipeline.advance(self.state, incoming, self.settings)
        self.events += new
        return new

    def at(self, day: int, hour: float) -> int:
        """That hour of the wearer's clock, in nanoseconds."""
        moment = (MONDAY + timedelta(days=day)).replace(hour=int(hour), minute=round(hour % 1 * 60), tzinfo=ZONE)
        return round(moment.timestamp()) * NS_PER_S

    def act(self, do: str, until_ns: int, obeys: float | None = None, **options: float) -> bool:
        """Do one thing until then; True if a prompt was obeyed before: then it is over within a minute or two."""
        begun_ns, rises = self.now_ns, False
        what = scene(do, (until_ns - begun_ns) / NS_PER_S / 60, **options)
        for chunk in stream.samples(what, seed=self.seed, start_ns=begun_ns):
            new = self.use(SampleBatch("s", chunk.t_ns, chunk.acc_10ug)) if len(chunk.t_ns) else []
            self.now_ns = begun_ns + round(chunk.until_s * NS_PER_S)
            new += self.use(Tick(self.now_ns))
            if rises:
                break
            if obeys is not None and any(isinstance(event, Prompt) for event in new):
                rises = self.respond(obeys)
        self.done.append((begun_ns, self.now_ns, do))
        return rises

    def respond(self, obeys: float) -> bool:
        """Get up soon, or press a button, or do nothing at all."""
        if self.rng.random() < obeys:
            return True
        verb = self.rng.choice([Verb.SNOOZE, Verb.ACK, Verb.SKIP, None, None])
        if verb is not None:
            self.use(Command(self.now_ns, verb))
        return False

    def work(self, until_ns: int, obeys: float | None = None) -> None:
        """At the desk; whoever gets up walks for three minutes."""
        while until_ns - self.now_ns >= 60 * NS_PER_S:
            habits = {"flexion_deg": self.rng.uniform(0, 15), "shifts_per_h": self.rng.uniform(1, 5)}
            if self.act("type", until_ns, obeys, **habits):
                self.walk()

    def walk(self, minutes: float = 3.0) -> None:
        self.walks += 1
        self.act("walk", self.now_ns + round(minutes * 60) * NS_PER_S)

    def meet(self, minutes: int, by_camera: bool) -> None:
        """A meeting: the camera says so, or the wearer does."""
        begun_ns, end_ns = self.now_ns, self.now_ns + minutes * 60 * NS_PER_S
        if by_camera:
            self.use(Surroundings(begun_ns, "in a meeting", begun_ns + 4 * HOUR_NS))
        else:
            self.use(Command(begun_ns, Verb.HOLD, until_ns=end_ns))
        self.act("talk", end_ns)
        self.holds.append((begun_ns, end_ns))
        if by_camera:
            self.use(Surroundings(end_ns, None, 0))

    def wait(self, until_ns: int) -> None:
        """No data at all."""
        begun_ns = self.now_ns
        while self.now_ns < until_ns:
            self.now_ns = min(self.now_ns + 20 * NS_PER_S, until_ns)
            self.use(Tick(self.now_ns))
        self.done.append((begun_ns, until_ns, "nothing"))

    def restart(self) -> None:
        self.state = load_state(json.loads(json.dumps(dump_state(self.state))))

    def doing(self, t_ns: int) -> str:
        """What the script says; a walk counts once it can be known."""
        return next(what for from_ns, to_ns, what in reversed(self.done) if from_ns + LAG_S * NS_PER_S <= t_ns)


@cache
def week(seed: int) -> Worker:
    """Five days with meetings, a lunch, a lost sensor and a restart; a Saturday morning; nights without data."""
    worker = Worker(seed)
    for day, obeys in enumerate(OBEYS):
        worker.wait(worker.at(day, 7.5))
        worker.walk()
        worker.work(worker.at(day, 9.5), obeys)
        worker.meet(45, by_camera=day % 2 == 0)
        worker.work(worker.at(day, 11.5), obeys)
        worker.wait(worker.now_ns + 240 * NS_PER_S)
        worker.restart()
        worker.work(worker.at(day, 12.5), obeys)
        worker.act("on_desk", worker.at(day, 13.25))
        worker.walk()
        worker.work(worker.at(day, 14.5), obeys)
        worker.meet(90, by_camera=day % 2 == 1)
        worker.work(worker.at(day, 19), obeys)
        worker.act("on_desk", worker.at(day, 20))
    worker.wait(worker.at(5, 10))
    worker.walk()
    worker.work(worker.at(5, 13), 0.5)
    worker.wait(worker.at(7, 1))
    return worker


def prompts_of(seed: int) -> list[Prompt]:
    return [event for event in week(seed).events if isinstance(event, Prompt)]


def happened(seed: int) -> Counter[str]:
    return Counter(event.event_type for event in week(seed).events if isinstance(event, Happened))


def local(prompt: Prompt) -> datetime:
    return datetime.fromtimestamp(prompt.t_ns / NS_PER_S, UTC).astimezone(ZONE)


def why_wrong(worker: Worker, prompt: Prompt) -> str:
    moment, doing = local(prompt), worker.doing(prompt.t_ns)
    minute = 60 * moment.hour + moment.minute
    if moment.weekday() >= 5 or not 8 * 60 <= minute < 17 * 60 + 30:
        return "quiet"
    if any(from_ns <= prompt.t_ns < to_ns for from_ns, to_ns in worker.holds):
        return "in a hold"
    return "" if doing == "type" else {"walk": "moving", "on_desk": "off body", "nothing": "no data"}.get(doing, doing)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_detector_also_knew_that_the_body_was_at_rest_and_the_sensor_worn(seed):
    motion, wear = Motion.UNKNOWN, Wear.UNKNOWN
    for event in week(seed).events:
        if isinstance(event, MotionChanged):
            motion = event.state
        elif isinstance(event, WearChanged | WearRevised):
            wear = event.state
        elif isinstance(event, Prompt):
            assert (motion in (Motion.STILL, Motion.MICRO), wear) == (True, Wear.WORN), event


def unasked(seed: int) -> list[Prompt]:
    """Without those that a snooze or an acknowledgement asked for."""
    wanted: set[str] = set()
    found = []
    for event in week(seed).events:
        if isinstance(event, Withdrawn) and event.why in ("snoozed", "acknowledged"):
            wanted.add(event.cycle)
        elif isinstance(event, Prompt):
            found += [] if event.cycle in wanted else [event]
            wanted.discard(event.cycle)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_asked_in_a_hold_in_quiet_hours_while_moving_off_body_or_without_data(seed):
    worker, prompts = week(seed), prompts_of(seed)
    assert len(prompts) > 40
    assert Counter(why for prompt in prompts if (why := why_wrong(worker, prompt))) == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_prompts_with_their_repeats_stay_within_the_budgets_of_hour_and_day(seed):
    prompts = unasked(seed)
    for level, most in ((Level.SHIFT, 3), (Level.BREAK, 2)):
        moments = [prompt.t_ns for prompt in prompts if prompt.level is level]
        assert all(sum(at_ns - HOUR_NS < other_ns <= at_ns for other_ns in moments) <= most for at_ns in moments)
    days = Counter(local(prompt).date() for prompt in prompts if prompt.level is Level.BREAK)
    assert max(days.values()) <= 10
    assert max(Counter(local(prompt).date() for prompt in prompts_of(seed)).values()) <= 30
    assert max(prompt.rung for prompt in prompts) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_snoozes_are_bounded_for_a_reminder_and_for_a_day(seed):
    snoozed = [e for e in week(seed).events if isinstance(e, Happened) and e.event_type == "snoozed"]
    assert snoozed
    assert max(Counter(event.cycle for event in snoozed).values()) <= 2
    assert max(Counter(event.t_ns // (24 * HOUR_NS) for event in snoozed).values()) <= 12


@pytest.mark.parametrize("seed", SEEDS)
def test_each_meeting_is_held_released_and_followed_by_one_prompt_worded_for_it_at_most(seed):
    worker = week(seed)
    assert happened(seed)["held"] == MEETINGS
    released = [e for e in worker.events if isinstance(e, Happened) and e.event_type == "released"]
    assert sum("meeting" in str(e.detail["why"]) or e.detail["why"] == "on hold" for e in released) == MEETINGS
    ends = [to_ns for _, to_ns in worker.holds]
    worded = [p.t_ns for p in prompts_of(seed) if p.reason.get("after") in ("in a meeting", "on hold")]
    assert worded
    assert all(sum(end_ns <= t_ns < end_ns + HOUR_NS for t_ns in worded) <= 1 for end_ns in ends)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_walk_counts_as_a_break_and_what_became_of_the_reminders_adds_up(seed):
    worker, counts = week(seed), happened(seed)
    assert counts["break_completed"] + counts["self_initiated"] == worker.walks
    concluded = [e for e in worker.events if isinstance(e, Concluded)]
    cycles = {prompt.cycle for prompt in prompts_of(seed)}
    assert len(concluded) == len({e.cycle for e in concluded}) <= len(cycles)
    assert {e.cycle for e in concluded} <= cycles
    answered = sum(e.is_answered for e in concluded)
    assert answered >= len(cycles) / 3
    assert 0 < len(concluded) - answered <= counts["missed"]
    told: Counter[str] = Counter()
    for event in worker.events:
        if isinstance(event, Happened) and event.event_type == "day_summary":
            told.update({key.split("_")[0]: int(value) for key, value in event.detail.items()})
    assert counts["day_summary"] == 6
    assert (told["breaks"], told["snoozes"]) == (worker.walks, counts["snoozed"])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_more_is_obeyed_the_less_is_missed(seed):
    missed = Counter(
        datetime.fromtimestamp(e.t_ns / NS_PER_S, UTC).weekday()
        for e in week(seed).events
        if isinstance(e, Happened) and e.event_type == "missed"
    )
    assert missed[0] < missed[4]


@pytest.mark.parametrize("seed", SEEDS)
def test_requests_are_refused_only_for_good_reasons_and_the_week_ends_without_an_open_reminder(seed):
    assert week(seed).state.reminding.phase in (ReminderPhase.UNKNOWN, ReminderPhase.NOT_WORN)
    assert week(seed).state.reminding.cycle is None
    refused = [e.error for e in week(seed).events if isinstance(e, CommandResult) and not e.ok]
    assert all("no snoozes are left" in str(error) or "is open" in str(error) for error in refused)
