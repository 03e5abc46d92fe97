"""The whole of the science in one step: `advance(state, incoming, settings) -> (state, events)`.

    samples ─ align ─ frame ─ rows ─┬─ wear, motion, posture (each sensor) ─ join ─ bouts, breaks, loads ─ remind
    ticks, link changes, commands ──┘

Same state, same input, same settings: same events and same new state, to the bit, however the stream is cut.
Time exists only as the time stamps of samples, ticks and commands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from posturewatch.core import bouts, breaks, loads, motion, posture, reminding, sedentary, timebase, wear
from posturewatch.core.body import Body
from posturewatch.core.bouts import BoutState
from posturewatch.core.breaks import BreakState
from posturewatch.core.features import FeatureState, Row, rows_of
from posturewatch.core.framing import FramingState, close_second, frame
from posturewatch.core.loads import LoadState
from posturewatch.core.motion import MotionState
from posturewatch.core.posture import PostureState
from posturewatch.core.sedentary import SedentaryState
from posturewatch.core.timebase import TimebaseState
from posturewatch.core.wear import WearState
from posturewatch.types import (
    NS_PER_S,
    BreakEnded,
    BreakKind,
    ClosedBy,
    Command,
    Event,
    Frames,
    Happened,
    Incoming,
    Link,
    LinkChanged,
    Motion,
    MotionChanged,
    Posture,
    PostureChanged,
    RawSamples,
    SampleBatch,
    Tick,
    Wear,
    WearChanged,
    WearRevised,
)

if TYPE_CHECKING:
    from posturewatch.core.bouts import Direction
    from posturewatch.core.reminding import ReminderState
    from posturewatch.core.settings import SensorParams, Settings

RECLASSIFY_S = 600  # a posture is never said to have begun longer ago
HOLD_S = 10  # a gap up to this is bridged: nothing is said of it
_WORN, _UNKNOWN, _OFF = Wear.WORN, Wear.UNKNOWN, Wear.OFF_BODY
_ORDER = {Motion.UNKNOWN: -1, Motion.STILL: 0, Motion.MICRO: 1, Motion.MOVING: 2, Motion.WALKING: 3}


@dataclass(slots=True)
class SensorState:
    """One sensor: from samples to what one second of it says."""

    timebase: TimebaseState = field(default_factory=TimebaseState)
    framing: FramingState = field(default_factory=FramingState)
    features: FeatureState = field(default_factory=FeatureState)
    wear: WearState = field(default_factory=WearState)
    motion: MotionState = field(default_factory=MotionState)
    posture: PostureState = field(default_factory=PostureState)
    rows: list[Row] = field(default_factory=list)  # wait for the other sensors of the wearer
    last_epoch: int = 0  # of the last second used
    silent: bool = True  # nothing came for longer than a gap may be: the others do not wait for it
    # what the last second said
    now_motion: Motion = Motion.UNKNOWN
    up: Direction | None = None  # None where it cannot be trusted
    cos_inclination: float | None = None
    posture_epoch: int = 0  # since when the posture is what it is


@dataclass(slots=True)
class State:
    """All that is remembered of one wearer.  Nothing else is."""

    sensors: list[SensorState]
    reminding: ReminderState
    bouts: BoutState = field(default_factory=BoutState)
    breaks: BreakState = field(default_factory=BreakState)
    sedentary: SedentaryState = field(default_factory=SedentaryState)
    loads: LoadState = field(default_factory=LoadState)
    body: Body = field(default_factory=Body)
    last_epoch: int = 0  # the last second used
    off_epoch: int = 0  # off body since; 0: not
    flagged: bool = False  # the body carries flags of the second before
    real_break: bool = False
    link_up: bool = True


def initial(settings: Settings) -> State:
    """A wearer of whom nothing is known yet."""
    return State([SensorState() for _ in settings.sensors], reminding.initial(settings))


def advance(state: State, incoming: Incoming, settings: Settings) -> tuple[State, list[Event]]:
    """Take one thing in; give the new state and what happened.  `state` itself is left as it was."""
    state = copied(state)
    events: list[Event] = []
    if isinstance(incoming, RawSamples | SampleBatch | Frames):
        index = next((i for i, s in enumerate(settings.sensors) if s.id == incoming.sensor), None)
        if index is not None:
            _take(state, index, incoming, settings)
            _run(state, settings, events, _frontier(state))
    elif isinstance(incoming, Tick):
        _tick(state, incoming.now_ns, settings, events)
    elif isinstance(incoming, Command):
        _pass_time(state, incoming.t_ns)
        reminding.command(state.reminding, incoming, state.body, settings, events)
        reminding.step(state.reminding, state.body, settings, events)
    else:
        _link(state, incoming, settings, events)
    return state, events


def close(state: State, settings: Settings) -> tuple[State, list[Event]]:
    """The recording ends here: use what is open, and censor what is still going on."""
    state = copied(state)
    events: list[Event] = []
    for sensor, about in zip(state.sensors, settings.sensors, strict=True):
        for frames in close_second(sensor.framing, about.id):
            sensor.rows += rows_of(sensor.features, frames)
    _run(state, settings, events, None)
    end_epoch = state.last_epoch + 1
    _break_over(state, breaks.close(state.breaks, settings.params.breaks.micro_s), end_epoch, settings, events)
    bouts.end(state.bouts, state.last_epoch, end_epoch, ClosedBy.CENSORED, settings.params.bouts, events)
    sedentary.end(state.sedentary, end_epoch, end_epoch, ClosedBy.CENSORED, events)
    return state, events


# ---------------------------------------------------------------- what comes in


def _take(state: State, index: int, incoming: RawSamples | SampleBatch | Frames, settings: Settings) -> None:
    sensor = state.sensors[index]
    if isinstance(incoming, RawSamples):
        batch = timebase.align(sensor.timebase, incoming)
        if batch is None:
            return
        incoming = batch
    parts = [incoming] if isinstance(incoming, Frames) else frame(sensor.framing, incoming)
    if isinstance(incoming, Frames) and len(incoming.epoch):
        sensor.framing.closed = max(sensor.framing.closed, int(incoming.epoch[-1]))
    if parts:
        sensor.silent = False
    for frames in parts:
        if len(frames.epoch) and len(sensor.features.epoch) and frames.epoch[0] <= sensor.features.epoch[-1]:
            _set_back(state, sensor, int(frames.epoch[0]), settings)
        sensor.rows += rows_of(sensor.features, frames)


def _set_back(state: State, sensor: SensorState, epoch: int, settings: Settings) -> None:
    """The clock was set back: move all that is remembered with it, so that nothing grows and nothing is lost."""
    _run(state, settings, [], None)
    delta_s = epoch - (sensor.last_epoch + 1)
    if delta_s >= 0:
        return
    sensor.features = FeatureState()
    shift_times(state, delta_s)


def _frontier(state: State) -> int | None:
    """The last second that every sensor which is not silent has closed; None: no need to wait."""
    if len(state.sensors) == 1:
        return None
    return min((s.framing.closed for s in state.sensors if not s.silent), default=0)


def _tick(state: State, now_ns: int, settings: Settings, events: list[Event]) -> None:
    closed = 0
    for sensor, about in zip(state.sensors, settings.sensors, strict=True):
        framing = sensor.framing
        if framing.pending and now_ns >= (framing.second + 1) * NS_PER_S + about.lateness_ns:
            for frames in close_second(framing, about.id):
                sensor.rows += rows_of(sensor.features, frames)
        closed = max(closed, (now_ns - about.lateness_ns) // NS_PER_S - 1)
        if not sensor.silent and now_ns - (framing.closed + 1) * NS_PER_S > HOLD_S * NS_PER_S + about.lateness_ns:
            sensor.silent = True
            sensor.now_motion, sensor.up, sensor.cos_inclination = Motion.UNKNOWN, None, None
    _run(state, settings, events, None if len(state.sensors) == 1 else closed)
    if state.last_epoch:
        missing_s = now_ns // NS_PER_S - state.last_epoch - 1 - settings.sensors[0].lateness_ns // NS_PER_S
        if missing_s > HOLD_S:
            _gap(state, missing_s, settings, events)
    _pass_time(state, now_ns)
    reminding.step(state.reminding, state.body, settings, events)


def _pass_time(state: State, now_ns: int) -> None:
    _clear_flags(state)
    state.body.now_ns = max(state.body.now_ns, now_ns)


def _link(state: State, change: LinkChanged, settings: Settings, events: list[Event]) -> None:
    _pass_time(state, change.t_ns)
    kind = "sensor_back" if change.up else "sensor_lost"
    if change.up != state.link_up:
        events.append(Happened(change.t_ns, kind, None, {"sensor": change.sensor, "reason": change.reason}))
    state.link_up = change.up
    reminding.step(state.reminding, state.body, settings, events)


# ---------------------------------------------------------------- one second


def _run(state: State, settings: Settings, events: list[Event], until: int | None) -> None:
    """Use the waiting rows, second by second, up to and including `until`."""
    sensors = state.sensors
    if len(sensors) == 1:
        rows, sensors[0].rows = sensors[0].rows, []
        params = settings.params.sensors[0]
        for row in rows:
            _second(state, row.epoch, ((sensors[0], row, params),), settings, events)
        return
    while waiting := [s.rows[0].epoch for s in sensors if s.rows]:
        epoch = min(waiting)
        if until is not None and epoch > until:
            return
        seen = tuple(
            (s, s.rows.pop(0), p)
            for s, p in zip(sensors, settings.params.sensors, strict=True)
            if s.rows and s.rows[0].epoch == epoch
        )
        _second(state, epoch, seen, settings, events)


def _second(
    state: State,
    epoch: int,
    seen: tuple[tuple[SensorState, Row, SensorParams], ...],
    settings: Settings,
    events: list[Event],
) -> None:
    body = state.body
    step_s = epoch - state.last_epoch
    if step_s <= 0:  # another sensor was faster; what it said stands
        return
    if state.flagged:
        _clear_flags(state)
    if step_s > HOLD_S + 1:
        _resume(state, epoch, step_s - 1, seen[0][1], settings, events)
    body.now_ns = (epoch + 1) * NS_PER_S
    for sensor, row, params in seen:
        _observe(state, sensor, row, params, settings, events)
    if len(state.sensors) == 1:
        sensor = seen[0][0]
        moves, at, up, cos_inclination, active = (
            sensor.now_motion, sensor.posture.posture, sensor.up, sensor.cos_inclination, sensor.motion.active,
        )  # fmt: skip
    else:
        moves, at, up, cos_inclination, active = _joined(state, settings)
    state.last_epoch = epoch
    if moves is not body.motion:
        body.motion, body.motion_since_ns = moves, epoch * NS_PER_S
        events.append(MotionChanged(epoch * NS_PER_S, moves))
    wear_now = body.wear
    if wear_now is _OFF:
        at = Posture.UNKNOWN
    if at is not body.posture:
        _posture(state, at, epoch, seen[0][0], settings, events)
    params = settings.params
    if wear_now is not _OFF:
        ended = breaks.step(state.breaks, epoch, step_s, active, at is Posture.STANDING, params.breaks)
        if ended is not None or state.breaks.run_start or body.break_kind is not None:
            _break(state, ended, epoch, settings, events)
    if params.static_bouts:
        held = state.bouts
        bouts.step(held, epoch, up, cos_inclination, params.bouts, events)
        if held.shifted or held.returned_from:
            _shift(state, epoch, settings, events)
        body.bout = held.phase
        if wear_now is _WORN:
            if at is not Posture.LYING and held.phase is not bouts.BoutPhase.NONE:
                held.static_s += 1
            body.static_s, body.fidgets = held.static_s, held.fidgets
            body.static_since_ns = held.start_epoch * NS_PER_S if held.static_s else 0
            if not epoch % 10:
                body.drift_deg = bouts.drift_deg(held)
    if cos_inclination is not None:
        clipped = 1.0 if cos_inclination > 1.0 else -1.0 if cos_inclination < -1.0 else cos_inclination
        body.inclination_deg = math.degrees(math.acos(clipped))
    else:
        body.inclination_deg = None
    if wear_now is _WORN:
        _count(state, epoch, at, cos_inclination, settings)
    reminding.step(state.reminding, body, settings, events)


def _observe(
    state: State, sensor: SensorState, row: Row, params: SensorParams, settings: Settings, events: list[Event]
) -> None:
    """What one second of one sensor says."""
    epoch = row.epoch
    follows = epoch - sensor.last_epoch <= HOLD_S
    if not follows:
        wear.restart(sensor.wear, epoch * NS_PER_S)
    moves = motion.step(sensor.motion, row, follows, params.motion)
    changed = wear.step(sensor.wear, row, params.coarse, params.noise_mg)
    up = (row.up_x, row.up_y, row.up_z)
    calm = moves in (Motion.STILL, Motion.MICRO) and abs(row.norm_g - 1.0) < params.norm_tolerance_g
    sensor.now_motion, sensor.up = moves, up if calm else None
    upright = params.posture.up
    cos = None if upright is None else up[0] * upright[0] + up[1] * upright[1] + up[2] * upright[2]
    began = posture.step(sensor.posture, epoch, cos, follows, params.posture)
    if began:
        sensor.posture_epoch = began
    sensor.cos_inclination = cos if calm and params.inclined else None
    sensor.last_epoch = epoch
    if changed is not None:
        _wear(state, changed, epoch, up, settings, events)


def _joined(state: State, settings: Settings) -> tuple[Motion, Posture, Direction | None, float | None, bool]:
    """Several sensors of one wearer: the trunk gives the angle, the thigh gives the seat (design 8.1)."""
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
        if params.static_bouts and (params.inclined or not from_trunk):
            up, cos, from_trunk = sensor.up, sensor.cos_inclination, params.inclined
    if lying is Posture.LYING or at is Posture.UNKNOWN:
        at = lying
    return moves, at, up, cos, active


def _count(state: State, epoch: int, at: Posture, cos_inclination: float | None, settings: Settings) -> None:
    """The clocks of one worn second."""
    body, seat = state.body, state.sedentary
    if state.real_break:
        body.sedentary_s, body.sedentary_since_ns = 0.0, 0
    else:
        if not seat.start_epoch:
            sedentary.begin(seat, epoch, epoch)
        if at is not Posture.STANDING and (at is not Posture.LYING or settings.params.seat):
            seat.counted_s += 1
        body.sedentary_s, body.sedentary_since_ns = seat.counted_s, seat.start_epoch * NS_PER_S
    params = settings.params.loads
    if params.line is not None and settings.params.calibrated:
        loads.accumulate(state.loads, cos_inclination, body.break_kind is not None, params)
        body.hold_dose_frac = state.loads.hold_dose_frac
        if params.fatigue_index:
            body.fatigue_index_frac = state.loads.fatigue_index_frac


# ---------------------------------------------------------------- what changes rarely


def _clear_flags(state: State) -> None:
    body = state.body
    body.shift_ended = body.micro_break_ended = body.real_break_reached = body.break_over = False
    body.mounted = body.removed = body.resumed_after_gap = False
    if body.break_kind is not None and not state.breaks.run_start and not state.real_break:
        body.break_kind = None
    state.flagged = False


def _posture(
    state: State, at: Posture, epoch: int, sensor: SensorState, settings: Settings, events: list[Event]
) -> None:
    """The posture is another one, perhaps since a while; lying was counted as sitting until it was certain."""
    body = state.body
    since = epoch
    if len(state.sensors) == 1 and at is sensor.posture.posture and epoch - sensor.posture_epoch < RECLASSIFY_S:
        since = max(sensor.posture_epoch, body.posture_since_ns // NS_PER_S)
    if at is Posture.LYING and not settings.params.seat:
        state.sedentary.counted_s = max(state.sedentary.counted_s - (epoch - since), 0)
        state.bouts.static_s = max(state.bouts.static_s - (epoch - since), 0)
    body.posture, body.posture_since_ns = at, since * NS_PER_S
    events.append(PostureChanged(since * NS_PER_S, at))


def _shift(state: State, epoch: int, settings: Settings, events: list[Event]) -> None:
    body = state.body
    state.flagged = True
    now_ns = (epoch + 1) * NS_PER_S
    if state.bouts.shifted:
        body.shift_ended = True
        if body.wear is _WORN:
            body.shifts += 1
            events.append(Happened(now_ns, "posture_shift", None, {"at_ns": state.bouts.out_epoch * NS_PER_S}))
    returned = state.bouts.returned_from
    if returned and not state.breaks.run_start and returned >= state.breaks.ended_epoch:
        state.breaks.ended_epoch = epoch
        body.micro_break_ended = True
        if body.wear is not _OFF:
            events.append(BreakEnded(now_ns, BreakKind.MICRO, returned * NS_PER_S, epoch * NS_PER_S))


def _break(state: State, ended: breaks.Ended | None, epoch: int, settings: Settings, events: list[Event]) -> None:
    """Movement is going on, or is just over."""
    body, moved = state.body, state.breaks
    if moved.real and not state.real_break:
        state.real_break = state.flagged = body.real_break_reached = True
        sedentary.end(state.sedentary, epoch + 1, moved.start_epoch, ClosedBy.BREAK, events)
        body.sedentary_s, body.sedentary_since_ns = 0.0, 0
    if moved.run_start or moved.real:
        since = moved.start_epoch if moved.real else moved.run_start
        body.break_since_ns = since * NS_PER_S
        if moved.real:
            body.break_kind = BreakKind.REAL
        elif epoch + 1 - since >= settings.params.breaks.micro_s and moved.run_active >= settings.params.breaks.micro_s:
            body.break_kind = BreakKind.MICRO
        body.break_progress_frac = 1.0 if moved.real else moved.progress
    _break_over(state, ended, epoch + 1, settings, events)
    if not moved.run_start and not moved.real:
        body.break_progress_frac = 0.0
        if ended is None:
            body.break_kind = None


def _break_over(
    state: State, ended: breaks.Ended | None, now_epoch: int, settings: Settings, events: list[Event]
) -> None:
    if ended is None:
        return
    kind, start, end = ended
    body = state.body
    state.flagged = body.break_over = True
    body.break_kind = kind
    events.append(BreakEnded(now_epoch * NS_PER_S, kind, start * NS_PER_S, end * NS_PER_S))
    if kind is BreakKind.MICRO:
        body.micro_break_ended = True
        return
    state.real_break = False
    body.last_break_ns = end * NS_PER_S
    if body.wear is _WORN:
        sedentary.begin(state.sedentary, end, now_epoch - 1)


def _wear(
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
        _taken_off(state, epoch, from_ns // NS_PER_S, settings, events)
    elif new is _UNKNOWN:
        sedentary.pause(state.sedentary, epoch, up)
    else:
        _put_on(state, old, epoch, from_ns // NS_PER_S, up, settings, events)


def _taken_off(state: State, epoch: int, off_epoch: int, settings: Settings, events: list[Event]) -> None:
    state.off_epoch = off_epoch
    body = state.body
    if state.breaks.last_active < off_epoch:
        _break_over(state, breaks.close(state.breaks, settings.params.breaks.micro_s), epoch, settings, events)
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
    state.off_epoch = 0
    seat, held = state.sedentary, state.bouts
    if not seat.start_epoch and not state.real_break:
        sedentary.begin(seat, max(on_epoch, state.breaks.ended_epoch), epoch)
    sedentary.resume(seat, epoch, up, detection.gap_sedentary_s, settings.params.bouts.cos_out, events)
    if old is _OFF or not held.static_s:
        held.start_epoch = max(held.start_epoch, on_epoch)
        held.static_s = max(epoch - held.start_epoch, 0)


def _gap(state: State, missing_s: int, settings: Settings, events: list[Event]) -> None:
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
            _break_over(state, breaks.close(state.breaks, micro_s), end_epoch, settings, events)


def _resume(state: State, epoch: int, missing_s: int, row: Row, settings: Settings, events: list[Event]) -> None:
    """Data again after a gap, or for the first time."""
    body, now_ns = state.body, epoch * NS_PER_S
    first = not state.last_epoch
    if not first:
        _gap(state, missing_s, settings, events)
    body.link = Link.OK
    state.flagged = True
    body.resumed_after_gap = not first and missing_s > settings.detection.gap_pause_s
    for sensor in state.sensors:
        if first or missing_s > settings.detection.gap_sedentary_s:
            sensor.wear.wear = _OFF if sensor.wear.wear is _OFF else _UNKNOWN
            sensor.wear.since_ns = now_ns
        sensor.posture = PostureState()
    known = state.sensors[0].wear.wear
    sedentary.resume(
        state.sedentary,
        epoch,
        (row.up_x, row.up_y, row.up_z),
        settings.detection.gap_sedentary_s,
        settings.params.bouts.cos_out,
        events,
    )
    if known is not body.wear or first:
        body.wear, body.wear_since_ns = known, now_ns
        events.append(WearChanged(now_ns, known))


# ---------------------------------------------------------------- copies, and other clocks

T = TypeVar("T")
_COPIERS: dict[type, Any] = {}


def copied(value: T) -> T:
    """A copy that shares nothing that `advance` changes: nested states and lists; arrays are never changed in place."""
    copier = _COPIERS.get(type(value))
    if copier is None:
        copier = _COPIERS[type(value)] = _make_copier(type(value))
    result: T = copier(value)
    return result


def _make_copier(kind: Any) -> Any:
    names = [f.name for f in fields(kind)]
    get = attrgetter(*names)

    def copy(value: Any) -> Any:
        return kind(*[_copied_field(v) for v in get(value)])

    return copy


def _copied_field(value: Any) -> Any:
    kind = type(value)
    if kind in _COPIERS:
        return _COPIERS[kind](value)
    if kind is list:
        return [_copied_field(v) for v in value] if value and is_dataclass(value[0]) else value[:]
    if kind is dict:
        return dict(value)
    if is_dataclass(value) and not _is_frozen(kind):
        return copied(value)
    return value


def _is_frozen(kind: Any) -> bool:
    return bool(kind.__dataclass_params__.frozen)


def shift_times(value: Any, delta_s: int) -> None:
    """Move every remembered moment (`_ns`, `_epoch`) by `delta_s`; what is 0 means `never` and stays."""
    for f in fields(value):
        at = getattr(value, f.name)
        if is_dataclass(at) and not isinstance(at, type):
            if _is_frozen(type(at)):
                continue
            shift_times(at, delta_s)
        elif isinstance(at, list):
            for item in at:
                if is_dataclass(item) and not isinstance(item, type) and not _is_frozen(type(item)):
                    shift_times(item, delta_s)
        elif isinstance(at, int) and at > 0 and (f.name.endswith("_epoch") or f.name in _EPOCHS):
            setattr(value, f.name, at + delta_s)
        elif isinstance(at, int) and at > 0 and f.name.endswith("_ns"):
            setattr(value, f.name, at + delta_s * NS_PER_S)


_EPOCHS = frozenset({"last_active", "run_start", "second", "closed"})
