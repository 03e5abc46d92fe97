"""Whatever comes on a command topic: a command within bounds, or one clear line."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from posturewatch.config.core_settings import tabulate_utc_offsets
from posturewatch.core import pipeline
from posturewatch.core.settings import SensorSettings, Settings
from posturewatch.errors import CommandError
from posturewatch.publishing.messages import result
from posturewatch.requests.commands import (
    ACTIONS,
    Address,
    LocalTime,
    find_reply_topic,
    read_payload,
    read_topic,
    to_command,
)
from posturewatch.rules import discover
from posturewatch.types import NS_PER_S, Command, CommandResult

NOW_NS = 1_790_000_000 * NS_PER_S
BERLIN = tabulate_utc_offsets("Europe/Berlin", NOW_NS)
SETTINGS = Settings("me", (SensorSettings("s"),), discover())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["minutes", "until", "reason", "cycle", "transaction", "value", "sensor", "other"])
OBJECTS = st.dictionaries(FIELDS, JSON, max_size=4).map(lambda fields: json.dumps(fields).encode())
PLAIN = st.text(alphabet="0123456789hmin:.-+TZ eon", max_size=24).map(str.encode)
WORDS = st.sampled_from([*ACTIONS, "set", "dance"]) | st.text(max_size=12)
ADDRESSES = st.builds(Address, st.just("me"), st.sampled_from(["do", "set"]), WORDS)


@settings(max_examples=400)
@given(ADDRESSES, st.binary(max_size=200) | OBJECTS | PLAIN)
def test_any_payload_is_a_bounded_command_or_one_line(address, payload):
    try:
        command = to_command(address, read_payload(payload), LocalTime(NOW_NS, BERLIN))
    except CommandError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 400
        return
    assert command.minutes is None or 0.0 < command.minutes < float("inf")
    assert command.until_ns is None or abs(command.until_ns) < 1 << 63
    assert all(len(text or "") <= 200 for text in (command.request, command.cycle, command.reason))
    _, events = pipeline.advance(pipeline.initial(SETTINGS), command, SETTINGS)
    (answer,) = [event for event in events if isinstance(event, CommandResult)]
    told = json.loads(result("pw/wearer/me/result", answer).payload)
    assert told["transaction"] == command.request


@given(st.text(max_size=60))
def test_any_topic_is_an_address_or_not(topic):
    address = read_topic("pw", topic)
    assert address is None or topic == f"pw/wearer/{address.wearer}/{address.kind}/{address.word}"
    reply = find_reply_topic("pw", topic)
    assert reply in (None, topic)
    assert reply is None or read_topic("pw", reply) is None


@given(st.integers(0, 23), st.integers(0, 59), st.integers(NOW_NS, NOW_NS + 300 * 86_400 * NS_PER_S))
def test_a_time_of_the_day_is_within_the_next_day_and_an_hour(hour, minute, now_ns):
    command: Command = to_command(
        Address("me", "do", "hold"), read_payload(f"{hour}:{minute:02}".encode()), LocalTime(now_ns, BERLIN)
    )
    assert command.until_ns is not None
    assert 0 < command.until_ns - now_ns <= 25 * 3600 * NS_PER_S
