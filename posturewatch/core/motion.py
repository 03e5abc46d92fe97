"""How much the sensor moves: still, micro, moving or walking.

Moving: SD of |a| over 2 s above 75 mg in two of three seconds.  Walking: moving with a rhythm, seen
within the last ten seconds.  Micro: the direction left the last one by 5 degrees.  At a wrist a busy hand
moves as much as a walk does, so there only a rhythm counts towards a break.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.types import Motion, Placement

if TYPE_CHECKING:
    from posturewatch.core.bouts import Direction
    from posturewatch.core.settings import Detection

GAIT_MIN = 0.3  # autocorrelation
RHYTHM_HOLD_S = 10
UNBROKEN_HOLD_S = 30  # while the movement in which the rhythm was seen goes on
MICRO_HOLD_S = 2
QUIET = frozenset({0b000, 0b001, 0b010, 0b100})  # fewer than two of three seconds
VIGOROUS_SD_MG = 400.0  # nobody gestures like this for long
REST_S = 10  # so long must |a| stay away from 1 g to be the sensor's own error and no movement of the body
REST_MAX_ERROR_G = 0.15  # zero-g offset and gain of ordinary parts; more is a wrong scale
# seats and steps: where a hand's own business is not the body's
HAND = frozenset({Placement.WRIST, Placement.UNKNOWN})

_STILL, _MICRO, _MOVING, _WALKING = Motion.STILL, Motion.MICRO, Motion.MOVING, Motion.WALKING


@dataclass(frozen=True, slots=True)
class MotionParams:
    moving_sd_mg: float
    cos_micro: float
    rhythm_only: bool


@dataclass(slots=True)
class MotionState:
    history: int = 0  # the last three seconds: 1 where the spread was high
    gait_epoch: int = -1_000_000
    moving_epoch: int = 0  # start of the unbroken movement; 0: none
    micro_epoch: int = -1_000_000
    ref_x: float = 0.0  # direction at the last micro movement
    ref_y: float = 0.0
    ref_z: float = 0.0
    active: bool = False  # this second counts towards a break
    rest_g: float = 0.0  # what the sensor reads at rest where that is not 1 g
    rest_s: int = 0  # calm seconds that say so


def params_of(detection: Detection, placement: Placement) -> MotionParams:
    """Thresholds in the units of the rows."""
    return MotionParams(detection.moving_sd_mg, math.cos(math.radians(detection.micro_theta_deg)), placement in HAND)


def step(
    state: MotionState, epoch: int, up: Direction, sd_mg: float, gait: float, follows: bool, params: MotionParams
) -> Motion:
    """Classify one second; `follows` says that the second before was seen."""
    up_x, up_y, up_z = up
    history = (((state.history << 1) if follows else 0) | (sd_mg > params.moving_sd_mg)) & 7
    state.history = history
    if up_x * state.ref_x + up_y * state.ref_y + up_z * state.ref_z < params.cos_micro:
        state.ref_x, state.ref_y, state.ref_z = up_x, up_y, up_z
        state.micro_epoch = epoch
    if history in QUIET:
        state.active = False
        state.moving_epoch = 0
        return _MICRO if epoch - state.micro_epoch <= MICRO_HOLD_S else _STILL
    if gait >= GAIT_MIN:
        state.gait_epoch = epoch
    if not state.moving_epoch:
        state.moving_epoch = epoch
    rest_s = epoch - state.gait_epoch
    walking = rest_s <= RHYTHM_HOLD_S or (rest_s <= UNBROKEN_HOLD_S and state.gait_epoch >= state.moving_epoch)
    state.active = walking or not params.rhythm_only or sd_mg > VIGOROUS_SD_MG
    return _WALKING if walking else _MOVING


def is_own_rest(state: MotionState, norm_g: float, tolerance_g: float) -> bool:
    """Is |a|, in a second without movement and not near 1 g, what this sensor reads at rest?

    An accelerometer at rest reads 1 g plus its zero-g offset and gain error, the same as long as it keeps its
    direction; an acceleration of the body ends within seconds.  `tolerance_g` is how near the readings must be.
    """
    away_g = norm_g - state.rest_g
    if not -tolerance_g < away_g < tolerance_g:
        state.rest_g, state.rest_s = norm_g, 1
        return False
    if state.rest_s < REST_S:
        state.rest_s += 1
    state.rest_g += away_g / REST_S
    return state.rest_s >= REST_S and -REST_MAX_ERROR_G < state.rest_g - 1.0 < REST_MAX_ERROR_G
