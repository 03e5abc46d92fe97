"""Quiet hours and holidays, from the words of the configuration to moments: by weekday, in the wearer's time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AHEAD_DAYS = 731  # a daemon works its tables out anew every day
_DAY_MIN = 24 * 60
_PERIOD = re.compile(r"(?:([a-z,-]+) +)?([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_HINT = "write it like '20:00-07:00', 'mon-fri 17:30-08:00' or 'sat,sun 00:00-24:00'"


@dataclass(frozen=True, slots=True)
class Period:
    """One entry of `quiet_hours`: the weekdays on which it begins (0 is Monday), and local minutes of the day."""

    weekdays: frozenset[int]
    from_min: int
    to_min: int  # at most `from_min`: on the next day


def read_period(text: str) -> Period:
    """What an entry says; `ValueError` for one that says nothing."""
    match = _PERIOD.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"not a period of the day: {text!r}; {_HINT}")
    days, from_h, from_m, to_h, to_m = match.groups()
    begins = 60 * int(from_h) + int(from_m)
    ends = _DAY_MIN if to_h is None else 60 * int(to_h) + int(to_m)
    if begins == ends:
        raise ValueError(f"not a period of the day: {text!r} has no length; {_HINT}")
    return Period(frozenset(_read_days(days, text)), begins, ends)


def _read_days(days: str | None, text: str) -> Iterator[int]:
    if days is None:
        yield from range(7)
        return
    for part in days.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise ValueError(f"no such days: {part!r} in {text!r}; {_HINT}")
        at, end = DAYS.index(first), DAYS.index(last)
        yield from (day % 7 for day in range(at, end + 1 if end >= at else end + 8))


def find_quiet_periods(
    periods: Iterable[str], time_zone: str | None, now_ns: int, holidays: Iterable[str] = ()
) -> tuple[tuple[int, int], ...]:
    """(from_ns, to_ns) of each quiet time, in order and apart, from one day before `now_ns` for two years.

    Local times that the clocks skip or repeat are taken as `datetime` does (fold 0).
    """
    zone = None if time_zone is None else ZoneInfo(time_zone)
    first = datetime.fromtimestamp(now_ns // NS_PER_S, UTC).astimezone(zone).date() - timedelta(days=1)
    found = []
    for period in map(read_period, periods):
        for day in (first + timedelta(days=n) for n in range(AHEAD_DAYS + 1)):
            if day.weekday() in period.weekdays:
                ends = day if period.from_min < period.to_min else day + timedelta(days=1)
                found.append((_local_ns(day, period.from_min, zone), _local_ns(ends, period.to_min, zone)))
    days = [date.fromisoformat(day) for day in holidays]
    found += [(_local_ns(day, 0, zone), _local_ns(day, _DAY_MIN, zone)) for day in days]
    return tuple(_merge(sorted(found)))


def _merge(found: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Periods that touch or overlap are one, so that its end is the end of the silence."""
    current: tuple[int, int] | None = None
    for from_ns, to_ns in found:
        if current is not None and from_ns <= current[1]:
            current = (current[0], max(current[1], to_ns))
            continue
        if current is not None:
            yield current
        current = (from_ns, to_ns)
    if current is not None:
        yield current


def _local_ns(day: date, minute: int, zone: tzinfo | None) -> int:
    day, minute = (day + timedelta(days=1), 0) if minute == _DAY_MIN else (day, minute)
    return round(datetime.combine(day, time(minute // 60, minute % 60), zone).timestamp()) * NS_PER_S
