"""What movement does to a reminder: it always clears it, and it earns credit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.core.reminding.cycle import close_cycle, note_response
from posturewatch.core.reminding.turn import give_credit
from posturewatch.types import Happened, Level, ReminderPhase, Wear

if TYPE_CHECKING:
    from posturewatch.core.reminding.turn import Turn
    from posturewatch.types import Channel


def follow_movement(turn: Turn) -> None:
    """Take what the body did in this second."""
    state, body = turn.state, turn.body
    if body.wear is not Wear.WORN:
        return
    if body.real_break_reached:
        complete_break(turn, "movement")
    if body.shift_ended:
        _clear_shift_cycle(turn, "moved")
    if body.micro_break_ended or body.break_over:
        _clear_shift_cycle(turn, "a short break")
    going_on = body.break_kind is not None and not body.break_over
    if state.stage is ReminderPhase.ON_BREAK:
        _follow_break(turn, going_on)
    elif going_on and body.break_progress_frac > 0.0:
        start_break(turn, "movement")
    if state.stage is not ReminderPhase.ON_BREAK and not going_on:
        state.break_counted = False


def _clear_shift_cycle(turn: Turn, why: str) -> None:
    if turn.state.cycle is not None and turn.state.level is Level.SHIFT:
        note_response(turn)
        close_cycle(turn, why)


def start_break(turn: Turn, by: str) -> None:
    """A break begins; the notification stays until it is over or has counted."""
    state = turn.state
    turn.events.append(Happened(turn.now_ns, "break_started", state.cycle, {"by": by}))
    state.stage = ReminderPhase.ON_BREAK
    state.break_progress_frac = _progress_of(turn)


def _progress_of(turn: Turn) -> float:
    progress_frac = turn.body.break_progress_frac
    return min(progress_frac, 1.0) if progress_frac > 0.0 else 0.0


def _follow_break(turn: Turn, going_on: bool) -> None:
    state = turn.state
    state.break_progress_frac = max(state.break_progress_frac, _progress_of(turn))
    if state.declared_until_ns and turn.now_ns >= state.declared_until_ns:
        state.declared_until_ns = 0
        complete_break(turn, "wearer")
    if not going_on and not state.declared_until_ns:
        end_break(turn)


def end_break(turn: Turn) -> None:
    """The break is over; one that was too short takes its share off the load."""
    state = turn.state
    state.stage = ReminderPhase.OK
    if not state.break_counted:
        share_frac = state.break_progress_frac
        for load in list(turn.loads):
            if load.rule.level is Level.BREAK:
                give_credit(turn, load.rule, share_frac)
        detail: dict[str, float | str | bool] = {"progress_pct": round(100.0 * share_frac, 1)}
        turn.events.append(Happened(turn.now_ns, "break_partial", state.cycle, detail))
        note_response(turn)
        close_cycle(turn, "a part of a break", ask_again=True)
    state.break_counted = False
    state.break_progress_frac = 0.0


def complete_break(turn: Turn, by: str, channel: Channel | None = None) -> None:
    """A whole break: prompted or not, it counts once and clears everything."""
    state = turn.state
    if state.break_counted:
        return
    state.break_counted = True
    state.declared_until_ns = 0
    state.breaks_today += 1
    note_response(turn, channel)
    event_type = "self_initiated" if state.cycle is None else "break_completed"
    turn.events.append(Happened(turn.now_ns, event_type, state.cycle, {"by": by}))
    if by == "wearer":  # after movement the clocks themselves start anew
        for load in list(turn.loads):
            give_credit(turn, load.rule, 1.0)
    state.asked_ns.clear()
    close_cycle(turn, "break taken")


def abandon_break(turn: Turn) -> None:
    """Nothing is known about this break any more."""
    state = turn.state
    if state.stage is ReminderPhase.ON_BREAK:
        state.stage = ReminderPhase.OK
    state.break_counted = False
    state.declared_until_ns = 0
    state.break_progress_frac = 0.0
