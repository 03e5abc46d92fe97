"""When the state is published, and the rate of shifts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from testbench.reminders import reminder_view

from posturewatch.core.body import Body
from posturewatch.publishing import messages
from posturewatch.publishing.pacing import ShiftRate, StateThrottle
from posturewatch.types import Level, Motion, Posture, ReminderPhase, Wear

S = 10**9
START_NS = 1_700_000_000 * S


def test_running_counters_are_told_every_ten_seconds() -> None:
    throttle, body = StateThrottle(), Body(wear=Wear.WORN, motion=Motion.STILL)
    told = []
    for second in range(100):
        body.static_s = float(second)
        if throttle.due(body, reminder_view(load_frac=second / 1200), START_NS + second * S):
            told.append(second)
    assert told == list(range(0, 100, 10))


def test_when_nothing_runs_once_a_minute_is_enough() -> None:
    throttle = StateThrottle()
    assert [s for s in range(150) if throttle.due(Body(), reminder_view(), START_NS + s * S)] == [0, 60, 120]


def test_samples_that_are_older_than_the_last_tick_tell_nothing_twice() -> None:
    throttle, body = StateThrottle(), Body(wear=Wear.WORN, motion=Motion.STILL)
    told = []
    for second in range(1, 101):
        for now_s in (float(second), second - 0.3):  # the tick, then what had arrived before it
            body.static_s = now_s
            if throttle.due(body, reminder_view(), START_NS + int(now_s * S)):
                told.append(now_s)
    assert told == list(range(1, 101, 10))


BODY_CHANGES = [
    ("wear", Wear.OFF_BODY),
    ("motion", Motion.WALKING),
    ("posture", Posture.LYING),
    ("last_break_ns", 5 * S),
    ("cos_inclination", 0.9),
    ("hold_dose_frac", 0.1),
]
REMINDER_CHANGES = [
    ("phase", ReminderPhase.DUE),
    ("cycle", "c1"),
    ("level", Level.BREAK),
    ("due", True),
    ("prompts_left_today", 9),
    ("snoozes_left", 1),
    ("hold_reason", "meeting"),
    ("hold_until_ns", 7 * S),
    ("on_hold", True),
    ("paused", True),
    ("breaks_today", 1),
    ("decision_ns", 5 * S),
]


@pytest.mark.parametrize("change", BODY_CHANGES)
def test_what_happens_to_the_body_is_told_at_once(change: tuple[str, Any]) -> None:
    throttle = StateThrottle()
    throttle.due(Body(), reminder_view(), START_NS)
    assert throttle.due(dataclasses.replace(Body(), **dict([change])), reminder_view(), START_NS + 1)


@pytest.mark.parametrize("change", REMINDER_CHANGES)
def test_what_happens_to_the_reminder_is_told_at_once(change: tuple[str, Any]) -> None:
    throttle = StateThrottle()
    throttle.due(Body(), reminder_view(), START_NS)
    assert throttle.due(Body(), reminder_view(**dict([change])), START_NS + 1)


def test_a_battery_change_and_a_clock_set_back_are_told_at_once() -> None:
    throttle = StateThrottle()
    throttle.due(Body(), reminder_view(), START_NS)
    assert throttle.due(Body(), reminder_view(), START_NS + 1, battery_pct=50)
    assert not throttle.due(Body(), reminder_view(), START_NS + 2, battery_pct=50.2)
    assert throttle.due(Body(), reminder_view(), START_NS - 3600 * S, battery_pct=50)


def test_every_key_of_the_state_is_either_watched_or_runs_by_itself() -> None:
    body_fields = {"wear", "motion", "posture", "last_break_ns", "cos_inclination", "hold_dose_frac"}
    assert {name for name, _ in BODY_CHANGES} == body_fields
    view = {n for n in vars(messages.ReminderView) if not n.startswith("_")}
    assert view - {name for name, _ in REMINDER_CHANGES} == {
        *("reason", "load_frac", "next_break_ns"),
        "decision",  # never changes without its moment
    }


def test_the_rate_counts_shifts_per_worn_hour_and_is_silent_before_ten_minutes() -> None:
    rate, body = ShiftRate(), Body(wear=Wear.WORN)
    said = []
    for second in range(7200):
        body.now_ns = START_NS + second * S
        body.shifts = second // 360  # ten an hour
        said.append(rate.update(body))
    assert all(s is None for s in said[:590])
    assert said[650] is not None
    assert said[-1] == pytest.approx(10.0, abs=0.7)


def test_time_off_body_does_not_count_and_old_hours_are_forgotten() -> None:
    rate, body = ShiftRate(), Body(wear=Wear.WORN, shifts=100)
    for second in range(10_000):
        body.now_ns = START_NS + second * S
        body.wear = Wear.WORN if second < 1800 else Wear.OFF_BODY
        body.shifts = 100 + min(second, 1800) // 180
        value = rate.update(body)
        if second == 1790:
            assert value == pytest.approx(18.0, abs=2.5)
    assert value is None


def test_a_clock_set_back_or_far_forward_harms_nothing() -> None:
    rate, body = ShiftRate(), Body(wear=Wear.WORN)
    for now_s in (10_000, 10_001, 5_000, 5_001, 2_000_000, 0):
        body.now_ns = now_s * S
        assert rate.update(body) is None
