"""What messages show of the machine: the phase and the figures beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.core.reminding.budgets import max_or_none
from posturewatch.core.reminding.turn import to_ns
from posturewatch.types import Level, Link, ReminderPhase, Wear

if TYPE_CHECKING:
    from posturewatch.core.reminding.budgets import Restraint
    from posturewatch.core.reminding.turn import Turn

SAME_NS = 2_000_000_000  # a predicted moment that moves by less stays where it was
ASKED = (ReminderPhase.DUE, ReminderPhase.ESCALATED, ReminderPhase.ACKNOWLEDGED)
NO_PREDICTION = (ReminderPhase.OFF, ReminderPhase.NOT_WORN, ReminderPhase.UNKNOWN, ReminderPhase.ON_BREAK)


def show(turn: Turn, restraint: Restraint | None, period_until_ns: int) -> None:
    """Bring the public part of the state up to date."""
    state, manners = turn.state, turn.settings.reminding
    top_frac = max((load.frac for load in turn.loads), default=0.0)
    state.load_frac = min(top_frac, state.load_cap_frac)
    is_held = state.cycle is None and top_frac >= 1.0
    if state.period:
        state.hold_reason, state.hold_until_ns = state.period_why, period_until_ns or None
    elif is_held and restraint is not None and restraint.shows_held:
        state.hold_reason, state.hold_until_ns = restraint.why, restraint.until_ns or None
    else:
        state.hold_reason, state.hold_until_ns = None, None
        is_held = False
    state.phase = _find_phase(turn, top_frac, is_held)
    _show_subject(turn)
    state.due = state.phase in ASKED or (
        state.phase is ReminderPhase.HELD
        and not state.period
        and restraint is not None
        and restraint.why.startswith(("enough", "later"))  # no prompt, but a lamp may still say so
    )
    state.prompts_left_today = max(0, manners.break_per_day - state.breaks_asked_today)
    count_snoozes(turn)
    _predict(turn)


def count_snoozes(turn: Turn) -> None:
    """How often the wearer may still say later."""
    state, manners = turn.state, turn.settings.reminding
    used = state.snoozes if state.cycle is not None else 0
    state.snoozes_left = max(0, min(manners.snoozes_per_cycle - used, manners.snoozes_per_day - state.snoozes_today))


def _find_phase(turn: Turn, top_frac: float, is_held: bool) -> ReminderPhase:
    state, body = turn.state, turn.body
    if state.period in ("off", "paused"):
        return ReminderPhase.OFF
    if body.wear is Wear.OFF_BODY:
        return ReminderPhase.NOT_WORN
    if body.link is Link.LOST or body.wear is Wear.UNKNOWN:
        return ReminderPhase.UNKNOWN
    if state.stage is not ReminderPhase.OK:
        return state.stage
    if is_held:
        return ReminderPhase.HELD
    return ReminderPhase.BUILDING if top_frac >= turn.settings.reminding.building_frac else ReminderPhase.OK


def _show_subject(turn: Turn) -> None:
    """Level and reason of what is open, or of what is being held."""
    state = turn.state
    if state.cycle is not None:
        return
    held = None
    if state.phase is ReminderPhase.HELD:
        held = next((load.rule for load in turn.loads if load.frac >= 1.0), None)
    state.level = None if held is None else held.level
    state.reason = None if held is None else str(held.reason(turn.body, turn.limits).get("text", held.name))


def _predict(turn: Turn) -> None:
    """When the next break falls due if the wearer stays as they are; a past moment while it is due."""
    state, now_ns = turn.state, turn.now_ns
    if state.phase in NO_PREDICTION:
        state.next_break_ns = None
        return
    if state.phase is ReminderPhase.SNOOZED and state.level is Level.BREAK:
        state.next_break_ns = state.timer_ns
        return
    next_ns: int | None = None
    for load in turn.loads:
        if load.rule.level is Level.BREAK and load.frac < 1.0:
            at_ns = now_ns + to_ns((1.0 - load.frac) * load.rule.repeat_s(turn.limits))
            next_ns = at_ns if next_ns is None else min(next_ns, at_ns)
    overdue = any(load.rule.level is Level.BREAK and load.frac >= 1.0 for load in turn.loads)
    if overdue:
        known_ns = state.next_break_ns
        state.next_break_ns = max_or_none(state.hold_until_ns, now_ns if known_ns is None else min(known_ns, now_ns))
    elif next_ns is None or state.next_break_ns is None or abs(next_ns - state.next_break_ns) >= SAME_NS:
        state.next_break_ns = next_ns
