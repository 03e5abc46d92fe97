"""Twice the soft limit without a real break: ask firmly to get up and move (HSE: every 50 to 60 min)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.rules import Rule
from posturewatch.types import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.body import Body
    from posturewatch.core.settings import Limits

TIMES_SOFT = 2.0
LONGEST_S = 1e9  # figures in a reason stay finite whatever the clock says


def load_frac(body: Body, limits: Limits) -> float:
    """How much of twice the soft limit is used up; 1.0 is due."""
    return body.sedentary_s / (TIMES_SOFT * limits.sedentary_limit_s)


def since_ns(body: Body) -> int:
    """The start of the bout without a real break."""
    return body.sedentary_since_ns


def repeat_s(limits: Limits) -> float:
    """One full interval."""
    return TIMES_SOFT * limits.sedentary_limit_s


def reason(body: Body, limits: Limits) -> Mapping[str, float | str]:
    """The numbers behind the reminder, and a short text made of them."""
    sedentary_s = min(body.sedentary_s, LONGEST_S)
    return {
        "sedentary_s": sedentary_s,
        "limit_s": TIMES_SOFT * limits.sedentary_limit_s,
        "text": f"{sedentary_s / 60:.0f} min without a real break",
    }


RULE = Rule(
    name="sedentary_firm",
    level=Level.BREAK,
    event_type="break_due_firm",
    priority=40,
    load_frac=load_frac,
    since_ns=since_ns,
    repeat_s=repeat_s,
    reason=reason,
)
