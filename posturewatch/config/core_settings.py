"""From the user's file to the core's own records: minutes become seconds, zones become tables, files become values."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posturewatch import rules
from posturewatch.config.calibration import read_calibration
from posturewatch.config.quiet import AHEAD_DAYS, find_quiet_periods
from posturewatch.core.settings import Detection, Limits, Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.requests.conditions import MappedTopic
from posturewatch.types import NS_PER_S, UNITS_PER_G

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from posturewatch.config.wearer import Sensor, Wearer
    from posturewatch.drivers.bound import BoundSensor

_DAY_S = 86_400
_LATENESS_S = 2.0  # a second closes when a tick is this far past its end


def to_core(
    wearer: Wearer, now_ns: int, folder: Path | None = None, bound: Mapping[str, BoundSensor] | None = None
) -> Settings:
    """The core's settings of one wearer; `now_ns` is where the local time tables start (one day earlier).

    `folder` is what a relative calibration file is relative to; `bound` are the sensors whose kind is known.  Raises
    `ConfigError` if the file is unusable.
    """
    return Settings(
        wearer=wearer.id,
        sensors=tuple(_to_sensor(sensor, folder, (bound or {}).get(sensor.id)) for sensor in wearer.sensor),
        rules=rules.discover(),
        limits=Limits(static_limit_s=wearer.static_limit_min * 60, sedentary_limit_s=wearer.sedentary_limit_min * 60),
        detection=_to_detection(wearer),
        reminding=_to_reminding(wearer, now_ns),
    )


def _to_sensor(sensor: Sensor, folder: Path | None, bound: BoundSensor | None) -> SensorSettings:
    path = sensor.calibration_file
    if path is not None and folder is not None:
        path = folder / path
    step_mg, rate_hz, lateness_s = sensor.step_mg, sensor.rate_hz, _LATENESS_S
    if bound is not None:
        step_mg = bound.family.capabilities.step_mg if step_mg is None else step_mg
        rate_hz, lateness_s = bound.rate_hz, max(lateness_s, bound.lateness_s)
    return SensorSettings(
        id=sensor.id,
        placement=sensor.placement,
        traits=SensorTraits(
            step_10ug=None if step_mg is None else max(1, round(step_mg * UNITS_PER_G / 1000)),
            noise_mg=sensor.noise_mg,
            rate_hz=rate_hz,
        ),
        calibration=None if path is None else read_calibration(path),
        lateness_ns=round(lateness_s * NS_PER_S),
    )


def _to_detection(wearer: Wearer) -> Detection:
    own = wearer.detection
    return Detection(
        supported=own.supported,
        theta_out_deg=own.theta_out_deg,
        theta_in_deg=own.theta_in_deg,
        real_break_s=own.real_break_s,
        standing_break_s=own.standing_break_s,
        fatigue_index=own.fatigue_index,
    )


def _to_reminding(wearer: Wearer, now_ns: int) -> Reminding:
    own = wearer.reminding
    return Reminding(
        enabled=own.enabled,
        top_rung=own.top_rung,
        shift_rung=own.shift_rung,
        soft_rung=own.soft_rung,
        firm_rung=own.firm_rung,
        grace_s=own.grace_min * 60,
        min_gap_s=own.min_gap_min * 60,
        escalate_s=own.escalate_min * 60,
        max_escalations=own.max_escalations,
        snooze_minutes=own.snooze_minutes,
        snoozes_per_cycle=own.snoozes_per_cycle,
        snoozes_per_day=own.snoozes_per_day,
        shift_per_hour=own.shift_per_hour,
        break_per_hour=own.break_per_hour,
        break_per_day=own.break_per_day,
        max_hold_s=own.max_hold_min * 60,
        prompt_expires_s=own.prompt_expires_min * 60,
        quiet=find_quiet_periods(own.quiet_hours, wearer.time_zone, now_ns, own.holidays),
        utc_offsets=tabulate_utc_offsets(wearer.time_zone, now_ns),
    )


def to_mapped_topics(wearer: Wearer) -> list[MappedTopic]:
    """What other devices say about a wearer, as `requests/conditions.py` takes it."""
    return [
        MappedTopic(
            topic=own.topic,
            why=own.reason or ("busy" if own.effect == "hold" else "not there"),
            is_hold=own.effect == "hold",
            pointer=own.pointer,
            on=own.on,
            settle_ns=round(own.settle_s * NS_PER_S),
            silent_after_ns=round(own.silent_after_min * 60 * NS_PER_S),
            longest_ns=round(wearer.reminding.max_hold_min * 60 * NS_PER_S),
        )
        for own in wearer.condition
    ]


def tabulate_utc_offsets(time_zone: str | None, now_ns: int) -> tuple[tuple[int, int], ...]:
    """(from_ns, offset_s) of local time, from one day before `now_ns` for two years; None: the machine's zone."""
    return _tabulate(time_zone, now_ns // NS_PER_S - _DAY_S)


@lru_cache(maxsize=4)  # many wearers live in one zone
def _tabulate(time_zone: str | None, start_s: int) -> tuple[tuple[int, int], ...]:
    zone = None if time_zone is None else ZoneInfo(time_zone)
    table = [(start_s, _offset_s(zone, start_s))]
    for day in range(AHEAD_DAYS + 1):
        before_s, after_s = start_s + day * _DAY_S, start_s + (day + 1) * _DAY_S
        if (offset_s := _offset_s(zone, after_s)) != table[-1][1]:
            table.append((_find_change(zone, before_s, after_s), offset_s))
    return tuple((from_s * NS_PER_S, offset_s) for from_s, offset_s in table)


def _find_change(zone: tzinfo | None, before_s: int, after_s: int) -> int:
    """The first second with the offset of `after_s`; there is one change between the two."""
    after = _offset_s(zone, after_s)
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset_s(zone, middle_s) == after:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


def _offset_s(zone: tzinfo | None, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
