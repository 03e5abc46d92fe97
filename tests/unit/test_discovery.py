"""What Home Assistant is told, and when it is taken back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch.config import HomeAssistant
from posturewatch.core.settings import SensorSettings, Settings
from posturewatch.home_assistant.discovery import (
    Home,
    Subject,
    bridge_device,
    discovery,
    slug,
    subject_of,
    wearer_device,
)
from posturewatch.mqtt.announcing import FILE, Announcer, read_announced
from posturewatch.mqtt.link import Received
from posturewatch.publishing import payloads
from posturewatch.publishing.messages import availability
from posturewatch.publishing.topics import Topics
from posturewatch.requests.commands import LocalTime, read_payload, read_topic, to_command
from posturewatch.types import Message, Placement, Verb

if TYPE_CHECKING:
    from pathlib import Path

TOPICS = Topics()
HOME = Home(TOPICS)
ANNA = Subject("anna")


def content(message: Message) -> dict[str, Any]:
    assert message.retain
    assert message.key == message.topic
    payload: dict[str, Any] = json.loads(message.payload)
    return payload


def parts_of(subject: Subject = ANNA) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = content(wearer_device(HOME, subject))["components"]
    return parts


def announcer(folder: Path, **told: Any) -> Announcer:
    return Announcer(folder, Topics(told.pop("base", "posturewatch")), HomeAssistant(**told))


def announce(one: Announcer, *wearers: str, base: str = "posturewatch") -> dict[str, bytes]:
    """What goes out, and is confirmed by the broker."""
    states = [availability(Topics(base), wearer, True) for wearer in wearers]
    messages = one.announce([Subject(wearer) for wearer in wearers], states)
    for message in messages:
        one.published(message)
    return {message.topic: message.payload for message in messages}


def test_there_is_a_battery_only_where_a_sensor_can_tell() -> None:
    assert "battery_pct" not in parts_of()
    assert "battery_pct" in parts_of(replace(ANNA, sensors=("strap",)))


def test_every_entity_has_an_id_of_its_own_and_its_name_makes_its_entity_id() -> None:
    both = discovery(HOME, [replace(ANNA, sensors=("strap", "tag")), Subject("bridge")])
    devices = [content(message) for message in both]
    assert len({d["device"]["identifiers"][0] for d in devices}) == 3
    parts = [(d["device"]["name"], part) for d in devices for part in d["components"].values()]
    assert len({part["unique_id"] for _, part in parts}) == len(parts)
    assert len({part["default_entity_id"] for _, part in parts}) == len(parts)
    for device, part in parts:
        assert part["default_entity_id"] == f"{part['platform']}.{slug(device)}_{slug(part['name'])}"


def test_every_template_reads_a_key_of_the_message_on_its_topic() -> None:
    models = {
        "wearer/anna/state": payloads.WearerState,
        "wearer/anna/settings": payloads.WearerSettings,
        "bridge/health": payloads.BridgeHealth,
        "sensor/strap/health": payloads.SensorHealth,
        "bridge/info": payloads.BridgeInfo,
    }
    told = [content(bridge_device(HOME)), content(wearer_device(HOME, replace(ANNA, sensors=("strap",))))]
    seen = set()
    for device in told:
        for part in device["components"].values():
            templates = part.get("value_template", "") + part.get("json_attributes_template", "")
            for key in re.findall(r"value_json\.(\w+)", templates):
                topic = part.get("state_topic", device["state_topic"]).removeprefix("posturewatch/")
                assert key in models[topic].model_fields, part["name"]
                seen.add((topic, key))
    shown = {key for topic, key in seen if topic.endswith("/state")}
    assert set(payloads.WearerState.model_fields) - shown == {"time"}  # Home Assistant knows when it heard


def test_every_enum_offers_what_the_contract_allows() -> None:
    schema = payloads.json_schemas()["state"]
    for key, part in parts_of().items():
        if part.get("device_class") == "enum":
            place = schema["properties"][key]
            name = next(ref["$ref"] for ref in (place, *place.get("anyOf", ())) if "$ref" in ref).rpartition("/")[2]
            assert part["options"] == schema["$defs"][name]["enum"]
    assert parts_of()["happening"]["event_types"] == list(payloads.HAPPENINGS)


def test_every_button_switch_and_number_sends_a_command_that_is_understood() -> None:
    samples = {"lowest_level": "break", "quiet_hours": "20:00-07:00", "reminders": "OFF", "top_rung": "1"}
    verbs = set()
    for key, part in parts_of().items():
        if "command_topic" not in part:
            continue
        address = read_topic("posturewatch", part["command_topic"])
        assert address is not None
        words = [part.get("payload_press", "PRESS")] if part["platform"] == "button" else [samples.get(key, "20")]
        words = ["ON", "OFF"] if part["platform"] == "switch" else words
        verbs |= {to_command(address, read_payload(word.encode()), LocalTime(1)).verb for word in words}
    assert verbs == set(Verb)


def test_settings_and_buttons_stay_usable_without_a_sensor_and_values_do_not() -> None:
    device = content(wearer_device(HOME, ANNA))
    assert [one["topic"] for one in device["availability"]] == [
        "posturewatch/bridge/state",
        "posturewatch/wearer/anna/availability",
    ]
    assert device["availability_mode"] == "all"
    for part in device["components"].values():
        if "command_topic" in part or part["platform"] == "event":
            assert [one["topic"] for one in part["availability"]] == ["posturewatch/bridge/state"]
        elif part["name"] != "Data":
            assert "availability" not in part


def test_a_simulated_wearer_is_marked() -> None:
    assert content(wearer_device(HOME, Subject("anna", simulated=True)))["device"]["model"] == "Simulated wearer"


@pytest.mark.parametrize(
    ("placement", "missing"),
    [
        (Placement.WRIST, {"static_s", "shifts_per_h", "static_limit_min", "inclination_deg", "hold_dose_pct"}),
        (Placement.THIGH, {"inclination_deg", "hold_dose_pct"}),
        (Placement.CHEST, set()),
    ],
)
def test_a_placement_gets_no_entity_that_it_can_never_fill(placement: Placement, missing: set[str]) -> None:
    subject = subject_of(Settings("anna", sensors=(SensorSettings("one", placement),)), simulated=False)
    assert set(parts_of()) - set(parts_of(subject)) == missing


def test_a_sensor_that_tells_how_it_does_is_shown_with_its_wearer_and_others_are_not() -> None:
    settings = Settings("anna", sensors=(SensorSettings("strap", Placement.CHEST), SensorSettings("tag")))
    parts = parts_of(subject_of(settings, False, {"strap": None, "another": None}))
    topics = {part["state_topic"] for key, part in parts.items() if key.endswith("_connected")}
    assert topics == {"posturewatch/sensor/strap/health"}


def test_a_component_that_is_no_longer_told_is_taken_out_rather_than_left_out() -> None:
    topic = wearer_device(HOME, ANNA).topic
    home = Home(TOPICS, former={topic: {"snooze_20": "button", "posture": "sensor"}})
    parts = content(wearer_device(home, ANNA))["components"]
    assert parts["snooze_20"] == {"platform": "button"}
    assert len(parts["posture"]) > 5


def test_a_wearer_who_is_removed_is_forgotten_at_the_next_start_and_then_no_more_spoken_of(tmp_path: Path) -> None:
    announce(announcer(tmp_path), "anna", "ben")
    second = announce(announcer(tmp_path), "anna")
    assert {topic for topic, payload in second.items() if not payload} == {
        "homeassistant/device/posturewatch_wearer_ben/config",
        "posturewatch/wearer/ben/availability",
    }
    assert not [topic for topic in announce(announcer(tmp_path), "anna") if "ben" in topic]


def test_what_the_broker_did_not_confirm_is_forgotten_again(tmp_path: Path) -> None:
    announce(announcer(tmp_path), "anna", "ben")
    announcer(tmp_path).announce([ANNA], [])
    assert announce(announcer(tmp_path), "anna")["homeassistant/device/posturewatch_wearer_ben/config"] == b""


def test_switched_off_and_another_prefix_take_back_what_was_told(tmp_path: Path) -> None:
    announce(announcer(tmp_path), "anna")
    moved = announce(announcer(tmp_path, prefix="house"), "anna")
    assert moved["homeassistant/device/posturewatch_wearer_anna/config"] == b""
    assert moved["house/device/posturewatch_wearer_anna/config"]
    off = announce(announcer(tmp_path, discovery=False), "anna")
    assert off["house/device/posturewatch_wearer_anna/config"] == b""
    assert off["posturewatch/wearer/anna/availability"] == b"online"
    assert announcer(tmp_path, discovery=False).subscriptions == ()


def test_another_base_topic_takes_everything_with_it(tmp_path: Path) -> None:
    announce(announcer(tmp_path), "anna")
    moved = announce(announcer(tmp_path, base="desk"), "anna", base="desk")
    gone = {topic for topic, payload in moved.items() if not payload}
    assert "posturewatch/bridge/state" in gone
    assert "homeassistant/device/posturewatch_bridge/config" in gone
    assert moved["homeassistant/device/desk_bridge/config"]


def test_withdrawing_leaves_only_our_last_word(tmp_path: Path) -> None:
    one = announcer(tmp_path)
    sent = announce(one, "anna")
    assert {message.topic for message in one.withdraw()} == set(sent)
    assert all(message.retain and not message.payload for message in one.withdraw())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "posturewatch-announced"}', '{"topics": {}}'])
def test_a_damaged_list_of_announcements_is_one_warning_and_a_fresh_start(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_announced(tmp_path / FILE) == {}
    assert len(caplog.records) == 1


def test_only_a_live_word_of_home_assistant_is_its_birth(tmp_path: Path) -> None:
    one = announcer(tmp_path)
    assert one.subscriptions == ("homeassistant/status",)
    assert one.is_birth(Received("homeassistant/status", b"online"))
    assert not one.is_birth(Received("homeassistant/status", b"online", retain=True))
    assert not one.is_birth(Received("homeassistant/status", b"offline"))
    assert not one.is_birth(Received("posturewatch/status", b"online"))
