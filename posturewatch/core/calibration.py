"""Where `up` and `forward` point in the sensor's own axes, and the angles that follow from it.

At rest an accelerometer reads +1 g along the axis that points up.  Two poses held for a few seconds, upright and
bent forward, fix the body's axes for any mounting.  Without poses, the median direction while walking is upright:
then only the unsigned inclination is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.core.motion import REST_MAX_ERROR_G
from posturewatch.core.settings import Calibration, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]
    Int64Array = NDArray[np.int64]

MIN_POSE_S = 3.0
MAX_DISPERSION_DEG = 2.0
MAX_NORM_ERROR_FRAC = 0.05  # between poses, after the gain that the upright one shows
MIN_BEND_DEG, MAX_BEND_DEG = 20.0, 80.0
MAX_REPEAT_DEG = 5.0
MIN_WALK_S = 20  # a few steps are no reference; twenty seconds average over some fifteen strides
MIN_WALK_LENGTH = 0.7  # of the median vector: less means that the sensor turned between walks
_BINS_PER_UNIT = 4096  # of a component of a direction: medians to 0.01 degrees in bounded memory


class Fault(StrEnum):
    """Why a calibration was refused."""

    TOO_SHORT = "too_short"
    NOT_FINITE = "not_finite"
    NOT_STILL = "not_still"
    NOT_GRAVITY = "not_gravity"
    BEND_TOO_SMALL = "bend_too_small"
    BEND_TOO_LARGE = "bend_too_large"
    NOT_REPEATED = "not_repeated"


ADVICE: dict[Fault, str] = {
    Fault.TOO_SHORT: "hold each pose for at least 3 s",
    Fault.NOT_FINITE: "the sensor sent values that are not numbers; check it and repeat",
    Fault.NOT_STILL: "hold the pose without moving and repeat",
    Fault.NOT_GRAVITY: "the sensor does not read 1 g at rest, or not the same in each pose; check its unit and scale",
    Fault.BEND_TOO_SMALL: "bend further forward, 20 to 80 degrees, and repeat",
    Fault.BEND_TOO_LARGE: "bend less, 20 to 80 degrees, and repeat",
    Fault.NOT_REPEATED: "the second upright pose differs by more than 5 degrees; fasten the sensor and repeat",
}


@dataclass(frozen=True, slots=True)
class Pose:
    """One captured pose: its mean direction and how well it was held."""

    direction: Vector
    duration_s: float
    norm_g: float
    dispersion_p95_deg: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of a calibration: `calibration` is None exactly when there are faults."""

    calibration: Calibration | None
    faults: tuple[Fault, ...] = ()
    bend_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Angles:
    """Angles of directions in degrees; flexion and lateral are None without a known forward."""

    inclination_deg: FloatArray  # 0 to 180, unsigned
    flexion_deg: FloatArray | None  # + forward
    lateral_deg: FloatArray | None  # + to the right


def angle_deg(a: Vector, b: Vector) -> float:
    """Angle between two unit vectors, accurate also where it is small."""
    chord = math.dist(a, b)
    return math.degrees(2.0 * math.asin(min(chord / 2.0, 1.0)))


def measure_pose(acc_g: FloatArray, duration_s: float) -> Pose:
    """What a captured pose [n, 3] shows; rows that are not finite or have no length make its figures NaN."""
    norms = np.linalg.norm(acc_g, axis=1)
    if len(acc_g) == 0 or not np.isfinite(acc_g).all() or not norms.all():
        return Pose((math.nan, math.nan, math.nan), duration_s if len(acc_g) else 0.0, math.nan, math.nan)
    units = acc_g / norms[:, None]
    mean = units.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length == 0.0:
        return Pose((math.nan, math.nan, math.nan), duration_s, math.nan, math.nan)
    direction = mean / length
    off_deg = np.degrees(2.0 * np.arcsin(np.minimum(np.linalg.norm(units - direction, axis=1) / 2.0, 1.0)))
    return Pose(_vector(direction), duration_s, float(norms.mean()), float(np.percentile(off_deg, 95)))


def find_pose_faults(pose: Pose) -> tuple[Fault, ...]:
    """What speaks against using a pose.

    A gain that is off does not turn a direction, so a sensor may rest at its own reading (decision 026: zero-g offset
    and gain of ordinary parts).
    """
    if pose.duration_s < MIN_POSE_S:
        return (Fault.TOO_SHORT,)
    if not math.isfinite(pose.norm_g):
        return (Fault.NOT_FINITE,)
    faults = []
    if not pose.dispersion_p95_deg < MAX_DISPERSION_DEG:
        faults.append(Fault.NOT_STILL)
    if not abs(pose.norm_g - 1.0) < REST_MAX_ERROR_G:
        faults.append(Fault.NOT_GRAVITY)
    return tuple(faults)


