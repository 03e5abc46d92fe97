"""Passive-tissue creep in flexed sitting (McGill & Brown 1992): first order up, two exponentials down.

It means something only where the flexion of the lumbar spine itself is known: two sensors, or a low-back sensor
calibrated with the wearer's own slump.  An offline figure; no reminder is built on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BUILD_TAU_S = 9.4 * 60.0  # measured
FAST_TAU_S = 120.0 / math.log(2.0)  # half of the stiffness is back within 2 min of relaxed lordosis
SLOW_TAU_S = 30.0 * 60.0  # the rest takes longer than the loading did; shape fitted to that statement
HALF_FRAC = 0.5


@dataclass(frozen=True, slots=True)
class Creep:
    """Creep as fractions of its asymptote: the half that recovers fast and the half that recovers slowly."""

    fast_frac: float = 0.0
    slow_frac: float = 0.0

    @property
    def total_frac(self) -> float:
        """Creep as a fraction of its asymptote, 0 to 1."""
        return self.fast_frac + self.slow_frac


def creep_after(creep: Creep, duration_s: float, *, flexed: bool) -> Creep:
    """Creep after `duration_s` of flexed or relaxed sitting; exact for any duration."""
    if flexed:
        keep = math.exp(-duration_s / BUILD_TAU_S)
        return Creep(
            HALF_FRAC + (creep.fast_frac - HALF_FRAC) * keep,
            HALF_FRAC + (creep.slow_frac - HALF_FRAC) * keep,
        )
    return Creep(
        creep.fast_frac * math.exp(-duration_s / FAST_TAU_S), creep.slow_frac * math.exp(-duration_s / SLOW_TAU_S)
    )
