"""Bouts in one posture: an anchor direction, excursions from it, shifts, fidgets and drift.

    static ──δ > 10°, or moving──► excursion ──δ < 7° within 10 s──► static   (a fidget)
                                      │
                                      └──still away after 10 s──► the bout ended where the excursion began
                                             │ settled elsewhere: a new bout began there too (a shift)
                                             └ moving: no bout until the direction can be trusted again

The anchor follows slow sagging with a time constant of five minutes, so that a slump is visible as drift and is no
relief.  Angles are compared as cosines; degrees are only for reports.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S, BoutPhase, ClosedBy, Drifted, StaticEnded

if TYPE_CHECKING:
    from posturewatch.core.settings import Detection
    from posturewatch.types import Event

FIRST_S = 10  # running mean
LEFT_MAX_S = 300  # away for longer is a new posture and not a break from the old one
Direction = tuple[float, float, float]

_STATIC, _EXCURSION, _NONE = BoutPhase.STATIC, BoutPhase.EXCURSION, BoutPhase.NONE


@dataclass(frozen=True, slots=True)
class BoutParams:
    cos_out: float
    cos_in: float
    cos_left: float
    shift_s: int
    micro_break_s: int
    follow: float  # share of the way that the anchor goes in one second


def params_of(detection: Detection) -> BoutParams:
    """Angles as cosines."""
    return BoutParams(
        math.cos(math.radians(detection.theta_out_deg)),
        math.cos(math.radians(detection.theta_in_deg)),
        math.cos(math.radians(detection.micro_break_deg)),
        detection.shift_s,
        detection.micro_break_s,
        1.0 / detection.anchor_tau_s,
    )


@dataclass(slots=True)
class BoutState:
    phase: BoutPhase = BoutPhase.NONE
    start_epoch: int = 0
    x: float = 0.0  # the anchor
    y: float = 0.0
    z: float = 0.0
    start_x: float = 0.0  # where the bout began
    start_y: float = 0.0
    start_z: float = 0.0
    settled_s: int = 0  # seconds that made the anchor, up to FIRST_S
    static_s: int = 0  # worn seconds of the bout
    fidgets: int = 0
    drifted: bool = False
    cos_incl_sum: float = 0.0
    incl_s: int = 0
    out_epoch: int = 0  # start of the excursion
    away: list[Direction] = field(default_factory=list)  # the last trusted directions in it
    pending: StaticEnded | None = None  # ended by movement: a shift or a break, the length will tell
    left: Direction | None = None  # the posture before the last shift
    left_epoch: int = 0
    shifted: bool = False  # in this second a shift was recognised
    returned_from: int = 0  # in this second the wearer came back to the posture left at this epoch


def step(
    state: BoutState,
    epoch: int,
    up: Direction | None,
    cos_inclination: float | None,
    params: BoutParams,
    events: list[Event],
) -> None:
    """Take one second; `up` is None where the direction cannot be trusted (movement)."""
    if state.shifted or state.returned_from:
        state.shifted, state.returned_from = False, 0
    if state.phase is _STATIC:
        if up is not None and up[0] * state.x + up[1] * state.y + up[2] * state.z >= params.cos_out:
            _follow(state, epoch, up, params, events)
            if cos_inclination is not None:
                state.cos_incl_sum += cos_inclination
                state.incl_s += 1
            return
        state.phase, state.out_epoch = _EXCURSION, epoch
        state.away = [] if up is None else [up]
        if state.left is not None:
            _look_back(state, epoch, up, params)
        return
    if state.left is not None:
        _look_back(state, epoch, up, params)
    if state.phase is _NONE:
        if up is not None:
            _begin(state, epoch, up)
            _settle(state, epoch, params, events)
        return
    _excursion(state, epoch, up, params, events)


def _follow(state: BoutState, epoch: int, up: Direction, params: BoutParams, events: list[Event]) -> None:
    settled = state.settled_s
    if settled < FIRST_S:
        share = 1.0 / (settled + 1)
        state.settled_s = settled + 1
    else:
        share = params.follow
    x = state.x + (up[0] - state.x) * share
    y = state.y + (up[1] - state.y) * share
    z = state.z + (up[2] - state.z) * share
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    state.x, state.y, state.z = x, y, z = x * scale, y * scale, z * scale
    if settled < FIRST_S:
        state.start_x, state.start_y, state.start_z = x, y, z
    elif not state.drifted and x * state.start_x + y * state.start_y + z * state.start_z < params.cos_out:
        state.drifted = True
        events.append(Drifted((epoch + 1) * NS_PER_S, drift_deg(state)))
    if state.left is not None:
        _look_back(state, epoch, up, params)


def _excursion(state: BoutState, epoch: int, up: Direction | None, params: BoutParams, events: list[Event]) -> None:
    if up is not None:
        if up[0] * state.x + up[1] * state.y + up[2] * state.z > params.cos_in:
            state.phase = _STATIC
            state.fidgets += 1
            return
        state.away.append(up)
    if epoch - state.out_epoch < params.shift_s - 1:
        return
    trusted = state.away[-(params.shift_s // 2) :]
    ended = _ended(state, epoch, state.out_epoch, ClosedBy.SHIFT)
    state.shifted = True
    state.pending = ended
    if len(state.away) * 2 > params.shift_s and up is not None:
        state.left, state.left_epoch = (state.x, state.y, state.z), state.out_epoch
        _begin(state, state.out_epoch, _median(trusted))
        _settle(state, epoch, params, events)
    else:
        state.phase, state.static_s, state.left = _NONE, 0, None
    state.away = []


def _begin(state: BoutState, epoch: int, up: Direction) -> None:
    state.phase, state.start_epoch = _STATIC, epoch
    state.x, state.y, state.z = up
    state.start_x, state.start_y, state.start_z = up
    state.settled_s, state.static_s, state.fidgets, state.drifted = 1, 0, 0, False
    state.cos_incl_sum, state.incl_s = 0.0, 0
    state.away = []


def _settle(state: BoutState, epoch: int, params: BoutParams, events: list[Event]) -> None:
    """The wearer holds still again: now it is known whether the last bout ended by a shift or by a break."""
    ended, state.pending = state.pending, None
    if ended is None:
        return
    now_ns = (epoch + 1) * NS_PER_S
    moved_s = state.start_epoch - ended.end_ns // NS_PER_S
    by = ClosedBy.BREAK if moved_s >= params.micro_break_s else ClosedBy.SHIFT
    _emit(ended, now_ns, by, params, events)


def _emit(ended: StaticEnded, now_ns: int, by: ClosedBy, params: BoutParams, events: list[Event]) -> None:
    if ended.end_ns - ended.start_ns >= params.shift_s * NS_PER_S:  # shorter is no held posture
        events.append(
            StaticEnded(now_ns, ended.start_ns, ended.end_ns, by, ended.inclination_deg, ended.drift_deg, ended.fidgets)
        )


def end(state: BoutState, epoch: int, end_epoch: int, by: ClosedBy, params: BoutParams, events: list[Event]) -> None:
    """The bout ends from outside: off body at `end_epoch`, or the data stopped there."""
    if state.pending is not None:
        moved_s = end_epoch - state.pending.end_ns // NS_PER_S
        kind = ClosedBy.BREAK if moved_s >= params.micro_break_s else ClosedBy.SHIFT
        _emit(state.pending, (epoch + 1) * NS_PER_S, kind, params, events)
    if state.phase is not _NONE:
        ended = _ended(state, epoch, max(end_epoch, state.start_epoch), by)
        _emit(ended, ended.t_ns, by, params, events)
    state.phase, state.static_s, state.pending, state.left, state.away = _NONE, 0, None, None, []


def drift_deg(state: BoutState) -> float:
    """How far the posture sagged since the bout began."""
    cos = state.x * state.start_x + state.y * state.start_y + state.z * state.start_z
    return math.degrees(math.acos(min(max(cos, -1.0), 1.0)))


def _ended(state: BoutState, epoch: int, end_epoch: int, by: ClosedBy) -> StaticEnded:
    inclination = None
    if state.incl_s:
        inclination = math.degrees(math.acos(min(max(state.cos_incl_sum / state.incl_s, -1.0), 1.0)))
    return StaticEnded(
        (epoch + 1) * NS_PER_S,
        state.start_epoch * NS_PER_S,
        end_epoch * NS_PER_S,
        by,
        inclination,
        drift_deg(state),
        state.fidgets,
    )


def _look_back(state: BoutState, epoch: int, up: Direction | None, params: BoutParams) -> None:
    """Away from the old posture by 15 degrees for half a minute and back again is a micro break."""
    left = state.left
    if left is None or up is None:
        return
    away_s = epoch - state.left_epoch
    if away_s > LEFT_MAX_S:
        state.left = None
    elif up[0] * left[0] + up[1] * left[1] + up[2] * left[2] >= params.cos_left:
        if away_s >= params.micro_break_s:
            state.returned_from = state.left_epoch
        if away_s >= params.shift_s:
            state.left = None


def _median(directions: list[Direction]) -> Direction:
    """Componentwise median, made a unit vector again."""
    middle = len(directions) // 2
    x, y, z = (sorted(d[i] for d in directions)[middle] for i in range(3))
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    return x / length, y / length, z / length
