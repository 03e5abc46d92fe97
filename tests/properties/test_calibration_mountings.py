"""The body's angles do not depend on how the sensor is mounted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from posturewatch.core.calibration import calibrate_poses, decompose, measure_pose

angles_deg = st.floats(-60.0, 60.0)


@st.composite
def mountings(draw: st.DrawFn) -> NDArray[np.float64]:
    """A rotation matrix, from a unit quaternion."""
    part = st.floats(-1.0, 1.0)
    q = np.array([draw(part), draw(part), draw(part), draw(st.floats(0.1, 1.0))])
    x, y, z, w = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def body_up(flexion_deg: float, lateral_deg: float) -> NDArray[np.float64]:
    """Direction of up in the body's axes (forward, left, up)."""
    up = np.array([-math.tan(math.radians(flexion_deg)), math.tan(math.radians(lateral_deg)), 1.0])
    unit: NDArray[np.float64] = up / np.linalg.norm(up)
    return unit


@settings(deadline=None)
@given(mountings(), angles_deg, angles_deg, st.floats(21.0, 79.0))
def test_any_mounting_gives_the_same_angles(
    mounting: NDArray[np.float64], flexion_deg: float, lateral_deg: float, bend_deg: float
) -> None:
    upright = measure_pose(np.tile(mounting @ body_up(0, 0), (30, 1)), 3.0)
    bend = measure_pose(np.tile(mounting @ body_up(bend_deg, 0), (30, 1)), 3.0)
    attempt = calibrate_poses(upright, bend, upright)
    assert attempt.calibration is not None
    assert attempt.calibration.grade == "A"
    assert attempt.bend_deg == pytest.approx(bend_deg, abs=1e-6)
    angles = decompose(attempt.calibration, (mounting @ body_up(flexion_deg, lateral_deg))[None, :])
    assert angles.flexion_deg is not None
    assert angles.lateral_deg is not None
    assert angles.flexion_deg[0] == pytest.approx(flexion_deg, abs=1e-6)
    assert angles.lateral_deg[0] == pytest.approx(lateral_deg, abs=1e-6)
    assert math.cos(math.radians(angles.inclination_deg[0])) == pytest.approx(body_up(flexion_deg, lateral_deg)[2])
