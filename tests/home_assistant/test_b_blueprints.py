"""A prompt reaches the phone, the lamp and the voice; a tap reaches the reminder and takes effect."""

from __future__ import annotations

import json
from typing import Any

import pytest

WEARERS = ("me", "ben", "eve")  # one for each button
MANNERS = "grace_min = 0\ntop_rung = 3\nsoft_rung = 3"
LIMITS = "static_limit_min = 60\nsedentary_limit_min = 15"
LAMP = {
    "name": "Lamp",
    "unique_id": "lamp",
    "command_topic": "test/lamp",
    "rgb_command_topic": "test/lamp/rgb",
    "optimistic": True,
}


def reminder_automation(wearer: str, phone: str) -> dict[str, Any]:
    voice = {"action": "mqtt.publish", "data": {"topic": f"test/voice/{wearer}", "payload": "{{ message }}"}}
    given = {
        "wearer": wearer,
        "phone": phone,
        "reminder_state": f"sensor.posturewatch_{wearer}_reminder_state",
        "lamp": ["light.lamp"] if wearer == "me" else [],
        "voice": [voice],
    }
    return {
        "id": f"reminder_{wearer}",
        "alias": f"Reminder {wearer}",
        "use_blueprint": {"path": "posturewatch/reminder.yaml", "input": given},
    }


@pytest.fixture(scope="module")
def prompted(house: Any) -> Any:
    """Three wearers whom a prompt reaches within half a minute."""
    house.daemon.stop()
    house.phone.register(house.home)
    house.ears.client.publish("homeassistant/light/lamp/config", json.dumps(LAMP), 1, True)
    house.home.until_state("light.lamp", lambda _: True)
    busy = {"busy": "input_boolean.meeting", "settle": 0}
    house.home.automate(
        *(reminder_automation(wearer, house.phone.device) for wearer in WEARERS),
        {
            "id": "meeting",
            "alias": "Meeting",
            "use_blueprint": {"path": "posturewatch/meeting_hold.yaml", "input": busy},
        },
    )
    house.daemon.configure(*WEARERS, limits=LIMITS, manners=MANNERS)
    house.daemon.sit(minutes=15 - 1 / 6)
    house.daemon.start()
    return house


def push_to(house: Any, wearer: str, **fits: Any) -> dict[str, Any]:
    def is_it(push: dict[str, Any]) -> bool:
        return push["data"]["tag"] == f"posturewatch-{wearer}" and (push["message"] == "clear_notification") is bool(
            fits.get("cleared")
        )

    found: dict[str, Any] = house.phone.until_push(is_it)
    return found


def new_push(house: Any, tag: str, since: int) -> dict[str, Any]:
    """The first one with this tag after so many."""

    def is_it(push: dict[str, Any]) -> bool:
        return push["data"]["tag"] == f"posturewatch-{tag}" and any(push is one for one in house.phone.pushed[since:])

    found: dict[str, Any] = house.phone.until_push(is_it, within_s=15.0)
    return found


def test_both_blueprints_load(prompted: Any) -> None:
    states = prompted.home.states()
    assert {name: states[name]["state"] for name in states if name.startswith("automation.")} == {
        "automation.reminder_me": "on",
        "automation.reminder_ben": "on",
        "automation.reminder_eve": "on",
        "automation.meeting": "on",
    }


def test_a_prompt_reaches_the_phone_with_its_buttons_the_lamp_and_the_voice(prompted: Any) -> None:
    push = push_to(prompted, "me")
    assert push["title"] == "Posturewatch (simulated)"
    assert [button["title"] for button in push["data"]["actions"]] == ["Going", "10 min", "Skip"]
    assert prompted.ears.until("test/voice/me", within_s=5) == push["message"]
    assert prompted.home.state("sensor.posturewatch_me_reminder_state") == "due"
    prompted.home.until_state("light.lamp", "on")
    assert prompted.home.states()["light.lamp"]["attributes"]["rgb_color"] == [255, 120, 0]


@pytest.mark.parametrize(
    ("wearer", "title", "after"),
    [("me", "10 min", ("snoozed",)), ("ben", "Skip", ("ok",)), ("eve", "Going", ("acknowledged",))],
)
def test_a_tap_takes_effect_and_the_notification_goes(prompted: Any, wearer: str, title: str, after: Any) -> None:
    push = push_to(prompted, wearer)
    heard = len(prompted.ears.heard)
    action = next(b["action"] for b in push["data"]["actions"] if b["title"] == title)
    for _ in range(2):  # a thumb is quick
        prompted.phone.tap(action)
    assert prompted.ears.until(f"{wearer}/result", since=heard)["ok"]
    prompted.ears.until("/result", lambda _: len(prompted.ears.payloads(f"{wearer}/result", heard)) == 2, since=heard)
    assert all(result["ok"] for result in prompted.ears.payloads(f"{wearer}/result", heard))
    prompted.home.until_state(f"sensor.posturewatch_{wearer}_reminder_state", lambda state: state in after)
    push_to(prompted, wearer, cleared=True)


def test_an_answer_on_the_phone_counts_for_its_channel(prompted: Any) -> None:
    rate = "sensor.posturewatch_ben_response_rate"
    prompted.home.until_state(rate, "100")
    assert prompted.home.states()[rate]["attributes"]["push"] == {"reminders": 1, "answered": 1, "rate_pct": 100}
    assert "asked (break_due)" in prompted.home.state("sensor.posturewatch_ben_last_decision")


