"""Each way from one state of a reminder to the next, walked by a wearer whose every second is written down here."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from posturewatch.core.body import Body
from posturewatch.core.pipeline import shift_times
from posturewatch.core.reminding import command, initial, limits_in_force, step
from posturewatch.core.reminding.budgets import find_quiet
from posturewatch.core.settings import Limits, Reminding, Settings
from posturewatch.rules import discover
from posturewatch.types import (
    NS_PER_S,
    BoutPhase,
    BreakKind,
    Channel,
    Command,
    CommandResult,
    Concluded,
    Happened,
    Level,
    Link,
    Motion,
    Posture,
    Prompt,
    ReminderPhase,
    RuleDue,
    Silenced,
    Verb,
    Wear,
    Withdrawn,
)

START_S = 1_700_000_000 - 1_700_000_000 % 86_400 + 8 * 3600  # eight in the morning
P = ReminderPhase
MIN = 60
QUIET_HINT = "quiet_hours must be like 20:00-07:00 or mon-fri 20:00-07:00, or off, or default, not "


class Wearer:
    """A body second by second, its reminder machine, and all that was said."""

    def __init__(self, limits: Limits | None = None, **manners: Any) -> None:
        self.settings = Settings("anna", (), discover(), limits=limits or Limits(), reminding=Reminding(**manners))
        self.state = initial(self.settings)
        self.body = Body(now_ns=START_S * NS_PER_S, link=Link.OK, wear=Wear.WORN, motion=Motion.STILL)
        self.body.posture, self.body.bout = Posture.SITTING, BoutPhase.STATIC
        self.body.static_since_ns = self.body.sedentary_since_ns = self.body.now_ns
        self.events: list[Any] = []

    def second(self, still: bool = True, **flags: bool) -> None:
        body = self.body
        body.now_ns += NS_PER_S
        if still and body.wear is Wear.WORN and body.link is Link.OK:
            body.static_s += 1.0
        if body.wear is Wear.WORN and body.link is Link.OK and body.break_kind is not BreakKind.REAL:
            body.sedentary_s += 1.0
        for name in flags:
            setattr(body, name, True)
        step(self.state, body, self.settings, self.events)
        for name in flags:
            setattr(body, name, False)

    def sit(self, seconds: float) -> Wearer:
        self.body.motion = Motion.STILL
        for _ in range(int(seconds)):
            self.second()
        return self

    def walk(self, seconds: int) -> Wearer:
        """Walk, and sit down again: a micro break from 30 s, a real one from 120 s."""
        body = self.body
        body.motion, body.static_s, body.static_since_ns = Motion.WALKING, 0.0, 0
        for at in range(1, seconds + 1):
            body.break_progress_frac = min(at / 120, 1.0)
            reached = at == 120
            if at >= 30:
                body.break_kind = BreakKind.REAL if at >= 120 else BreakKind.MICRO
            if reached:
                body.sedentary_s = 0.0
            self.second(still=False, **({"real_break_reached": True} if reached else {}))
        kind, body.break_progress_frac = body.break_kind, 0.0
        body.motion, body.static_since_ns, body.sedentary_since_ns = Motion.STILL, body.now_ns, body.now_ns
        flags = {"break_over": True} if kind else {}
        self.second(**(flags | ({"micro_break_ended": True} if kind is BreakKind.MICRO else {})))
        body.break_kind = None
        return self

    def shift(self) -> Wearer:
        self.body.static_s, self.body.static_since_ns = 0.0, self.body.now_ns
        self.second(shift_ended=True)
        return self

    def take_off(self, seconds: int) -> Wearer:
        body = self.body
        body.wear, body.static_s, body.sedentary_s = Wear.OFF_BODY, 0.0, 0.0
        self.second(removed=True)
        for _ in range(seconds - 1):
            self.second()
        body.wear = Wear.WORN
        self.second(mounted=True)
        return self

    def say(self, verb: Verb, **about: Any) -> CommandResult:
        asked = Command(self.body.now_ns, verb, **about)
        command(self.state, asked, self.body, self.settings, self.events)
        result = self.events[-1]
        assert isinstance(result, CommandResult)
        return result

    def all_of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def happened(self) -> list[str]:
        return [event.event_type for event in self.all_of(Happened)]

    def minutes_of(self, kind: type, **about: Any) -> list[float]:
        found = [e for e in self.all_of(kind) if all(getattr(e, k) == v for k, v in about.items())]
        return [round((e.t_ns / NS_PER_S - START_S) / MIN, 2) for e in found]


def break_due(**manners: Any) -> Wearer:
    """A wearer who was just asked, firmly, to take a break (only breaks are asked for)."""
    wearer = Wearer(**manners)
    wearer.say(Verb.SET, key="level", value="break")
    wearer.sit(60 * MIN)
    assert wearer.all_of(Prompt)[-1].event_type == "break_due_firm"
    return wearer


def shift_due(**manners: Any) -> Wearer:
    wearer = Wearer(**manners).sit(20 * MIN)
    assert wearer.all_of(Prompt)[-1].event_type == "shift_due"
    return wearer


# ---------------------------------------------------------------- due


def test_still_hour_asks_at_its_limits():
    wearer = Wearer().sit(61 * MIN)
    assert wearer.minutes_of(RuleDue, rule="static") == [20, 40, 60]
    assert wearer.minutes_of(RuleDue, rule="sedentary") == [30]
    assert wearer.minutes_of(RuleDue, rule="sedentary_firm") == [60]
    assert wearer.minutes_of(Prompt, repeat=0, level=Level.BREAK) == [30, 60]


def test_as_due_gives_each_raw_moment_as_one_prompt():
    wearer = Wearer(as_due=True, quiet=((0, 1 << 62),)).sit(125 * MIN)
    assert wearer.minutes_of(RuleDue, rule="sedentary") == [30, 90]
    assert wearer.minutes_of(RuleDue, rule="sedentary_firm") == [60, 120]
    assert wearer.minutes_of(Prompt) == [20, 30, 40, 60, 80, 90, 100, 120]
    assert not wearer.all_of(Happened)
    due_ids = {event.id for event in wearer.all_of(RuleDue)}
    assert {event.id for event in wearer.all_of(Prompt)} <= due_ids


def test_load_passes_ok_and_building_before_due():
    wearer = Wearer().sit(16 * MIN - 1)
    assert (wearer.state.phase, wearer.state.due) == (P.OK, False)
    wearer.sit(1)
    assert (wearer.state.phase, wearer.state.due) == (P.BUILDING, False)
    wearer.sit(4 * MIN)
    state = wearer.state
    assert (state.phase, state.due, state.load_frac) == (P.DUE, True, 1.0)
    assert state.reason == "20 min in one posture"
    assert state.cycle == f"anna/static/{START_S}/1"


@pytest.mark.parametrize("motion", [Motion.MOVING, Motion.WALKING, Motion.UNKNOWN])
def test_due_while_moving_waits_for_rest(motion):
    wearer = Wearer().sit(20 * MIN - 1)
    wearer.body.motion = motion
    for _ in range(30):
        wearer.second()
    assert not wearer.all_of(Prompt)
    assert not wearer.all_of(RuleDue)
    wearer.sit(1)
    assert len(wearer.all_of(Prompt)) == len(wearer.all_of(RuleDue)) == 1


def test_lying_wearer_is_not_asked():
    wearer = Wearer()
    wearer.body.posture = Posture.LYING
    assert not wearer.sit(70 * MIN).all_of(Prompt)


def test_standing_wearer_is_asked_to_shift_only():
    wearer = Wearer()
    wearer.body.posture = Posture.STANDING
    assert {prompt.level for prompt in wearer.sit(70 * MIN).all_of(Prompt)} == {Level.SHIFT}


def test_hold_dose_builds_at_80_and_asks_at_100_percent():
    wearer = Wearer()
    wearer.body.hold_dose_frac = 0.8
    assert wearer.sit(1).state.phase is P.BUILDING
    wearer.body.hold_dose_frac = 1.0
    assert wearer.sit(1).state.phase is P.DUE
    assert wearer.all_of(Prompt)[-1].rule == "hold_dose"


# ---------------------------------------------------------------- movement clears


def test_shift_clears_a_static_prompt():
    wearer = shift_due().shift()
    assert wearer.state.phase is P.OK
    assert wearer.state.cycle is None
    assert [event.why for event in wearer.all_of(Withdrawn)] == ["moved"]


def test_shift_does_not_clear_a_break():
    wearer = break_due()
    assert wearer.shift().state.phase is P.DUE


def test_short_excursion_keeps_a_static_prompt():
    wearer = shift_due()
    wearer.body.bout = BoutPhase.EXCURSION
    wearer.body.static_s = 0.0
    wearer.second(still=False)
    assert wearer.state.phase is P.DUE


def test_micro_break_clears_a_static_prompt():
    wearer = shift_due()
    wearer.body.static_s = 0.0
    wearer.second(micro_break_ended=True)
    assert wearer.state.cycle is None


@pytest.mark.parametrize("before", [None, Verb.ACK, Verb.SNOOZE])
def test_break_completes_a_reminder_from_any_open_state(before):
    wearer = break_due()
    cycle = wearer.state.cycle
    if before is not None:
        assert wearer.say(before).ok
    wearer.walk(60)
    assert "break_completed" not in wearer.happened()
    wearer = break_due()
    cycle = wearer.state.cycle
    if before is not None:
        assert wearer.say(before).ok
    wearer.walk(130)
    completed = [event for event in wearer.all_of(Happened) if event.event_type == "break_completed"]
    assert [event.cycle for event in completed] == [cycle]
    assert wearer.all_of(Withdrawn)[-1].cycle == cycle
    assert (wearer.state.phase, wearer.state.breaks_today) == (P.OK, 1)


def test_walking_is_on_break_until_it_is_over():
    wearer = break_due()
    body = wearer.body
    body.motion, body.break_kind, body.break_progress_frac = Motion.WALKING, BreakKind.MICRO, 0.4
    wearer.second(still=False)
    assert wearer.state.phase is P.ON_BREAK
    assert wearer.state.next_break_ns is None


def test_break_of_one_s_own_is_self_initiated():
    wearer = Wearer().sit(10 * MIN).walk(130)
    assert "self_initiated" in wearer.happened()
    assert "break_completed" not in wearer.happened()
    assert wearer.state.breaks_today == 1


def test_part_of_a_break_takes_its_share_off_the_load():
    wearer = break_due().walk(60)
    assert "break_partial" in wearer.happened()
    assert wearer.state.cycle is None
    assert wearer.state.load_frac == pytest.approx(2.0 / 2, rel=0.05)  # an hour of half an hour, half of it walked off


def test_credit_ends_with_the_clock_it_was_given_for():
    wearer = break_due().walk(60).walk(130)
    wearer.sit(MIN)
    assert wearer.state.next_break_ns == pytest.approx(wearer.body.now_ns + 29 * MIN * NS_PER_S, abs=4 * NS_PER_S)


# ---------------------------------------------------------------- nobody answers


def test_firm_break_is_repeated_twice_then_missed_where_the_budget_has_room():
    wearer = break_due(break_per_hour=4)
    firm = wearer.state.cycle
    wearer.sit(16 * MIN)
    assert wearer.minutes_of(Prompt, cycle=firm) == [60, 65, 70]
    assert [e.repeat for e in wearer.all_of(Prompt) if e.cycle == firm] == [0, 1, 2]
    assert [e.event_type for e in wearer.all_of(Happened) if e.cycle == firm] == ["missed"]
    assert wearer.state.phase is P.BUILDING
    assert wearer.state.prompts_left_today == 10 - 4  # the soft one, the firm one, and its repeats


@pytest.mark.parametrize("budget", [{}, {"break_per_hour": 9, "break_per_day": 2}])
def test_a_repeat_that_the_budget_has_no_room_for_does_not_come(budget):
    wearer = break_due(**budget).sit(16 * MIN)
    assert wearer.minutes_of(Prompt) == [30, 60]
    assert wearer.minutes_of(Happened, event_type="missed") == [40, 70]


def test_a_repeat_comes_as_soon_as_the_hour_has_room_for_it():
    wearer = Wearer()
    wearer.say(Verb.SET, key="level", value="break")
    wearer.sit(59 * MIN)
    wearer.body.motion = Motion.MOVING
    for _ in range(23 * MIN):
        wearer.second()
    wearer.sit(9 * MIN)
    assert wearer.minutes_of(Prompt) == [30, 82.02, 90]


def test_a_louder_repeat_comes_without_room_since_the_wearer_allowed_it():
    wearer = break_due(top_rung=3).sit(16 * MIN)
    assert [(prompt.repeat, prompt.rung) for prompt in wearer.all_of(Prompt)] == [(0, 2), (0, 2), (1, 3)]
    assert wearer.minutes_of(Prompt) == [30, 60, 65]


def test_a_shift_is_not_repeated():
    wearer = shift_due(shift_per_hour=9).sit(9 * MIN)
    assert wearer.minutes_of(Prompt) == [20]
    assert wearer.state.phase is P.DUE


@pytest.mark.parametrize("verb", [Verb.SNOOZE, Verb.ACK])
def test_what_comes_back_because_the_wearer_asked_for_it_is_not_taken_off_the_budgets(verb):
    wearer = break_due()
    assert wearer.say(verb).ok
    wearer.sit(11 * MIN)
    assert wearer.minutes_of(Prompt) == [30, 60, 70]
    assert wearer.state.prompts_left_today == 10 - 2


def test_soft_break_is_asked_for_once():
    wearer = Wearer()
    wearer.say(Verb.SET, key="level", value="break")
    wearer.sit(59 * MIN)
    assert wearer.minutes_of(Prompt) == [30]
    assert wearer.minutes_of(Happened, event_type="missed") == [40]


def test_escalated_follows_due_after_five_minutes():
    wearer = break_due(break_per_hour=3).sit(5 * MIN)
    assert wearer.state.phase is P.ESCALATED
    assert wearer.state.due


def test_three_ignored_prompts_make_the_next_later_and_lower():
    wearer = break_due(shift_per_hour=0).sit(100 * MIN)
    missed = wearer.minutes_of(Happened, event_type="missed")
    third = wearer.minutes_of(Prompt, repeat=0)[2]
    later = [e for e in wearer.all_of(Prompt) if e.repeat == 0][3]
    assert len(missed) >= 3
    assert third < missed[2]
    assert (later.t_ns / NS_PER_S - START_S) / MIN == 130  # due at 120, ten minutes later
    assert later.rung == 1


def test_rung_never_exceeds_the_top():
    wearer = break_due(top_rung=1).sit(20 * MIN)
    assert {prompt.rung for prompt in wearer.all_of(Prompt)} == {1}


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.SNOOZE, Verb.SKIP, Verb.COUNT_BREAK])
def test_an_answer_concludes_the_reminder_once_with_the_channel_it_names(verb):
    wearer = break_due()
    cycle, before = wearer.state.cycle, len(wearer.all_of(Concluded))
    assert wearer.say(verb, channel=Channel.PUSH).ok
    wearer.sit(25 * MIN)
    told = [event for event in wearer.all_of(Concluded)[before:] if event.cycle == cycle]
    assert [(event.is_answered, event.channel) for event in told] == [(True, Channel.PUSH)]


def test_moving_and_missing_conclude_a_reminder_without_a_channel():
    assert [(e.is_answered, e.channel) for e in shift_due().shift().all_of(Concluded)] == [(True, None)]
    assert [(e.is_answered, e.channel) for e in break_due().sit(11 * MIN).all_of(Concluded)] == [(False, None)] * 2


def test_acknowledged_is_silent_then_repeated_once_then_missed():
    wearer = break_due()
    cycle = wearer.state.cycle
    assert wearer.say(Verb.ACK).ok
    assert wearer.state.phase is P.ACKNOWLEDGED
    assert wearer.all_of(Withdrawn)[-1].why == "acknowledged"
    wearer.sit(16 * MIN)
    assert wearer.minutes_of(Prompt, cycle=cycle) == [60, 70]
    assert wearer.minutes_of(Happened, event_type="missed", cycle=cycle) == [75]


def test_snooze_ends_by_asking_again_in_the_same_cycle():
    wearer = break_due()
    cycle = wearer.state.cycle
    assert wearer.say(Verb.SNOOZE, minutes=5).value == 5.0
    assert (wearer.state.phase, wearer.state.snoozes_left) == (P.SNOOZED, 1)
    wearer.sit(5 * MIN - 1)
    assert len(wearer.minutes_of(Prompt, cycle=cycle)) == 1
    wearer.sit(1)
    assert wearer.minutes_of(Prompt, cycle=cycle) == [60, 65]
    assert wearer.state.phase is P.DUE


def test_snoozes_are_capped_for_a_reminder():
    wearer = break_due()
    assert wearer.say(Verb.SNOOZE).ok
    assert wearer.say(Verb.SNOOZE).ok
    refused = wearer.say(Verb.SNOOZE)
    assert not refused.ok
    assert "no snoozes are left" in (refused.error or "")


def test_snoozes_are_capped_for_a_day():
    wearer = break_due(snoozes_per_cycle=9, snoozes_per_day=3)
    assert [wearer.say(Verb.SNOOZE).ok for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("minutes", [7, 0, -5, math.nan, math.inf])
def test_snooze_takes_only_its_choices(minutes):
    wearer = break_due()
    refused = wearer.say(Verb.SNOOZE, minutes=minutes)
    assert refused.error is not None
    assert refused.error.startswith("snooze takes 5, 10, 15 minutes")
    assert wearer.state.phase is P.DUE


def test_skip_gives_a_full_interval():
    wearer = break_due()
    assert wearer.say(Verb.SKIP).ok
    assert wearer.state.phase is P.OK
    assert wearer.state.load_frac == 0.0
    assert "skipped" in wearer.happened()
    assert wearer.all_of(Withdrawn)[-1].why == "skipped"
    before = len(wearer.all_of(Prompt))
    wearer.sit(30 * MIN - 1)
    assert len(wearer.all_of(Prompt)) == before
    wearer.sit(1)
    assert wearer.all_of(Prompt)[-1].event_type == "break_due"


def test_skipping_a_shift_leaves_the_break_clock():
    wearer = shift_due()
    wearer.say(Verb.SKIP)
    assert wearer.sit(10 * MIN).minutes_of(Prompt, level=Level.BREAK) == [30]


def test_count_break_counts_what_the_sensor_cannot_see():
    wearer = break_due()
    cycle = wearer.state.cycle
    assert wearer.say(Verb.COUNT_BREAK).ok
    assert (wearer.state.cycle, wearer.state.breaks_today, wearer.state.load_frac) == (None, 1, 0.0)
    assert [e.cycle for e in wearer.all_of(Happened) if e.event_type == "break_completed"] == [cycle]
    wearer.say(Verb.COUNT_BREAK)
    assert wearer.state.breaks_today == 2


def test_declared_break_completes_without_movement():
    wearer = break_due()
    assert wearer.say(Verb.START_BREAK).ok
    assert wearer.state.phase is P.ON_BREAK
    wearer.sit(119)
    assert wearer.state.phase is P.ON_BREAK
    wearer.sit(2)
    assert wearer.state.phase is P.OK
    assert wearer.state.breaks_today == 1


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.SNOOZE, Verb.SKIP])
def test_answer_to_nothing_is_refused(verb):
    wearer = Wearer().sit(10)
    refused = wearer.say(verb)
    assert not refused.ok
    assert refused.error
    assert wearer.state.phase is P.OK


@pytest.mark.parametrize("verb", list(Verb))
def test_stale_command_changes_nothing(verb):
    wearer = break_due()
    before = dataclasses.asdict(wearer.state)
    result = wearer.say(verb, cycle="anna/sedentary/1/1")
    assert (result.ok, result.error) == (False, "stale")
    after = dataclasses.asdict(wearer.state)
    assert {k for k in before if before[k] != after[k]} <= {"wake_ns"}


def test_command_for_the_open_cycle_is_accepted():
    wearer = break_due()
    assert wearer.say(Verb.ACK, cycle=wearer.state.cycle).ok


def test_repeated_request_is_answered_alike_and_done_once():
    wearer = break_due()
    first = wearer.say(Verb.SNOOZE, request="r1", minutes=5)
    again = wearer.say(Verb.SNOOZE, request="r1", minutes=5)
    assert first == again
    assert wearer.state.snoozes_left == 1


def test_test_reminder_counts_nowhere():
    wearer = Wearer().sit(10)
    assert wearer.say(Verb.TEST_REMINDER).ok
    prompt = wearer.all_of(Prompt)[0]
    assert prompt.test
    assert wearer.state.cycle is None
    assert wearer.state.prompts_left_today == 10
    assert not wearer.say(Verb.TEST_REMINDER).ok
    assert wearer.sit(10).say(Verb.TEST_REMINDER).value != prompt.id


@pytest.mark.parametrize(("manners", "asked", "rung"), [({}, None, 2), ({"top_rung": 1}, None, 1), ({}, 0, 0)])
def test_test_reminder_has_buttons_unless_another_rung_is_asked_for(manners, asked, rung):
    wearer = Wearer(**manners).sit(1)
    wearer.say(Verb.TEST_REMINDER, rung=asked)
    assert [prompt.rung for prompt in wearer.all_of(Prompt)] == [rung]


def test_test_reminder_is_never_louder_than_allowed():
    wearer = Wearer().sit(1)
    assert "set top_rung, which is 2" in wearer.say(Verb.TEST_REMINDER, rung=3).error
    assert wearer.say(Verb.SET, key="top_rung", value=3).ok
    assert wearer.say(Verb.TEST_REMINDER, rung=3).ok


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.SNOOZE, Verb.SKIP])
def test_button_of_a_test_reminder_takes_it_back_and_counts_nowhere(verb):
    wearer = break_due()
    test = wearer.say(Verb.TEST_REMINDER).value
    result = wearer.say(verb, cycle=test)
    assert (result.ok, result.value) == (True, "only a test")
    assert wearer.all_of(Withdrawn)[-1].cycle == test
    assert (wearer.state.phase, wearer.state.snoozes_today) == (P.DUE, 0)


# ---------------------------------------------------------------- silence


def test_hold_is_not_rest_and_ends_in_one_prompt_worded_for_it():
    wearer = Wearer().sit(10 * MIN)
    assert wearer.say(Verb.HOLD, minutes=90, reason="meeting").value == 90.0
    assert (wearer.state.phase, wearer.state.hold_reason) == (P.OK, "meeting")
    wearer.sit(90 * MIN - 1)
    assert not wearer.all_of(Prompt)
    assert (wearer.state.phase, wearer.state.load_frac, wearer.state.due) == (P.HELD, 1.5, False)
    assert {e.why for e in wearer.all_of(Silenced)} == {"meeting"}
    wearer.sit(4 * MIN)
    prompts = wearer.all_of(Prompt)
    assert wearer.minutes_of(Prompt) == [102]  # a gap of two minutes
    assert prompts[0].reason["after"] == "meeting"
    assert prompts[0].reason["held_s"] == pytest.approx(90 * MIN)
    released = next(e for e in wearer.all_of(Happened) if e.event_type == "released")
    assert released.detail["sedentary_firm"] == 1


def test_hold_takes_an_open_reminder_back():
    wearer = break_due(break_per_hour=5)
    cycle = wearer.state.cycle
    wearer.say(Verb.HOLD, minutes=5)
    assert wearer.state.phase is P.HELD
    assert (wearer.all_of(Withdrawn)[-1].cycle, wearer.state.cycle) == (cycle, None)
    wearer.say(Verb.RELEASE)
    wearer.sit(13 * MIN)
    assert wearer.minutes_of(Prompt)[-1] == 70  # not sooner than ten minutes after the last one


def test_shorter_hold_does_not_shorten_a_longer_one():
    wearer = Wearer().sit(1)
    wearer.say(Verb.HOLD, minutes=120, reason="deep work")
    assert wearer.say(Verb.HOLD, minutes=40, reason="meeting").value == 120.0
    assert wearer.say(Verb.HOLD, minutes=10, reason="deep work").value == 120.0
    assert wearer.state.hold_reason == "deep work"


@pytest.mark.parametrize("own_min", [30, 120])
def test_end_of_a_meeting_leaves_the_wearers_own_hold_in_force(own_min):
    wearer = Wearer().sit(1)
    wearer.say(Verb.HOLD, minutes=own_min)
    wearer.say(Verb.HOLD, minutes=40, reason="meeting")
    assert wearer.say(Verb.RELEASE, reason="meeting").value is True
    assert wearer.state.hold_reason == "on hold"
    assert wearer.say(Verb.RELEASE, reason="meeting").value is False
    wearer.sit(own_min * MIN + 1)
    assert not wearer.state.on_hold


def test_release_without_a_reason_ends_all_holds():
    wearer = Wearer().sit(1)
    wearer.say(Verb.HOLD, minutes=30)
    wearer.say(Verb.HOLD, minutes=40, reason="meeting")
    assert wearer.say(Verb.RELEASE).value is True
    assert not wearer.state.on_hold


def test_hold_that_is_over_does_not_come_back():
    wearer = Wearer().sit(1)
    wearer.say(Verb.HOLD, minutes=5)
    wearer.say(Verb.HOLD, minutes=40, reason="meeting")
    wearer.sit(6 * MIN).say(Verb.RELEASE, reason="meeting")
    assert not wearer.state.on_hold


def test_hold_is_capped():
    wearer = Wearer().sit(1)
    assert wearer.say(Verb.HOLD, minutes=1e9).value == 240.0


@pytest.mark.parametrize("about", [{"minutes": -1}, {"minutes": math.nan}, {"until_ns": 5}, {"minutes": -math.inf}])
def test_hold_that_cannot_be_meant_is_refused(about):
    wearer = Wearer().sit(1)
    assert not wearer.say(Verb.HOLD, **about).ok
    assert wearer.state.hold_reason is None


def test_pause_is_off_and_ends_by_itself():
    wearer = Wearer().sit(10 * MIN)
    wearer.say(Verb.PAUSE, minutes=30)
    assert (wearer.state.phase, wearer.state.hold_reason) == (P.OFF, "paused")
    wearer.sit(29 * MIN)
    assert wearer.state.phase is P.OFF
    assert not wearer.all_of(Prompt)
    wearer.sit(4 * MIN)
    assert wearer.minutes_of(Prompt) == [42]


def test_resume_ends_a_pause():
    wearer = Wearer().sit(1)
    wearer.say(Verb.PAUSE)
    assert wearer.say(Verb.RESUME).value is True
    assert wearer.state.phase is P.OK
    assert wearer.say(Verb.RESUME).value is False


def test_quiet_period_holds_and_is_summed_up():
    now_ns = START_S * NS_PER_S
    wearer = Wearer(quiet=((now_ns, now_ns + 25 * MIN * NS_PER_S),)).sit(25 * MIN - 1)
    assert (wearer.state.phase, wearer.state.hold_reason) == (P.HELD, "quiet hours")
    assert not wearer.all_of(Prompt)
    assert len(wearer.all_of(RuleDue)) == 1
    wearer.sit(3 * MIN)
    assert wearer.minutes_of(Prompt) == [27]
    summary = next(e for e in wearer.all_of(Happened) if e.event_type == "released")
    assert summary.detail == {"why": "quiet hours", "static": 1}


def test_grace_after_putting_on():
    wearer = Wearer().take_off(60)
    wearer.body.hold_dose_frac = 1.2
    wearer.sit(10 * MIN - 1)
    assert (wearer.state.phase, wearer.state.hold_reason) == (P.HELD, "just put on")
    assert not wearer.all_of(Prompt)
    assert wearer.sit(1).state.phase is P.DUE


def test_taking_off_closes_the_reminder():
    wearer = break_due()
    wearer.body.wear = Wear.OFF_BODY
    wearer.second(removed=True)
    assert (wearer.state.phase, wearer.state.cycle) == (P.NOT_WORN, None)
    assert wearer.all_of(Withdrawn)[-1].why == "taken off"


def test_lost_data_keeps_the_reminder_for_ten_minutes():
    wearer = break_due()
    cycle = wearer.state.cycle
    wearer.body.link, wearer.body.wear = Link.LOST, Wear.UNKNOWN
    wearer.sit(60)
    assert (wearer.state.phase, wearer.state.cycle) == (P.UNKNOWN, cycle)
    wearer.sit(10 * MIN)
    assert wearer.state.cycle is None
    assert "missed" not in [e.event_type for e in wearer.all_of(Happened) if e.cycle == cycle]


def test_short_loss_of_data_resumes_where_it_was():
    wearer = break_due()
    wearer.body.link, wearer.body.wear = Link.LOST, Wear.UNKNOWN
    wearer.sit(60)
    wearer.body.link, wearer.body.wear = Link.OK, Wear.WORN
    assert wearer.sit(1).state.phase is P.DUE


def test_budget_of_an_hour_holds_further_prompts():
    wearer = Wearer(limits=Limits(static_limit_s=300.0, sedentary_limit_s=1e9), shift_per_hour=2, min_gap_s=0.0)
    for _ in range(8):
        wearer.sit(5 * MIN).shift()
    assert wearer.minutes_of(Prompt, repeat=0) == pytest.approx([5, 10], abs=0.1)
    assert "enough prompts for this hour" in {e.why for e in wearer.all_of(Silenced)}


def test_budget_of_a_day_is_renewed_at_local_midnight():
    # 1 h east of UTC: the day of this wearer ends at 23:00 UTC, fifteen hours after the start
    wearer = Wearer(limits=Limits(static_limit_s=1e9), break_per_day=1, utc_offsets=((0, 3600),))
    wearer.sit(31 * MIN)
    assert wearer.state.prompts_left_today == 0
    wearer.body.sedentary_s = 0.0
    wearer.sit(40 * MIN)
    assert (wearer.state.phase, wearer.state.due) == (P.HELD, True)
    assert wearer.state.hold_reason == "enough prompts for today"
    wearer.body.now_ns = (START_S + 15 * 3600 - 2) * NS_PER_S
    wearer.sit(1)
    assert len(wearer.all_of(Prompt)) == 1
    wearer.sit(1)
    assert len(wearer.all_of(Prompt)) == 2


def test_reason_to_be_silent_is_said_once():
    wearer = Wearer().sit(10 * MIN)
    wearer.say(Verb.HOLD, minutes=60)
    wearer.sit(19 * MIN)
    assert len(wearer.all_of(Silenced)) == 1
    assert wearer.state.decision == "silent about static: on hold"


# ---------------------------------------------------------------- levels


def test_higher_level_takes_the_place_of_an_open_shift_without_a_gap():
    wearer = Wearer().sit(30 * MIN)
    assert wearer.minutes_of(Prompt, level=Level.BREAK) == [30]
    assert wearer.minutes_of(Prompt, level=Level.SHIFT) == [20]
    assert wearer.all_of(Withdrawn)[-1].why == "something more is due"


def test_level_of_a_cycle_never_changes():
    wearer = Wearer().sit(200 * MIN)
    levels: dict[str, set[Level]] = {}
    for prompt in wearer.all_of(Prompt):
        levels.setdefault(prompt.cycle, set()).add(prompt.level)
    assert all(len(found) == 1 for found in levels.values())


# ---------------------------------------------------------------- set


@pytest.mark.parametrize(
    ("key", "value", "attribute", "in_force"),
    [
        ("static_limit_min", 10, "static_limit_s", 600.0),
        ("static_limit_min", "10", "static_limit_s", 600.0),
        ("sedentary_limit_min", 45.0, "sedentary_limit_s", 2700.0),
    ],
)
def test_limits_can_be_set(key, value, attribute, in_force):
    wearer = Wearer().sit(1)
    assert wearer.say(Verb.SET, key=key, value=value).ok
    assert getattr(limits_in_force(wearer.state, wearer.settings), attribute) == in_force


def test_lower_limit_acts_at_once():
    wearer = Wearer().sit(11 * MIN)
    wearer.say(Verb.SET, key="static_limit_min", value=10)
    assert wearer.state.phase is P.DUE


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("static_limit_min", 4, "static_limit_min must be 5 to 60 minutes, not 4"),
        ("static_limit_min", "soon", "static_limit_min must be 5 to 60 minutes, not soon"),
        ("static_limit_min", True, "static_limit_min must be 5 to 60 minutes, not True"),
        ("static_limit_min", None, "static_limit_min must be 5 to 60 minutes, not None"),
        ("sedentary_limit_min", math.nan, "sedentary_limit_min must be 15 to 120 minutes, not nan"),
        ("level", "loud", "level must be shift (prompts of both levels) or break (breaks only), not loud"),
        ("reminders", "maybe", "reminders must be on or off, not maybe"),
        ("top_rung", 1.5, "top_rung must be a whole number from 0 to 3, not 1.5"),
        ("quiet_hours", "8-9", QUIET_HINT + "8-9"),
        ("quiet_hours", "someday 20:00-07:00", QUIET_HINT + "someday 20:00-07:00"),
        ("quiet_hours", "mon- 20:00-07:00", QUIET_HINT + "mon- 20:00-07:00"),
        ("quiet_hours", "8:00-08:00", QUIET_HINT + "8:00-08:00"),
    ],
)
def test_setting_that_cannot_be_is_refused_with_the_range(key, value, error):
    wearer = Wearer().sit(1)
    result = wearer.say(Verb.SET, key=key, value=value)
    assert (result.ok, result.error) == (False, error)


def test_unknown_setting_is_refused_with_the_known_ones():
    error = Wearer().sit(1).say(Verb.SET, key="colour", value=1).error
    assert error is not None
    assert "'colour' cannot be set" in error
    assert "static_limit_min" in error


def test_reminders_can_be_turned_off_and_on():
    wearer = break_due()
    wearer.say(Verb.SET, key="reminders", value=False)
    assert (wearer.state.phase, wearer.state.cycle) == (P.OFF, None)
    assert wearer.say(Verb.SET, key="reminders", value="ON").value is True
    assert wearer.state.phase is not P.OFF


@pytest.mark.parametrize(("span", "quiet"), [("07:30-09:00", True), ("20:00-7:30", False), ("20:00-08:30", True)])
def test_quiet_hours_can_be_set_in_local_time(span, quiet):
    wearer = Wearer().sit(1)  # just after eight
    assert wearer.say(Verb.SET, key="quiet_hours", value=span).ok
    assert (wearer.state.hold_reason == "quiet hours") is quiet


@pytest.mark.parametrize(
    ("moment", "quiet", "changes"),
    [
        ("2026-03-06T19:59", False, "2026-03-06T20:00"),  # a Friday
        ("2026-03-06T23:00", True, "2026-03-07T07:00"),
        ("2026-03-07T06:59", True, "2026-03-07T07:00"),
        ("2026-03-07T07:00", False, "2026-03-09T20:00"),
        ("2026-03-08T23:00", False, "2026-03-09T20:00"),
        ("2026-03-09T06:00", False, "2026-03-09T20:00"),  # a Monday: that of Sunday would still go on
        ("2026-03-09T20:00", True, "2026-03-10T07:00"),
    ],
)
def test_quiet_hours_can_be_set_for_the_days_on_which_they_begin(moment, quiet, changes):
    wearer = Wearer().sit(1)
    assert wearer.say(Verb.SET, key="quiet_hours", value="Mon-Fri 20:00-7:00").value == "mon-fri 20:00-07:00"
    settings = Wearer(utc_offsets=((0, 3600),)).settings

    def at_ns(local: str) -> int:
        return round(datetime.fromisoformat(f"{local}+01:00").timestamp()) * NS_PER_S

    assert find_quiet(wearer.state, settings, at_ns(moment)) == (quiet, at_ns(changes))


@pytest.mark.parametrize(
    ("days", "first"), [("sat,sun", "2026-03-07"), ("fri-mon", "2026-03-06"), ("wed", "2026-03-11")]
)
def test_days_of_quiet_hours_are_lists_and_ranges_over_the_weekend(days, first):
    wearer = Wearer().sit(1)
    assert wearer.say(Verb.SET, key="quiet_hours", value=f"{days} 12:00-13:00").ok
    thursday_ns = round(datetime(2026, 3, 5, 14, tzinfo=UTC).timestamp()) * NS_PER_S
    noon_ns = round(datetime.fromisoformat(f"{first}T12:00+00:00").timestamp()) * NS_PER_S
    assert find_quiet(wearer.state, wearer.settings, thursday_ns) == (False, noon_ns)


def test_calibrate_is_refused_with_the_way_to_do_it():
    error = Wearer().sit(1).say(Verb.CALIBRATE).error
    assert error is not None
    assert "posturewatch calibrate" in error


# ---------------------------------------------------------------- clocks


@pytest.mark.parametrize("jump_s", [3600, -3600, 86_400, -86_400])
@pytest.mark.parametrize("before", [None, Verb.ACK, Verb.SNOOZE, Verb.HOLD])
def test_clock_jump_gives_at_most_one_prompt(jump_s, before):
    wearer = break_due()
    if before is not None:
        wearer.say(before)
    count = len(wearer.all_of(Prompt))
    wearer.body.now_ns += jump_s * NS_PER_S
    wearer.sit(30)
    assert len(wearer.all_of(Prompt)) - count <= 1
    assert len(wearer.all_of(RuleDue)) == len({event.id for event in wearer.all_of(RuleDue)})


def test_clock_set_back_keeps_the_length_of_a_snooze():
    wearer = break_due()
    wearer.say(Verb.SNOOZE, minutes=10)
    wearer.body.now_ns -= 3600 * NS_PER_S
    wearer.sit(10 * MIN - 5)
    assert wearer.state.phase is P.SNOOZED
    assert wearer.sit(10).state.phase is P.DUE


def test_state_moved_with_the_rest_of_the_wearer_keeps_intervals_and_budgets():
    wearer = break_due(escalate_s=1e6)
    asked_ns = wearer.state.break_prompts_ns[-1]
    shift_times(wearer.state, -3600)
    wearer.body.now_ns -= 3600 * NS_PER_S
    wearer.sit(1)
    assert wearer.state.break_prompts_ns[-1] == asked_ns - 3600 * NS_PER_S
    assert wearer.state.asked_ns["sedentary_firm"] == asked_ns - 3600 * NS_PER_S
    assert wearer.state.due_ns["sedentary_firm"] == asked_ns - 3600 * NS_PER_S


def test_ticks_ahead_of_the_seconds_do_not_stretch_or_shrink_a_snooze():
    wearer = break_due()
    wearer.say(Verb.SNOOZE, minutes=5)
    for _ in range(5 * MIN - 5):
        wearer.second()
        second_ns = wearer.body.now_ns
        wearer.body.now_ns = second_ns + 2 * NS_PER_S  # a tick
        step(wearer.state, wearer.body, wearer.settings, wearer.events)
        wearer.body.now_ns = second_ns
    assert wearer.state.phase is P.SNOOZED
    assert wearer.sit(6).state.phase is P.DUE


def test_next_break_is_foreseen():
    wearer = Wearer().sit(10 * MIN)
    assert wearer.state.next_break_ns == pytest.approx((START_S + 30 * MIN) * NS_PER_S, abs=2 * NS_PER_S)


# ---------------------------------------------------------------- does it help


def test_reminders_are_counted_as_answered_or_missed_by_their_rung_and_told_at_midnight():
    wearer = break_due(soft_rung=1, firm_rung=2, max_escalations=0)  # the soft one before was missed
    wearer.walk(125)
    assert (wearer.state.answered, wearer.state.missed) == ([0, 0, 1, 0], [0, 1, 0, 0])
    wearer.body.now_ns += 16 * 3600 * NS_PER_S
    wearer.sit(1)
    summary = next(e for e in wearer.all_of(Happened) if e.event_type == "day_summary")
    assert summary.detail == {
        "breaks": 1,
        "snoozes": 0,
        "answered_rung_1": 0,
        "missed_rung_1": 1,
        "answered_rung_2": 1,
        "missed_rung_2": 0,
    }
    assert (wearer.state.answered, wearer.state.missed) == ([0] * 4, [0] * 4)


def test_a_reminder_that_was_snoozed_and_then_missed_counts_once():
    wearer = shift_due(max_escalations=0)
    wearer.say(Verb.SNOOZE, minutes=5)
    wearer.sit(25 * MIN)
    assert "missed" in wearer.happened()
    assert wearer.state.answered[1] == 1
    assert wearer.state.missed[1] == 0


def test_a_quiet_day_has_no_summary():
    wearer = Wearer().sit(60)
    wearer.body.now_ns += 16 * 3600 * NS_PER_S
    assert "day_summary" not in wearer.sit(1).happened()


# ---------------------------------------------------------------- the page


def test_page_of_the_life_cycle_lists_every_state():
    page = Path(__file__).resolve().parents[2] / "docs" / "reminders.md"
    rows = [line.split("|")[1].strip().strip("`") for line in page.read_text().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row in tuple(P)] == [str(phase) for phase in P]
    assert set(Verb) <= set(rows)
