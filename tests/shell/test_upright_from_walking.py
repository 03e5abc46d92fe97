"""Upright from walking while the daemon runs: where nobody calibrated, and where a sensor slipped."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from posturewatch_sim.scenarios import Step, load
from posturewatch_sim.stream import samples

from posturewatch.calibrating.uprights import SLIPPED_DEG, Uprights
from posturewatch.config import read_calibration, write_calibration
from posturewatch.core.calibration import angle_deg
from posturewatch.core.settings import Calibration, SensorSettings, Settings
from posturewatch.publishing.topics import Topics
from posturewatch.rules import discover
from posturewatch.sinks.outbox import Outbox
from posturewatch.sources.simulated import SimulatedSensor, find_upright
from posturewatch.types import NS_PER_S, Placement, SampleBatch
from posturewatch.watch import Watch

START_NS = 1_790_000_000 * NS_PER_S
TURNED = 40.0
UPRIGHT = find_upright(SimulatedSensor("s", "office-day", 3, Placement.CHEST))


class Walker:
    """One wearer who walks, with a sensor that may sit differently than before."""

    def __init__(self, calibration: Calibration | None = None, saved: dict[str, Any] | None = None) -> None:
        self.outbox = Outbox(lambda: START_NS)
        self.kept: list[Calibration] = []
        sensors = (SensorSettings("s", Placement.CHEST, calibration=calibration),)
        self.watch = Watch(Settings("me", sensors, discover()), Topics(), self.outbox, simulated=True, saved=saved)
        self.watch.on_upright = self.keep

    def keep(self, _: str, calibration: Calibration) -> None:
        self.kept.append(calibration)
        sensors = (replace(self.watch.settings.sensors[0], calibration=calibration),)
        self.watch.change(replace(self.watch.settings, sensors=sensors))

    def do(self, activity: str, minutes: float, turned_deg: float = 0.0) -> None:
        scene = load("office-day")
        walking = replace(scene.wearers[0], script=(Step(activity, (minutes * 60, minutes * 60)),), endless=())
        turn = math.radians(turned_deg)
        around = np.array([[math.cos(turn), 0, -math.sin(turn)], [0, 1, 0], [math.sin(turn), 0, math.cos(turn)]])
        start_ns = max(START_NS, self.watch.state.body.now_ns + NS_PER_S)
        scene = replace(scene, wearers=(walking,))
        for chunk in samples(scene, seed=3, start_ns=start_ns, chunk_s=0.5):
            acc = np.rint(chunk.acc_10ug @ around).astype(np.int32)
            self.watch.take(SampleBatch("s", chunk.t_ns, acc))

    def told(self, event_type: str) -> list[dict[str, Any]]:
        told = [json.loads(m.payload) for m in self.outbox._history if m.topic.endswith("/event")]
        return [event["detail"] for event in told if event["event_type"] == event_type]


def test_a_minute_of_walking_calibrates_a_sensor_that_nobody_calibrated() -> None:
    walker = Walker()
    walker.do("sit", 3)
    assert walker.kept == []
    walker.do("walk", 2)
    assert walker.told("calibrated") == [{"sensor": "s", "grade": "C"}]
    (found,) = walker.kept
    assert angle_deg(found.up, UPRIGHT.up) < 15
    walker.do("sit", 1)
    assert walker.watch.state.body.cos_inclination is not None


def test_a_slipped_sensor_is_asked_about_once_over_restarts() -> None:
    walker = Walker(UPRIGHT)
    walker.do("walk", 4)
    assert walker.told("sensor_slipped") == []
    walker.do("walk", 4, TURNED)
    (told,) = walker.told("sensor_slipped")
    assert told["sensor"] == "s"
    assert told["off_deg"] > SLIPPED_DEG
    assert walker.kept == []
    again = Walker(UPRIGHT, json.loads(json.dumps(walker.watch.dump())))
    again.do("walk", 5, TURNED)
    assert again.told("sensor_slipped") == []
    anew = Walker(replace(UPRIGHT, up=(0.0, 1.0, 0.0)), json.loads(json.dumps(walker.watch.dump())))
    anew.do("walk", 5, TURNED)
    assert len(anew.told("sensor_slipped")) == 1


def test_what_came_from_walking_follows_the_sensor_without_a_question() -> None:
    walker = Walker(replace(UPRIGHT, source="auto", grade="C"))
    walker.do("walk", 4, TURNED)
    assert walker.told("sensor_slipped") == []
    assert len(walker.kept) == 1
    assert angle_deg(walker.kept[0].up, UPRIGHT.up) > SLIPPED_DEG


def test_a_file_says_whether_a_calibration_came_from_walking(tmp_path: Any) -> None:
    for source, read in (("auto", "auto"), ("poses", "file")):
        write_calibration(tmp_path / "s.json", replace(UPRIGHT, source=source))
        assert read_calibration(tmp_path / "s.json").source == read


@pytest.mark.parametrize("saved", [None, 5, {"s": "up"}, {"s": [1, 2]}, {"s": [0.0, 0.0, 1.0]}])
def test_whatever_was_saved_is_gone_on_from_or_forgotten(saved: object) -> None:
    assert Uprights(saved).dump() in ({}, {"s": [0.0, 0.0, 1.0]})
