"""Quiet hours by weekday, holidays, and the nights in which the clocks change."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from posturewatch.config.quiet import find_quiet_periods, read_period
from posturewatch.types import NS_PER_S

ZONE = "Europe/Berlin"


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp()) * NS_PER_S


NOW_NS = ns("2026-03-23T12:00")  # a Monday


def is_quiet(text: str, *periods: str, holidays: tuple[str, ...] = ()) -> bool:
    return any(a <= ns(text) < b for a, b in find_quiet_periods(periods, ZONE, NOW_NS, holidays))


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-03-23T17:29", False),  # Monday
        ("2026-03-23T17:30", True),
        ("2026-03-24T07:59", True),
        ("2026-03-24T08:00", False),
        ("2026-03-27T20:00", True),  # Friday
        ("2026-03-28T07:59", True),  # Friday's night ends on Saturday
        ("2026-03-28T10:00", True),  # all of Saturday
        ("2026-03-28T23:59", True),
        ("2026-03-29T10:00", False),  # Sunday has none
        ("2026-03-29T20:00", False),
    ],
)
def test_periods_begin_on_their_days(moment, quiet):
    assert is_quiet(moment, "mon-fri 17:30-08:00", "sat 00:00-24:00") is quiet


def test_days_can_be_listed_and_go_around_the_week():
    assert read_period("sat-mon 01:00-02:00").weekdays == {5, 6, 0}
    assert read_period("mon,wed-thu 01:00-02:00").weekdays == {0, 2, 3}
    assert read_period("Fri 01:00-02:00").weekdays == {4}
    assert read_period("01:00-02:00").weekdays == set(range(7))


def test_a_holiday_is_quiet_from_midnight_to_midnight():
    assert not is_quiet("2026-04-05T23:59", holidays=("2026-04-06",))
    assert is_quiet("2026-04-06T00:00", holidays=("2026-04-06",))
    assert is_quiet("2026-04-06T23:59", holidays=("2026-04-06",))
    assert not is_quiet("2026-04-07T00:00", holidays=("2026-04-06",))


def test_a_night_is_an_hour_shorter_or_longer_when_the_clocks_change():
    nights = find_quiet_periods(("20:00-07:00",), ZONE, NOW_NS)
    by_day = {
        datetime.fromtimestamp(a // NS_PER_S, ZoneInfo(ZONE)).date().isoformat(): (b - a) // (3600 * NS_PER_S)
        for a, b in nights
    }
    assert (by_day["2026-03-27"], by_day["2026-03-28"], by_day["2026-03-29"]) == (11, 10, 11)
    assert (by_day["2026-10-23"], by_day["2026-10-24"]) == (11, 12)


def test_what_touches_or_overlaps_is_one_silence():
    periods = find_quiet_periods(("sat,sun 00:00-24:00", "20:00-07:00"), ZONE, NOW_NS, ("2026-03-30",))
    assert all(earlier[1] < later[0] for earlier, later in pairwise(periods))
    weekend = next(p for p in periods if p[0] <= ns("2026-03-28T12:00") < p[1])
    assert weekend == (ns("2026-03-27T20:00"), ns("2026-03-31T07:00"))


@pytest.mark.parametrize(
    "text",
    ["", "8-9", "08:00-08:00", "24:00-01:00", "mon 25:00-01:00", "fun 08:00-09:00", "mon- 08:00-09:00", "-fri 8:0"],
)
def test_what_is_no_period_is_told_with_an_example(text):
    with pytest.raises(ValueError, match="write it like"):
        read_period(text)
