"""The truth of a scenario is what the detection rules demand of its script."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from posturewatch_sim import scenarios, truth
from posturewatch_sim.faults import Faults
from posturewatch_sim.scenarios import Scenario, Step, Wearer

Events = list[dict[str, Any]]


def of(name: str, **more: Any) -> Events:
    return truth.truth(scenarios.load(name), seed=1, **more)


def due(events: Events, rule: str) -> list[float]:
    return [e["t_s"] for e in events if e["type"] == "reminder" and e["rule"] == rule and not e.get("optional")]


def spans(events: Events, of_type: str, **wanted: str) -> list[tuple[float, float]]:
    chosen = [e for e in events if e["type"] == of_type and all(e.get(k) == v for k, v in wanted.items())]
    return [(e["start_s"], e["end_s"]) for e in chosen]


def day(placement: str, *steps: tuple[str, float]) -> Events:
    script = tuple(Step(do, (60.0 * minutes, 60.0 * minutes)) for do, minutes in steps)
    return truth.truth(Scenario("day", "", "", (Wearer("w", placement, "polar_h10", script),)), seed=1)


def test_still_upright_is_due_after_twenty_minutes_and_worn_throughout() -> None:
    events = of("still-upright")
    assert due(events, "static") == [1200.0]
    assert spans(events, "wear") == [(0.0, 1500.0)]


def test_a_lean_of_fifteen_seconds_is_two_shifts_and_leaves_the_sedentary_bout_alone() -> None:
    events = of("lean-15s")
    assert spans(events, "static", closed_by="shift") == [(0.0, 900.0), (900.0, 915.0)]
    assert due(events, "static") == []
    assert spans(events, "sedentary") == [(0.0, 1515.0)]


def test_a_lean_of_six_seconds_is_a_fidget_and_the_bout_goes_on() -> None:
    events = of("lean-6s")
    assert spans(events, "static") == [(0.0, 1506.0)]
    assert due(events, "static") == [1200.0]


def test_a_slow_slump_is_no_shift() -> None:
    events = of("slow-slump")
    assert spans(events, "static") == [(0.0, 1500.0)]
    assert due(events, "static") == [1200.0]


def test_a_lean_of_forty_degrees_uses_up_its_holding_time_in_150_s() -> None:
    assert due(of("lean-40"), "hold_dose") == [pytest.approx(240.0 + 150.0, abs=2.0)]


@pytest.mark.parametrize("name", ["taken-off", "taken-off-8bit"])
def test_a_sensor_laid_aside_is_off_body_and_never_asks_for_anything(name: str) -> None:
    events = of(name)
    assert spans(events, "wear", state="off_body") == [(600.0, 5408.0)]
    assert not [e for e in events if e["type"] == "reminder"]
    assert spans(events, "sedentary", closed_by="off_body") == [(0.0, 600.0)]


def test_lying_on_the_back_is_worn_and_lying_and_not_to_be_disturbed() -> None:
    events = of("supine")
    assert spans(events, "wear", state="off_body") == []
    assert spans(events, "posture", state="lying") == [(240.0, 2640.0)]
    assert not [e for e in events if e["type"] == "reminder"]


def test_a_car_is_one_static_bout_and_no_walk() -> None:
    events = of("car")
    assert spans(events, "static") == [(0.0, 1500.0)]
    assert {e["state"] for e in events if e["type"] == "motion"} == {"still"}


def test_a_walk_of_two_minutes_is_a_real_break_and_restarts_the_half_hour() -> None:
    events = of("walk-at-28")
    assert spans(events, "break", kind="real") == [(1680.0, 1805.0)]
    assert spans(events, "sedentary") == [(0.0, 1680.0), (1805.0, 2885.0)]
    assert due(events, "sedentary") == []


def test_a_gap_of_45_s_pauses_the_clocks() -> None:
    assert due(of("gap-45s"), "static") == [1245.0]


def test_a_gap_of_90_s_censors_the_static_bout_and_pauses_the_sedentary_one() -> None:
    events = of("gap-90s")
    assert spans(events, "static") == [(0.0, 720.0), (810.0, 2100.0)]
    assert due(events, "static") == [2010.0]
    assert due(events, "sedentary") == [1890.0]
    assert spans(events, "wear", state="unknown") == [(720.0, 810.0)]


def test_a_gap_beyond_five_minutes_censors_the_sedentary_bout_too() -> None:
    events = of("still-upright", faults=Faults.parse({"gap": "6m@5:00"}))
    assert spans(events, "sedentary") == [(0.0, 300.0), (660.0, 1500.0)]


def test_the_demo_shows_a_shift_a_break_and_their_clearing_within_forty_minutes() -> None:
    events = of("demo-cycle", duration_s=2400.0)
    assert due(events, "static")[0] == 1206.0
    assert due(events, "sedentary")[0] == 1806.0
    ((start, end),) = spans(events, "break", kind="real")
    assert start > 1806.0
    assert end < 2300.0


def test_reminders_come_again_after_their_interval_and_the_firm_one_takes_the_place_of_the_soft() -> None:
    events = of("desk-freeze")
    assert due(events, "static") == [1200.0 * k for k in range(1, 7)]
    assert due(events, "sedentary") == [1800.0, 5400.0]
    assert due(events, "sedentary_firm") == [3600.0, 7200.0]


def test_a_fidgeter_never_sits_twenty_minutes_in_one_posture() -> None:
    events = of("fidgeter")
    assert due(events, "static") == []
    assert due(events, "sedentary") == [1800.0, 5400.0]


def test_standing_breaks_sitting_at_the_thigh_but_not_at_the_chest() -> None:
    steps = (("sit", 15.0), ("stand", 7.0), ("sit", 15.0))
    assert spans(day("thigh", *steps), "break", kind="real") == [(900.0, 1320.0)]
    assert due(day("thigh", *steps), "sedentary") == []
    assert spans(day("chest", *steps), "break") == []
    assert due(day("chest", *steps), "sedentary") == [1800.0]


def test_placement_decides_what_can_be_true() -> None:
    assert spans(day("wrist", ("sit", 25.0)), "static") == []
    assert {e["state"] for e in day("wrist", ("sit", 5.0)) if e["type"] == "posture"} == {"unknown"}
    assert {e["state"] for e in day("thigh", ("sit", 5.0)) if e["type"] == "posture"} == {"sitting"}
    assert {e["state"] for e in day("chest", ("sit", 5.0)) if e["type"] == "posture"} == {"upright_unknown"}
    assert due(day("wrist", ("sleep", 40.0)), "sedentary") == []  # it would be due, but is nobody's loss
    assert due(day("wrist", ("sit", 40.0)), "sedentary") == [1800.0]


def test_short_walks_add_up_to_a_real_break_only_within_three_minutes() -> None:
    near = day("chest", ("sit", 5.0), ("walk", 1.25), ("stand", 0.5), ("walk", 1.25), ("sit", 5.0))
    far = day("chest", ("sit", 5.0), ("walk", 1.25), ("stand", 4.0), ("walk", 1.25), ("sit", 5.0))
    assert spans(near, "break", kind="real") == [(300.0, 480.0)]
    assert spans(far, "break", kind="real") == []
    assert len(spans(far, "break", kind="micro")) == 2


@pytest.mark.parametrize("name", scenarios.available())
def test_intervals_of_one_type_cover_the_recording_without_overlap(name: str) -> None:
    scenario = scenarios.load(name)
    for wearer in scenario.wearers:
        events = truth.truth(scenario, seed=2, wearer=wearer.id)
        for kind in ("wear", "motion", "posture"):
            rows = spans(events, kind)
            assert rows[0][0] == 0.0
            assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(rows))
        for kind in ("static", "sedentary", "break"):
            rows = spans(events, kind)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(rows))
