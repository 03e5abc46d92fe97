"""One complete device for each wearer, within seconds, and everything on it works."""

from __future__ import annotations

from typing import Any


def test_within_five_seconds_of_its_start_every_entity_has_its_value(house: Any) -> None:
    house.daemon.start()
    took_s = house.until_right()
    house.measured.append(f"from the start of the daemon to all {len(house.enabled())} entities: {took_s:.1f} s")
    assert len(house.enabled()) >= 45
    assert house.home.complaints() == []


def test_the_device_of_the_wearer_hangs_on_that_of_the_bridge_and_says_that_it_is_simulated(house: Any) -> None:
    render = house.home.render
    assert render("{{ device_attr(device_id('sensor.posturewatch_me_load'), 'name') }}") == "Posturewatch me"
    assert render("{{ device_attr(device_id('sensor.posturewatch_me_load'), 'model') }}") == "Simulated wearer"
    via = "{{ device_attr(device_attr(device_id('sensor.posturewatch_me_load'), 'via_device_id'), 'name') }}"
    assert render(via) == "Posturewatch"
    assert house.home.state("binary_sensor.posturewatch_me_simulated") == "on"
    assert house.home.state("binary_sensor.posturewatch_connection") == "on"


def test_values_have_units_classes_and_long_term_statistics(house: Any) -> None:
    states = house.home.states()
    attributes = states["sensor.posturewatch_me_sedentary_for"]["attributes"]
    assert attributes["device_class"] == "duration"
    assert attributes["state_class"] == "measurement"
    assert attributes["unit_of_measurement"] == "min"
    assert states["sensor.posturewatch_me_breaks_today"]["attributes"]["state_class"] == "total_increasing"
    assert states["sensor.posturewatch_me_next_break"]["attributes"]["device_class"] == "timestamp"
    assert "due" in states["sensor.posturewatch_me_reminder_state"]["attributes"]["options"]


def test_what_is_set_in_home_assistant_takes_effect_and_comes_back(house: Any) -> None:
    home = house.home
    home.serve("number.set_value", entity_id="number.posturewatch_me_static_limit", value=25)
    home.until_state("number.posturewatch_me_static_limit", lambda state: float(state) == 25)
    home.serve("number.set_value", entity_id="number.posturewatch_me_loudest_rung", value=3)
    home.until_state("number.posturewatch_me_loudest_rung", lambda state: float(state) == 3)
    home.serve("select.select_option", entity_id="select.posturewatch_me_lowest_level", option="break")
    home.until_state("select.posturewatch_me_lowest_level", "break")
    home.serve("select.select_option", entity_id="select.posturewatch_me_lowest_level", option="shift")
    home.serve("text.set_value", entity_id="text.posturewatch_me_quiet_hours", value="22:00-06:30")
    home.until_state("text.posturewatch_me_quiet_hours", "22:00-06:30")
    home.serve("text.set_value", entity_id="text.posturewatch_me_quiet_hours", value="off")
    home.until_state("text.posturewatch_me_quiet_hours", "off")
    home.serve("number.set_value", entity_id="number.posturewatch_me_static_limit", value=20)
    assert house.ears.payloads("me/result")[-1]["ok"]


def test_hold_and_pause_are_switches(house: Any) -> None:
    home = house.home
    for name in ("hold", "pause"):
        entity = f"switch.posturewatch_me_{name}"
        assert home.state(entity) == "off"
        home.serve("switch.turn_on", entity_id=entity)
        home.until_state(entity, "on")
        home.until_state("sensor.posturewatch_me_hold_until", lambda state: state.startswith("20"))
        home.serve("switch.turn_off", entity_id=entity)
        home.until_state(entity, "off")
    home.serve("switch.turn_off", entity_id="switch.posturewatch_me_reminders")
    home.until_state("sensor.posturewatch_me_reminder_state", "off")
    home.serve("switch.turn_on", entity_id="switch.posturewatch_me_reminders")
    home.until_state("sensor.posturewatch_me_reminder_state", lambda state: state != "off")


def test_a_test_reminder_and_its_event_arrive(house: Any) -> None:
    before = house.home.state("event.posturewatch_me_prompt")
    house.home.serve("button.press", entity_id="button.posturewatch_me_test_reminder")
    house.home.until_state("event.posturewatch_me_prompt", lambda state: state != before)
    attributes = house.home.states()["event.posturewatch_me_prompt"]["attributes"]
    assert attributes["event_type"] == "shift_due"
    assert attributes["test"] is True
    assert house.home.states()["event.posturewatch_me_happening"]["attributes"]["event_type"] == "released"


def test_every_button_is_answered(house: Any) -> None:
    buttons = [name for name in house.enabled() if name.startswith("button.")]
    assert len(buttons) == 9
    for name in buttons:
        heard = len(house.ears.heard)
        house.home.serve("button.press", entity_id=name)
        house.ears.until("me/result", since=heard, within_s=60.0)  # a calibration takes its time


def test_the_dashboard_loads_and_every_entity_on_it_exists(house: Any) -> None:
    shown = house.home.websocket({"type": "lovelace/config", "url_path": "posture-watch"})
    states = house.home.states()

    def entities(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["entity"]] if isinstance(node.get("entity"), str) else []
            own += [name for name in node.get("entities", []) if isinstance(name, str)]
            return own + [name for part in node.values() for name in entities(part)]
        return [name for part in node for name in entities(part)] if isinstance(node, list) else []

    found = entities(shown)
    assert len(found) >= 30
    assert [name for name in found if name not in states] == []


def test_home_assistant_had_nothing_to_complain_of(house: Any) -> None:
    assert house.home.complaints() == []
    assert house.home.websocket({"type": "repairs/list_issues"})["issues"] == []
