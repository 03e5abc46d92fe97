"""After every restart, in every order, all is there with its value, and nothing is said to be away that is not."""

from __future__ import annotations

import itertools
import signal
import time
from typing import Any

import pytest

PROMISED_S = 5.0
ORDERS = list(itertools.permutations(("broker", "home", "daemon")))
OURS = "binary_sensor.posturewatch_connection"


@pytest.fixture(scope="module", autouse=True)
def alone(house: Any) -> None:
    """The one wearer; Home Assistant without automations."""
    house.home.automate()
    house.restart_daemon("me")
    house.until_right(30.0)


def until_right_again(house: Any) -> float:
    """Home Assistant tries only every ten seconds to reach its broker again; from then on it is up to us."""
    deadline = time.monotonic() + 30
    while not house.is_home_connected():
        assert time.monotonic() < deadline, "Home Assistant does not come back to its broker"
        time.sleep(0.05)
    took: float = house.until_right(PROMISED_S)
    return took


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_started_in_any_order_everything_is_right_within_five_seconds(house: Any, order: tuple[str, ...]) -> None:
    for name in ("daemon", "home", "broker"):
        getattr(house, name).stop()
    house.ears.kept.clear()
    for name in order:
        getattr(house, name).start()
    house.measured.append(f"{', '.join(order)}: right {until_right_again(house):.1f} s after the last one was up")
    assert house.home.complaints() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_broker_that_forgets_everything_is_told_everything(house: Any, number: signal.Signals) -> None:
    house.broker.stop(number)
    house.ears.kept.clear()
    house.broker.start()
    until_right_again(house)
    assert house.home.state(OURS) == "on"
    assert house.home.complaints() == []


def test_home_assistant_killed_comes_back_to_all_values(house: Any) -> None:
    house.home.stop(signal.SIGKILL)
    house.home.start()
    until_right_again(house)
    assert house.home.complaints() == []


def test_a_daemon_that_ends_is_away_at_once_and_one_that_comes_back_is_there(house: Any) -> None:
    house.daemon.stop()
    house.home.until_state(OURS, "off", within_s=2)
    states = house.home.states()
    gone = [name for name in house.enabled() if states[name]["state"] != "unavailable"]
    assert gone == [OURS]
    house.daemon.start()
    house.until_right()
    assert house.home.state(OURS) == "on"
    assert house.home.complaints() == []


def test_a_daemon_that_is_killed_is_away_after_the_delay_of_its_will_and_a_quick_return_does_not_flap(
    house: Any,
) -> None:
    heard = len(house.ears.heard)
    house.daemon.stop(signal.SIGKILL)
    house.daemon.start()
    house.until_right()
    assert "offline" not in house.ears.payloads("bridge/state", since=heard)
    house.daemon.stop(signal.SIGKILL)
    house.home.until_state(OURS, "off", within_s=8)
    assert house.home.state("sensor.posturewatch_me_load") == "unavailable"
    house.daemon.start()
    house.until_right()
    assert house.home.complaints() == []


def test_the_birth_of_home_assistant_makes_us_say_everything_again(house: Any) -> None:
    heard = len(house.ears.heard)
    house.ears.client.publish("homeassistant/status", "online", 1)
    for leaf in ("posturewatch_wearer_me/config", "posturewatch_bridge/config", "me/availability", "me/state"):
        house.ears.until(leaf, since=heard, within_s=PROMISED_S)
    house.until_right()
    assert house.home.complaints() == []
