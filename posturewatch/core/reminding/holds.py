"""The holds that were asked for: the longest counts; the one it outlasts is still there when it is released."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from posturewatch.core.reminding.state import ReminderState

NO_HOLD = (None, 0)


def begin_hold(state: ReminderState, why: str, until_ns: int, now_ns: int) -> None:
    """Add a hold; none shortens another, and of more than two the shortest is forgotten."""
    holds = _list_holds(state, now_ns)
    holds[why] = max(until_ns, holds.get(why, 0))
    _keep(state, holds)


def end_holds(state: ReminderState, now_ns: int, why: str | None = None) -> bool:
    """End the hold of this reason, without one all of them; says whether there was any."""
    holds = _list_holds(state, now_ns)
    left = {} if why is None else {own: until_ns for own, until_ns in holds.items() if own != why}
    _keep(state, left)
    return len(left) < len(holds)


def drop_past_holds(state: ReminderState, now_ns: int) -> None:
    """Forget what is over."""
    if state.wearer_hold is not None and state.wearer_hold_until_ns <= now_ns:
        _keep(state, {})  # the other one ended sooner


def _list_holds(state: ReminderState, now_ns: int) -> dict[str, int]:
    pairs = ((state.wearer_hold, state.wearer_hold_until_ns), (state.outlasted_hold, state.outlasted_hold_until_ns))
    return {why: until_ns for why, until_ns in pairs if why is not None and until_ns > now_ns}


def _keep(state: ReminderState, holds: dict[str, int]) -> None:
    longest = sorted(holds.items(), key=lambda hold: -hold[1])
    state.wearer_hold, state.wearer_hold_until_ns = longest[0] if longest else NO_HOLD
    state.outlasted_hold, state.outlasted_hold_until_ns = longest[1] if len(longest) > 1 else NO_HOLD
