"""One posture held for too long: ask for any change of it (McLean 2001: a micro-break every 20 min did best)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from posturewatch.rules import Rule
from posturewatch.types import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.body import Body
    from posturewatch.core.settings import Limits

LONGEST_S = 1e9  # figures in a reason stay finite whatever the clock says


def load_frac(body: Body, limits: Limits) -> float:
    """How much of the time in one posture is used up; 1.0 is due."""
    return body.static_s / limits.static_limit_s


def since_ns(body: Body) -> int:
    """The start of the bout in one posture."""
    return body.static_since_ns


def repeat_s(limits: Limits) -> float:
    """One full interval."""
    return limits.static_limit_s


def reason(body: Body, limits: Limits) -> Mapping[str, float | str]:
    """The numbers behind the reminder, and a short text made of them."""
    held_s = min(body.static_s, LONGEST_S)
    numbers: dict[str, float | str] = {
        "static_s": held_s,
        "limit_s": limits.static_limit_s,
        "text": f"{held_s / 60:.0f} min in one posture",
    }
    if body.inclination_deg is not None and math.isfinite(body.inclination_deg):
        numbers["inclination_deg"] = round(body.inclination_deg, 1)
    return numbers


RULE = Rule(
    name="static",
    level=Level.SHIFT,
    event_type="shift_due",
    priority=10,
    load_frac=load_frac,
    since_ns=since_ns,
    repeat_s=repeat_s,
    reason=reason,
)
