"""Half an hour without a real break: ask, softly, to get up and move (Evans 2012)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.rules import Rule
from posturewatch.types import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.body import Body
    from posturewatch.core.settings import Limits

LONGEST_S = 1e9  # figures in a reason stay finite whatever the clock says


def load_frac(body: Body, limits: Limits) -> float:
    """How much of the time without a real break is used up; 1.0 is due."""
    return body.sedentary_s / limits.sedentary_limit_s


def since_ns(body: Body) -> int:
    """The start of the bout without a real break."""
    return body.sedentary_since_ns


def repeat_s(limits: Limits) -> float:
    """One full interval."""
    return limits.sedentary_limit_s


def reason(body: Body, limits: Limits) -> Mapping[str, float | str]:
    """The numbers behind the reminder, and a short text made of them."""
    sedentary_s = min(body.sedentary_s, LONGEST_S)
    return {
        "sedentary_s": sedentary_s,
        "limit_s": limits.sedentary_limit_s,
        "text": f"{sedentary_s / 60:.0f} min without a real break",
    }


RULE = Rule(
    name="sedentary",
    level=Level.BREAK,
    event_type="break_due",
    priority=30,
    load_frac=load_frac,
    since_ns=since_ns,
    repeat_s=repeat_s,
    reason=reason,
)
