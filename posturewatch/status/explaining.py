"""Why the wearer was asked, or was not: the last decision, from the live state, a snapshot, or what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posturewatch.core.reminding import summarise_day
from posturewatch.publishing.messages import iso_or_none, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.reminding import ReminderState

NOTHING = "nothing was due so far"


def explain_state(wearer: str, reminder: ReminderState) -> dict[str, Any]:
    """The last decision with its moment, how it stands now, and what became of today's reminders."""
    return {
        "wearer": wearer,
        "reminder": reminder.phase,
        "decision": reminder.decision or NOTHING,
        "time": iso_or_none(reminder.decision_ns),
        "load_pct": percent(reminder.load_frac),
        "hold_reason": reminder.hold_reason,
        "next_break": iso_or_none(reminder.next_break_ns),
        "today": summarise_day(reminder),
    }


def explain_published(state: Mapping[str, Any]) -> dict[str, Any]:
    """The same as far as a published state tells: what is open or held, not what was decided before."""
    if state.get("hold_reason"):
        decision = f"silent: {state['hold_reason']}"
    elif state.get("cycle"):
        decision = f"asked: {state.get('reason')}"
    else:
        decision = "nothing is open"
    kept = {key: state.get(key) for key in ("wearer", "reminder", "time", "load_pct", "hold_reason", "next_break")}
    return {**kept, "decision": decision, "today": {"breaks": state.get("breaks_today")}}
