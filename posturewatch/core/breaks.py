"""What counts as a break: micro (30 s of movement, or out of the posture and back) and real.

Real: at least 120 s of movement within any 180 s; with a thigh sensor also five minutes on one's feet.  It is over
when nothing but fidgets moved for a minute, and ended where the movement did.  Time off the body is dealt with in the
pipeline.

A micro break counts at once, but is told of only after a rest of `HOLE_S`: until then more movement may make it part
of a longer one, and a break is said once, with its final kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.types import BreakKind

if TYPE_CHECKING:
    from posturewatch.core.settings import Detection

STILL_ENDS_S = 60  # a break with a rest of less than this in it is one break
HOLE_S = 20  # movement before a longer rest than this did not belong to the break
FIDGET_S = 10  # less movement than this within HOLE_S is one: it does not prolong a break
PAUSE_IN_RUN_S = 5  # a run of movement may have such holes
MICRO_SHARE = 0.6  # of a run must be movement
_HOLE = (1 << HOLE_S) - 1


@dataclass(frozen=True, slots=True)
class BreakParams:
    window: int  # mask of the window, one bit a second
    real_s: int
    micro_s: int
    standing_s: int


def params_of(detection: Detection) -> BreakParams:
    """Durations, and the window as a bit mask."""
    return BreakParams(
        (1 << detection.real_break_window_s) - 1,
        detection.real_break_s,
        detection.micro_break_s,
        detection.standing_break_s,
    )


@dataclass(slots=True)
class BreakState:
    window: int = 0  # active seconds, newest lowest
    real: bool = False
    start_epoch: int = 0  # of the real break
    last_active: int = 0
    run_start: int = 0  # of the run of movement; 0: none
    run_active: int = 0  # active seconds in it
    micro_start_epoch: int = 0  # of a micro break that is not told of yet; 0: none
    micro_end_epoch: int = 0
    micro_ended: bool = False  # in this second one was recognised
    feet_epoch: int = 0  # on one's feet since; 0: not
    ended_epoch: int = 0  # end of the last break of any kind: the next one cannot begin before
    progress: float = 0.0


Ended = tuple[BreakKind, int, int]  # kind, start epoch, end epoch


def step(state: BreakState, epoch: int, step_s: int, active: bool, on_feet: bool, params: BreakParams) -> Ended | None:
    """Take one second, `step_s` after the one before; a break that is over comes back."""
    state.micro_ended = False
    if not active and not on_feet and not state.window and not state.real:
        state.feet_epoch = 0
        return _told(state)
    window = state.window = ((state.window << min(step_s, 4096)) | active) & params.window
    if on_feet:
        if not state.feet_epoch:
            state.feet_epoch = epoch
    elif not active:
        state.feet_epoch = 0
    if active or (state.real and on_feet):
        if not state.run_start:
            state.run_start, state.run_active = epoch, 0
        state.run_active += 1
        if not state.real or on_feet or (window & _HOLE).bit_count() >= FIDGET_S:
            state.last_active = epoch
    count = window.bit_count()
    standing_s = epoch - state.feet_epoch + 1 if state.feet_epoch else 0
    if state.real:
        return close(state, params.micro_s) if epoch - state.last_active > STILL_ENDS_S else None
    state.progress = min(max(count / params.real_s, standing_s / params.standing_s), 1.0)
    if standing_s >= params.standing_s:
        _begin_real(state, min(state.feet_epoch, state.run_start or epoch))
        state.last_active = epoch
    elif count >= params.real_s:
        _begin_real(state, min(epoch - _dense_s(window) + 1, state.run_start or epoch))
    elif state.run_start and epoch - state.last_active > PAUSE_IN_RUN_S:
        _end_run(state, params.micro_s)
    # standing may still become a real break, as more movement may
    if state.micro_end_epoch and not on_feet and not state.run_start and epoch - state.micro_end_epoch >= HOLE_S:
        return _told(state)
    return None


def _begin_real(state: BreakState, start_epoch: int) -> None:
    """What was a micro break until now is the beginning of a real one."""
    if state.micro_start_epoch:
        start_epoch = min(start_epoch, state.micro_start_epoch)
    state.real, state.start_epoch = True, max(start_epoch, state.ended_epoch)
    state.micro_start_epoch = state.micro_end_epoch = 0


def _end_run(state: BreakState, micro_s: int) -> None:
    """A run of movement is over: with the one before it, if that was near, it may be a micro break."""
    start_epoch, end_epoch = max(state.run_start, state.ended_epoch), state.last_active + 1
    span_s = end_epoch - start_epoch
    if span_s >= micro_s and state.run_active >= MICRO_SHARE * span_s:
        state.micro_start_epoch, state.micro_end_epoch = state.micro_start_epoch or start_epoch, end_epoch
        state.micro_ended = True
    state.run_start = 0


def _told(state: BreakState) -> Ended | None:
    """The micro break that waits, if there is one: it stays one."""
    if not state.micro_end_epoch:
        return None
    ended = (BreakKind.MICRO, state.micro_start_epoch, state.micro_end_epoch)
    state.micro_start_epoch = state.micro_end_epoch = 0
    state.progress, state.ended_epoch = 0.0, ended[2]
    return ended


def _dense_s(window: int) -> int:
    """How far back from now the movement reaches without a hole of HOLE_S."""
    length = 0
    while window >> length and (window >> length) & _HOLE:
        length += 1
    return length


def close(state: BreakState, micro_s: int) -> Ended | None:
    """The movement is over: give the break that it was, if it was one."""
    if not state.real:
        if state.run_start:
            _end_run(state, micro_s)
        return _told(state)
    ended = (BreakKind.REAL, state.start_epoch, state.last_active + 1)
    state.real, state.window, state.feet_epoch = False, 0, 0
    state.run_start, state.progress, state.ended_epoch = 0, 0.0, ended[2]
    return ended
