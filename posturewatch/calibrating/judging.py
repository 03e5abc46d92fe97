"""What the captured poses are worth.  Pure.

A: standing, bent forward, standing again, all in agreement.  B: standing alone.  C: from walking only, or poses that
contradict each other: good enough to begin with, better repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.calibrating.capturing import Captured
from posturewatch.core.calibration import (
    ADVICE,
    MIN_POSE_S,
    Fault,
    angle_deg,
    calibrate_poses,
    calibrate_walking,
    find_pose_faults,
)
from posturewatch.types import UNITS_PER_G

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posturewatch.core.calibration import FloatArray, Pose
    from posturewatch.core.settings import Calibration

MAX_WALK_DEG = 15.0  # people walk a little more upright or bent than they stand
LEAST_STEP_G = 0.03  # SD of the norm: less is no walking
LEAST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """A calibration with what there is to say about it; none, with the reason."""

    calibration: Calibration | None
    remarks: tuple[str, ...] = ()

    @property
    def grade(self) -> str | None:
        """A, B, C; nothing if there is none."""
        return None if self.calibration is None else self.calibration.grade


def measure_stillest(parts: Sequence[Captured]) -> Pose:
    """The pose: all of it if it was held, else the stillest run of parts that is long enough for one."""
    whole = join(parts).measure()
    if find_pose_faults(whole) != (Fault.NOT_STILL,):
        return whole
    runs = [
        join(parts[first:last]).measure()
        for first in range(len(parts))
        for last in range(first + 1, len(parts) + 1)
        if sum(part.seconds for part in parts[first:last]) >= MIN_POSE_S
    ]
    return min(runs, key=lambda pose: pose.dispersion_p95_deg, default=whole)


def join(parts: Sequence[Captured]) -> Captured:
    """One after the other as one."""
    return Captured(np.concatenate([part.acc_10ug for part in parts]), sum(part.seconds for part in parts))


def judge(stand: Pose, walk: Captured | None = None, bend: Pose | None = None, again: Pose | None = None) -> Outcome:
    """The calibration from these poses; what does not fit is left out and said."""
    if faults := find_pose_faults(stand):
        return Outcome(None, tuple(ADVICE[fault] for fault in faults))
    remarks: list[str] = []
    agrees = True
    if again is not None and (faults := find_pose_faults(again)):
        remarks += [f"standing again: {ADVICE[fault]}" for fault in faults]
        again = None
    if again is not None and Fault.NOT_REPEATED in calibrate_poses(stand, None, again).faults:
        remarks.append(ADVICE[Fault.NOT_REPEATED])
        again, agrees = None, False
    attempt = calibrate_poses(stand, bend, again)
    if attempt.calibration is None:
        remarks += [f"bent forward: {ADVICE[fault]}" for fault in attempt.faults]
        attempt = calibrate_poses(stand, None, again)
    if walk is not None and not _has_steps(walk):
        remarks.append("no steps were seen, so walking could not confirm it")
    elif walk is not None and (remark := _compare_walk(stand, walk)) is not None:
        remarks.append(remark)
        agrees = False
    calibration = attempt.calibration
    if calibration is not None and not agrees:
        calibration = replace(calibration, grade="C")
    return Outcome(calibration, tuple(remarks))


def judge_walk(walk: Captured) -> Outcome:
    """Upright from walking alone, where no pose could be held."""
    if not _has_steps(walk):
        return Outcome(None, ("no steps were seen: walk about, and repeat",))
    rows = _directions(walk)
    calibration = calibrate_walking(rows, np.ones(len(rows), dtype=bool))
    if calibration is None:
        return Outcome(None, ("the walk was too short, or the sensor turned: fasten it, walk for 25 s, and repeat",))
    return Outcome(calibration, ("from walking only, so only how far it leans is known",))


def _compare_walk(stand: Pose, walk: Captured) -> str | None:
    middle = np.median(_directions(walk), axis=0)
    length = float(np.linalg.norm(middle))
    if length == 0:
        return "the sensor turned while walking: fasten it, and repeat"
    x, y, z = (float(part) / length for part in middle)
    off_deg = angle_deg(stand.direction, (x, y, z))
    if off_deg <= MAX_WALK_DEG:
        return None
    return f"walking and standing differ by {off_deg:.0f} degrees: did the sensor slip, or did you not stand upright?"


def _has_steps(walk: Captured) -> bool:
    if len(walk.acc_10ug) < LEAST_ROWS:
        return False
    norms_g = np.linalg.norm(walk.acc_10ug.astype(np.float64), axis=1) / UNITS_PER_G
    return float(norms_g.std()) >= LEAST_STEP_G


def _directions(walk: Captured) -> FloatArray:
    """One unit direction for each second."""
    count = max(int(walk.seconds), 1)
    means = [part.mean(axis=0) for part in np.array_split(walk.acc_10ug.astype(np.float64), count) if len(part)]
    rows: FloatArray = np.array([mean / length for mean in means if (length := float(np.linalg.norm(mean)))])
    return rows.reshape(-1, 3)
