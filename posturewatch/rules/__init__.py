"""Rules say when holding still has lasted long enough.  One file, one rule; found by looking into this folder.

A rule is a constant `RULE` of type `Rule`.  Its two functions are pure: they read the body and the limits and never
change them.  A rule says how full its clock is; when to speak, how loudly and when to be silent is the business of
`core/reminding/`.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posturewatch.core.body import Body
    from posturewatch.core.settings import Limits
    from posturewatch.types import Level


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to ask for movement."""

    name: str  # as in the `reminder` lines of a replay
    level: Level
    event_type: str  # of the prompt: shift_due | break_due | break_due_firm
    priority: int  # the higher one speaks when several are due
    load_frac: Callable[[Body, Limits], float | None]  # 1.0 = due; None: cannot be known here
    since_ns: Callable[[Body], int]  # the start of the bout it counts; names the reminder
    repeat_s: Callable[[Limits], float]  # not due again sooner than this
    reason: Callable[[Body, Limits], Mapping[str, float | str]]


def discover() -> tuple[Rule, ...]:
    """All rules of this folder, highest priority first."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return tuple(sorted((m.RULE for m in modules), key=lambda rule: -rule.priority))
