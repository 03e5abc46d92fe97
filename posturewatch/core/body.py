"""The live picture of one wearer: what the detector knows at the last closed second.

Detection writes it, one frame at a time; rules, the reminder machine and the messages only read it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from posturewatch.types import BoutPhase, BreakKind, Link, Motion, Posture, Wear


@dataclass(slots=True)
class Body:
    """All fields are plain numbers and enum members, so that a snapshot can hold them."""

    now_ns: int = 0  # end of the last closed second, or the last tick if later
    link: Link = Link.LOST
    wear: Wear = Wear.UNKNOWN
    wear_since_ns: int = 0
    motion: Motion = Motion.UNKNOWN
    motion_since_ns: int = 0
    posture: Posture = Posture.UNKNOWN
    posture_since_ns: int = 0

    # the bout in one posture
    bout: BoutPhase = BoutPhase.NONE
    static_s: float = 0.0
    static_since_ns: int = 0  # 0: no static bout
    cos_inclination: float | None = None  # None without calibration, or where the placement forbids it
    drift_deg: float = 0.0
    fidgets: int = 0
    shifts: int = 0  # since the state began, for shifts per hour

    # the bout without a real break
    sedentary_s: float = 0.0
    sedentary_since_ns: int = 0  # 0: no sedentary bout

    # loads
    hold_dose_frac: float | None = None  # ISO 11226 line, 1.0 = holding time used up; None without calibration
    fatigue_index_frac: float | None = None  # modelled, off by default

    # breaks
    break_kind: BreakKind | None = None  # what the movement of now already counts as
    break_progress_frac: float = 0.0  # of a real break
    last_break_ns: int = 0  # end of the last real break

    # what ended in this very frame (cleared at the start of the next)
    shift_ended: bool = False  # a shift of >= 10 degrees held 10 s was recognised
    micro_break_ended: bool = False
    real_break_reached: bool = False  # the movement just became a real break
    break_over: bool = False  # a break (of kind `break_kind`) just ended
    mounted: bool = False  # wear went from off_body to worn
    removed: bool = False  # wear became off_body

    @property
    def inclination_deg(self) -> float | None:
        """Inclination from upright; worked out when asked, since few seconds are."""
        cos = self.cos_inclination
        if cos is None or not math.isfinite(cos):
            return None
        return math.degrees(math.acos(min(max(cos, -1.0), 1.0)))
