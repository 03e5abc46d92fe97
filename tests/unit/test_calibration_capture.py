"""Which captures make a calibration, and what is said about the others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from posturewatch.core.calibration import (
    ADVICE,
    MIN_WALK_S,
    Attempt,
    Fault,
    Pose,
    calibrate_poses,
    calibrate_walking,
    decompose,
    inclination_deg,
    measure_pose,
)
from posturewatch.core.settings import Calibration


def capture(bend_deg: float = 0.0, *, norm_g: float = 1.0, wobble_deg: float = 0.5, duration_s: float = 4.0) -> Pose:
    """A pose at 10 Hz, swaying sideways."""
    sway = np.radians(wobble_deg) * np.sin(np.arange(int(duration_s * 10)))
    bend = np.full(len(sway), math.radians(bend_deg))
    up = np.stack([-np.sin(bend) * np.cos(sway), np.sin(sway), np.cos(bend) * np.cos(sway)], axis=1)
    return measure_pose(norm_g * up, duration_s)


def test_a_well_held_pair_with_a_repeat_is_grade_a() -> None:
    attempt = calibrate_poses(capture(), capture(45), capture(3))
    assert attempt.faults == ()
    assert attempt.bend_deg == pytest.approx(45, abs=0.2)
    assert attempt.calibration is not None
    assert attempt.calibration.grade == "A"
    assert attempt.calibration.forward == pytest.approx((1, 0, 0), abs=0.01)


def test_poses_without_a_repeat_are_grade_b_and_without_a_bend_know_no_forward() -> None:
    pair, alone = calibrate_poses(capture(), capture(45)), calibrate_poses(capture())
    assert pair.calibration is not None
    assert (pair.calibration.grade, pair.calibration.source) == ("B", "poses")
    assert alone.calibration is not None
    assert alone.calibration.forward is None
    angles = decompose(alone.calibration, np.array([[0.0, 0.0, 1.0]]))
    assert (angles.flexion_deg, angles.lateral_deg) == (None, None)


@pytest.mark.parametrize(
    ("poses", "fault"),
    [
        ((capture(duration_s=2.9),), Fault.TOO_SHORT),
        ((measure_pose(np.empty((0, 3)), 5.0),), Fault.TOO_SHORT),
        ((measure_pose(np.array([[0.0, 0.0, 1.0], [math.nan, 0.0, 1.0]]), 5.0),), Fault.NOT_FINITE),
        ((measure_pose(np.zeros((40, 3)), 5.0),), Fault.NOT_FINITE),
        ((measure_pose(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]), 5.0),), Fault.NOT_FINITE),
        ((capture(wobble_deg=3.0),), Fault.NOT_STILL),
        ((capture(), capture(45, wobble_deg=3.0)), Fault.NOT_STILL),
        ((capture(norm_g=1.16),), Fault.NOT_GRAVITY),
        ((capture(norm_g=0.84),), Fault.NOT_GRAVITY),
        ((capture(norm_g=1.08), capture(45)), Fault.NOT_GRAVITY),
        ((capture(), capture(19)), Fault.BEND_TOO_SMALL),
        ((capture(), capture(81)), Fault.BEND_TOO_LARGE),
        ((capture(), capture(45), capture(6)), Fault.NOT_REPEATED),
    ],
)
def test_a_bad_capture_is_refused_with_its_reason(poses: tuple[Pose, ...], fault: Fault) -> None:
    attempt = calibrate_poses(*poses)
    assert isinstance(attempt, Attempt)
    assert attempt.calibration is None
    assert attempt.faults == (fault,)
    assert ADVICE[fault]


@pytest.mark.parametrize("norm_g", [0.88, 0.94, 1.06, 1.12])
def test_a_gain_that_is_off_in_every_pose_does_not_matter(norm_g: float) -> None:
    attempt = calibrate_poses(capture(norm_g=norm_g), capture(45, norm_g=norm_g), capture(norm_g=norm_g))
    assert attempt.calibration is not None
    assert attempt.calibration.grade == "A"


def test_every_fault_has_its_advice() -> None:
    assert set(ADVICE) == set(Fault)


def directions(*angles_deg: float) -> NDArray[np.float64]:
    angles = np.radians(angles_deg)
    return np.stack([np.sin(angles), np.zeros(len(angles)), np.cos(angles)], axis=1)


def test_walking_gives_upright_and_ignores_everything_else() -> None:
    up = directions(*[4.0, 5.0, 6.0] * 20, *[70.0] * 200, math.nan)
    walking = np.array([True] * 60 + [False] * 200 + [True])
    found = calibrate_walking(up, walking)
    assert found is not None
    assert (found.source, found.grade, found.forward) == ("auto", "C", None)
    assert inclination_deg(found, directions(5.0))[0] == pytest.approx(0, abs=0.03)


def test_a_few_stumbles_do_not_move_upright() -> None:
    found = calibrate_walking(directions(*[5.0] * 60, *[80.0] * 20), np.ones(80, dtype=bool))
    assert found is not None
    assert inclination_deg(found, directions(5.0))[0] == pytest.approx(0, abs=0.03)


def test_too_little_walking_or_walking_in_all_directions_gives_nothing() -> None:
    enough = np.ones(MIN_WALK_S, dtype=bool)
    assert calibrate_walking(directions(*[5.0] * MIN_WALK_S), enough) is not None
    assert calibrate_walking(directions(*[5.0] * (MIN_WALK_S - 1)), enough[1:]) is None
    assert calibrate_walking(directions(*range(0, 360, 4)), np.ones(90, dtype=bool)) is None


def test_directions_that_are_not_known_have_no_angle() -> None:
    assert np.isnan(inclination_deg(Calibration((0.0, 0.0, 1.0)), np.full((1, 3), np.nan))).all()
