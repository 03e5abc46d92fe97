"""What happens to a wearer now and then: a shift, a break, the sensor on or off, a gap.

Everything here is called on the second in which it happens; the ordinary second is `second.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from posturewatch.core import bouts, breaks, sedentary
from posturewatch.core.breaks import BreakState
from posturewatch.core.posture import PostureState
from posturewatch.types import (
    NS_PER_S,
    BreakEnded,
    BreakKind,
    ClosedBy,
    Happened,
    Link,
    Motion,
    MotionChanged,
    Posture,
    PostureChanged,
    Wear,
    WearChanged,
    WearRevised,
)

if TYPE_CHECKING:
    from posturewatch.core.bouts import Direction
    from posturewatch.core.settings import Settings
    from posturewatch.core.state import State
    from posturewatch.types import Event

RECLASSIFY_S = 600  # a posture is never said to have begun longer ago
_WORN, _UNKNOWN, _OFF = Wear.WORN, Wear.UNKNOWN, Wear.OFF_BODY


def clear_flags(state: State) -> None:
    """What ended in the last second has been seen."""
    body = state.body
    body.shift_ended = body.micro_break_ended = body.real_break_reached = body.break_over = False
    body.mounted = body.removed = False
    moved = state.breaks
    if body.break_kind is not None and not moved.run_start and not moved.micro_end_epoch and not state.real_break:
        body.break_kind = None
    state.flagged = False


def note_posture(state: State, at: Posture, epoch: int, settings: Settings, events: list[Event]) -> None:
    """The posture is another one, perhaps since a while; lying was counted as sitting until it was certain."""
    body = state.body
    since, sensor = epoch, state.sensors[0]
    if len(state.sensors) == 1 and at is sensor.posture.posture and epoch - sensor.posture_epoch < RECLASSIFY_S:
        since = max(sensor.posture_epoch, body.posture_since_ns // NS_PER_S)
    if at is Posture.LYING and not settings.params.seat:
        state.sedentary.counted_s = max(state.sedentary.counted_s - (epoch - since), 0)
        state.bouts.static_s = max(state.bouts.static_s - (epoch - since), 0)
    body.posture, body.posture_since_ns = at, since * NS_PER_S
    events.append(PostureChanged(since * NS_PER_S, at))


def note_shift(state: State, epoch: int, events: list[Event]) -> None:
    """A shift was recognised, or the wearer came back to a posture left before."""
    body = state.body
    state.flagged = True
    now_ns = (epoch + 1) * NS_PER_S
    if state.bouts.shifted:
        body.shift_ended = True
        if body.wear is _WORN:
            body.shifts += 1
            events.append(Happened(now_ns, "posture_shift", None, {"at_ns": state.bouts.out_epoch * NS_PER_S}))
    returned, moved = state.bouts.returned_from, state.breaks
    if returned and not moved.run_start and not moved.micro_end_epoch and returned >= moved.ended_epoch:
        moved.ended_epoch = epoch
        body.micro_break_ended = True
        if body.wear is not _OFF:
            events.append(BreakEnded(now_ns, BreakKind.MICRO, returned * NS_PER_S, epoch * NS_PER_S))


def note_break(state: State, ended: breaks.Ended | None, epoch: int, settings: Settings, events: list[Event]) -> None:
    """Movement is going on, or is just over."""
    body, moved = state.body, state.breaks
    if moved.real and not state.real_break:
        state.real_break = state.flagged = body.real_break_reached = True
        sedentary.end(state.sedentary, epoch + 1, moved.start_epoch, ClosedBy.BREAK, events)
        body.sedentary_s, body.sedentary_since_ns = 0.0, 0
    if moved.run_start or moved.real:
        since = moved.start_epoch if moved.real else moved.run_start
        if moved.real:
            body.break_kind = BreakKind.REAL
        elif epoch + 1 - since >= settings.params.breaks.micro_s and moved.run_active >= settings.params.breaks.micro_s:
            body.break_kind = BreakKind.MICRO
        body.break_progress_frac = 1.0 if moved.real else moved.progress
    if moved.micro_ended:
        state.flagged = body.micro_break_ended = True
    if moved.micro_end_epoch:
        body.break_kind = BreakKind.MICRO
    end_break(state, ended, epoch + 1, events)
    if not moved.run_start and not moved.real and not moved.micro_end_epoch:
        body.break_progress_frac = 0.0
        if ended is None:
            body.break_kind = None


def end_break(state: State, ended: breaks.Ended | None, now_epoch: int, events: list[Event]) -> None:
    """A break is over; after a real one a new sedentary bout has begun."""
    if ended is None:
        return
    kind, start, end = ended
    body = state.body
    state.flagged = body.break_over = True
    body.break_kind = kind
    events.append(BreakEnded(now_epoch * NS_PER_S, kind, start * NS_PER_S, end * NS_PER_S))
    if kind is BreakKind.MICRO:
        return
    state.real_break = False
    body.last_break_ns = end * NS_PER_S
    if body.wear is _WORN:
        sedentary.begin(state.sedentary, end, now_epoch - 1)


def note_wear(
    state: State, changed: tuple[Wear, int], epoch: int, up: Direction, settings: Settings, events: list[Event]
) -> None:
    """One sensor's wear changed: worn if any is worn, off body if all are."""
    body = state.body
    known = {s.wear.wear for s in state.sensors if s.last_epoch}
    new = _WORN if _WORN in known else _OFF if known == {_OFF} else _UNKNOWN
    from_ns = changed[1] if changed[0] is new else epoch * NS_PER_S
    old = body.wear
    if new is old:
        return
    now_ns = epoch * NS_PER_S
    body.wear, body.wear_since_ns = new, from_ns
    state.flagged = True
    if from_ns < now_ns:
        events.append(WearRevised(now_ns, from_ns, new))
    else:
        events.append(WearChanged(from_ns, new))
    if new is _OFF:
        if old is _WORN or state.sedentary.start_epoch or state.real_break:  # not one that lay there from the start
            events.append(Happened(now_ns, "removed", None, {"at_ns": from_ns}))
        _taken_off(state, epoch, from_ns // NS_PER_S, settings, events)
    elif new is _UNKNOWN:
        sedentary.pause(state.sedentary, epoch, up)
    else:
        _put_on(state, old, epoch, from_ns // NS_PER_S, up, settings, events)


def _taken_off(state: State, epoch: int, off_epoch: int, settings: Settings, events: list[Event]) -> None:
    state.off_epoch = off_epoch
    body = state.body
    if state.breaks.last_active < off_epoch:
        end_break(state, breaks.close(state.breaks, settings.params.breaks.micro_s), epoch, events)
    state.breaks = BreakState(ended_epoch=state.breaks.ended_epoch)
    state.real_break = False
    bouts.end(state.bouts, epoch, off_epoch, ClosedBy.OFF_BODY, settings.params.bouts, events)
    sedentary.end(state.sedentary, epoch, off_epoch, ClosedBy.OFF_BODY, events)
    body.removed = True
    body.static_s = body.sedentary_s = body.break_progress_frac = 0.0
    body.static_since_ns = body.sedentary_since_ns = 0
    body.break_kind = None


def _put_on(
    state: State, old: Wear, epoch: int, on_epoch: int, up: Direction, settings: Settings, events: list[Event]
) -> None:
    body, detection = state.body, settings.detection
    if old is _OFF:
        off_s = on_epoch - state.off_epoch
        state.loads.hold_dose_frac *= math.exp(-max(off_s, 0) / detection.tau_break_s)
        start = max(state.off_epoch, state.breaks.ended_epoch)
        if off_s >= detection.off_body_break_s and on_epoch > start:
            state.breaks.ended_epoch = on_epoch
            body.last_break_ns = on_epoch * NS_PER_S
            events.append(BreakEnded(epoch * NS_PER_S, BreakKind.REAL, start * NS_PER_S, on_epoch * NS_PER_S))
        body.mounted = True
        events.append(Happened(epoch * NS_PER_S, "mounted", None, {"at_ns": on_epoch * NS_PER_S}))
    state.off_epoch = 0
    seat, held = state.sedentary, state.bouts
    if not seat.start_epoch and not state.real_break:
        sedentary.begin(seat, max(on_epoch, state.breaks.ended_epoch), epoch)
    sedentary.resume(seat, epoch, up, detection.gap_sedentary_s, settings.params.bouts.cos_out, events)
    if old is _OFF and held.pending is not None and held.pending.start_ns < on_epoch * NS_PER_S:
        held.pending = None  # it lay there
    if old is _OFF or not held.static_s:
        held.start_epoch = max(held.start_epoch, on_epoch)
        held.static_s = max(epoch - held.start_epoch, 0)


def note_gap(state: State, missing_s: int, settings: Settings, events: list[Event]) -> None:
    """Nothing came for `missing_s` seconds: nothing is known, and what is too old is given up.  Idempotent."""
    body, end_epoch = state.body, state.last_epoch + 1
    end_ns = end_epoch * NS_PER_S
    if body.link is not Link.LOST:
        body.link = Link.GAP if missing_s <= settings.detection.gap_pause_s else Link.LOST
    if body.motion is not Motion.UNKNOWN:
        body.motion, body.motion_since_ns = Motion.UNKNOWN, end_ns
        events.append(MotionChanged(end_ns, Motion.UNKNOWN))
    if body.posture is not Posture.UNKNOWN:
        body.posture, body.posture_since_ns = Posture.UNKNOWN, end_ns
        events.append(PostureChanged(end_ns, Posture.UNKNOWN))
    if body.wear is not _UNKNOWN:
        body.wear, body.wear_since_ns = _UNKNOWN, end_ns
        events.append(WearChanged(end_ns, _UNKNOWN))
    sedentary.pause(state.sedentary, end_epoch, state.sensors[0].up)
    if missing_s > settings.detection.gap_pause_s:
        bouts.end(state.bouts, state.last_epoch, end_epoch, ClosedBy.CENSORED, settings.params.bouts, events)
        body.static_s, body.static_since_ns = 0.0, 0
        if missing_s > breaks.STILL_ENDS_S:
            micro_s = settings.params.breaks.micro_s
            end_break(state, breaks.close(state.breaks, micro_s), end_epoch, events)


def note_resume(
    state: State, epoch: int, missing_s: int, up: Direction, settings: Settings, events: list[Event]
) -> None:
    """Data again after a gap, or for the first time."""
    body, now_ns = state.body, epoch * NS_PER_S
    first = not state.last_epoch
    if not first:
        note_gap(state, missing_s, settings, events)
    body.link = Link.OK
    state.flagged = True
    for sensor in state.sensors:
        if first or missing_s > settings.detection.gap_sedentary_s:
            sensor.wear.wear = _OFF if sensor.wear.wear is _OFF else _UNKNOWN
            sensor.wear.since_ns = now_ns
        sensor.posture = PostureState()
    known = state.sensors[0].wear.wear
    sedentary.resume(
        state.sedentary,
        epoch,
        up,
        settings.detection.gap_sedentary_s,
        settings.params.bouts.cos_out,
        events,
    )
    if known is not body.wear or first:
        body.wear, body.wear_since_ns = known, now_ns
        events.append(WearChanged(now_ns, known))
