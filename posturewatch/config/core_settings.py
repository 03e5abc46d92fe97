"""From the user's file to the core's own records: minutes become seconds, zones become tables, files become values."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posturewatch import rules
from posturewatch.config.calibration import read_calibration
from posturewatch.core.settings import Detection, Limits, Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.types import NS_PER_S, UNITS_PER_G

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.config.model import Sensor, Wearer

_DAY_S = 86_400
_AHEAD_DAYS = 731  # of zone changes and quiet hours; a daemon reloads its settings more often than that


def to_core(wearer: Wearer, now_ns: int, folder: Path | None = None) -> Settings:
    """The core's settings of one wearer; `now_ns` is where the local time tables start (one day earlier).

    `folder` is what a relative calibration file is relative to.  Raises `ConfigError` if that file is unusable.
    """
    return Settings(
        wearer=wearer.id,
        sensors=tuple(_to_sensor(sensor, folder) for sensor in wearer.sensor),
        rules=rules.discover(),
        limits=Limits(static_limit_s=wearer.static_limit_min * 60, sedentary_limit_s=wearer.sedentary_limit_min * 60),
        detection=_to_detection(wearer),
        reminding=_to_reminding(wearer, now_ns),
    )


def _to_sensor(sensor: Sensor, folder: Path | None) -> SensorSettings:
    step = None if sensor.step_mg is None else max(1, round(sensor.step_mg * UNITS_PER_G / 1000))
    path = sensor.calibration_file
    if path is not None and folder is not None:
        path = folder / path
    return SensorSettings(
        id=sensor.id,
        placement=sensor.placement,
        traits=SensorTraits(step_10ug=step, noise_mg=sensor.noise_mg, rate_hz=sensor.rate_hz),
        calibration=None if path is None else read_calibration(path),
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
        quiet=find_quiet_periods(own.quiet_hours, wearer.time_zone, now_ns),
        utc_offsets=tabulate_utc_offsets(wearer.time_zone, now_ns),
    )


def tabulate_utc_offsets(time_zone: str | None, now_ns: int) -> tuple[tuple[int, int], ...]:
    """(from_ns, offset_s) of local time, from one day before `now_ns` for two years; None: the machine's zone."""
    zone = None if time_zone is None else ZoneInfo(time_zone)
    start_s = now_ns // NS_PER_S - _DAY_S
    table = [(start_s, _offset_s(zone, start_s))]
    for day in range(_AHEAD_DAYS + 1):
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


def find_quiet_periods(periods: tuple[str, ...], time_zone: str | None, now_ns: int) -> tuple[tuple[int, int], ...]:
    """(from_ns, to_ns) of each quiet period, in order, from one day before `now_ns` for two years.

    Local times that the clocks skip or repeat are taken as `datetime` does (fold 0).
    """
    if not periods:
        return ()
    zone = None if time_zone is None else ZoneInfo(time_zone)
    first = datetime.fromtimestamp(now_ns // NS_PER_S, UTC).astimezone(zone).date() - timedelta(days=1)
    found = []
    for period in periods:
        start, end = (time.fromisoformat(part) for part in period.split("-"))
        for day in range(_AHEAD_DAYS + 1):
            begins = first + timedelta(days=day)
            ends = begins if start < end else begins + timedelta(days=1)
            found.append((_local_ns(begins, start, zone), _local_ns(ends, end, zone)))
    return tuple(sorted(found))


def _local_ns(day: date, at: time, zone: tzinfo | None) -> int:
    return round(datetime.combine(day, at, zone).timestamp()) * NS_PER_S
