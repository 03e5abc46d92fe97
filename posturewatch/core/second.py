"""One second of one wearer, in plain numbers: the step that runs 86 400 times a day.

What happens in it now and then is in `changes.py`.  Here every lookup counts; benchmarks/stage_costs.py measures it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.core import bouts, breaks, changes, loads, motion, posture, reminding, sedentary, wear
from posturewatch.types import NS_PER_S, BoutPhase, Link, Motion, MotionChanged, Posture, Wear

if TYPE_CHECKING:
    from posturewatch.core.bouts import Direction
    from posturewatch.core.features import Row
    from posturewatch.core.settings import Params, SensorParams, Settings
    from posturewatch.core.state import SensorState, State
    from posturewatch.types import Event

HOLD_S = 10  # a gap up to this is bridged: nothing is said of it
DRIFT_EVERY_S = 10
_WORN, _OFF = Wear.WORN, Wear.OFF_BODY
_STILL, _MICRO = Motion.STILL, Motion.MICRO
_STANDING, _LYING, _UNKNOWN_POSTURE = Posture.STANDING, Posture.LYING, Posture.UNKNOWN
_NONE = BoutPhase.NONE
_OK = Link.OK
_ORDER = {Motion.UNKNOWN: -1, Motion.STILL: 0, Motion.MICRO: 1, Motion.MOVING: 2, Motion.WALKING: 3}


def take_row(
    state: State, sensor: SensorState, row: Row, params: SensorParams, settings: Settings, events: list[Event]
) -> None:
    """One second of a wearer with one sensor."""
    epoch = row[0]
    step_s = epoch - state.last_epoch
    if step_s <= 0:
        return
    if state.flagged:
        changes.clear_flags(state)
    if step_s > HOLD_S + 1 or state.body.link is not _OK:  # samples can come after a tick took them for lost
        changes.note_resume(state, epoch, step_s - 1, (row.up_x, row.up_y, row.up_z), settings, events)
    _observe(state, sensor, row, params, settings, events)
    _decide(
        state, epoch, step_s, sensor.now_motion, sensor.posture.posture, sensor.up, sensor.cos_inclination,
        sensor.motion.active, settings, events,
    )  # fmt: skip


def take_rows(
    state: State,
    seen: tuple[tuple[SensorState, Row, SensorParams], ...],
    settings: Settings,
    events: list[Event],
) -> None:
    """One second of a wearer with several sensors: the rows of those that saw it."""
    epoch = seen[0][1].epoch
    step_s = epoch - state.last_epoch
    if step_s <= 0:  # a late sensor; what the others said stands
        return
    if state.flagged:
        changes.clear_flags(state)
    if step_s > HOLD_S + 1 or state.body.link is not _OK:  # samples can come after a tick took them for lost
        changes.note_resume(state, epoch, step_s - 1, seen[0][1][5:8], settings, events)
    for sensor, row, params in seen:
        _observe(state, sensor, row, params, settings, events)
    moves, at, up, cos_inclination, active = _joined(state, settings)
    _decide(state, epoch, step_s, moves, at, up, cos_inclination, active, settings, events)


def _observe(
    state: State, sensor: SensorState, row: Row, params: SensorParams, settings: Settings, events: list[Event]
) -> None:
    """What one second of one sensor says."""
    epoch, x_g, y_g, z_g, norm_g, up_x, up_y, up_z, sd_mg, gait, band = row
    follows = epoch - sensor.last_epoch <= HOLD_S
    if not follows:
        if epoch - sensor.last_epoch - 1 > settings.detection.gap_pause_s:
            wear.restart(sensor.wear, epoch * NS_PER_S)
        else:
            wear.reopen(sensor.wear)
    sensor.last_epoch = epoch
    up = (up_x, up_y, up_z)
    sensor.now_motion = moves = motion.step(sensor.motion, epoch, up, sd_mg, gait, follows, params.motion)
    changed = wear.step(sensor.wear, epoch, x_g, y_g, z_g, sd_mg, band, params.wear)
    upright = params.posture.up
    tolerance_g = params.norm_tolerance_g
    calm = (moves is _STILL or moves is _MICRO) and (
        -tolerance_g < norm_g - 1.0 < tolerance_g or motion.is_own_rest(sensor.motion, norm_g, tolerance_g)
    )
    sensor.up = up if calm else None
    if upright is None:
        sensor.cos_inclination = None
    else:
        cos = up_x * upright[0] + up_y * upright[1] + up_z * upright[2]
        began = posture.step(sensor.posture, epoch, cos, follows, params.posture)
        if began:
            sensor.posture_epoch = began
        sensor.cos_inclination = cos if calm and params.inclined else None
    if changed is not None:
        changes.note_wear(state, changed, epoch, up, settings, events)


def _decide(
    state: State,
    epoch: int,
    step_s: int,
    moves: Motion,
    at: Posture,
    up: Direction | None,
    cos_inclination: float | None,
    active: bool,
    settings: Settings,
    events: list[Event],
) -> None:
    """Bouts, breaks, clocks and reminders of one second."""
    body, params = state.body, settings.params
    state.last_epoch = epoch
    body.now_ns = (epoch + 1) * NS_PER_S
    if moves is not body.motion:
        body.motion, body.motion_since_ns = moves, epoch * NS_PER_S
        events.append(MotionChanged(epoch * NS_PER_S, moves))
    wear_now = body.wear
    if wear_now is _OFF:
        at = _UNKNOWN_POSTURE
    if at is not body.posture:
        changes.note_posture(state, at, epoch, settings, events)
    moved = state.breaks
    if wear_now is not _OFF and (active or moved.window or moved.real or moved.run_start or at is _STANDING):
        ended = breaks.step(moved, epoch, step_s, active, at is _STANDING, params.breaks)
        if ended is not None or moved.run_start or moved.real or body.break_kind is not None:
            changes.note_break(state, ended, epoch, settings, events)
    else:
        moved.feet_epoch = 0
    is_worn = wear_now is _WORN
    if params.static_bouts:
        held = state.bouts
        # a sensor that lies somewhere holds no posture; the next bout begins with the donning
        bouts.step(held, epoch, up, cos_inclination, params.bouts, [] if wear_now is _OFF else events)
        if held.shifted or held.returned_from:
            changes.note_shift(state, epoch, events)
        body.bout = phase = held.phase
        if is_worn:
            if phase is not _NONE and at is not _LYING:
                held.static_s += 1
            body.static_s, body.fidgets = held.static_s, held.fidgets
            body.static_since_ns = held.start_epoch * NS_PER_S if held.static_s else 0
            if not epoch % DRIFT_EVERY_S:
                body.drift_deg = bouts.drift_deg(held)
    body.cos_inclination = cos_inclination
    if is_worn:
        _count(state, epoch, at, cos_inclination, params)
    reminding.step(state.reminding, body, settings, events)


def _count(state: State, epoch: int, at: Posture, cos_inclination: float | None, params: Params) -> None:
    """The sedentary clock and the loads of one worn second."""
    body = state.body
    if state.real_break:
        body.sedentary_s, body.sedentary_since_ns = 0, 0
    else:
        seat = state.sedentary
        if not seat.start_epoch:
            sedentary.begin(seat, epoch, epoch)
        if at is not _STANDING and (at is not _LYING or params.seat):
            seat.counted_s += 1
        body.sedentary_s, body.sedentary_since_ns = seat.counted_s, seat.start_epoch * NS_PER_S
    if params.dosed:
        load = state.loads
        is_moving = body.break_kind is not None and (state.breaks.run_start > 0 or state.breaks.real)
        loads.accumulate(load, cos_inclination, is_moving, params.loads)
        body.hold_dose_frac = load.hold_dose_frac
        if params.loads.fatigue_index:
            body.fatigue_index_frac = load.fatigue_index_frac


def _joined(state: State, settings: Settings) -> tuple[Motion, Posture, Direction | None, float | None, bool]:
    """Several sensors of one wearer: the trunk gives the angle, the thigh gives the seat."""
    moves, active = Motion.UNKNOWN, False
    at = lying = Posture.UNKNOWN
    up: Direction | None = None
    cos: float | None = None
    from_trunk = False
    for sensor, params in zip(state.sensors, settings.params.sensors, strict=True):
        if sensor.silent:
            continue
        if _ORDER[sensor.now_motion] > _ORDER[moves]:
            moves = sensor.now_motion
        active = active or sensor.motion.active
        if params.seat:
            at = sensor.posture.posture
        elif sensor.posture.posture is not Posture.UNKNOWN:
            lying = sensor.posture.posture
        if params.static_bouts and not from_trunk:
            up, cos, from_trunk = sensor.up, sensor.cos_inclination, not params.seat
    if lying is Posture.LYING or at is Posture.UNKNOWN:
        at = lying
    return moves, at, up, cos, active
