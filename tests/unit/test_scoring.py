"""The scorer finds what is late, missed, false, lost; and forgives only what it says."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from posturewatch_sim import scenarios, truth
from posturewatch_sim.score import exit_code, score

Events = list[dict[str, Any]]


@pytest.fixture
def walk() -> Events:
    return truth.truth(scenarios.load("walk-at-28"), seed=1)


@pytest.fixture
def laid_aside() -> Events:
    return truth.truth(scenarios.load("taken-off"), seed=1)


def reminder(rule: str, t_s: float) -> dict[str, Any]:
    return {"type": "reminder", "rule": rule, "level": "shift", "t_s": t_s}


@pytest.mark.parametrize("name", scenarios.available())
def test_the_truth_itself_has_no_fault(name: str) -> None:
    scenario = scenarios.load(name)
    for wearer in scenario.wearers:
        events = truth.truth(scenario, seed=3, wearer=wearer.id)
        figures = score(events, events)
        assert figures["failed"] == []
        assert exit_code(figures) == 0


@pytest.mark.parametrize(("by_s", "fine"), [(14.0, True), (-14.0, True), (16.0, False), (-16.0, False)])
def test_a_reminder_is_on_time_within_fifteen_seconds(walk: Events, by_s: float, fine: bool) -> None:
    said = deepcopy(walk)
    for event in said:
        if event["type"] == "reminder":
            event["t_s"] += by_s
    figures = score(walk, said)
    assert figures["reminder_delay_worst_s"] == by_s
    assert (figures["failed"] == []) is fine


def test_a_missed_and_a_false_reminder_are_both_named(walk: Events) -> None:
    said = [e for e in walk if e["type"] != "reminder"] + [reminder("sedentary", 2500.0)]
    figures = score(walk, said)
    assert figures["reminders_missed"] == [{"rule": "static", "t_s": 1200.0}]
    assert figures["reminders_false"] == [{"rule": "sedentary", "t_s": 2500.0}]
    assert exit_code(figures) == 1


def test_a_reminder_said_twice_is_false_the_second_time(walk: Events) -> None:
    figures = score(walk, [*walk, reminder("static", 1201.0)])
    assert figures["reminders_false"] == [{"rule": "static", "t_s": 1201.0}]


def test_breaks_missed_and_invented_lower_recall_and_precision(walk: Events) -> None:
    without = score(walk, [e for e in walk if e["type"] != "break"])
    assert without["break_recall"] == 0.0
    invented = score(walk, [*walk, {"type": "break", "kind": "real", "start_s": 100.0, "end_s": 300.0}])
    assert invented["break_precision"] == 0.5
    assert any("precision" in line for line in invented["failed"])


def test_a_reminder_to_an_empty_chair_is_false_once_six_minutes_have_passed(laid_aside: Events) -> None:
    assert score(laid_aside, [*laid_aside, reminder("static", 900.0)])["reminders_false"] == []
    late = score(laid_aside, [*laid_aside, reminder("static", 1200.0)])
    assert late["reminders_false"] == [{"rule": "static", "t_s": 1200.0}]


def test_calling_a_worn_sensor_off_body_or_a_laid_one_worn_fails(laid_aside: Events) -> None:
    worn = [{"type": "wear", "state": "worn", "start_s": 0.0, "end_s": 5408.0}]
    off = [{"type": "wear", "state": "off_body", "start_s": 0.0, "end_s": 5408.0}]
    unknown = [{"type": "wear", "state": "unknown", "start_s": 0.0, "end_s": 5408.0}]
    assert any("not seen" in line for line in score(laid_aside, worn)["failed"])
    assert any("called off body" in line for line in score(laid_aside, off)["failed"])
    assert score(laid_aside, unknown)["failed"] == []


def test_the_hold_dose_counts_only_when_asked_for() -> None:
    events = truth.truth(scenarios.load("lean-40"), seed=1)
    silent = [e for e in events if e["type"] != "reminder"]
    assert score(events, silent)["failed"] == []
    assert score(events, silent, rules=("hold_dose",))["reminders_missed"][0]["rule"] == "hold_dose"
