"""Models of muscle fatigue under a held load: endurance curves and the three-compartment model.

The load is always a fraction of maximum strength, 0 to 1; a percentage is refused.  None of this is a measurement:
the models describe an average adult, and below a tenth of maximum strength no endurance limit is established, which
`describe_endurance` says instead of printing a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FITTED_FROM_FRAC = 0.10  # the endurance data begin at a tenth of maximum strength
ROHMERT_FROM_FRAC = 0.20
TRUNK_F90_FRAC = 0.42  # a horizontal unsupported trunk; agrees with the usual Sorensen holding times
HEAD_F90_FRAC = 0.30  # needs a sensor on the head
UPRIGHT_LOAD_FRAC = 0.03  # sitting or standing without support
SUPPORTED_LOAD_FRAC = 0.014  # reclined: the upper value measured in seated computer work (Mork & Westgaard 2009)
MAX_LOAD_FRAC = 0.95


class Joint(StrEnum):
    """Where a curve was fitted."""

    TRUNK = "trunk"
    SHOULDER = "shoulder"
    ELBOW = "elbow"
    GRIP = "grip"
    KNEE = "knee"
    ANKLE = "ankle"
    GENERAL = "general"  # all joints pooled; also for the neck, which has no curve of its own


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Endurance time = b0_s · load^b1."""

    b0_s: float
    b1: float


@dataclass(frozen=True, slots=True)
class Compartments:
    """Rates between the resting, active and fatigued parts of a muscle."""

    fatigue_per_s: float
    recovery_per_s: float
    rest_multiplier: float  # recovery is this much faster in a break


@dataclass(frozen=True, slots=True)
class Endurance:
    """How long a load can be held, or why that is not said."""

    time_s: float | None
    reason: str | None = None


# Frey Law & Avin 2010, Ergonomics 53:109, Table 2; load as a fraction, time in seconds
POWER_CURVES: Mapping[Joint, PowerCurve] = MappingProxyType(
    {
        Joint.TRUNK: PowerCurve(22.69, -2.27),
        Joint.SHOULDER: PowerCurve(14.86, -1.83),
        Joint.ELBOW: PowerCurve(17.98, -2.21),
        Joint.GRIP: PowerCurve(33.55, -1.61),
        Joint.KNEE: PowerCurve(19.38, -1.88),
        Joint.ANKLE: PowerCurve(34.71, -2.06),
        Joint.GENERAL: PowerCurve(21.92, -1.98),
    }
)

# Frey-Law, Looft & Heitsman 2012, J Biomech 45:1803, Table 1; rest multipliers of Looft, Herkert & Frey-Law 2018,
# J Biomech 77:16, which did not fit trunk and shoulder: 15 is extrapolated there
COMPARTMENTS: Mapping[Joint, Compartments] = MappingProxyType(
    {
        Joint.TRUNK: Compartments(0.00755, 0.00075, 15.0),
        Joint.SHOULDER: Compartments(0.01820, 0.00168, 15.0),
        Joint.ELBOW: Compartments(0.00912, 0.00094, 15.0),
        Joint.GRIP: Compartments(0.00980, 0.00064, 30.0),
        Joint.KNEE: Compartments(0.01500, 0.00149, 15.0),
        Joint.ANKLE: Compartments(0.00589, 0.00058, 15.0),
        Joint.GENERAL: Compartments(0.00970, 0.00091, 15.0),
    }
)


def check_load_frac(load_frac: float) -> float:
    """The load itself; ValueError when it is not a fraction between 0 and 1."""
    if not 0.0 <= load_frac <= 1.0:
        raise ValueError(f"load_frac is {load_frac}: give a fraction of maximum strength, 0 to 1 (percent / 100)")
    return load_frac


def power_curve_endurance_s(joint: Joint, load_frac: float) -> float:
    """Mean endurance time of a held load, b0 · f^b1 (Frey Law & Avin 2010); fitted for 0.1 to 1."""
    curve = POWER_CURVES[joint]
    return curve.b0_s * check_load_frac(load_frac) ** curve.b1 if load_frac else math.inf


