"""Is the sensor on a body?  Worn, unknown, or off body, within minutes.

A sensor on a desk is the most static posture there is.  Two kinds of evidence tell a still body from it:

* **It turns a little, all the time.**  Over ten seconds noise averages out; from one ten-second mean direction to the
  next a body turns by more than 0.15 degrees again and again, a table does not, unless somebody bumps it, and that
  is one turn and not many.  So the *number* of turns counts, not their size.  This works with any digit size.
* **It breathes.**  Between 0.1 and 0.7 Hz there is more than the noise found at 2 to 4 Hz in the same minute, or a
  narrow line.  Only where one digit is at most 4 mg.

Five minutes with hardly a turn: a coarse sensor is off body.  Away from the hands a few turns may be a very quiet thigh
or trunk: it is `unknown`, and off body after ten minutes more.  A fine sensor would have shown breathing, but a
sleeping wrist may be very quiet; it is off body only if it was handled just before and lies differently since, or if
for half an hour nothing but its own noise was seen.  Otherwise `unknown`: reminders are silent, clocks pause.

A bump can look like breathing, for it is a step and lasts; but it is also a turn.  So for `unknown` only the breathing
of minutes without a turn counts; `off_body` asks for more, and takes any for a body.

`off_body` reaches back to the start of the stillness, `worn` to the donning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S, Wear

if TYPE_CHECKING:
    from posturewatch.core.features import Band

SLOT_S = 10
TURN_COS = math.cos(math.radians(0.15))
SLOT_MIN_FRAMES = 5
WINDOW_SLOTS = 30  # five minutes
WINDOW = (1 << WINDOW_SLOTS) - 1
RECENT = (1 << 18) - 1  # three minutes
LAST_MINUTE = 0b111111
SLOTS_BEFORE = 0b11111  # of a minute whose last slot is still open
QUIET_TURNS_COARSE = 4
QUIET_TURNS_FINE = 3
BUMPS = 1  # so few turns in five minutes are no body, whatever the digits and the place
WORN_TURNS = 6  # in three minutes, to come back from off body
AGAIN_TURNS = 4  # in three minutes, to come back from unknown
MICRO_MIN_MG = 1.0
MICRO_OVER_NOISE = 3.0
LINE_OVER_NOISE = 2.8  # white noise gets there in less than one minute of a hundred
MOVED_SD_MG = 75.0  # whoever walks may keep the mean direction
HANDLED_COS = math.cos(math.radians(30.0))
HANDLED_SD_MG = 150.0
LIVELY_TURNS = 3  # in one minute: not still
LINE_MINUTES = 2  # of five, to be a body's
THREE_MINUTES = 0b111
BREATHS_AGAIN = 2  # of three minutes, to come back from unknown
SILENT_MG = 0.02  # less noise than this is a digit that hides it
KEEP_SLOTS = 114  # nineteen minutes of directions
NOISE_ONLY_SLOTS = 180  # half an hour
LIMB_SLOTS = 60  # ten minutes
FEW_TURNS_SLOTS = 60  # few turns for so long are no body either
DONNING_SNAP_NS = 120 * NS_PER_S

_WORN, _UNKNOWN, _OFF = Wear.WORN, Wear.UNKNOWN, Wear.OFF_BODY


@dataclass(frozen=True, slots=True)
class WearParams:
    coarse: bool  # the digits hide breathing
    noise_mg: float | None  # known noise in the breathing band
    handled_slots: int  # quiet for so long, after it was handled, is off body
    bumps: int  # so few turns in five minutes are no body, with coarse digits


def params_of(coarse: bool, noise_mg: float | None, on_limb: bool) -> WearParams:
    """A sleeper turns over and is very still: on a limb being handled proves less, and needs longer.

    A hand awake turns in most of the slots, a lying thigh in a quarter of them.
    """
    if on_limb:
        return WearParams(coarse, noise_mg, LIMB_SLOTS, QUIET_TURNS_COARSE)
    return WearParams(coarse, noise_mg, 1, BUMPS)


@dataclass(slots=True)
class WearState:
    wear: Wear = Wear.UNKNOWN
    since_ns: int = 0
    started_ns: int = 0  # of this unbroken stretch of data
    # the open slot
    next_epoch: int = 0  # where the next ten-second slot begins, UTC
    frames: int = 0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    high_sd_mg: float = 0.0
    # the slots before
    up_x: float = 0.0
    up_y: float = 0.0
    up_z: float = 0.0
    turns: int = 0  # bit field, newest lowest: 1 where the direction had turned
    seen: int = 0  # slots since the start, at most KEEP_SLOTS
    still_from_ns: int = 0  # since when there were no turns but single bumps
    quiet_slots: int = 0  # for how long nothing but noise was seen
    micro_minutes: int = 0  # bit field, newest lowest: 1 where the minute showed a body (W), fine sensors
    line_minutes: int = 0  # the same, by a narrow line
    calm_minutes: int = 0  # the same: 1 where no slot had turned, so that it was breathing and no bump
    noise_seen: bool = False  # the digits are fine enough to show the sensor's own noise
    slots: list[tuple[float, float, float, float]] = field(default_factory=list)  # up, and the highest SD


def reopen(state: WearState) -> None:
    """After a gap in which all clocks paused: only the open slot is lost, a turn shows across the gap, too."""
    state.next_epoch = state.frames = 0
    state.x = state.y = state.z = state.high_sd_mg = 0.0


def restart(state: WearState, now_ns: int) -> None:
    """Forget what cannot be compared across a gap; the wear state itself stays until there is evidence."""
    reopen(state)
    state.turns = state.seen = state.quiet_slots = 0
    state.micro_minutes = state.line_minutes = state.calm_minutes = 0
    state.slots = []
    state.started_ns = state.still_from_ns = now_ns


def step(
    state: WearState,
    epoch: int,
    x_g: float,
    y_g: float,
    z_g: float,
    sd_mg: float,
    band: Band | None,
    params: WearParams,
) -> tuple[Wear, int] | None:
    """Take one second.  A changed wear state comes back with the moment it began, which may be minutes ago."""
    changed = None
    if epoch >= state.next_epoch or epoch < state.next_epoch - SLOT_S:
        if state.frames >= SLOT_MIN_FRAMES:
            changed = _close_slot(state, params)
        state.next_epoch, state.frames = epoch - epoch % SLOT_S + SLOT_S, 0
        state.x = state.y = state.z = state.high_sd_mg = 0.0
    state.frames += 1
    state.x += x_g
    state.y += y_g
    state.z += z_g
    if sd_mg > state.high_sd_mg:
        state.high_sd_mg = sd_mg
    if band is not None:
        _close_minute(state, band, params.noise_mg)
    return changed


def _close_minute(state: WearState, band: Band, noise_mg: float | None) -> None:
    noise = band.noise_mg if noise_mg is None else max(noise_mg, 0.5 * band.noise_mg)
    above = math.sqrt(max(band.rms_mg**2 - noise**2, 0.0))
    micro = above >= max(MICRO_MIN_MG, MICRO_OVER_NOISE * noise)
    calm = not (_has_turned(state, *_direction(state)) or state.turns & SLOTS_BEFORE)
    state.micro_minutes = ((state.micro_minutes << 1) | micro) & 31
    state.line_minutes = ((state.line_minutes << 1) | (band.peak >= LINE_OVER_NOISE)) & 31
    state.calm_minutes = ((state.calm_minutes << 1) | calm) & 31
    state.noise_seen = band.noise_mg > SILENT_MG


def _direction(state: WearState) -> tuple[float, float, float]:
    """The mean direction of the open slot."""
    length = math.sqrt(state.x**2 + state.y**2 + state.z**2) or 1.0
    return state.x / length, state.y / length, state.z / length


def _has_turned(state: WearState, x: float, y: float, z: float) -> bool:
    """Does the open slot, of this mean direction, differ from the one before?"""
    return state.high_sd_mg > MOVED_SD_MG or (
        state.seen > 0 and x * state.up_x + y * state.up_y + z * state.up_z < TURN_COS
    )


def _close_slot(state: WearState, params: WearParams) -> tuple[Wear, int] | None:
    coarse = params.coarse
    end_ns = state.next_epoch * NS_PER_S
    x, y, z = _direction(state)
    turned = _has_turned(state, x, y, z)
    state.up_x, state.up_y, state.up_z = x, y, z
    state.turns = ((state.turns << 1) | turned) & WINDOW
    state.seen = min(state.seen + 1, KEEP_SLOTS)
    state.slots.append((x, y, z, state.high_sd_mg))
    if len(state.slots) > KEEP_SLOTS:
        del state.slots[0]
    if (state.turns & LAST_MINUTE).bit_count() >= LIVELY_TURNS:
        state.still_from_ns = end_ns
    turns = state.turns.bit_count()
    if state.wear is _WORN and turns > QUIET_TURNS_COARSE:  # the ordinary case: plainly worn, and it was
        state.quiet_slots = 0
        return None
    few = state.seen > WINDOW_SLOTS and turns <= (QUIET_TURNS_COARSE if coarse else QUIET_TURNS_FINE)
    lines = state.line_minutes.bit_count() >= LINE_MINUTES
    quiet = few and (coarse or not state.micro_minutes)
    state.quiet_slots = state.quiet_slots + 1 if quiet and (coarse or not lines) else 0
    body = not coarse and (state.micro_minutes & 3 or lines)
    return _decide(state, end_ns, few, quiet, bool(body), params)


def _decide(
    state: WearState, end_ns: int, few: bool, quiet: bool, body: bool, params: WearParams
) -> tuple[Wear, int] | None:
    if state.wear is not _WORN and _is_back(state, params.coarse):
        return _change(state, _WORN, _donning_ns(state, end_ns))
    if state.wear is _OFF or not few:
        return None
    slots = state.quiet_slots
    if quiet:
        handled = not body and slots >= params.handled_slots and _handled(state, end_ns)
        sure = params.coarse and (state.turns.bit_count() <= params.bumps or slots >= FEW_TURNS_SLOTS)
        if sure or handled or (slots >= NOISE_ONLY_SLOTS and state.noise_seen):
            return _change(state, _OFF, max(min(state.still_from_ns, end_ns - 300 * NS_PER_S), state.started_ns))
    if state.wear is _WORN and (params.coarse or not _breathed(state)):
        return _change(state, _UNKNOWN, end_ns)
    return None


def _breathed(state: WearState) -> bool:
    """Did any of the last five minutes show breathing without a turn, or two of them a line?"""
    calm = state.calm_minutes
    return bool(state.micro_minutes & calm) or (state.line_minutes & calm).bit_count() >= LINE_MINUTES


def _is_back(state: WearState, coarse: bool) -> bool:
    """Turns enough in three minutes; or breathing in two of them without a turn, or in all three."""
    recent = (state.turns & RECENT).bit_count()
    # coarse digits turn on a desk, too: once a sensor was seen still, it must turn more
    if state.wear is _OFF or (coarse and state.seen > WINDOW_SLOTS):
        enough = recent >= WORN_TURNS
    else:
        enough = recent >= AGAIN_TURNS
    if enough or coarse:
        return enough
    breaths = state.micro_minutes & THREE_MINUTES
    calm = (breaths & state.calm_minutes).bit_count()
    return breaths == THREE_MINUTES or (calm >= BREATHS_AGAIN and state.wear is not _OFF)


def _change(state: WearState, wear: Wear, from_ns: int) -> tuple[Wear, int]:
    state.wear, state.since_ns = wear, from_ns
    return wear, from_ns


def _donning_ns(state: WearState, end_ns: int) -> int:
    """The start of the first turn of the last three minutes; the start of the data where that is near."""
    first = max((state.turns & RECENT).bit_length(), 1)
    start_ns = end_ns - first * SLOT_S * NS_PER_S
    floor_ns = max(state.started_ns, state.since_ns)
    return floor_ns if start_ns - floor_ns < DONNING_SNAP_NS else start_ns


def _handled(state: WearState, end_ns: int) -> bool:
    """Was it taken and put down just before the stillness, and does it point elsewhere since?"""
    still = min(max(int((end_ns - state.still_from_ns) // (SLOT_S * NS_PER_S)), WINDOW_SLOTS), len(state.slots))
    cut = len(state.slots) - still
    burst = max((s[3] for s in state.slots[max(cut - 6, 0) : cut + 2]), default=0.0)
    now = state.slots[-1]
    before = state.slots[max(cut - 12, 0) : max(cut - 1, 0)]
    if not before:
        return False
    away = all(now[0] * b[0] + now[1] * b[1] + now[2] * b[2] < HANDLED_COS for b in before[: max(len(before) - 3, 1)])
    return away and burst > HANDLED_SD_MG
