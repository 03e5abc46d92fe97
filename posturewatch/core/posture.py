"""Which posture, from the direction of up in the sensor and what the placement permits.

A thigh tells sitting from standing; a trunk tells lying from upright; a head, a wrist or an unknown place tells
nothing.  Without a calibration (which way is up when standing) nothing is said either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.types import Placement, Posture

if TYPE_CHECKING:
    from posturewatch.core.settings import Detection, SensorSettings, Vector

TRUNK = frozenset(
    {
        Placement.CHEST,
        Placement.TORSO,
        Placement.UPPER_BACK,
        Placement.NECK,
        Placement.LOW_BACK,
        Placement.WAIST,
    }
)
POSTURAL = TRUNK | {Placement.HEAD, Placement.THIGH}  # static bouts and shifts
INCLINED = TRUNK | {Placement.HEAD}  # inclination
CHANGE_S = 5  # a new class must hold this long
LYING_AFTER_S = 120  # a deep bend looks the same to a trunk sensor, and nobody holds one for long
LYING_HYSTERESIS_DEG = 5.0

_UNKNOWN = Posture.UNKNOWN


@dataclass(frozen=True, slots=True)
class PostureParams:
    low: Posture  # near upright
    high: Posture  # far from it
    cos_rise: float  # beyond this angle it becomes `high`
    cos_fall: float  # below this one it becomes `low`
    up: Vector | None
    high_after_s: int  # how long `high` must hold


@dataclass(slots=True)
class PostureState:
    posture: Posture = Posture.UNKNOWN
    candidate: Posture = Posture.UNKNOWN
    candidate_epoch: int = 0


def params_of(detection: Detection, sensor: SensorSettings) -> PostureParams:
    """The two classes that this placement can tell, and their border."""
    up = sensor.calibration.up if sensor.calibration else None
    if sensor.placement is Placement.THIGH:
        low, high, border, half = (
            Posture.STANDING, Posture.SITTING, detection.thigh_sit_deg, detection.thigh_hysteresis_deg,
        )  # fmt: skip
    elif sensor.placement in TRUNK:
        low, high, border, half = Posture.UPRIGHT_UNKNOWN, Posture.LYING, detection.lying_deg, LYING_HYSTERESIS_DEG
    else:
        low, high, border, half, up = _UNKNOWN, _UNKNOWN, 90.0, 0.0, None
    return PostureParams(
        low,
        high,
        math.cos(math.radians(border + half)),
        math.cos(math.radians(border - half)),
        up,
        LYING_AFTER_S if high is Posture.LYING else CHANGE_S,
    )


def step(state: PostureState, epoch: int, cos_inclination: float | None, follows: bool, params: PostureParams) -> int:
    """Classify one second.  A changed class comes back as the epoch at which it began, 0 for no change."""
    now = state.posture
    if cos_inclination is None:
        found = _UNKNOWN
    elif cos_inclination < params.cos_rise:
        found = params.high
    elif cos_inclination > params.cos_fall:
        found = params.low
    else:
        found = params.low if now is _UNKNOWN else now
    if found is now:
        state.candidate = found
        return 0
    if found is not state.candidate or not follows:
        state.candidate, state.candidate_epoch = found, epoch
    wait_s = params.high_after_s if found is params.high else CHANGE_S
    if now is _UNKNOWN and wait_s > CHANGE_S:
        state.posture = params.low  # until it has held long enough
        return epoch
    if now is _UNKNOWN or epoch - state.candidate_epoch >= wait_s - 1:
        state.posture = found
        return epoch if now is _UNKNOWN else state.candidate_epoch
    return 0
