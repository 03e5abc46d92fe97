"""The daemon as a process, from a virtual sensor behind a real BlueZ to the messages at its broker."""

from __future__ import annotations

import json
import queue
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio

FAST_DAEMON = str(Path(__file__).with_name("fast_daemon.py"))
SPEED = 15.0
SCENARIO = """
title = "Thirteen minutes still, then a walk"
placement = "upper_back"
sensor = "polar_h10"
usual = { sway = 0.3, fidgets_per_h = 0 }
script = [{ do = "sit", minutes = 13 }, { do = "walk", minutes = 4 }, { do = "sit", minutes = 30 }]
"""


class Ears:
    """An independent MQTT client on the embedded broker's port for 3.1.1."""

    def __init__(self, kept: Path, told: Callable[[], str]) -> None:
        self._told = told
        self._heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "ears", protocol=paho.MQTTv311)
        self._client.username_pw_set("posturewatch", (kept / "broker-password").read_text().strip())
        self._client.on_message = lambda _c, _u, message: self._heard.put((message.topic, message.payload))
        self._client.on_connect = lambda client, *_: client.subscribe("posturewatch/wearer/me/#", 1)
        self._client.connect("127.0.0.1", 1884)
        self._client.loop_start()

    def until(self, leaf: str, fits, within_s: float) -> dict:
        deadline_s = time.monotonic() + within_s
        last: dict[str, bytes] = {}
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                topic, payload = self._heard.get(timeout=left_s)
            except queue.Empty:
                break
            last[topic] = payload
            if topic == f"posturewatch/wearer/me/{leaf}" and fits(heard := json.loads(payload)):
                return heard
        pytest.fail(f"no such {leaf} within {within_s:g} s; the last were {last}; {self._told()}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


async def test_a_still_wearer_is_reminded_over_mqtt_and_the_reminder_clears(
    simulator, start_simulator, start_daemon, configure, adapter, tmp_path
):
    simulator.obey("unplug")  # another one takes its place, on a faster clock
    config = configure(
        'family = "polar"\naddress = "C0:5E:00:00:00:01"\nrate_hz = 25.0',
        "static_limit_min = 5\n[wearer.reminding]\nquiet_hours = []",
    )
    daemon = start_daemon(FAST_DAEMON, str(config), str(SPEED))
    await daemon.until("no Bluetooth adapter is there")  # and it waits for one
    (tmp_path / "still.toml").write_text(SCENARIO)
    fast = start_simulator(str(tmp_path / "still.toml"), "polar_h10", speed=SPEED)
    await adapter.switch(on=True)
    await daemon.until("sensor back: streaming")
    ears = Ears(tmp_path / "kept", daemon.said)
    try:
        prompt = ears.until("reminder", lambda heard: not heard["test"], 90)
        assert prompt["event_type"] == "shift_due"
        assert prompt["reason"]["static_s"] == pytest.approx(300, abs=15)
        ears.until("state", lambda state: state["due"] and state["wear"] == "worn", 30)
        ears.until("state", lambda state: not state["due"] and state["motion"] == "walking", 90)
    finally:
        ears.close()
    assert await daemon.end(signal.SIGTERM) == 0
    assert fast.count("polar_h10", "connections") == 0  # nothing is left that would hide the sensor from a scan
