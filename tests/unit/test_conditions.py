"""What other devices say, over time: begins at once, ends after a calm, never lasts for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posturewatch.requests.conditions import Condition, Conditions, MappedTopic, read_value
from posturewatch.types import NS_PER_S

S = NS_PER_S
MIN = 60 * S
START = 1_790_000_000 * S
CAMERA = MappedTopic("camera", "in a meeting")
DESK = MappedTopic("desk", "not there", is_hold=False)


def silent(condition: Condition, now_s: float) -> bool:
    return condition.silent_until(START + round(now_s * S)) is not None


def test_a_hold_begins_at_once_and_ends_after_a_calm():
    camera = Condition(CAMERA)
    assert not silent(camera, 0)
    camera.hear(b"ON", START)
    assert silent(camera, 0)
    camera.hear(b"off", START + 60 * S)
    assert silent(camera, 74.9)
    assert not silent(camera, 75)


def test_only_when_is_the_other_way_round():
    desk = Condition(DESK)
    assert not silent(desk, 0)
    desk.hear(b"on", START)
    assert not silent(desk, 1)
    desk.hear(b"away", START + 2 * S)
    assert silent(desk, 2)
    desk.hear(b"1", START + 10 * S)
    assert silent(desk, 20)
    assert not silent(desk, 25)


def test_a_topic_that_flaps_is_one_silence():
    conditions = Conditions([CAMERA])
    told = [conditions.hear("camera", b"on" if at % 2 == 0 else b"off", START + at * S) for at in range(120)]
    assert [t.why for t in told if t is not None and t.why != "in a meeting"] == []
    assert sum(t is not None for t in told) <= 20
    after = [conditions.tick(START + at * S) for at in range(120, 200)]
    assert [t.why for t in after if t is not None] == [None]


def test_a_topic_that_goes_silent_no_longer_counts():
    camera = Condition(CAMERA)
    camera.hear(b"on", START)
    assert silent(camera, 4 * 3600 - 1)
    assert not silent(camera, 4 * 3600)
    desk = Condition(MappedTopic("desk", "not there", is_hold=False, silent_after_ns=10 * MIN))
    desk.hear(b"off", START)
    assert silent(desk, 599)
    assert not silent(desk, 600)


def test_a_hold_that_is_repeated_for_ever_is_given_up_until_it_ended_once():
    camera = Condition(MappedTopic("camera", "busy", longest_ns=60 * MIN))
    for minute in range(200):
        camera.hear(b"on", START + minute * MIN)
        assert silent(camera, 60 * minute) is (minute < 60)
    camera.hear(b"off", START + 200 * MIN)
    assert not silent(camera, 200 * 60 + 20)
    camera.hear(b"on", START + 201 * MIN)
    assert silent(camera, 201 * 60)


def test_a_clock_set_back_keeps_the_time_that_is_left():
    camera = Condition(CAMERA)
    camera.hear(b"on", START)
    camera.hear(b"off", START + 10 * S)
    assert silent(camera, 11 - 3600)
    assert silent(camera, 24 - 3600)
    assert not silent(camera, 26 - 3600)


def test_of_several_conditions_the_one_that_lasts_longest_is_told():
    conditions = Conditions([CAMERA, MappedTopic("calendar", "booked", settle_ns=0)])
    assert conditions.tick(START) is None
    told = conditions.hear("camera", b"on", START)
    assert told is not None
    assert (told.why, told.until_ns) == ("in a meeting", START + 240 * MIN)
    later = conditions.hear("calendar", b"on", START + 100 * MIN)
    assert later is not None
    assert later.why == "booked"
    ended = conditions.hear("calendar", b"off", START + 110 * MIN)
    assert ended is not None
    assert ended.why == "in a meeting"


@pytest.mark.parametrize(
    ("payload", "pointer", "value"),
    [
        (b"on", None, "on"),
        (b" ON\n", None, "ON"),
        (b"", None, None),
        (b"\xff", None, None),
        (b'{"state": "on"}', "/state", "on"),
        (b'{"a": {"b/c": [0, true]}}', "/a/b~1c/1", "true"),
        (b'{"presence": 1}', "/presence", "1"),
        (b'{"a": {}}', "/a", None),
        (b'{"a": null}', "/a", None),
        (b"[1]", "/a", None),
        (b"[1]", "/7", None),
        (b"on", "/state", None),
        (b"[" * 60_000, "/0", None),
        (b"x" * 100_000, None, None),
    ],
)
def test_a_value_is_found_in_a_payload_or_not(payload, pointer, value):
    assert read_value(payload, pointer) == value


STEPS = st.lists(
    st.tuples(st.floats(0, 7200), st.sampled_from([b"on", b"off", b"", b"{", None])), min_size=1, max_size=30
)


@given(STEPS, st.booleans())
def test_whatever_is_heard_silence_has_an_end_within_its_bounds(steps, is_hold):
    condition, now_ns = Condition(MappedTopic("t", "why", is_hold)), START
    for wait_s, payload in steps:
        now_ns += round(wait_s * S)
        if payload is not None:
            condition.hear(payload, now_ns)
        until_ns = condition.silent_until(now_ns)
        assert until_ns is None or now_ns < until_ns <= now_ns + 240 * MIN
    assert condition.silent_until(now_ns + 240 * MIN) is None


@given(st.binary(max_size=60), st.sampled_from([None, "/a", "/0/b", "/", "/~1"]))
def test_any_payload_is_a_short_word_or_nothing(payload, pointer):
    value = read_value(payload, pointer)
    assert value is None or 0 <= len(value) <= 60
