"""What the messages read of a reminder machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from posturewatch.types import ReminderPhase


def reminder_view(**changes: Any) -> SimpleNamespace:
    """Of a quiet one, but for the changes."""
    fields: dict[str, Any] = {
        "phase": ReminderPhase.OK,
        "cycle": None,
        "level": None,
        "reason": None,
        "due": False,
        "load_frac": 0.0,
        "next_break_ns": None,
        "prompts_left_today": 10,
        "snoozes_left": 2,
        "hold_reason": None,
        "hold_until_ns": None,
        "on_hold": False,
        "paused": False,
        "breaks_today": 0,
        "decision": "",
        "decision_ns": 0,
    }
    unknown = changes.keys() - fields.keys()
    assert not unknown, unknown
    return SimpleNamespace(**{**fields, **changes})
