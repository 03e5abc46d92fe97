"""Battery low and not worn: each once a day at most, and only when there is reason to say so."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posturewatch.publishing.notices import Notices
from posturewatch.types import NS_PER_S

MONDAY = 20_500  # days since 1970
DAY_MIN = 24 * 60
BERLIN_SUMMER = ((0, 7200),)


class Weeks:
    """Minutes of a wearer's days; worn from nine to five, unless said otherwise."""

    def __init__(self) -> None:
        self.notices = Notices()
        self.said: list[tuple[int, int, str]] = []  # day since the first Monday, minute, what

    def day(self, number: int, worn: bool = True, silent: bool = False, battery_pct: float | None = None) -> Weeks:
        for minute in range(0, DAY_MIN, 5):
            now_ns = ((MONDAY + number) * DAY_MIN + minute) * 60 * NS_PER_S - 7200 * NS_PER_S
            is_worn = worn and 9 * 60 <= minute < 17 * 60
            for told in self.notices.update(
                now_ns, BERLIN_SUMMER, is_worn=is_worn, is_silent=silent, battery_pct=battery_pct
            ):
                self.said.append((number, minute, told.event_type))
        return self

    def office_days(self, *numbers: int) -> Weeks:
        for number in numbers:
            self.day(number)
        return self


def test_the_day_after_a_monday_is_a_working_day():
    assert (MONDAY + 3) % 7 == 0


def test_who_wears_it_on_working_days_is_missed_once_two_hours_after_the_usual_time():
    weeks = Weeks().office_days(0, 1, 2, 3, 4).day(5, worn=False).day(6, worn=False).day(7, worn=False)
    assert weeks.said == [(7, 11 * 60, "not_worn")]


def test_four_days_are_not_yet_a_habit():
    assert Weeks().office_days(0, 1, 2, 3).day(4, worn=False).said == []


def test_a_habit_that_was_given_up_is_forgotten():
    weeks = Weeks().office_days(0, 1, 2, 3, 4)
    for number in range(7, 21):
        weeks.day(number, worn=False)
    assert 1 <= len(weeks.said) <= 3


def test_nobody_is_missed_on_a_holiday():
    assert Weeks().office_days(0, 1, 2, 3, 4).day(7, worn=False, silent=True).said == []


def test_a_low_battery_is_said_once_a_day():
    weeks = Weeks().day(0, battery_pct=16).day(1, battery_pct=15).day(2, battery_pct=3).day(3, battery_pct=90)
    assert [(day, what) for day, _, what in weeks.said] == [(1, "battery_low"), (2, "battery_low")]


def test_a_restart_says_nothing_again_and_keeps_the_habit():
    weeks = Weeks().office_days(0, 1, 2, 3, 4).day(7, worn=False, battery_pct=5)
    before = len(weeks.said)
    weeks.notices = Notices(json.loads(json.dumps(weeks.notices.dump())))
    assert len(weeks.day(7, worn=False, battery_pct=5).said) == before
    assert weeks.day(8, worn=False).said[-1] == (8, 11 * 60, "not_worn")


@pytest.mark.parametrize(
    "saved", [None, [], {"first_worn": [[1], ["a", 2], 7]}, {"first_worn": {}, "battery_day": "x"}]
)
def test_what_is_no_memory_is_forgotten(saved):
    assert Notices(saved).dump() == Notices().dump()


@given(st.lists(st.tuples(st.integers(-(1 << 61), 1 << 61), st.booleans(), st.none() | st.floats(0, 100)), max_size=50))
def test_any_clock_leaves_a_bounded_memory(steps):
    notices = Notices()
    for now_ns, worn, battery_pct in steps:
        notices.update(now_ns, ((0, 0),), is_worn=worn, is_silent=False, battery_pct=battery_pct)
    assert len(notices.dump()["first_worn"]) <= 28
