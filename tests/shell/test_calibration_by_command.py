"""Calibration while the daemon runs: from a still upright pose of the stream, refused in one line otherwise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from posturewatch.config import read_kept, write_calibration
from posturewatch.config.calibration import kept_path
from posturewatch.core.settings import Calibration, SensorSettings, Settings
from posturewatch.errors import CommandError
from posturewatch.mqtt.link import Received
from posturewatch.publishing.topics import Topics
from posturewatch.requests.desk import Desk
from posturewatch.rules import discover
from posturewatch.sinks.outbox import Outbox
from posturewatch.types import NS_PER_S, Placement, RawSamples, SampleBatch
from posturewatch.watch import Watch

START_NS = 1_790_000_000 * NS_PER_S
UP = np.array([0.6, 0.0, 0.8])


class Room:
    """A watch, its desk, and a sensor that sends ten samples in each fifth of a second."""

    def __init__(self, *sensors: SensorSettings) -> None:
        self.now = START_NS
        self.outbox = Outbox(lambda: self.now)
        sensors = sensors or (SensorSettings("s", Placement.CHEST),)
        self.watch = Watch(Settings("me", sensors, discover()), Topics(), self.outbox, simulated=True)
        self.kept: list[tuple[str, Calibration]] = []
        self.desk = Desk(Topics(), [self.watch], self.outbox, lambda: self.now, lambda: None, self.keep)
        self.rng = np.random.default_rng(1)

    def keep(self, sensor: str, calibration: Calibration) -> None:
        self.kept.append((sensor, calibration))

    def say(self, payload: bytes = b"PRESS") -> None:
        self.desk.hear(Received("posturewatch/wearer/me/do/calibrate", payload))

    def pass_by(self, seconds: float, sway: float = 0.0, as_batches: bool = False, sends: bool = True) -> None:
        for _ in range(round(5 * seconds)):
            t_ns = self.now + (np.arange(10) + 1) * NS_PER_S // 50
            self.now += NS_PER_S // 5
            turned = UP + sway * np.sin(self.now / NS_PER_S) * np.array([0.8, 0.0, -0.6])
            acc = np.round(1e5 * (turned / np.linalg.norm(turned) + self.rng.normal(0, 0.003, (10, 3)))).astype(
                np.int32
            )
            if sends:
                batch: Any = SampleBatch("s", t_ns, acc) if as_batches else RawSamples("s", self.now, acc, 50.0)
                self.watch.take(batch)
            self.watch.tick(self.now)

    def told(self, leaf: str) -> list[dict[str, Any]]:
        return [json.loads(m.payload) for m in self.outbox._history if m.topic.endswith(f"/{leaf}")]


@pytest.mark.parametrize("as_batches", [False, True])
def test_ten_still_seconds_make_a_calibration_that_is_kept_and_told(as_batches):
    room = Room()
    room.say(b'{"transaction": "c1"}')
    room.pass_by(9.5, as_batches=as_batches)
    assert room.told("result") == []
    room.pass_by(1, as_batches=as_batches)
    (answer,) = room.told("result")
    assert (answer["ok"], answer["action"], answer["key"], answer["value"]) == (True, "calibrate", "s", "B")
    assert answer["transaction"] == "c1"
    ((sensor, calibration),) = room.kept
    assert sensor == "s"
    assert calibration.up == pytest.approx((0.6, 0.0, 0.8), abs=0.002)
    assert [e["detail"]["grade"] for e in room.told("event") if e["event_type"] == "calibrated"] == ["B"]


def test_who_moves_is_asked_to_hold_still_and_nothing_is_kept():
    room = Room()
    room.say()
    room.pass_by(11, sway=0.2)
    (answer,) = room.told("result")
    assert answer["error"] == "hold the pose without moving and repeat"
    assert room.kept == []


def test_without_samples_it_ends_after_half_a_minute():
    room = Room()
    room.say()
    room.pass_by(29, sends=False)
    assert room.told("result") == []
    room.pass_by(2, sends=False)
    (answer,) = room.told("result")
    assert "too few samples" in answer["error"]


def test_one_calibration_at_a_time():
    room = Room()
    room.say()
    room.say()
    assert "going on already" in room.told("result")[0]["error"]
    room.pass_by(11)
    assert [answer["ok"] for answer in room.told("result")] == [False, True]


def test_the_same_request_again_is_the_same_calibration_and_gets_its_answer():
    room = Room()
    room.say(b'{"transaction": "c1"}')
    room.pass_by(5)
    room.say(b'{"transaction": "c1"}')
    assert room.told("result") == []
    room.pass_by(6)
    room.say(b'{"transaction": "c1"}')
    room.pass_by(11)
    answers = [{key: value for key, value in answer.items() if key != "time"} for answer in room.told("result")]
    assert len(answers) == 3
    assert answers[0]["ok"]
    assert answers[1:] == answers[:1] * 2
    assert len(room.kept) == 1
    room.say(b'{"transaction": "c2"}')
    room.pass_by(11)
    assert len(room.kept) == 2


def test_a_calibration_for_a_reminder_that_is_over_is_stale():
    room = Room()
    room.say(b'{"cycle": "me/static/1/1", "transaction": "c1"}')
    room.say(b'{"cycle": "me/static/1/1", "transaction": "c1"}')
    room.pass_by(11)
    assert [answer["error"] for answer in room.told("result")] == ["stale", "stale"]
    assert room.kept == []


@pytest.mark.parametrize(
    ("sensors", "payload", "says"),
    [
        ([("s", Placement.WRIST)], b"PRESS", "none needs a calibration"),
        ([("s", Placement.WRIST), ("t", Placement.CHEST)], b"s", "it needs no calibration"),
        ([("s", Placement.CHEST), ("t", Placement.HEAD)], b"PRESS", "name one of s, t"),
        ([("s", Placement.CHEST)], b"x", "no sensor 'x'; known are s"),
    ],
)
def test_the_sensor_has_to_be_one_that_can_be_calibrated(sensors, payload, says):
    room = Room(*(SensorSettings(name, placement) for name, placement in sensors))
    room.say(payload)
    assert says in room.told("result")[0]["error"]


def test_what_cannot_be_kept_is_said():
    room = Room()

    def refuse(*_: object) -> None:
        raise CommandError("no room on the disk")

    room.desk = Desk(Topics(), [room.watch], room.outbox, lambda: room.now, lambda: None, refuse)
    room.say()
    room.pass_by(11)
    assert room.told("result")[0]["error"] == "no room on the disk"


def test_what_was_kept_is_read_again_with_its_grade_and_damage_is_no_end(tmp_path, caplog):
    assert read_kept(tmp_path, "s") is None
    write_calibration(kept_path(tmp_path, "s"), Calibration((0.6, 0.0, 0.8), source="poses", grade="B"))
    kept = read_kept(tmp_path, "s")
    assert kept is not None
    assert (kept.up, kept.grade) == ((pytest.approx(0.6), 0.0, pytest.approx(0.8)), "B")
    kept_path(tmp_path, "s").write_text("{")
    assert read_kept(tmp_path, "s") is None
    assert "calibrate again" in caplog.text
