"""Sensors that advertise every few seconds: each second gets a value, and a walk is a break all the same."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from posturewatch_sim.scenarios import load
from posturewatch_sim.sensor import SensorModel
from posturewatch_sim.wearing import WornSensor

from posturewatch import rules
from posturewatch.core import pipeline
from posturewatch.core.settings import SensorSettings, SensorTraits, Settings
from posturewatch.drivers import Packet, discover
from posturewatch.drivers.bound import BoundSensor
from posturewatch.drivers.sparse import bridge, bridge_all, settle
from posturewatch.mqtt.link import Received
from posturewatch.mqtt.settings import MqttSettings
from posturewatch.sources.ble.stream import SensorStream
from posturewatch.sources.mqtt import MqttSource
from posturewatch.types import BreakEnded, BreakKind, Placement, RuleDue, Tick, Wear, WearChanged, WearRevised

S = 1_000_000_000
START_NS = 1_772_438_400 * S
RUUVI = discover()["ruuvi"]
BEACON = SensorModel("beacon", 10.0, 220.0, 4.0, 2.0, bias_mg=20.0)
EVERY_S, MISSED_FRAC = 2.57, 0.2


def acc(*rows):
    return np.array(rows, np.int32).reshape(-1, 3)


def test_both_samples_take_turns_in_the_seconds_between_and_the_new_one_is_last():
    old, new = acc((0, 0, 1)), acc((0, 0, 2))
    assert bridge(new, old, round(2.57 * S))[:, 2].tolist() == [2, 1, 2]
    assert bridge(new, old, 4 * S)[:, 2].tolist() == [1, 2, 1, 2]
    assert bridge(new, old, 61 * S) is None  # nobody knows
    assert bridge(new, old, S) is None  # nothing is missing
    assert bridge(acc((0, 0, 1), (0, 0, 2)), old, 4 * S) is None


def test_the_last_digit_may_flicker_and_a_slow_turn_still_shows():
    value = acc((0, 0, 100_000))
    assert settle(acc((0, 390, 100_390)), value, 4.2) is value
    seen = value
    for tilt in range(0, 4000, 100):
        seen = settle(acc((tilt, 0, 100_000)), seen, 4.2)
    assert abs(int(seen[0, 0]) - 3900) <= 585


def test_several_slow_samples_are_bridged_one_after_the_other():
    old, new = acc((0, 0, 1)), acc((0, 0, 2), (0, 0, 3))
    assert bridge_all(new, old, 6 * S, 1 / 3)[:, 2].tolist() == [2, 1, 2, 3, 2, 3]


def test_a_gateway_that_sends_every_four_seconds_is_reminded_in_time():
    scene = load("office-day")
    worn, items, now = WornSensor(scene, 7, BEACON), [], [START_NS]
    source = MqttSource(MqttSettings("127.0.0.1"), ["tag"], items.append, lambda: now[0])
    sensor = SensorSettings("tag", Placement.CHEST, SensorTraits(step_10ug=390))
    settings = Settings(wearer="me", sensors=(sensor,), rules=rules.discover())
    state, events = pipeline.initial(settings), []
    for at in range(750):
        at_s = 10.0 + 4.2 * at
        now[0] = START_NS + round(at_s * S)
        content = {"rate_hz": 1 / 4.2, "unit": "g", "acc": worn.snapshot_g(at_s).reshape(-1, 3).tolist()}
        source.take(Received("posturewatch/sensor/tag/samples", json.dumps(content).encode()))
        for tick_s in range(4):
            state, new = pipeline.advance_all(state, [*items, Tick(now[0] + tick_s * S)], settings)
            events += new
            items.clear()
    (due,) = [
        (event.t_ns - START_NS) / S / 60 for event in events if isinstance(event, RuleDue) and event.rule == "sedentary"
    ]
    assert due == pytest.approx(35.6, abs=0.7)


def watch(scenario: str, placement: Placement, hours: float) -> list:
    """The events of a wearer with a beacon, of which some advertisements are missed."""
    scene = load(scenario)
    scene = replace(scene, wearers=(replace(scene.wearers[0], placement=str(placement)),))
    worn, chance, items, now = WornSensor(scene, 7, BEACON), random.Random(1), [], [START_NS]
    stream = SensorStream("tag", RUUVI.capabilities, items.append, lambda: now[0])
    lateness_ns = round(BoundSensor("tag", RUUVI, "x").lateness_s * S)
    sensor = SensorSettings("tag", placement, SensorTraits(step_10ug=390), lateness_ns=lateness_ns)
    settings = Settings(wearer="me", sensors=(sensor,), rules=rules.discover())
    state, events = pipeline.initial(settings), []
    for seq in range(int(hours * 3600 / EVERY_S)):
        at_s = 10.0 + seq * EVERY_S
        now[0] = START_NS + round(at_s * S)
        if chance.random() > MISSED_FRAC:
            sample = np.rint(worn.snapshot_g(at_s) * 1e5).astype(np.int32)
            stream.take(Packet(sample, 1 / EVERY_S, seq=seq), now[0])
        state, new = pipeline.advance_all(state, [*items, Tick(now[0] + S)], settings)
        events += new
        items.clear()
    return events


@pytest.mark.parametrize("placement", [Placement.CHEST, Placement.THIGH])
def test_a_walk_is_a_break_and_reminders_come_in_time(placement):
    events = watch("office-day", placement, 1.6)
    breaks = [event for event in events if isinstance(event, BreakEnded) and event.kind is BreakKind.REAL]
    assert [(event.end_ns - START_NS) / S / 60 for event in breaks] == pytest.approx([5.5, 58.4], abs=0.5)
    due = [(event.rule, (event.t_ns - START_NS) / S / 60) for event in events if isinstance(event, RuleDue)]
    assert [at for rule, at in due if rule == "sedentary"] == pytest.approx([35.6, 88.4], abs=0.5)
    assert next(at for rule, at in due if rule == "static") == pytest.approx(25.5, abs=0.5)
    assert "sedentary_firm" not in {rule for rule, _ in due}


def test_a_beacon_on_the_desk_is_silent():
    events = watch("left-on-desk", Placement.CHEST, 1.4)
    changes = [event for event in events if isinstance(event, WearChanged | WearRevised)]
    assert changes[-1].state is not Wear.WORN
    assert not [event for event in events if isinstance(event, RuleDue)]
