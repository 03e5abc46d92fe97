"""Who is no longer watched over leaves nothing behind; what was switched off can come back."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def two(house: Any) -> None:
    """Two wearers, and Home Assistant without automations."""
    house.home.automate()
    house.restart_daemon("me", "ben")
    house.until_right(30.0)
    assert "sensor.posturewatch_ben_load" in house.home.states()


def until_gone(house: Any, name: str) -> None:
    def here() -> list[str]:
        return [entity for entity in house.home.states() if f".posturewatch_{name}" in entity]

    deadline = time.monotonic() + 10
    while here():
        assert time.monotonic() < deadline, here()
        time.sleep(0.05)


def test_a_wearer_who_was_removed_while_the_daemon_was_off_disappears(house: Any) -> None:
    house.restart_daemon("me")
    house.until_right()
    until_gone(house, "ben_")
    device = "{{ device_id('Posturewatch ben') or 'gone' }}"
    assert house.home.render(device).replace("None", "gone") == "gone"
    left = {topic for topic, payload in house.ears.kept.items() if payload and "ben" in topic and "/do/" not in topic}
    assert not [topic for topic in left if topic.endswith(("/config", "/state", "/settings", "/availability"))]
    assert house.home.complaints() == []


def test_a_renamed_wearer_is_one_device_again(house: Any) -> None:
    house.restart_daemon("anna")
    house.until_right()
    until_gone(house, "me_")
    assert "sensor.posturewatch_anna_load" in house.home.states()
    assert house.home.complaints() == []


def test_discovery_switched_off_takes_the_devices_away_and_leaves_the_topics(house: Any) -> None:
    heard = len(house.ears.heard)
    house.restart_daemon("anna", more="[home_assistant]\ndiscovery = false")
    house.ears.until("anna/state", since=heard)
    until_gone(house, "")
    assert house.home.complaints() == []


def test_another_prefix_moves_the_description(house: Any) -> None:
    heard = len(house.ears.heard)
    house.restart_daemon("anna", more='[home_assistant]\nprefix = "house"')
    told = house.ears.until("house/device/posturewatch_wearer_anna/config", since=heard)
    assert told["device"]["name"] == "Posturewatch anna"
    house.restart_daemon("anna")
    house.until_right()
    assert house.ears.kept["house/device/posturewatch_wearer_anna/config"] == b""
    assert house.home.complaints() == []


def test_an_entity_that_no_longer_exists_goes_alone(house: Any) -> None:
    house.restart_daemon("anna", manners="snooze_minutes = [5, 10]")
    house.until_right()
    until_gone(house, "anna_snooze_15_min")
    assert "button.posturewatch_anna_snooze_10_min" in house.home.states()
    assert json.loads(house.ears.kept["homeassistant/device/posturewatch_wearer_anna/config"])["components"][
        "snooze_15"
    ] == {"platform": "button"}
    assert house.home.complaints() == []


def test_a_demonstration_is_one_device_that_says_so_and_none_when_it_ends(house: Any, tmp_path: Path) -> None:
    words = ["demo", "--json", "--speed", "60", "--broker", f"127.0.0.1:{house.broker.port}"]
    demo = house.process([sys.executable, "-m", "posturewatch", *words], tmp_path / "demo.log")
    demo.start()
    try:
        name = "binary_sensor.posturewatch_demo_simulated"
        house.home.until_state(name, "on")
        house.home.until_state("sensor.posturewatch_demo_posture", lambda state: state != "unavailable")
        assert house.home.render(f"{{{{ device_attr('{name}', 'model') }}}}") == "Simulated wearer"
    finally:
        demo.stop()
    until_gone(house, "demo_")
    assert house.home.render("{{ device_id('Posturewatch demo') or 'gone' }}").replace("None", "gone") == "gone"
    assert [entity for entity in house.home.states() if ".posturewatch_anna_" in entity]
    assert house.home.complaints() == []
