"""Topics, payloads and the properties of messages."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from testbench.reminders import reminder_view

from posturewatch.core.body import Body
from posturewatch.errors import ConfigError
from posturewatch.publishing import messages, payloads
from posturewatch.publishing.responses import LocalChannels, Responses
from posturewatch.publishing.topics import Topics
from posturewatch.types import (
    CommandResult,
    Concluded,
    Drifted,
    Happened,
    Level,
    Motion,
    MotionChanged,
    Posture,
    Prompt,
    ReminderPhase,
    RuleDue,
    Silenced,
    Wear,
    Withdrawn,
)

NOW_NS = 1_700_000_000_000_000_000
TOPICS = Topics()
STATE_KEYS = [
    *(
        "reminder",
        "cycle",
        "reason",
        "level",
        "due",
        "wear",
    ),
    *(
        "motion",
        "posture",
        "inclination_deg",
        "static_s",
        "sedentary_s",
        "hold_dose_pct",
    ),
    *(
        "load_pct",
        "next_break",
        "last_break",
        "shifts_per_h",
        "breaks_today",
        "prompts_left_today",
    ),
    *(
        "snoozes_left",
        "hold_reason",
        "hold_until",
        "on_hold",
        "paused",
        "break_progress_pct",
        "decision",
        "decided",
        "response_rate_pct",
        "responses",
        "battery_pct",
        "simulated",
    ),
    *("time",),
]


def state_of(body: Body, view: Any, **options: Any) -> dict[str, Any]:
    message = messages.wearer_state(TOPICS, "anna", body, view, simulated=False, now_ns=NOW_NS, **options)
    payload: dict[str, Any] = json.loads(message.payload)
    jsonschema.validate(payload, messages.json_schemas()["state"])
    return payload


def prompt(**changes: Any) -> Prompt:
    fields: dict[str, Any] = {
        "t_ns": NOW_NS,
        "event_type": "break_due",
        "id": "anna/sedentary/1",
        "cycle": "c1",
        "rule": "sedentary",
        "level": Level.BREAK,
        "rung": 2,
        "reason": {"sedentary_s": 1800.0, "text": "30 min without a real break"},
        "expires_ns": NOW_NS + 600 * 10**9,
    }
    return Prompt(**{**fields, **changes})


def test_the_state_has_all_keys_in_order_and_null_for_unknown() -> None:
    payload = state_of(Body(), reminder_view())
    assert list(payload) == STATE_KEYS
    unknown = {key for key, value in payload.items() if value is None}
    assert unknown == {
        *("cycle", "reason", "level", "inclination_deg", "hold_dose_pct", "next_break", "last_break"),
        *("shifts_per_h", "hold_reason", "hold_until", "battery_pct", "decision", "decided", "response_rate_pct"),
    }


def test_the_state_speaks_in_the_words_and_units_of_the_contract() -> None:
    body = Body(
        wear=Wear.WORN,
        motion=Motion.STILL,
        posture=Posture.UPRIGHT_UNKNOWN,
        cos_inclination=math.cos(math.radians(12.345)),
        static_s=1260.7,
        hold_dose_frac=0.42,
        last_break_ns=NOW_NS - 10**12,
        break_progress_frac=1.7,
    )
    view = reminder_view(phase=ReminderPhase.DUE, cycle="c1", level=Level.SHIFT, due=True, load_frac=1.053)
    payload = state_of(body, view, battery_pct=250.0, shifts_per_h=3.14159)
    expected = {
        "reminder": "due",
        "level": "shift",
        "wear": "worn",
        "motion": "still",
        "posture": "upright_unknown",
        "inclination_deg": 12.3,
        "static_s": 1260,
        "hold_dose_pct": 42,
        "load_pct": 105,
        "break_progress_pct": 100,
        "battery_pct": 100,
        "shifts_per_h": 3.1,
        "last_break": "2023-11-14T21:56:40.000Z",
        "time": "2023-11-14T22:13:20.000Z",
    }
    assert {key: payload[key] for key in expected} == expected


def test_the_state_tells_the_last_decision_and_how_many_reminders_were_answered() -> None:
    responses = Responses(LocalChannels(desktop_from_rung=2))
    for cycle, is_answered in (("c1", True), ("c2", False), ("c3", True)):
        responses.follow(prompt(cycle=cycle), ((0, 0),))
        responses.follow(Concluded(NOW_NS, cycle, is_answered), ((0, 0),))
    view = reminder_view(decision="silent about static: moving", decision_ns=NOW_NS)
    payload = state_of(Body(), view, responses=responses)
    assert (payload["decision"], payload["decided"]) == ("silent about static: moving", "2023-11-14T22:13:20.000Z")
    assert payload["response_rate_pct"] == 67
    told = {"reminders": 3, "answered": 2, "rate_pct": 67}
    assert payload["responses"] == {"desktop": told, "push": told}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_never_get_out(bad: float) -> None:
    body = Body(cos_inclination=bad, static_s=bad, sedentary_s=bad, hold_dose_frac=bad, break_progress_frac=bad)
    payload = state_of(body, reminder_view(load_frac=bad), shifts_per_h=bad)
    for key in ("inclination_deg", "static_s", "sedentary_s", "hold_dose_pct", "load_pct", "shifts_per_h"):
        assert payload[key] is None
    assert payload["break_progress_pct"] == 0
    happened = Happened(NOW_NS, "held", detail={"x": bad, "y": 1.0})
    (message,) = messages.for_event(TOPICS, "anna", happened)
    assert json.loads(message.payload)["detail"] == {"y": 1.0}


def test_the_state_is_retained_for_an_hour_in_a_slot_of_its_own() -> None:
    message = messages.wearer_state(TOPICS, "anna", Body(), reminder_view(), simulated=True, now_ns=NOW_NS)
    assert (message.topic, message.key) == ("posturewatch/wearer/anna/state",) * 2
    assert (message.qos, message.retain, message.expiry_s, message.schema) == (1, True, 3600, "posturewatch/state/1")


def test_plain_words_are_plain() -> None:
    for online, word in ((True, b"online"), (False, b"offline")):
        for message in (messages.bridge_state(TOPICS, online), messages.availability(TOPICS, "anna", online)):
            assert (message.payload, message.retain, message.qos) == (word, True, 1)
    assert messages.bridge_state(TOPICS, online=True).topic == "posturewatch/bridge/state"


def test_a_prompt_is_not_retained_and_expires_with_its_reminder() -> None:
    for life_s, expiry_s in ((600, 600), (90, 90), (3000, 600), (-5, 1)):
        (message,) = messages.for_event(TOPICS, "anna", prompt(expires_ns=NOW_NS + life_s * 10**9), simulated=True)
        assert not message.retain
        assert message.expiry_s == expiry_s
        assert message.expires_ns == NOW_NS + min(life_s, 600) * 10**9
        assert message.key == messages.prompt_key("anna")
        payload = json.loads(message.payload)
        jsonschema.validate(payload, messages.json_schemas()["reminder"])
        assert payload["simulated"]
        assert payload["event_type"] == "break_due"
        assert payload["reason"]["sedentary_s"] == 1800.0


def test_results_go_to_their_own_topic_so_that_automations_on_events_cannot_loop() -> None:
    (result,) = messages.for_event(TOPICS, "anna", CommandResult(NOW_NS, "snooze", ok=False, error="stale"))
    (event,) = messages.for_event(TOPICS, "anna", Happened(NOW_NS, "snoozed"))
    assert result.topic == "posturewatch/wearer/anna/result"
    assert event.topic == "posturewatch/wearer/anna/event"
    assert result.expiry_s == 60


@pytest.mark.parametrize(
    "event",
    [
        MotionChanged(NOW_NS, Motion.STILL),
        Drifted(NOW_NS, 11.0),
        RuleDue(NOW_NS, "static", Level.SHIFT, "id", {}),
        Withdrawn(NOW_NS, "c1", "moved"),
        Silenced(NOW_NS, "static", "quiet hours"),
    ],
)
def test_what_the_state_tells_needs_no_message(event: Any) -> None:
    assert messages.for_event(TOPICS, "anna", event) == []


@pytest.mark.parametrize("base", ["", "/a", "a/", "a//b", "a b", "a/+", "#", "$SYS", "a\x00", "a\n"])
def test_a_base_topic_that_cannot_work_is_refused(base: str) -> None:
    with pytest.raises(ConfigError, match="base topic"):
        Topics(base)


@pytest.mark.parametrize("name", ["", "Anna", "a/b", "a+", "#", "ä", "x" * 33, "a b"])
def test_an_id_that_is_not_safe_in_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="id"):
        Topics().wearer(name, "state")
    assert Topics().sensor_of(f"posturewatch/sensor/{name}/samples") is None


def test_the_sensor_of_a_topic_is_found_again() -> None:
    topics = Topics("home/watch")
    assert topics.sensor_of(topics.samples("back-1")) == "back-1"
    for foreign in ("posturewatch/sensor/back/samples", "home/watch/sensor/back", "home/watch/sensor/a/b/samples"):
        assert topics.sensor_of(foreign) is None
    assert topics.samples("+") == "home/watch/sensor/+/samples"


@pytest.mark.parametrize("t_ns", [0, -1, 1, NOW_NS, 2**63 - 1, -(2**63)])
def test_times_are_iso_8601_in_utc(t_ns: int) -> None:
    moment = datetime.fromisoformat(messages.iso(t_ns))
    assert moment.utcoffset().total_seconds() == 0
    assert abs(moment.timestamp() - t_ns / 1e9) < 1e-3


def test_every_published_schema_is_strict_valid_and_complete() -> None:
    schemas = messages.json_schemas()
    assert set(schemas) == {name for name, *_ in payloads.MESSAGES}
    ours = {name for name, *_, is_ours in payloads.MESSAGES if is_ours}
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        if name != "samples":
            assert schema["additionalProperties"] is False
        if name in ours:
            assert set(schema["required"]) == set(schema["properties"])


def test_the_asyncapi_document_refers_to_schemas_and_channels_that_exist() -> None:
    document = messages.asyncapi()
    references = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            references.extend([value["$ref"]] if "$ref" in value else [])
            for inner in value.values():
                collect(inner)

    collect(document)
    assert len(references) == 2 * len(payloads.MESSAGES) + len(payloads.PLAIN_WORDS)
    for reference in references:
        if reference.startswith("#/channels/"):
            assert reference.removeprefix("#/channels/") in document["channels"]
        else:
            assert reference.removeprefix("./").removesuffix(".json") in messages.json_schemas()


def test_a_message_is_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        messages.bridge_state(TOPICS, online=True).topic = "x"  # type: ignore[misc]  # that is the claim
