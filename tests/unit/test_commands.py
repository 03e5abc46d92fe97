"""What is understood as a command, what it comes to, and what is said of the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from posturewatch.config.core_settings import tabulate_utc_offsets
from posturewatch.errors import CommandError
from posturewatch.requests.commands import Address, LocalTime, find_reply_topic, read_payload, read_topic, to_command
from posturewatch.types import NS_PER_S, Command, Verb


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * NS_PER_S


NOW_NS = ns("2026-03-02T10:00:00+00:00")
UTC_NOW = LocalTime(NOW_NS)


def understand(topic: str, payload: Any = b"PRESS", local: LocalTime = UTC_NOW) -> Command:
    address = read_topic("pw", f"pw/wearer/anna/{topic}")
    assert address is not None
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return to_command(address, read_payload(raw), local)


def minutes_to(command: Command, now_ns: int = NOW_NS) -> float:
    assert command.until_ns is not None
    return (command.until_ns - now_ns) / (60 * NS_PER_S)


def berlin(text: str) -> LocalTime:
    return LocalTime(ns(text), tabulate_utc_offsets("Europe/Berlin", ns(text)))


@pytest.mark.parametrize(
    ("topic", "address"),
    [
        ("pw/wearer/anna/do/ack", Address("anna", "do", "ack")),
        ("pw/wearer/anna/set/level", Address("anna", "set", "level")),
        ("pw/wearer/anna/state", None),
        ("pw/wearer/anna/do/ack/now", None),
        ("pw/wearer/anna/result/x", None),
        ("other/wearer/anna/do/ack", None),
        ("pw/bridge/do/ack", None),
    ],
)
def test_an_address_is_read_from_its_topic(topic, address):
    assert read_topic("pw", topic) == address


@pytest.mark.parametrize("verb", [v for v in Verb if v is not Verb.SET])
def test_the_press_of_a_button_is_every_verb_with_its_defaults(verb):
    assert understand(f"do/{verb}") == Command(NOW_NS, verb)


@pytest.mark.parametrize("payload", [b"10", b" 10.0 ", {"minutes": 10}, {"minutes": 10.0}])
def test_a_snooze_is_a_number_or_an_object(payload):
    assert understand("do/snooze", payload).minutes == 10.0


@pytest.mark.parametrize(
    ("payload", "minutes"),
    [
        (b"1h30", 90),
        (b"2h", 120),
        (b"45min", 45),
        (b"45m", 45),
        (b"14:30", 270),
        (b"9:00", 23 * 60),
        (b"10:00", 24 * 60),
        (b"morning", 21 * 60),
        ({"until": "2026-03-02T12:00:00+01:00"}, 60),
        ({"until": "2026-03-02T10:05:00Z"}, 5),
    ],
)
def test_an_end_can_be_said_in_many_ways(payload, minutes):
    assert minutes_to(understand("do/pause", payload)) == minutes
    assert minutes_to(understand("do/hold", payload)) == minutes


def test_morning_is_that_of_the_wearers_clock_on_both_sides_of_the_summer_time():
    spring = berlin("2026-03-28T23:00:00+01:00")  # the clocks go forward in this night
    assert minutes_to(understand("do/pause", b"morning", spring), spring.now_ns) == 7 * 60
    autumn = berlin("2026-10-24T23:00:00+02:00")
    assert minutes_to(understand("do/pause", b"morning", autumn), autumn.now_ns) == 9 * 60
    usual = berlin("2026-10-23T23:00:00+02:00")
    assert minutes_to(understand("do/pause", b"morning", usual), usual.now_ns) == 8 * 60


def test_a_switch_turned_off_releases_and_resumes():
    assert understand("do/hold", b"OFF").verb is Verb.RELEASE
    assert understand("do/pause", b"off").verb is Verb.RESUME
    assert understand("do/hold", b"ON") == Command(NOW_NS, Verb.HOLD)


def test_a_release_may_name_a_reason_and_a_test_its_rung():
    assert understand("do/release", {"reason": "meeting"}) == Command(NOW_NS, Verb.RELEASE, reason="meeting")
    assert understand("do/release", b"now") == Command(NOW_NS, Verb.RELEASE)
    assert understand("do/test_reminder", {"rung": 3}) == Command(NOW_NS, Verb.TEST_REMINDER, rung=3)
    with pytest.raises(CommandError, match="rung must be a whole number from 0 to 3, not '4'"):
        understand("do/test_reminder", {"rung": 4})


def test_an_object_may_name_request_cycle_and_reason():
    asked = {"minutes": 30, "reason": " a\nmeeting\x07 ", "transaction": 17, "cycle": "anna/static/1/1"}
    command = understand("do/hold", asked)
    assert (command.minutes, command.reason, command.request, command.cycle) == (
        30.0,
        "a meeting",
        "17",
        "anna/static/1/1",
    )


@pytest.mark.parametrize(
    ("payload", "value"),
    [(b"25", "25"), ({"value": 25}, 25.0), ({"value": True}, True), ({"value": "off"}, "off"), (b"20:00-07:00", None)],
)
def test_what_is_set_keeps_its_kind(payload, value):
    command = understand("set/quiet_hours", payload)
    assert (command.verb, command.key) == (Verb.SET, "quiet_hours")
    assert command.value == ("20:00-07:00" if value is None else value)
    assert isinstance(command.value, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("topic", "payload", "says"),
    [
        ("do/dance", b"x", "no such command: 'dance'"),
        ("do/snoze", b"x", "did you mean 'snooze'?"),
        ("do/set", b"x", "no such command"),
        ("do/ack", b"", "empty"),
        ("do/ack", b"\xff", "not text"),
        ("do/ack", b"{", "not JSON"),
        ("do/ack", b"[1]", "one JSON object"),
        ("do/ack", b'"x"', "one JSON object"),
        ("do/ack", b"[" * 4000, "not JSON"),
        ("do/ack", b"x" * 4097, "at most 4096"),
        ("do/ack", {"cycle": 1.5}, "cycle must be"),
        ("do/ack", {"channel": "telegram"}, "channel must be one of dashboard, push, speaker, desktop, hook"),
        ("do/ack", {"channel": 3}, "channel must be one of"),
        ("do/ack", {"transaction": "x" * 201}, "transaction must be"),
        ("do/ack", {"transaction": True}, "transaction must be"),
        ("do/ack", {"minutes": 5}, "unknown field 'minutes'"),
        ("do/snooze", {"minuts": 5}, "did you mean 'minutes'?"),
        ("do/snooze", {"minutes": "5"}, "a number above 0"),
        ("do/snooze", {"minutes": True}, "a number above 0"),
        ("do/snooze", b'{"minutes": NaN}', "NaN is no number"),
        ("do/snooze", b'{"minutes": 1e999}', "a number above 0"),
        ("do/snooze", b"-5", "a number above 0"),
        ("do/snooze", b"nan", "a number above 0"),
        ("do/snooze", b"soon", "takes a number of minutes"),
        ("do/hold", {"minutes": 5, "until": "12:00"}, "exclude each other"),
        ("do/hold", {"until": 5}, "as text"),
        ("do/hold", {"until": "2026-03-02T10:05:00"}, "is no time"),
        ("do/hold", b"25:00", "is no time"),
        ("do/hold", {"reason": 5}, "reason must be"),
        ("set/level", {"value": [1]}, "one plain value"),
        ("set/level", {}, "one plain value"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_would_be_right(topic, payload, says):
    with pytest.raises(CommandError) as refusal:
        understand(topic, payload)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("topic", "is_taken"),
    [
        ("clients/me/answers", True),
        ("pw/wearer/anna/result/app", True),
        ("pw/bridge/result", True),
        ("pwx/anything", True),
        ("pw/wearer/anna/do/ack", False),
        ("pw/wearer/anna/state", False),
        ("pw/wearer/+/result", False),
        ("pw", False),
        ("$SYS/x", False),
        ("a/#", False),
        ("a\nb", False),
        ("x" * 257, False),
        ("", False),
        (None, False),
    ],
)
def test_an_answer_goes_only_where_it_can_do_no_harm(topic, is_taken):
    assert find_reply_topic("pw", topic) == (topic if is_taken else None)


def test_the_moment_of_a_command_is_that_of_its_arrival():
    assert datetime.fromtimestamp(understand("do/ack").t_ns / NS_PER_S, UTC).hour == 10
