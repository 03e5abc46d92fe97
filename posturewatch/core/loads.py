"""Hold dose and modelled fatigue of one wearer, one second at a time.

`accumulate` is called once for each second that was seen worn.  It is not called in a gap, so nothing decays there:
unknown time is neither load nor rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from posturewatch.core.fatigue import (
    COMPARTMENTS,
    HEAD_F90_FRAC,
    MAX_LOAD_FRAC,
    SUPPORTED_LOAD_FRAC,
    TRUNK_F90_FRAC,
    UPRIGHT_LOAD_FRAC,
    Joint,
)
from posturewatch.core.holding import HEAD_LINE, TRUNK_LINE, HoldingLine, dose_rate_per_s, keep_frac
from posturewatch.types import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.core.settings import Detection

MAX_DOSE_FRAC = 10.0  # more says nothing new, and would take a wearer longer to work off than it took to build
MODEL_UP_TO_COS = math.cos(math.radians(60.0))  # further down ligaments carry and the muscles fall silent

# waist and low back see a tilt, not the inclination of the trunk: no dose
HOLDING_LINES: Mapping[Placement, HoldingLine] = MappingProxyType(
    {
        Placement.CHEST: TRUNK_LINE,
        Placement.TORSO: TRUNK_LINE,
        Placement.UPPER_BACK: TRUNK_LINE,
        Placement.NECK: TRUNK_LINE,  # the base of the neck moves with the trunk; it does not see the head
        Placement.HEAD: HEAD_LINE,
    }
)


@dataclass(slots=True)
class LoadState:
    """What has been accumulated."""

    hold_dose_frac: float = 0.0
    fatigued_frac: float = 0.0
    fatigue_index_frac: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadParams:
    """All that `accumulate` needs, with the decay of one second worked out once."""

    line: HoldingLine | None  # None: this placement has no hold dose
    supported: bool
    pause_below_cos: float  # so far down is lying, or cannot be told from it: neither load nor rest
    neutral_keep_frac: float
    break_keep_frac: float
    fatigue_index: bool
    f90_frac: float
    settled_per_load: float  # F / R
    load_keep_frac: float
    rest_keep_frac: float


def build_params(placement: Placement, detection: Detection) -> LoadParams:
    """The parameters of one sensor's loads, from the settings."""
    line = HOLDING_LINES.get(placement)
    on_head = placement is Placement.HEAD
    rates = COMPARTMENTS[Joint.GENERAL if on_head else Joint.TRUNK]  # no curve was ever fitted to the neck
    return LoadParams(
        line=line,
        supported=detection.supported,
        pause_below_cos=-1.0 if line is None else math.cos(math.radians(max(detection.lying_deg, line.high_deg))),
        neutral_keep_frac=keep_frac(1.0, detection.tau_neutral_s),
        break_keep_frac=keep_frac(1.0, detection.tau_break_s),
        fatigue_index=detection.fatigue_index and line is not None,
        f90_frac=HEAD_F90_FRAC if on_head else TRUNK_F90_FRAC,
        settled_per_load=rates.fatigue_per_s / rates.recovery_per_s,
        load_keep_frac=math.exp(-rates.recovery_per_s),
        rest_keep_frac=math.exp(-rates.rest_multiplier * rates.recovery_per_s),
    )


def accumulate(load: LoadState, cos_inclination: float | None, in_break: bool, params: LoadParams) -> None:
    """One worn second: a break or a neutral posture takes from the loads, an unsupported inclined one adds.

    Outside a break nothing changes where the inclination is unknown (None, NaN) or that of somebody lying.
    """
    line = params.line
    if line is None:
        return
    if in_break:
        load.hold_dose_frac *= params.break_keep_frac
    elif cos_inclination is None or not cos_inclination >= params.pause_below_cos:
        return
    elif cos_inclination >= line.cos_low or params.supported:
        load.hold_dose_frac *= params.neutral_keep_frac
    else:
        load.hold_dose_frac += dose_rate_per_s(line, cos_inclination)
        if load.hold_dose_frac > MAX_DOSE_FRAC:  # not min(): that call alone costs a third of the second
            load.hold_dose_frac = MAX_DOSE_FRAC
    if params.fatigue_index:
        _fatigue(load, cos_inclination, in_break, params)


def _fatigue(load: LoadState, cos_inclination: float | None, in_break: bool, params: LoadParams) -> None:
    """One second of the three-compartment model; its faster recovery needs a break, never just a small load."""
    if in_break:
        load.fatigued_frac *= params.rest_keep_frac
        load.fatigue_index_frac = load.fatigued_frac
        return
    if cos_inclination is None or not cos_inclination >= MODEL_UP_TO_COS:
        return  # the model does not hold there: the index waits
    if params.supported:
        load_frac = SUPPORTED_LOAD_FRAC
    else:
        sin_inclination = math.sqrt(max(1.0 - cos_inclination * cos_inclination, 0.0))
        load_frac = min(UPRIGHT_LOAD_FRAC + params.f90_frac * sin_inclination, MAX_LOAD_FRAC)
    settled_frac = params.settled_per_load * load_frac
    fatigued_frac = settled_frac + (load.fatigued_frac - settled_frac) * params.load_keep_frac
    load.fatigued_frac = min(max(fatigued_frac, 0.0), 1.0 - load_frac)
    load.fatigue_index_frac = load.fatigued_frac / (1.0 - load_frac)