def calibrate_poses(upright: Pose, bend: Pose | None = None, repeat: Pose | None = None) -> Attempt:
    """Calibration from an upright pose, a forward bend (for the sign of flexion) and a second upright pose."""
    poses = [pose for pose in (upright, bend, repeat) if pose is not None]
    faults = list(dict.fromkeys(fault for pose in poses for fault in find_pose_faults(pose)))
    if Fault.NOT_FINITE in faults or Fault.TOO_SHORT in faults:
        return Attempt(None, tuple(faults))
    if any(not abs(pose.norm_g / upright.norm_g - 1.0) < MAX_NORM_ERROR_FRAC for pose in poses):
        faults = list(dict.fromkeys([*faults, Fault.NOT_GRAVITY]))
    bend_deg = None if bend is None else angle_deg(upright.direction, bend.direction)
    if bend_deg is not None and bend_deg < MIN_BEND_DEG:
        faults.append(Fault.BEND_TOO_SMALL)
    if bend_deg is not None and bend_deg > MAX_BEND_DEG:
        faults.append(Fault.BEND_TOO_LARGE)
    if repeat is not None and angle_deg(upright.direction, repeat.direction) > MAX_REPEAT_DEG:
        faults.append(Fault.NOT_REPEATED)
    if faults:
        return Attempt(None, tuple(faults), bend_deg)
    forward = None if bend is None else find_forward(upright.direction, bend.direction)
    grade = "A" if bend is not None and repeat is not None else "B"
    return Attempt(Calibration(upright.direction, forward, "poses", grade), (), bend_deg)


def find_forward(up: Vector, bent_up: Vector) -> Vector:
    """Body forward in sensor axes: bending forward moves `up` backward in the body."""
    z, bent = np.array(up), np.array(bent_up)
    backward = bent - bent.dot(z) * z
    return _vector(-backward / np.linalg.norm(backward))


class WalkingReference:
    """Upright as the component-wise median direction while walking, gathered chunk by chunk in bounded memory."""

    __slots__ = ("_counts", "walking_s")

    def __init__(self) -> None:
        """Start with no walking seen."""
        self.walking_s = 0
        self._counts: Int64Array = np.zeros((3, 2 * _BINS_PER_UNIT + 1), dtype=np.int64)

    def add(self, up: FloatArray, walking: BoolArray) -> None:
        """Take one-second unit directions [n, 3]; those that are finite and walking count."""
        rows = up[walking & np.isfinite(up).all(axis=1)]
        self.walking_s += len(rows)
        bins = np.rint(np.clip(rows, -1.0, 1.0) * _BINS_PER_UNIT).astype(np.int64) + _BINS_PER_UNIT
        for axis in range(3):
            self._counts[axis] += np.bincount(bins[:, axis], minlength=self._counts.shape[1])

    def calibrate(self) -> Calibration | None:
        """The calibration of the walking seen so far; None if it was too little or the directions disagree."""
        if self.walking_s < MIN_WALK_S:
            return None
        middle = self._counts.cumsum(axis=1)
        lower = [int(np.searchsorted(row, (self.walking_s + 1) // 2)) for row in middle]
        upper = [int(np.searchsorted(row, self.walking_s // 2 + 1)) for row in middle]
        median = (np.array(lower) + np.array(upper)) / 2.0 / _BINS_PER_UNIT - 1.0
        length = float(np.linalg.norm(median))
        if length < MIN_WALK_LENGTH:
            return None
        return Calibration(_vector(median / length), None, "auto", "C")


def calibrate_walking(up: FloatArray, walking: BoolArray) -> Calibration | None:
    """Calibration from the seconds marked as walking of one-second unit directions [n, 3]; None if it cannot be."""
    reference = WalkingReference()
    reference.add(up, walking)
    return reference.calibrate()


def cos_inclination(calibration: Calibration, up: FloatArray) -> FloatArray:
    """Cosine of the inclination of unit directions [n, 3]."""
    return _project(up, calibration.up)


def inclination_deg(calibration: Calibration, up: FloatArray) -> FloatArray:
    """Unsigned inclination from upright of unit directions [n, 3]; NaN rows stay NaN."""
    degrees: FloatArray = np.degrees(np.arccos(np.clip(cos_inclination(calibration, up), -1.0, 1.0)))
    return degrees


def decompose(calibration: Calibration, up: FloatArray) -> Angles:
    """Inclination, flexion and lateral tilt of unit directions [n, 3]; the last two need a known forward."""
    inclination = inclination_deg(calibration, up)
    if calibration.forward is None:
        return Angles(inclination, None, None)
    left = _vector(np.cross(calibration.up, calibration.forward))
    vertical = _project(up, calibration.up)
    return Angles(
        inclination,
        np.degrees(np.arctan2(-_project(up, calibration.forward), vertical)),
        np.degrees(np.arctan2(_project(up, left), vertical)),
    )


def _project(up: FloatArray, axis: Vector) -> FloatArray:
    """Component along an axis, by products and sums in one order, so that a row's bits never depend on its chunk."""
    component: FloatArray = up[:, 0] * axis[0] + up[:, 1] * axis[1] + up[:, 2] * axis[2]
    return component


def _vector(row: FloatArray) -> Vector:
    return float(row[0]), float(row[1]), float(row[2])