def test_a_double_tap_counted_once(prompted: Any) -> None:
    assert prompted.home.state("sensor.posturewatch_me_snoozes_left") == "1"


def test_the_lamp_goes_out_with_the_prompt(prompted: Any) -> None:
    prompted.home.until_state("light.lamp", "off")


def test_a_late_tap_changes_nothing(prompted: Any) -> None:
    heard, pushed = len(prompted.ears.heard), len(prompted.phone.pushed)
    prompted.phone.tap("posturewatch|me|skip|me/sedentary/1/1")
    assert prompted.ears.until("me/result", since=heard)["error"] == "stale"
    assert prompted.home.state("sensor.posturewatch_me_reminder_state") == "snoozed"
    assert new_push(prompted, "me", pushed)["message"] == "That reminder is over."


def test_whatever_was_missed_the_notification_goes_when_nothing_is_open(prompted: Any) -> None:
    pushed = len(prompted.phone.pushed)
    prompted.ears.client.publish("posturewatch/wearer/me/do/skip", "PRESS", 1)
    prompted.home.until_state("sensor.posturewatch_me_reminder_state", "ok")
    assert new_push(prompted, "me", pushed)["message"] == "clear_notification"


def test_a_test_reminder_can_be_pressed_and_goes(prompted: Any) -> None:
    pushed = len(prompted.phone.pushed)
    prompted.ears.client.publish("posturewatch/wearer/ben/do/test_reminder", "PRESS", 1)
    push = new_push(prompted, "ben", pushed)
    assert "test" in push["message"]
    pushed = len(prompted.phone.pushed)
    prompted.phone.tap(push["data"]["actions"][1]["action"])
    assert new_push(prompted, "ben", pushed)["message"] == "clear_notification"


@pytest.mark.parametrize(
    ("event", "tag", "told"),
    [
        ({"event_type": "battery_low", "cycle": None, "detail": {"battery_pct": 12}}, "-notice", "is low: 12 %"),
        ({"event_type": "not_worn", "cycle": None, "detail": {"usually_worn_from": "08:10"}}, "-notice", "from 08:10"),
        ({"event_type": "sensor_slipped", "cycle": None, "detail": {"sensor": "s"}}, "-notice", "sensor s sits"),
        (
            {
                "event_type": "few_answers",
                "cycle": None,
                "detail": {"channel": "push", "reminders": 12.0, "answered": 3.0},
            },
            "-notice",
            "3 of 12 reminders by push",
        ),
        ({"event_type": "break_completed", "cycle": "me/sedentary/1/1", "detail": {}}, "-done", "Break taken"),
    ],
)
def test_notices_and_thanks_are_silent(prompted: Any, event: dict[str, Any], tag: str, told: str) -> None:
    pushed = len(prompted.phone.pushed)
    prompted.ears.client.publish("posturewatch/wearer/me/event", json.dumps({**event, "simulated": True}), 1)
    push = new_push(prompted, f"me{tag}", pushed)
    assert told in push["message"]
    assert (push["title"], push["data"]["importance"]) == ("Posturewatch (simulated)", "low")


def test_the_buttons_of_others_are_left_alone(prompted: Any) -> None:
    heard = len(prompted.ears.heard)
    prompted.phone.tap("open_the_door")
    prompted.phone.tap("posturewatch|nobody|skip|1")
    prompted.phone.tap("posturewatch|me|skip|late")
    prompted.ears.until("me/result", since=heard)
    asked = [topic for topic, _ in prompted.ears.heard[heard:] if "/do/" in topic]
    assert asked == ["posturewatch/wearer/me/do/skip"]


def test_a_meeting_holds_the_prompts_and_its_end_releases_them(prompted: Any) -> None:
    prompted.home.serve("input_boolean.turn_on", entity_id="input_boolean.meeting")
    prompted.home.until_state("switch.posturewatch_me_hold", "on")
    prompted.home.until_state("sensor.posturewatch_me_hold_reason", lambda state: "meeting" in state)
    prompted.home.serve("input_boolean.turn_off", entity_id="input_boolean.meeting")
    prompted.home.until_state("switch.posturewatch_me_hold", "off")


def test_the_end_of_a_meeting_leaves_the_wearers_own_hold_in_force(prompted: Any) -> None:
    prompted.ears.client.publish("posturewatch/wearer/me/do/hold", json.dumps({"minutes": 120, "reason": "mine"}), 1)
    prompted.home.until_state("sensor.posturewatch_me_hold_reason", "mine")
    heard = len(prompted.ears.heard)
    prompted.home.serve("input_boolean.turn_on", entity_id="input_boolean.meeting")
    prompted.ears.until("me/result", lambda result: result["action"] == "hold", since=heard)
    prompted.home.serve("input_boolean.turn_off", entity_id="input_boolean.meeting")
    assert prompted.ears.until("me/result", lambda result: result["action"] == "release", since=heard)["value"] is True
    assert prompted.home.state("sensor.posturewatch_me_hold_reason") == "mine"


def test_what_ended_while_home_assistant_was_away_is_cleared_when_it_is_back(prompted: Any) -> None:
    pushed = len(prompted.phone.pushed)
    prompted.home.stop()
    prompted.home.start()
    assert new_push(prompted, "me", pushed)["message"] == "clear_notification"
    prompted.home.until_state("sensor.posturewatch_me_hold_reason", "mine", within_s=30)


def test_home_assistant_had_nothing_to_complain_of(prompted: Any) -> None:
    assert prompted.home.complaints() == []
