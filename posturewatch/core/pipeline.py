"""The whole of the science in one step: `advance(state, incoming, settings) -> (state, events)`.

    samples ─ align ─ frame ─ rows ─┬─ wear, motion, posture (each sensor) ─ join ─ bouts, breaks, loads ─ remind
    ticks, link changes, commands ──┘

Same state, same input, same settings: same events and same new state, to the bit, however the stream is cut.
Time exists only as the time stamps of samples, ticks and commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.core import bouts, breaks, changes, reminding, sedentary, timebase
from posturewatch.core.features import FeatureState, rows_in, rows_of
from posturewatch.core.framing import close_second, frame
from posturewatch.core.second import HOLD_S, take_row, take_rows
from posturewatch.core.state import SensorState, State, copied, initial, shift_times
from posturewatch.types import (
    NS_PER_S,
    ClosedBy,
    Command,
    Frames,
    Happened,
    Motion,
    RawSamples,
    SampleBatch,
    Surroundings,
    Tick,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posturewatch.core.features import Columns
    from posturewatch.core.settings import Settings
    from posturewatch.types import Event, Incoming, LinkChanged

__all__ = ["SensorState", "State", "advance", "advance_all", "close", "initial"]


def advance(state: State, incoming: Incoming, settings: Settings) -> tuple[State, list[Event]]:
    """Take one thing in; give the new state and what happened.  `state` itself is left as it was."""
    return advance_all(state, (incoming,), settings)


def advance_all(state: State, waiting: Iterable[Incoming], settings: Settings) -> tuple[State, list[Event]]:
    """The same for several things one after another, with one copy of the state instead of many."""
    state = copied(state)
    events: list[Event] = []
    for incoming in waiting:
        _apply(state, incoming, settings, events)
    return state, events


def _apply(state: State, incoming: Incoming, settings: Settings, events: list[Event]) -> None:
    if isinstance(incoming, RawSamples | SampleBatch | Frames):
        index = next((i for i, s in enumerate(settings.sensors) if s.id == incoming.sensor), None)
        if index is not None:
            _take(state, index, incoming, settings, events)
            _run(state, settings, events, _frontier(state))
    elif isinstance(incoming, Tick):
        _tick(state, incoming.now_ns, settings, events)
    elif isinstance(incoming, Command):
        _pass_time(state, incoming.t_ns)
        reminding.command(state.reminding, incoming, state.body, settings, events)
        reminding.step(state.reminding, state.body, settings, events)
    elif isinstance(incoming, Surroundings):
        _pass_time(state, incoming.t_ns)
        reminding.surround(state.reminding, incoming, state.body.now_ns, events)
        reminding.step(state.reminding, state.body, settings, events)
    else:
        _link(state, incoming, settings, events)


def advance_columns(state: State, columns: Columns, settings: Settings) -> tuple[State, list[Event]]:
    """The same for seconds of a single sensor whose features are known already; only such seconds may follow."""
    state = copied(state)
    events: list[Event] = []
    state.sensors[0].silent = False
    state.sensors[0].rows = rows_in(columns)
    _run(state, settings, events, None)
    return state, events


def close(state: State, settings: Settings) -> tuple[State, list[Event]]:
    """The recording ends here: use what is open, and censor what is still going on."""
    state = copied(state)
    events: list[Event] = []
    for sensor, about in zip(state.sensors, settings.sensors, strict=True):
        for frames in close_second(sensor.framing, about.id):
            _use(state, sensor, frames, settings, events)
            sensor.silent = False
    _run(state, settings, events, None)
    end_epoch = state.last_epoch + 1
    changes.end_break(state, breaks.close(state.breaks, settings.params.breaks.micro_s), end_epoch, events)
    bouts.end(state.bouts, state.last_epoch, end_epoch, ClosedBy.CENSORED, settings.params.bouts, events)
    sedentary.end(state.sedentary, end_epoch, end_epoch, ClosedBy.CENSORED, events)
    return state, events


# ---------------------------------------------------------------- what comes in


def _take(
    state: State, index: int, incoming: RawSamples | SampleBatch | Frames, settings: Settings, events: list[Event]
) -> None:
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
        _use(state, sensor, frames, settings, events)


def _use(state: State, sensor: SensorState, frames: Frames, settings: Settings, events: list[Event]) -> None:
    """The features of seconds that are closed; they may be earlier than the last ones."""
    if len(frames.epoch) and len(sensor.features.epoch) and frames.epoch[0] <= sensor.features.epoch[-1]:
        _set_back(state, sensor, int(frames.epoch[0]), settings, events)
    sensor.rows += rows_of(sensor.features, frames)


def _set_back(state: State, sensor: SensorState, epoch: int, settings: Settings, events: list[Event]) -> None:
    """The clock was set back: move all that is remembered with it, so that nothing grows and nothing is lost."""
    _run(state, settings, events, None)
    sensor.features = FeatureState()
    delta_s = epoch - (sensor.last_epoch + 1)
    if delta_s < 0:  # else another sensor's clock went first, and took all moments with it
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
                _use(state, sensor, frames, settings, events)
        closed = max(closed, (now_ns - about.lateness_ns) // NS_PER_S - 1)
        if not sensor.silent and now_ns - (framing.closed + 1) * NS_PER_S > HOLD_S * NS_PER_S + about.lateness_ns:
            sensor.silent = True
            sensor.now_motion, sensor.up, sensor.cos_inclination = Motion.UNKNOWN, None, None
    _run(state, settings, events, None if len(state.sensors) == 1 else closed)
    if state.last_epoch:
        missing_s = now_ns // NS_PER_S - state.last_epoch - 1 - settings.sensors[0].lateness_ns // NS_PER_S
        if missing_s > HOLD_S:
            changes.note_gap(state, missing_s, settings, events)
    _pass_time(state, now_ns)
    reminding.step(state.reminding, state.body, settings, events)


def _pass_time(state: State, now_ns: int) -> None:
    changes.clear_flags(state)
    state.body.now_ns = max(state.body.now_ns, now_ns)


def _link(state: State, change: LinkChanged, settings: Settings, events: list[Event]) -> None:
    _pass_time(state, change.t_ns)
    kind = "sensor_back" if change.up else "sensor_lost"
    if change.up != state.link_up:
        events.append(Happened(change.t_ns, kind, None, {"sensor": change.sensor, "reason": change.reason}))
    state.link_up = change.up
    reminding.step(state.reminding, state.body, settings, events)


def _run(state: State, settings: Settings, events: list[Event], until: int | None) -> None:
    """Use the waiting rows, second by second, up to and including `until`."""
    sensors = state.sensors
    if len(sensors) == 1:
        sensor, params = sensors[0], settings.params.sensors[0]
        rows, sensor.rows = sensor.rows, []
        for row in rows:
            take_row(state, sensor, row, params, settings, events)
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
        take_rows(state, seen, settings, events)
