"""A guided calibration with wearers who do as they are told, and with those who cannot."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from posturewatch.calibrating.capturing import Captured
from posturewatch.calibrating.guide import Guide
from posturewatch.calibrating.judging import Outcome, judge, judge_walk
from posturewatch.core.calibration import angle_deg, measure_pose
from posturewatch.terminal.dialogue import Dialogue
from posturewatch.types import Placement

RATE_HZ = 25.0
MOUNTINGS = {
    "upright": np.eye(3),
    "upside down": np.diag([1.0, -1.0, -1.0]),
    "crooked": np.linalg.qr(np.array([[0.3, -0.8, 0.5], [0.9, 0.2, 0.4], [-0.1, 0.6, 0.8]]))[0],
}
SIT, STAND, WALK, BEND = "sit as", "stand", "walk", "bend forward"


class Wearer:
    """Does what was said last: a stream of specific force in the sensor's own axes."""

    def __init__(self, mounting: np.ndarray, *, rate_hz: float = RATE_HZ) -> None:
        self.mounting, self.rate_hz = mounting, rate_hz
        self.told = ""
        self.wobble_deg: dict[str, float] = {}
        self.lean_deg = {SIT: 8.0, STAND: 0.0, WALK: 3.0, BEND: 45.0}
        self.norm_g = 1.0
        self.stands = 0
        self.slips_deg = 0.0
        self._chance = np.random.default_rng(5)

    async def glimpse(self, seconds: float) -> Captured:
        count = max(math.ceil(seconds * self.rate_hz), 1)
        doing = next((each for each in (SIT, BEND, WALK, STAND) if self.told.startswith(each)), STAND)
        lean_deg = self.lean_deg[doing] + (self.slips_deg if "again" in self.told else 0.0)
        lean = np.radians(lean_deg + self.wobble_deg.get(doing, 0.2) * self._chance.standard_normal(count))
        body = np.stack([-np.sin(lean), np.zeros(count), np.cos(lean)], axis=1) * self.norm_g  # x is forward
        if doing == WALK:
            body *= 1 + 0.3 * np.sin(2 * np.pi * 2 * np.arange(count) / self.rate_hz)[:, None]
        return Captured(np.rint(body @ self.mounting.T * 100_000).astype(np.int32), count / self.rate_hz)


class Overheard(Dialogue):
    """Remembers what was said, and lets the wearer hear it."""

    def __init__(self, wearer: Wearer) -> None:
        super().__init__(unattended=True)
        self.wearer = wearer
        self.lines: list[str] = []

    def say(self, text: str = "") -> None:
        self.lines.append(text)
        if not text.startswith(" "):
            self.wearer.told = text


def lead(wearer: Wearer, placement: Placement = Placement.CHEST, *, bend: bool = True) -> tuple[Outcome, list[str]]:
    talk = Overheard(wearer)
    return asyncio.run(Guide(talk, wearer, placement, ready_s=0).lead(bend=bend)), talk.lines


@pytest.mark.parametrize("mounting", MOUNTINGS.values(), ids=MOUNTINGS)
def test_all_poses_make_an_a_for_any_mounting(mounting: np.ndarray) -> None:
    outcome, _ = lead(Wearer(mounting))
    assert (outcome.grade, outcome.remarks) == ("A", ())
    assert outcome.calibration is not None
    assert angle_deg(outcome.calibration.up, tuple(mounting @ [0, 0, 1])) < 1
    assert outcome.calibration.forward is not None
    assert angle_deg(outcome.calibration.forward, tuple(mounting @ [1, 0, 0])) < 2


def test_without_a_bend_it_is_a_b_and_forward_is_not_known() -> None:
    outcome, lines = lead(Wearer(MOUNTINGS["crooked"]), bend=False)
    assert outcome.grade == "B"
    assert outcome.calibration is not None
    assert outcome.calibration.forward is None
    assert lines[-1] == "calibrated, grade B"


def test_a_moment_of_movement_costs_nothing() -> None:
    rows = np.tile([0, 0, 100_000], (150, 1)).astype(np.int32)
    rows[:40] = [60_000, 0, 80_000]
    parts = [Captured(part, 1.0) for part in np.split(rows, 6)]
    from posturewatch.calibrating.judging import measure_stillest  # noqa: PLC0415

    pose = measure_stillest(parts)
    assert angle_deg(pose.direction, (0, 0, 1)) < 0.1
    assert pose.duration_s >= 3


def test_who_cannot_stand_still_is_calibrated_from_walking() -> None:
    wearer = Wearer(MOUNTINGS["crooked"])
    wearer.wobble_deg = {STAND: 12.0}
    outcome, lines = lead(wearer)
    assert [line for line in lines if line.startswith("stand")] == [
        "stand upright, as you usually do, and hold still",
        "stand once more, and hold still",
    ]
    assert outcome.grade == "C"
    assert outcome.calibration is not None
    assert angle_deg(outcome.calibration.up, tuple(wearer.mounting @ [0, 0, 1])) < 5


def test_a_slipped_sensor_a_shallow_bend_and_a_crooked_walk_are_said() -> None:
    slipped = Wearer(MOUNTINGS["upright"])
    slipped.slips_deg = 20.0
    outcome, _ = lead(slipped)
    assert outcome.grade == "C"
    assert any("differs by more than 5 degrees" in remark for remark in outcome.remarks)

    shallow = Wearer(MOUNTINGS["upright"])
    shallow.lean_deg[BEND] = 12.0
    outcome, _ = lead(shallow)
    assert outcome.grade == "B"
    assert any("bend further forward" in remark for remark in outcome.remarks)

    crooked = Wearer(MOUNTINGS["upright"])
    crooked.lean_deg[WALK] = 30.0
    outcome, _ = lead(crooked)
    assert outcome.grade == "C"
    assert any("walking and standing differ by 30 degrees" in remark for remark in outcome.remarks)


def test_a_sensor_without_one_g_is_refused_at_once() -> None:
    wearer = Wearer(MOUNTINGS["upright"])
    wearer.norm_g = 1.2
    outcome, lines = lead(wearer)
    assert outcome.calibration is None
    assert "does not read 1 g" in outcome.remarks[0]
    assert not any(line.startswith("walk") for line in lines)


def test_a_slow_sensor_is_not_asked_to_walk_and_gets_its_time() -> None:
    outcome, lines = lead(Wearer(MOUNTINGS["crooked"], rate_hz=0.4))
    assert outcome.grade == "A"
    assert not any(line.startswith("walk") for line in lines)


def test_a_thigh_is_calibrated_by_standing_only() -> None:
    outcome, lines = lead(Wearer(MOUNTINGS["crooked"]), Placement.THIGH)
    assert outcome.grade == "B"
    assert not any(line.startswith(("sit", "bend")) for line in lines)


def test_nothing_is_made_of_a_walk_without_steps_or_of_nothing() -> None:
    still = Captured(np.tile([0, 0, 100_000], (700, 1)).astype(np.int32), 28.0)
    assert judge_walk(still).calibration is None
    assert judge_walk(Captured(np.empty((0, 3), dtype=np.int32), 0.0)).calibration is None
    pose = measure_pose(np.tile([0.0, 0.0, 1.0], (150, 1)), 6.0)
    outcome = judge(pose, still)
    assert outcome.grade == "B"
    assert outcome.remarks == ("no steps were seen, so walking could not confirm it",)
