"""What the core can be told, in the core's own units.  `config/core_settings.py` makes these from the user's file.

Every default is a figure of the field; the comment says whose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.core import bouts, breaks, loads, motion, posture, wear
from posturewatch.types import UNITS_PER_G, Placement

if TYPE_CHECKING:
    from posturewatch.rules import Rule

COARSE_10UG = 4 * UNITS_PER_G // 1000  # a digit of more than 4 mg hides breathing

NORM_TOLERANCE_G = 0.06  # a direction is trusted while |a| is this near to 1 g
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a rule is due."""

    static_limit_s: float = 1200.0  # 20 min: McLean 2001, micro-breaks at 20 min did best
    sedentary_limit_s: float = 1800.0  # 30 min: Evans 2012; firm is twice it (HSE: 50 to 60 min)
    hold_dose_frac: float = 1.0  # ISO 11226 holding time used up


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where `up` and `forward` point in the sensor's own axes, found once per mounting."""

    up: Vector  # unit vector: the sensor's direction of up when the wearer stands upright
    forward: Vector | None = None  # unit vector; None without a bend pose: only unsigned inclination is known
    source: str = "auto"  # auto (from walking) | poses | file
    grade: str = "C"  # A: poses, repeated; B: poses once, or an upright pose alone; C: from walking


@dataclass(frozen=True, slots=True)
class SensorTraits:
    """What a sensor can show: declared by its driver or the configuration; a replay judges it from the recording."""

    step_10ug: int | None = None  # size of one digit; None: not known, and taken for fine
    noise_mg: float | None = None  # vector RMS in 0.1-0.7 Hz when lying still; None: from the data
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """One sensor of a wearer."""

    id: str
    placement: Placement = Placement.UNKNOWN
    traits: SensorTraits = field(default_factory=SensorTraits)
    calibration: Calibration | None = None
    lateness_ns: int = 2_000_000_000  # a second closes when a tick is this far past its end


@dataclass(frozen=True, slots=True)
class Detection:
    """Thresholds of the detector; the comment says whose they are."""

    theta_out_deg: float = 10.0  # leaves the posture
    theta_in_deg: float = 7.0  # is back in it
    shift_s: int = 10  # a shift is held this long
    anchor_tau_s: float = 300.0  # the anchor follows slow sagging
    micro_theta_deg: float = 5.0
    moving_sd_mg: float = 75.0  # SD of |a| over 2 s
    thigh_sit_deg: float = 47.5  # +- 2.5 hysteresis, 5 s (Motus lineage)
    thigh_hysteresis_deg: float = 2.5
    lying_deg: float = 65.0  # trunk inclination
    micro_break_s: int = 30  # McLean 2001
    micro_break_deg: float = 15.0
    real_break_s: int = 120  # movement within `real_break_window_s`
    real_break_window_s: int = 180
    standing_break_s: int = 300  # with a thigh sensor
    off_body_break_s: int = 300
    gap_pause_s: int = 60  # longer gaps censor the static bout
    gap_sedentary_s: int = 300  # longer gaps censor the sedentary bout
    tau_neutral_s: float = 300.0  # hold dose, in a neutral posture
    tau_break_s: float = 89.0  # hold dose, in a break: 1/(15 R), trunk
    supported: bool = False  # full trunk support: configuration, never inferred
    fatigue_index: bool = False  # the modelled three-compartment index


@dataclass(frozen=True, slots=True)
class Reminding:
    """Budgets and manners."""

    enabled: bool = True
    as_due: bool = False  # replay: no quiet, budget, grace, back-off: prompts are the raw moments
    top_rung: int = 2
    shift_rung: int = 1  # shift is silent
    soft_rung: int = 2  # the soft break pushes once
    firm_rung: int = 2
    grace_s: float = 600.0  # after putting on
    min_gap_s: float = 600.0  # between prompts of one level
    escalate_s: float = 300.0
    max_escalations: int = 2
    missed_pause_s: float = 900.0
    ack_silence_s: float = 600.0
    snooze_minutes: tuple[int, ...] = (5, 10, 15)
    snoozes_per_cycle: int = 2
    snoozes_per_day: int = 12
    shift_per_hour: int = 3
    break_per_hour: int = 2
    break_per_day: int = 10
    back_off_after: int = 3
    back_off_s: float = 600.0
    max_hold_s: float = 4 * 3600.0
    held_load_cap_frac: float = 1.5
    after_hold_s: float = 120.0
    prompt_expires_s: float = 600.0
    building_frac: float = 0.8
    quiet: tuple[tuple[int, int], ...] = ()  # quiet periods as (from_ns, to_ns), worked out by the shell
    utc_offsets: tuple[tuple[int, int], ...] = ((0, 0),)  # (from_ns, offset_s): days roll over at local midnight


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything `advance` needs to know about one wearer."""

    wearer: str
    sensors: tuple[SensorSettings, ...]
    rules: tuple[Rule, ...] = ()
    limits: Limits = field(default_factory=Limits)
    detection: Detection = field(default_factory=Detection)
    reminding: Reminding = field(default_factory=Reminding)
    params: Params = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out once what every second needs."""
        object.__setattr__(self, "params", _work_out(self))


@dataclass(frozen=True, slots=True)
class SensorParams:
    """One sensor's settings in the units of the frames."""

    motion: motion.MotionParams
    posture: posture.PostureParams
    wear: wear.WearParams
    norm_tolerance_g: float
    static_bouts: bool  # the placement shows a posture
    inclined: bool  # the placement shows an inclination
    seat: bool  # the placement tells sitting from standing


@dataclass(frozen=True, slots=True)
class Params:
    """Everything that follows from the settings alone."""

    sensors: tuple[SensorParams, ...]
    bouts: bouts.BoutParams
    breaks: breaks.BreakParams
    loads: loads.LoadParams
    static_bouts: bool
    seat: bool
    dosed: bool  # the hold dose can be counted


def _work_out(settings: Settings) -> Params:
    detection = settings.detection
    sensors = tuple(
        SensorParams(
            motion.params_of(detection, s.placement),
            posture.params_of(detection, s),
            wear.params_of(
                s.traits.step_10ug is not None and s.traits.step_10ug > COARSE_10UG,
                s.traits.noise_mg,
                s.placement in motion.HAND,
            ),
            NORM_TOLERANCE_G,
            s.placement in posture.POSTURAL,
            s.placement in posture.INCLINED and s.calibration is not None,
            s.placement is Placement.THIGH,
        )
        for s in settings.sensors
    )
    # the loads follow the sensor that shows an inclination, if there is one
    inclined = next((s for s in settings.sensors if s.placement in posture.INCLINED), None)
    load = loads.build_params(inclined.placement if inclined else Placement.UNKNOWN, detection)
    return Params(
        sensors,
        bouts.params_of(detection),
        breaks.params_of(detection),
        load,
        any(s.static_bouts for s in sensors),
        any(s.seat for s in sensors),
        load.line is not None and any(s.inclined for s in sensors),
    )
