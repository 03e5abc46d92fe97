"""A lean held for its whole holding time: ask for a change (ISO 11226 holding-time line, summed over angles)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from posturewatch.rules import Rule
from posturewatch.types import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.body import Body
    from posturewatch.core.settings import Limits

REPEAT_S = 600.0  # a dose has no interval of its own: ask again after ten minutes while it stays used up
HIGHEST_FRAC = 1e4  # figures in a reason stay finite whatever the dose says


def load_frac(body: Body, limits: Limits) -> float | None:
    """How much of the holding time is used up; None where the inclination cannot be known."""
    dose_frac = body.hold_dose_frac
    return None if dose_frac is None else dose_frac / limits.hold_dose_frac


def since_ns(body: Body) -> int:
    """The start of the bout in one posture; the dose itself has no start."""
    return body.static_since_ns


def repeat_s(limits: Limits) -> float:  # noqa: ARG001  (the signature belongs to Rule)
    """Ten minutes."""
    return REPEAT_S


def reason(body: Body, limits: Limits) -> Mapping[str, float | str]:
    """The numbers behind the reminder, and a short text made of them."""
    dose_pct = 100.0 * min(body.hold_dose_frac or 0.0, HIGHEST_FRAC)
    numbers: dict[str, float | str] = {
        "hold_dose_pct": round(dose_pct, 1),
        "limit_pct": 100.0 * limits.hold_dose_frac,
        "text": f"a lean held for {dose_pct:.0f} % of its holding time",
    }
    if body.inclination_deg is not None and math.isfinite(body.inclination_deg):
        numbers["inclination_deg"] = round(body.inclination_deg, 1)
    return numbers


RULE = Rule(
    name="hold_dose",
    level=Level.SHIFT,
    event_type="shift_due",
    priority=20,
    load_frac=load_frac,
    since_ns=since_ns,
    repeat_s=repeat_s,
    reason=reason,
)
