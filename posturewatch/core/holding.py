"""How long an inclined posture may be held: the lines of ISO 11226, and the dose they make.

The dose is 1 when the holding time of the held angle is used up.  For a constant angle it is exactly the published
line; for a changing angle it adds up linearly.  It is a wellness figure, not an assessment of conformity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

ABOVE_RANGE_S = 4.0  # beyond the line no duration is recommended; a posture counts as held after 4 s


@dataclass(frozen=True, slots=True)
class HoldingLine:
    """Holding time falls linearly from `low_s` at `low_deg` to `high_s` at `high_deg`."""

    low_deg: float
    low_s: float
    high_deg: float
    high_s: float
    cos_low: float = field(init=False)
    cos_high: float = field(init=False)
    slope_s_per_rad: float = field(init=False)
    at_zero_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Work out what a hot loop needs, once."""
        slope_s_per_deg = (self.low_s - self.high_s) / (self.high_deg - self.low_deg)
        object.__setattr__(self, "cos_low", math.cos(math.radians(self.low_deg)))
        object.__setattr__(self, "cos_high", math.cos(math.radians(self.high_deg)))
        object.__setattr__(self, "slope_s_per_rad", math.degrees(slope_s_per_deg))
        object.__setattr__(self, "at_zero_s", self.low_s + slope_s_per_deg * self.low_deg)


TRUNK_LINE = HoldingLine(20.0, 240.0, 60.0, 60.0)  # without full trunk support
HEAD_LINE = HoldingLine(25.0, 480.0, 85.0, 60.0)  # without full head support
ARM_LINE = HoldingLine(20.0, 180.0, 60.0, 60.0)  # upper arm, without full arm support


def holding_time_s(line: HoldingLine, inclination_deg: float) -> float:
    """Longest acceptable holding time; infinite below the line, 0 above it (no duration is recommended)."""
    if inclination_deg < line.low_deg:
        return math.inf
    if inclination_deg > line.high_deg:
        return 0.0
    share = (inclination_deg - line.low_deg) / (line.high_deg - line.low_deg)
    return line.low_s + (line.high_s - line.low_s) * share


def dose_rate_per_s(line: HoldingLine, cos_inclination: float) -> float:
    """Share of the holding time used up in one second; 0 up to the line's low end, and for NaN."""
    if not cos_inclination < line.cos_low:
        return 0.0
    if cos_inclination < line.cos_high:
        return 1.0 / ABOVE_RANGE_S
    return 1.0 / (line.at_zero_s - line.slope_s_per_rad * math.acos(cos_inclination))


def keep_frac(duration_s: float, tau_s: float) -> float:
    """What is left of a dose after `duration_s` of recovery with time constant `tau_s`."""
    return math.exp(-duration_s / tau_s)
