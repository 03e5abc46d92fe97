"""The table of a wearer: sensors, thresholds, the manners of reminding, conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from posturewatch.config.values import Day, Id, Period, Rung, Section, TimeZone
from posturewatch.core.settings import Limits
from posturewatch.types import Placement

_LIMITS = Limits()  # the core says how long, with the source


class Sensor(Section):
    """One accelerometer on a wearer's body."""

    id: Id = Field(description="name of the sensor, in topics: a-z 0-9 _ -", examples=["chest"])
    placement: Placement = Field(description="where it is worn", examples=["chest"])
    source: Literal["mqtt", "ble", "simulated"] = Field(
        default="mqtt",
        description="mqtt: a gateway sends samples to <base_topic>/sensor/<id>/samples; ble: over Bluetooth",
    )
    family: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,64}$", description="ble: which kind of sensor", examples=["polar"]
    )
    address: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Za-z:_.-]{4,64}$",
        description="ble: its address or serial number, as `posturewatch scan` shows it",
        examples=["A0:9E:1A:00:00:01"],
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="ble: its advertised name, if it has no lasting address",
        examples=["Polar H10 12345678"],
    )
    range_g: float | None = Field(
        default=None, gt=0, le=64, description="ble: range to ask for; without it the family's", examples=[2.0]
    )
    clipped: bool = Field(default=False, description="ble: clipped to cloth, without touching the skin")
    scenario: str = Field(default="office-day", pattern=r"^[a-z0-9_-]{1,64}$", description="simulated: which script")
    seed: int = Field(default=1, ge=0, le=2**63 - 1, description="simulated: same seed, same samples")
    device: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,64}$", description="simulated: which device", examples=["polar_h10"]
    )
    step_mg: float | None = Field(
        default=None, gt=0, le=250, description="size of one digit; without it estimated", examples=[0.98]
    )
    noise_mg: float | None = Field(
        default=None, ge=0, le=250, description="RMS noise in 0.1-0.7 Hz; without it from the data", examples=[0.3]
    )
    rate_hz: float | None = Field(
        default=None, gt=0, le=3200, description="samples a second; without it estimated", examples=[50.0]
    )
    calibration_file: Path | None = Field(
        default=None, description="where up and forward point, as JSON", examples=["chest.calibration.json"]
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_ble = sorted(self.model_fields_set & {"family", "address", "name", "range_g", "clipped"})
        if self.source != "ble" and only_ble:
            raise ValueError(f'{", ".join(only_ble)}: only with source = "ble"')
        if self.source == "ble" and self.family is None:
            raise ValueError('source = "ble" needs a family, such as "polar": `posturewatch scan` names it')
        if self.source == "ble" and (self.address is None) == (self.name is None):
            raise ValueError('source = "ble" needs either an address or a name: `posturewatch scan` shows them')
        return self


class DetectionOverrides(Section):
    """Thresholds for those who know why they change them."""

    supported: bool = Field(default=False, description="the trunk is fully supported (head and back rest)")
    theta_out_deg: float = Field(default=10.0, ge=5, le=45, description="turning this far leaves the posture")
    theta_in_deg: float = Field(default=7.0, ge=2, le=40, description="this near is back in it; below theta_out_deg")
    real_break_s: int = Field(default=120, ge=30, le=180, description="movement in three minutes that is a real break")
    standing_break_s: int = Field(
        default=300, ge=60, le=1800, description="standing that is a real break (thigh sensor)"
    )
    fatigue_index: bool = Field(default=False, description="also compute the modelled fatigue index")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.theta_in_deg >= self.theta_out_deg:
            raise ValueError(f"theta_in_deg {self.theta_in_deg:g} must be below theta_out_deg {self.theta_out_deg:g}")
        return self


class RemindingManners(Section):
    """How loudly and how often; rungs: 0 dashboard only, 1 silent push, 2 push, 3 speaker."""

    enabled: bool = Field(default=True, description="give reminders at all")
    top_rung: Rung = Field(default=2, description="nothing is ever louder than this")
    shift_rung: Rung = Field(default=1, description="loudness of `change something`")
    soft_rung: Rung = Field(default=2, description="loudness of the first `get up`")
    firm_rung: Rung = Field(default=2, description="loudness of the second `get up`")
    grace_min: float = Field(default=10.0, ge=0, le=120, description="silence after putting the sensor on")
    min_gap_min: float = Field(default=10.0, ge=1, le=120, description="between two prompts of one level")
    escalate_min: float = Field(default=5.0, ge=1, le=60, description="until an unanswered prompt is repeated")
    max_escalations: int = Field(default=2, ge=0, le=5, description="how often it is repeated")
    snooze_minutes: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(
        default=(5, 10, 15), min_length=1, max_length=5, description="what a snooze may last, min"
    )
    snoozes_per_cycle: int = Field(default=2, ge=0, le=10, description="snoozes of one reminder")
    snoozes_per_day: int = Field(default=12, ge=0, le=100, description="snoozes a day")
    shift_per_hour: int = Field(default=3, ge=0, le=12, description="most `change something` prompts an hour")
    break_per_hour: int = Field(default=2, ge=0, le=12, description="most `get up` prompts an hour")
    break_per_day: int = Field(default=10, ge=0, le=100, description="most `get up` prompts a day")
    max_hold_min: float = Field(default=240.0, ge=5, le=720, description="longest hold (do not disturb)")
    prompt_expires_min: float = Field(default=10.0, ge=1, le=60, description="a prompt unseen for this long is void")
    quiet_hours: tuple[Period, ...] = Field(
        default=("20:00-07:00",),
        max_length=16,
        description="local times without prompts, each with or without the days on which it begins; [] for none",
        examples=[["mon-fri 17:30-08:00", "sat,sun 00:00-24:00"]],
    )
    holidays: tuple[Day, ...] = Field(
        default=(), max_length=200, description="local days without prompts", examples=[["2026-12-24"]]
    )


class Condition(Section):
    """What another device says about the wearer, on any topic: a camera in use, a calendar, presence at the desk."""

    topic: str = Field(
        min_length=1,
        max_length=256,
        pattern=r"^[^+#$][^+#]*$",
        description="where it is said",
        examples=["home/camera"],
    )
    effect: Literal["hold", "only_when"] = Field(
        default="hold", description="hold: no prompts while it is on; only_when: prompts only while it is on"
    )
    pointer: str | None = Field(
        default=None,
        max_length=128,
        pattern=r"^/",
        description="where in a JSON payload, as a JSON pointer; without it the whole payload counts",
        examples=["/state"],
    )
    on: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = Field(
        default=("on", "true", "1"),
        min_length=1,
        max_length=16,
        description="values that mean on; case does not matter",
    )
    reason: str | None = Field(
        default=None, min_length=1, max_length=60, description="shown while it lasts", examples=["in a meeting"]
    )
    settle_s: float = Field(default=15.0, ge=0, le=600, description="silence ends only after so long without a relapse")
    silent_after_min: float = Field(
        default=240.0, ge=1, le=1440, description="a topic that says nothing for so long no longer counts"
    )


class Wearer(Section):
    """One person; repeat the table for more."""

    id: Id = Field(description="name of the wearer, in topics: a-z 0-9 _ -", examples=["me"])
    time_zone: TimeZone | None = Field(
        default=None, description="local midnight and quiet hours; without it the machine's", examples=["Europe/Berlin"]
    )
    static_limit_min: float = Field(
        default=_LIMITS.static_limit_s / 60, ge=5, le=60, description="one posture this long: change something"
    )
    sedentary_limit_min: float = Field(
        default=_LIMITS.sedentary_limit_s / 60,
        ge=15,
        le=120,
        description="no real break this long: get up; twice this is the firm prompt",
    )
    detection: DetectionOverrides = Field(default=DetectionOverrides(), description="thresholds")
    reminding: RemindingManners = Field(default=RemindingManners(), description="budgets and manners")
    condition: tuple[Condition, ...] = Field(default=(), max_length=8, description="when not to prompt")
    sensor: tuple[Sensor, ...] = Field(min_length=1, max_length=8, description="the wearer's sensors")
