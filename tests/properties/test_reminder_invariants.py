"""What holds for the reminder machine whatever a wearer does, asks for, and whatever the clock does."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from posturewatch.core.body import Body
from posturewatch.core.reminding import command, initial, step, surround
from posturewatch.core.settings import Limits, Reminding, Settings
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.rules import discover
from posturewatch.types import (
    NS_PER_S,
    BoutPhase,
    BreakKind,
    Command,
    CommandResult,
    Level,
    Link,
    Motion,
    Posture,
    Prompt,
    ReminderPhase,
    RuleDue,
    Surroundings,
    Verb,
    Wear,
    Withdrawn,
)

START_S = 1_700_000_000 - 1_700_000_000 % 86_400 + 22 * 3600  # midnight is near
HOUR_NS, DAY_NS = 3600 * NS_PER_S, 86_400 * NS_PER_S
OPEN = {ReminderPhase.DUE, ReminderPhase.ESCALATED, ReminderPhase.ACKNOWLEDGED, ReminderPhase.SNOOZED}
LIMITS = Limits(static_limit_s=90.0, sedentary_limit_s=150.0)
BRISK = Reminding(
    grace_s=60.0, min_gap_s=40.0, escalate_s=30.0, missed_pause_s=90.0, ack_silence_s=50.0, back_off_s=45.0,
    after_hold_s=15.0, prompt_expires_s=70.0, shift_per_hour=6, break_per_hour=5, break_per_day=9,
)  # fmt: skip
TIGHT = dataclasses.replace(BRISK, shift_per_hour=1, break_per_hour=1, break_per_day=2, max_escalations=0)
QUIET = dataclasses.replace(
    BRISK, quiet=tuple(((START_S + at) * NS_PER_S, (START_S + at + 200) * NS_PER_S) for at in (300, 900, 2500))
)
AS_DUE = dataclasses.replace(QUIET, as_due=True)
ZERO = dataclasses.replace(BRISK, grace_s=0.0, min_gap_s=0.0, missed_pause_s=0.0, escalate_s=1.0, after_hold_s=0.0)
MANNERS = st.sampled_from([Reminding(), BRISK, TIGHT, QUIET, AS_DUE, ZERO])

ACTS = st.tuples(
    st.sampled_from(
        ["sit", "sit", "sit", "walk", "shift", "stand", "lie", "lean", "excursion", "off", "lost", "gap", "meet"]
    ),
    st.integers(1, 260),
)
ASKS = st.builds(
    lambda verb, **about: Command(0, verb, **about),
    st.sampled_from(list(Verb)),
    request=st.none() | st.sampled_from(["a", "b", "c"]),
    cycle=st.sampled_from([None, None, None, "anna/static/1/1"]),
    minutes=st.none() | st.sampled_from([5.0, 10.0, 1.0, -1.0, float("nan"), 1e9]),
    key=st.sampled_from(["static_limit_min", "sedentary_limit_min", "level", "quiet_hours", "reminders", "x", None]),
    value=st.sampled_from([5, "20", "break", "shift", "on", "off", True, None, "21:00-22:30", float("nan"), "default"]),
)
SCRIPTS = st.lists(ACTS | ASKS, min_size=1, max_size=25)
JUMPS = st.tuples(st.just("jump"), st.sampled_from([3600, -3600, 90_000, -90_000, -61, 400]))


class Day:
    """Plays a script second by second, and watches what must never be."""

    def __init__(self, manners: Reminding, always_decide: bool = False) -> None:
        self.settings = Settings("anna", (), discover(), limits=LIMITS, reminding=manners)
        self.state = initial(self.settings)
        self.body = Body(now_ns=START_S * NS_PER_S, link=Link.OK, wear=Wear.WORN, motion=Motion.STILL)
        self.body.posture, self.body.bout, self.body.hold_dose_frac = Posture.SITTING, BoutPhase.STATIC, 0.0
        self._begin()
        self.events: list[Any] = []
        self.shown: list[Any] = []
        self.always_decide = always_decide
        self.save_at: set[int] = set()
        self.steps = 0

    def _begin(self) -> None:
        body = self.body
        body.static_s = body.sedentary_s = 0.0
        body.static_since_ns = body.sedentary_since_ns = body.now_ns

    def play(self, script: list[Any]) -> Day:
        for part in script:
            if isinstance(part, Command):
                self._watch(lambda part=part: command(self.state, part, self.body, self.settings, self.events))
            elif part[0] == "jump":
                self.body.now_ns += part[1] * NS_PER_S
            else:
                getattr(self, f"_{part[0]}")(part[1])
        return self

    def _second(self, static: bool = True, sedentary: bool = True, **flags: bool) -> None:
        body = self.body
        body.now_ns += NS_PER_S
        body.static_s += static
        body.sedentary_s += sedentary
        for name in flags:
            setattr(body, name, True)
        if self.steps in self.save_at:
            self.state = load_state(json.loads(json.dumps(dump_state(self.state))))
        if self.always_decide:
            self.state.wake_ns = 0
        self._watch(lambda: step(self.state, body, self.settings, self.events))
        self.steps += 1
        for name in flags:
            setattr(body, name, False)

    def _watch(self, act: Any) -> None:
        before = len(self.events)
        seen = dataclasses.replace(self.body) if self.steps % 64 == 0 else None
        act()
        assert seen is None or seen == self.body, "the machine changed the body"
        new = self.events[before:]
        prompts = [event for event in new if isinstance(event, Prompt) and not event.test]
        assert len(prompts) <= 1
        for prompt in prompts:
            self._judge(prompt)
        state = self.state
        assert state.phase not in OPEN or state.cycle is not None
        assert 0.0 <= state.load_frac < 1000.0
        assert state.prompts_left_today >= 0
        assert state.snoozes_left >= 0
        self.shown.append((state.phase, state.cycle, state.level, state.due, state.hold_reason))

    def _judge(self, prompt: Prompt) -> None:
        body, state, manners = self.body, self.state, self.settings.reminding
        assert (body.wear, body.link) == (Wear.WORN, Link.OK)
        assert body.motion in (Motion.STILL, Motion.MICRO)
        assert body.posture is not Posture.LYING
        assert body.posture is not Posture.STANDING or prompt.level is Level.SHIFT
        assert prompt.expires_ns > prompt.t_ns
        assert state.cycle == prompt.cycle
        if not manners.as_due:
            assert state.enabled is not False
            assert state.paused_until_ns <= prompt.t_ns
            assert state.wearer_hold is None
            assert state.surroundings is None
            assert not any(a <= prompt.t_ns < b for a, b in manners.quiet) or state.quiet_hours is not None

    def _sit(self, seconds: int) -> None:
        for _ in range(seconds):
            self._second()

    def _walk(self, seconds: int) -> None:
        body = self.body
        body.motion, body.static_s = Motion.WALKING, 0.0
        for at in range(1, seconds + 1):
            body.break_progress_frac = min(at / 120, 1.0)
            if at >= 30:
                body.break_kind = BreakKind.REAL if at >= 120 else BreakKind.MICRO
            if at == 120:
                body.sedentary_s = 0.0
                self._second(False, False, real_break_reached=True)
            else:
                self._second(False, at < 120)
        body.motion = Motion.STILL
        body.static_since_ns = body.now_ns
        if body.break_kind is BreakKind.REAL:
            body.sedentary_since_ns = body.now_ns
        if body.break_kind is not None:
            micro = {"micro_break_ended": True} if body.break_kind is BreakKind.MICRO else {}
            self._second(break_over=True, **micro)
        body.break_kind, body.break_progress_frac = None, 0.0

    def _meet(self, seconds: int) -> None:
        """What other devices say ends by itself, is taken back, or is said anew."""
        now_ns = self.body.now_ns
        told = Surroundings(now_ns, "in a meeting" if seconds % 3 else None, now_ns + seconds * NS_PER_S)
        surround(self.state, told, now_ns, self.events)
        self._sit(seconds)

    def _shift(self, seconds: int) -> None:
        self.body.static_s, self.body.static_since_ns = 0.0, self.body.now_ns
        self._second(shift_ended=True)
        self._sit(seconds)

    def _stand(self, seconds: int) -> None:
        self.body.posture = Posture.STANDING
        self._sit(seconds)
        self.body.posture = Posture.SITTING

    def _lie(self, seconds: int) -> None:
        self.body.posture = Posture.LYING
        for _ in range(seconds):
            self._second(False, False)
        self.body.posture = Posture.SITTING

    def _lean(self, seconds: int) -> None:
        for _ in range(seconds):
            self.body.hold_dose_frac = min((self.body.hold_dose_frac or 0.0) + 0.01, 1.3)
            self._second()
        self.body.hold_dose_frac = 0.0

    def _excursion(self, seconds: int) -> None:
        self.body.bout, self.body.static_s = BoutPhase.EXCURSION, 0.0
        for _ in range(min(seconds, 9)):
            self._second(False)
        self.body.bout = BoutPhase.STATIC

    def _off(self, seconds: int) -> None:
        self._begin()
        self.body.wear = Wear.OFF_BODY
        self._second(False, False, removed=True)
        for _ in range(seconds):
            self._second(False, False)
        self.body.wear = Wear.WORN
        self._begin()
        self._second(mounted=True)

    def _lost(self, seconds: int) -> None:
        body = self.body
        body.link, body.wear, body.motion = Link.LOST, Wear.UNKNOWN, Motion.UNKNOWN
        for _ in range(seconds):
            self._second(False, False)
        body.link, body.wear, body.motion, body.static_s = Link.OK, Wear.WORN, Motion.STILL, 0.0
        body.static_since_ns = body.now_ns
        self._second()

    def _gap(self, seconds: int) -> None:
        self.body.now_ns += seconds * NS_PER_S
        self._second()

    def prompts(self, **about: Any) -> list[Prompt]:
        found = [event for event in self.events if isinstance(event, Prompt) and not event.test]
        return [event for event in found if all(getattr(event, k) == v for k, v in about.items())]


@settings(max_examples=200)
@given(MANNERS, SCRIPTS)
def test_budgets_and_gaps_are_kept(manners, script):
    day = Day(manners).play(script)
    if manners.as_due:
        return
    for level, per_hour in ((Level.SHIFT, manners.shift_per_hour), (Level.BREAK, manners.break_per_hour)):
        asked = [prompt.t_ns for prompt in _unasked_prompts(day.events) if prompt.level is level]
        assert all(sum(t <= u < t + HOUR_NS for u in asked) <= per_hour for t in asked)
        times = [prompt.t_ns for prompt in day.prompts(repeat=0, level=level)]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert all(gap >= manners.min_gap_s * NS_PER_S for gap in gaps)
    days = [prompt.t_ns // DAY_NS for prompt in _unasked_prompts(day.events) if prompt.level is Level.BREAK]
    assert all(days.count(one) <= manners.break_per_day for one in days)


def _unasked_prompts(events):
    """First prompts and repeats, but for louder ones and those that a snooze or an acknowledgement asked for."""
    wanted: set[str] = set()  # cycles
    rungs: dict[str, int] = {}
    for event in events:
        if isinstance(event, Withdrawn) and event.why in ("snoozed", "acknowledged"):
            wanted.add(event.cycle)
        elif isinstance(event, Prompt) and not event.test:
            if event.cycle not in wanted and event.rung <= rungs.get(event.cycle, event.rung):
                yield event
            wanted.discard(event.cycle)
            rungs[event.cycle] = event.rung


@settings(max_examples=200)
@given(MANNERS, st.lists(ACTS | ASKS | JUMPS, max_size=25))
def test_ids_are_never_used_again_with_another_meaning(manners, script):
    day = Day(manners).play(script)
    dues = {event.id: event for event in day.events if isinstance(event, RuleDue)}
    assert len(dues) == sum(isinstance(event, RuleDue) for event in day.events)
    prompts = [event for event in day.events if isinstance(event, Prompt)]
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    for prompt in prompts:
        due = dues.get(prompt.id)
        assert due is None or (due.t_ns, due.rule) == (prompt.t_ns, prompt.rule)
    cycles = [prompt.cycle for prompt in prompts if not prompt.test]
    runs = [cycle for at, cycle in enumerate(cycles) if at == 0 or cycles[at - 1] != cycle]
    assert len(set(runs)) == len(runs), "a reminder that was over spoke again"


@settings(max_examples=150)
@given(MANNERS, SCRIPTS, st.sampled_from(["lost", "sit", "lie", "off"]))
def test_every_reminder_ends(manners, script, ending):
    day = Day(manners).play(script)
    cycle = day.state.cycle
    day.play([(ending, 3000)])
    assert cycle is None or day.state.cycle != cycle


@settings(max_examples=150)
@given(MANNERS, st.lists(ACTS | ASKS | JUMPS, max_size=20), st.sets(st.integers(0, 3000), max_size=5))
def test_saving_and_loading_anywhere_changes_nothing(manners, script, save_at):
    plain = Day(manners).play(script)
    saved = Day(manners)
    saved.save_at = save_at
    saved.play(script)
    assert repr(saved.events) == repr(plain.events)
    assert repr(dump_state(saved.state)) == repr(dump_state(plain.state))


@settings(max_examples=200)
@given(MANNERS, st.lists(ACTS | ASKS | JUMPS, max_size=20))
@example(AS_DUE, [("meet", 4), ("meet", 4)])  # a meeting that ended by itself begins anew
def test_doing_nothing_quickly_is_the_same_as_deciding_every_second(manners, script):
    quick, slow = Day(manners).play(script), Day(manners, always_decide=True).play(script)
    assert repr(quick.events) == repr(slow.events)
    assert quick.shown == slow.shown


@settings(max_examples=200)
@given(MANNERS, SCRIPTS, st.sampled_from([3600, -3600, 7 * 86_400, -7 * 86_400]))
def test_clock_jump_brings_one_prompt_of_a_level_at_most(manners, script, jump_s):
    day = Day(manners).play(script)
    before = len(day.prompts())
    day.play([("jump", jump_s), ("sit", 10)])
    levels = [prompt.level for prompt in day.prompts()[before:]]
    most = 4 if manners in (AS_DUE, ZERO) else 1  # without gaps soft, firm, and the two repeats of that
    assert all(levels.count(level) <= most for level in levels)


@settings(max_examples=200)
@given(MANNERS, st.lists(ASKS, min_size=1, max_size=30))
def test_every_command_is_answered_and_a_repeated_request_alike(manners, asked):
    day = Day(manners).play([("sit", 95)]).play(asked)
    answers = [event for event in day.events if isinstance(event, CommandResult)]
    assert len(answers) == len(asked)
    by_request: dict[str, set[str]] = {}
    for answer in answers:
        assert answer.ok is (answer.error is None)
        assert answer.error is None or (answer.error and "\n" not in answer.error)
        if answer.request is not None:
            by_request.setdefault(answer.request, set()).add(repr(dataclasses.replace(answer, t_ns=0)))
    assert all(len(found) == 1 for found in by_request.values())


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
BODIES = st.builds(
    Body,
    now_ns=st.integers(-(1 << 62), 1 << 62),
    link=st.sampled_from(Link),
    wear=st.sampled_from(Wear),
    motion=st.sampled_from(Motion),
    posture=st.sampled_from(Posture),
    bout=st.sampled_from(BoutPhase),
    static_s=NUMBERS,
    static_since_ns=st.integers(-(1 << 62), 1 << 62),
    cos_inclination=st.none() | NUMBERS,
    sedentary_s=NUMBERS,
    sedentary_since_ns=st.integers(-(1 << 62), 1 << 62),
    hold_dose_frac=st.none() | NUMBERS,
    break_kind=st.none() | st.sampled_from(BreakKind),
    break_progress_frac=NUMBERS,
    shift_ended=st.booleans(),
    micro_break_ended=st.booleans(),
    real_break_reached=st.booleans(),
    break_over=st.booleans(),
    mounted=st.booleans(),
    removed=st.booleans(),
)


@settings(max_examples=150)
@given(MANNERS, st.lists(BODIES | ASKS, min_size=1, max_size=20))
def test_nothing_raises_whatever_the_body_says(manners, script):
    about = Settings("anna", (), discover(), reminding=manners)
    state, body, events = initial(about), Body(), []
    for part in script:
        if isinstance(part, Command):
            command(state, part, body, about, events)
        else:
            body = part
            step(state, body, about, events)
        assert 0.0 <= state.load_frac < 1000.0
        json.dumps(dump_state(state))