def rohmert_endurance_s(load_frac: float) -> float:
    """Endurance time after Rohmert 1960, a cubic in 1/f; ValueError below 0.2, where it does not hold."""
    if check_load_frac(load_frac) < ROHMERT_FROM_FRAC:
        raise ValueError(f"load_frac is {load_frac}: Rohmert's curve holds from {ROHMERT_FROM_FRAC} to 1")
    inverse = 1.0 / load_frac
    return 60.0 * (-1.5 + inverse * (2.1 + inverse * (-0.6 + 0.1 * inverse)))


def ma_endurance_s(load_frac: float, k_per_min: float = 1.0) -> float:
    """Endurance time of the dynamic model of Ma et al. 2009 under constant load, -ln(f) / (k f)."""
    return -60.0 * math.log(check_load_frac(load_frac)) / (k_per_min * load_frac) if load_frac else math.inf


def three_compartment_endurance_s(joint: Joint, load_frac: float) -> float:
    """Endurance time from rest in the three-compartment model (closed form); infinite where it never fails."""
    rates = COMPARTMENTS[joint]
    check_load_frac(load_frac)
    if load_frac <= rates.recovery_per_s / (rates.fatigue_per_s + rates.recovery_per_s):
        return math.inf
    left_frac = rates.recovery_per_s * (1.0 - load_frac) / (rates.fatigue_per_s * load_frac)
    return -math.log1p(-left_frac) / rates.recovery_per_s


def describe_endurance(joint: Joint, load_frac: float) -> Endurance:
    """Endurance time as it may be shown: none below the fitted range, and why."""
    if check_load_frac(load_frac) < FITTED_FROM_FRAC:
        return Endurance(None, "below_fitted_range")
    return Endurance(power_curve_endurance_s(joint, load_frac))


def fatigue_after(fatigued_frac: float, load_frac: float, duration_s: float, joint: Joint) -> float:
    """Fatigued fraction after holding a load: exact for any duration, S + (MF - S)·exp(-R·Δ), within 0 … 1 - f."""
    rates = COMPARTMENTS[joint]
    settled_frac = rates.fatigue_per_s * check_load_frac(load_frac) / rates.recovery_per_s
    after = settled_frac + (fatigued_frac - settled_frac) * math.exp(-rates.recovery_per_s * duration_s)
    return min(max(after, 0.0), 1.0 - load_frac)


def fatigue_after_rest(
    fatigued_frac: float, duration_s: float, joint: Joint, rest_multiplier: float | None = None
) -> float:
    """Fatigued fraction after a break (3CC-r, Looft 2018); a break is a state the caller knows, never a small load."""
    rates = COMPARTMENTS[joint]
    multiplier = rates.rest_multiplier if rest_multiplier is None else rest_multiplier
    return fatigued_frac * math.exp(-multiplier * rates.recovery_per_s * duration_s)


def fatigue_index_frac(fatigued_frac: float, load_frac: float) -> float:
    """Modelled share of endurance used up, MF / (1 - f); 1 at the model's own endurance time."""
    free_frac = 1.0 - check_load_frac(load_frac)
    return min(fatigued_frac / free_frac, 1.0) if free_frac > 0.0 else 1.0


def gravity_load_frac(
    inclination_deg: float,
    f90_frac: float = TRUNK_F90_FRAC,
    upright_frac: float = UPRIGHT_LOAD_FRAC,
    support: float = 1.0,
) -> float:
    """Load from leaning, upright + support · f90 · sin θ, at most 0.95; meant for 0 to about 60 degrees.

    `support` is 1 unsupported, 0.5 with the arms on a desk, 0 with full trunk support; it is set, never inferred.
    """
    lean_rad = math.radians(min(max(inclination_deg, 0.0), 180.0))
    return min(max(upright_frac + support * f90_frac * math.sin(lean_rad), 0.0), MAX_LOAD_FRAC)
