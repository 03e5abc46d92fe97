"""What a broker was heard to say becomes events: truth, prompts, bouts, states that look back; nonsense is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from posturewatch_sim.captures import Capture, CaptureError, Heard, clipped, message_of
from posturewatch_sim.score import score

from posturewatch.publishing.messages import simulated_truth
from posturewatch.publishing.topics import Topics
from posturewatch.types import NS_PER_S

START_S = 1_772_438_400
TOPICS = Topics("home")
ABOUT = {"scenario": "x", "seed": 1, "wearer": "w"}
WORN = {"type": "wear", "state": "worn", "start_s": 0.0, "end_s": 3000.0}
DUE = {"type": "reminder", "rule": "static", "level": "shift", "t_s": 1200.0}
HELD = {"type": "static", "start_s": 0.0, "end_s": 3000.0, "closed_by": "shift"}


def at(t_s: float) -> str:
    return datetime.fromtimestamp(START_S + t_s, UTC).isoformat()


def truth(*events: dict[str, Any], start_s: float = 0.0) -> list[Heard]:
    start_ns = round((START_S + start_s) * NS_PER_S)
    messages = [simulated_truth(TOPICS, "chest", {**e, **ABOUT}, start_ns) for e in events]
    return [Heard(m.topic, json.loads(m.payload), f"line {n}") for n, m in enumerate(messages, 1)]


def state(t_s: float, **other: Any) -> Heard:
    usual = {"reminder": "ok", "prompts_left_today": 9, "wear": "worn", "motion": "still", "posture": "sitting"}
    return Heard("home/wearer/me/state", {**usual, **other, "time": at(t_s)})


def prompt(t_s: float, rule: str = "static", count: int = 1, **other: Any) -> Heard:
    level = "shift" if rule == "static" else "break"
    payload = {"id": f"me/{rule}/1/{count}", "level": level, "repeat": 0, "test": False, "time": at(t_s)}
    return Heard("home/wearer/me/reminder", {**payload, **other})


def event(t_s: float, kind: str, at_s: float) -> Heard:
    return Heard("home/wearer/me/event", {"event_type": kind, "detail": {"at": at(at_s)}, "time": at(t_s)})


def figures(*heard: Heard) -> dict[str, Any]:
    capture = Capture.of(heard)
    true, start_s = capture.truth(None)
    said, until_s = capture.said(None, start_s)
    return score(clipped(true, until_s), said, delivered=True)


def spans(*heard: Heard, kind: str = "wear") -> list[tuple[str, float, float]]:
    said, _ = Capture.of(heard).said(None, START_S)
    return [(e.get("state", ""), e["start_s"], e["end_s"]) for e in said if e["type"] == kind]


def test_the_truth_comes_back_as_it_was_told_with_the_moment_when_it_began() -> None:
    told = [WORN, {**WORN, "asleep": True}, {**DUE, "optional": True}, {**HELD, "start_s": 0.5}]
    events, start_s = Capture.of(truth(*told)).truth(None)
    assert events == told
    assert start_s == pytest.approx(START_S, abs=0.001)


def test_the_newest_of_two_runs_counts() -> None:
    events, start_s = Capture.of([*truth(WORN, HELD), *truth({**DUE, "t_s": 5.0}, start_s=4000.0)]).truth(None)
    assert events == [{**DUE, "t_s": 5.0}]
    assert start_s == pytest.approx(START_S + 4000.0)


@pytest.mark.parametrize(
    "line",
    [
        '{"topic": "a/wearer/me/state", "payload": {"n": 1}, "retain": true}',  # demo --json
        '{"tst":"2026","topic":"a/wearer/me/state","qos":1,"retain":0,"payloadlen":8,"payload":"{\\"n\\": 1}"}',  # %j
        'a/wearer/me/state {"n": 1}',  # mosquitto_sub -v
    ],
)
def test_a_line_is_read_however_it_was_printed(line: str) -> None:
    assert message_of(line) == Heard("a/wearer/me/state", {"n": 1})


def test_a_prompt_counts_once_and_a_test_reminder_never() -> None:
    heard = [state(0), prompt(1200), prompt(1201), prompt(1300, count=2, test=True), state(1500)]
    found = figures(*truth(WORN, HELD, DUE), *heard)
    assert (found["reminders_said"], found["reminders_on_time"], found["reminders_false"]) == (1, 1, [])


def test_wear_looks_back_to_the_moment_that_the_event_tells() -> None:
    off = state(900, wear="off_body")
    heard = [state(0), off, event(900, "removed", 400), event(2000, "mounted", 1800), state(2000), state(2100)]
    assert spans(*heard) == [("worn", 0.0, 400.0), ("off_body", 400.0, 1800.0), ("worn", 1800.0, 2100.0)]


def test_what_was_said_before_the_simulation_began_is_left_out() -> None:
    heard = [state(-500, wear="off_body"), prompt(-400), state(1), state(60)]
    assert spans(*heard) == [("off_body", 0.0, 1.0), ("worn", 1.0, 60.0)]
    with pytest.raises(CaptureError, match="before the simulation"):
        Capture.of([state(-5)]).said(None, START_S)


def test_the_truth_after_the_last_message_is_not_asked_for() -> None:
    assert figures(*truth(WORN, HELD, DUE), state(0), state(1100))["reminders_missed"] == []
    assert figures(*truth(WORN, HELD, DUE), state(0), state(1300))["reminders_missed"] == [
        {"rule": "static", "t_s": 1200.0}
    ]


@pytest.mark.parametrize("why", [{"reminder": "held"}, {"reminder": "off"}, {"prompts_left_today": 0}])
def test_a_hold_or_a_spent_budget_excuses_silence(why: dict[str, Any]) -> None:
    found = figures(*truth(WORN, HELD, DUE), state(0), state(1100, **why), state(1300, **why))
    assert (found["reminders_missed"], found["reminders_excused"]) == ([], 1)


def test_a_wearer_or_sensor_has_to_be_chosen_where_there_are_several() -> None:
    other = Heard("home/wearer/you/state", state(5).payload)
    capture = Capture.of([state(5), other])
    with pytest.raises(CaptureError, match="more than one wearer: choose with --wearer from me, you"):
        capture.said(None, START_S)
    assert capture.said("you", START_S)[1] == pytest.approx(5.0)
    with pytest.raises(CaptureError, match="no wearer 'he'"):
        capture.said("he", START_S)
    with pytest.raises(CaptureError, match="no simulated sensor is heard"):
        capture.truth(None)


KEYS = st.sampled_from(["time", "id", "level", "repeat", "event_type", "detail", "kind", "start", "end", "type", "t_s"])
MORE = st.sampled_from(["start_s", "end_s", "reminder", "wear", "motion", "posture", "break_kind", "closed_by"])
PARTS = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=4), st.just(at(60)), st.just("me/static/1/1")
)
VALUES = st.one_of(PARTS, st.lists(PARTS, max_size=2), st.dictionaries(st.just("at"), PARTS, max_size=1))
LEAVES = st.sampled_from(["wearer/me/" + x for x in ("state", "reminder", "event", "bout")] + ["simulator/me/truth"])


@given(st.lists(st.tuples(LEAVES, st.dictionaries(KEYS | MORE, VALUES, max_size=14)), max_size=3))
def test_any_payload_is_scored_or_named(messages: list[tuple[str, dict[str, Any]]]) -> None:
    heard = [Heard(f"p/{topic}", payload, "line 1") for topic, payload in messages]
    try:
        figures(*truth(WORN, HELD, DUE), state(0), state(1300), *heard)
    except CaptureError as wrong:
        assert "\n" not in str(wrong)


@given(st.text(max_size=60))
def test_any_line_is_a_message_or_none(line: str) -> None:
    found = message_of(line)
    assert found is None or isinstance(found.payload, dict)


SEATED = {**HELD, "type": "sedentary", "closed_by": "break"}
BREAK_DUE = {**DUE, "rule": "sedentary", "level": "break", "t_s": 1800.0}


@pytest.mark.parametrize(
    ("prompts", "came", "missed", "false"),
    [
        ([prompt(1205), prompt(1800, "sedentary")], (2, 0, 0), [], []),
        ([prompt(1500), prompt(1800, "sedentary")], (1, 1, 0), [], []),  # kept back, and still right
        ([prompt(1200)], (1, 0, 0), ["sedentary"], []),  # a hint to shift is no hint to get up
        ([prompt(1800, "sedentary")], (1, 0, 0), ["static"], []),
        ([prompt(1200), prompt(1700, "sedentary")], (1, 0, 1), [], ["sedentary"]),
        ([prompt(1200), prompt(1800, "sedentary"), prompt(3100, count=2)], (2, 0, 0), [], ["static"]),
    ],
)
def test_a_prompt_is_right_while_its_rule_is_due_and_a_due_moment_wants_one(
    prompts: list[Heard], came: tuple[int, int, int], missed: list[str], false: list[str]
) -> None:
    found = figures(*truth(WORN, HELD, SEATED, DUE, BREAK_DUE), state(0), *prompts, state(3600))
    assert (found["reminders_on_time"], found["reminders_later"], found["reminders_excused"]) == came
    assert [one["rule"] for one in found["reminders_missed"]] == missed
    assert [one["rule"] for one in found["reminders_false"]] == false
    assert bool(found["failed"]) is bool(missed or false)


def test_a_break_that_is_asked_for_excuses_the_hint_to_shift_and_a_second_due_moment_may_stay_quiet() -> None:
    again = {**DUE, "t_s": 2400.0}
    late_shift = {**HELD, "start_s": 700.0}
    heard = [state(0), prompt(1800, "sedentary"), state(3600)]
    found = figures(*truth(WORN, late_shift, SEATED, {**DUE, "t_s": 1900.0}, BREAK_DUE, again), *heard)
    assert found["reminders_missed"] == []
    assert (found["reminders_on_time"], found["reminders_excused"]) == (1, 2)


def test_moments_of_the_truth_are_told_to_the_millisecond():
    message = simulated_truth(TOPICS, "chest", {**DUE, **ABOUT, "t_s": 5363.400000000001}, START_S * NS_PER_S)
    assert json.loads(message.payload)["t_s"] == 5363.4
