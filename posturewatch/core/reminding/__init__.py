"""When to speak, how loudly, and when to be silent: one reminder machine for each wearer."""

from posturewatch.core.reminding.budgets import summarise_day
from posturewatch.core.reminding.commands import command
from posturewatch.core.reminding.machine import step, surround
from posturewatch.core.reminding.settable import values_in_force
from posturewatch.core.reminding.state import ReminderState, initial, limits_in_force

__all__ = [
    "ReminderState",
    "command",
    "initial",
    "limits_in_force",
    "step",
    "summarise_day",
    "surround",
    "values_in_force",
]
