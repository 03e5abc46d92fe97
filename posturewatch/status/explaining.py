"""Why the wearer was asked, or was not: the last decision, from the live state, a snapshot, or what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posturewatch.core.reminding import summarise_day
from posturewatch.publishing.messages import iso_or_none, percent, told_by_channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.reminding import ReminderState
    from posturewatch.publishing.responses import Responses

NOTHING = "nothing was due so far"


def explain_state(wearer: str, reminder: ReminderState, responses: Responses) -> dict[str, Any]:
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
        "responses": told_by_channel(responses.week()),
    }


def explain_published(state: Mapping[str, Any]) -> dict[str, Any]:
    """The same from a published state; of today it tells the breaks only."""
    kept = {key: state.get(key) for key in ("wearer", "reminder", "load_pct", "hold_reason", "next_break")}
    return {
        **kept,
        "decision": state.get("decision") or NOTHING,
        "time": state.get("decided"),
        "today": {"breaks": state.get("breaks_today")},
        "responses": state.get("responses") or {},
    }


def word_responses(by_channel: Mapping[str, Mapping[str, int]]) -> str:
    """`push 9 of 12, desktop 3 of 4`."""
    return ", ".join(f"{name} {count['answered']} of {count['reminders']}" for name, count in by_channel.items())
