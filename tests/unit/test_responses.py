"""Which channel's reminders are answered, and when a suggestion follows."""

from __future__ import annotations

import json

import pytest

from posturewatch.publishing.responses import LocalChannels, Responses
from posturewatch.types import NS_PER_S, Channel, Concluded, Level, Prompt

UTC = ((0, 0),)
DAY_S = 86_400
BOTH = LocalChannels(desktop_from_rung=1)


def prompt(at_s: int, cycle: str, rung: int = 2, event_type: str = "break_due", test: bool = False) -> Prompt:
    return Prompt(at_s * NS_PER_S, event_type, cycle, cycle, "r", Level.BREAK, rung, {}, 0, test=test)


def remind(responses: Responses, at_s: int, answered: bool, channel: Channel | None = None, rung: int = 2) -> None:
    responses.follow(prompt(at_s, f"c{at_s}", rung), UTC)
    responses.follow(Concluded((at_s + 60) * NS_PER_S, f"c{at_s}", answered, channel), UTC)


def suggest(responses: Responses, at_s: int, is_worn: bool = True, is_silent: bool = False) -> list:
    return responses.suggest(at_s * NS_PER_S, UTC, is_worn=is_worn, is_silent=is_silent)


def two_weeks(missed: int, answered: int, **about: object) -> Responses:
    """Reminders on the first and the last day of a week; the last ones are `missed` and `answered`."""
    responses = Responses(BOTH)
    remind(responses, 0, answered=True)
    for number in range(missed + answered):
        remind(responses, 7 * DAY_S + 100 * number, number >= missed, **about)
    return responses


@pytest.mark.parametrize(
    ("rung", "event_type", "shown"),
    [
        (0, "break_due", {"dashboard"}),
        (1, "break_due", {"push"}),
        (2, "break_due", {"push", "desktop"}),
        (3, "break_due", {"push", "speaker", "desktop"}),
        (1, "break_due_firm", {"push", "hook"}),
    ],
)
def test_a_prompt_is_shown_where_its_rung_and_the_configuration_say(rung, event_type, shown):
    channels = LocalChannels(desktop_from_rung=2, hooked=frozenset({"break_due_firm"}))
    assert channels.showing(prompt(0, "c", rung, event_type)) == shown


def test_moving_and_missing_count_for_every_channel_that_showed_the_reminder():
    responses = Responses(BOTH)
    remind(responses, 1000, answered=True)
    remind(responses, 2000, answered=False)
    assert responses.week() == {"all": (2, 1), "desktop": (2, 1), "push": (2, 1)}


def test_an_answer_that_names_its_channel_counts_for_that_one_alone():
    responses = Responses(BOTH)
    remind(responses, 1000, answered=True, channel=Channel.DESKTOP)
    assert responses.week() == {"all": (1, 1), "desktop": (1, 1)}
    assert responses.week()["desktop"].rate_pct == 100


def test_a_louder_repeat_adds_its_channels_to_the_same_reminder():
    responses = Responses()
    responses.follow(prompt(0, "c", 2), UTC)
    responses.follow(prompt(300, "c", 3), UTC)
    responses.follow(Concluded(400 * NS_PER_S, "c", is_answered=True), UTC)
    assert responses.week() == {"all": (1, 1), "push": (1, 1), "speaker": (1, 1)}


def test_test_reminders_count_nowhere():
    responses = Responses(BOTH)
    responses.follow(prompt(0, "c", test=True), UTC)
    responses.follow(Concluded(60 * NS_PER_S, "d", is_answered=True), UTC)
    assert responses.week() == {"all": (1, 1)}


def test_days_are_local_and_the_eighth_is_forgotten():
    east = ((0, 3600),)
    responses = Responses(BOTH)
    for at_s in (DAY_S - 3601, DAY_S - 3600):  # the last second of a local day, and the first of the next
        responses.follow(prompt(at_s, f"c{at_s}"), east)
        responses.follow(Concluded(at_s * NS_PER_S, f"c{at_s}", is_answered=True), east)
    assert responses.week()["all"] == (2, 2)
    responses.suggest((7 * DAY_S - 3600) * NS_PER_S, east, is_worn=False, is_silent=False)
    assert responses.week()["all"] == (1, 1)


def test_nobody_is_told_while_the_sensor_is_off_or_in_a_silence():
    responses = two_weeks(missed=8, answered=2)
    noon_s = 7 * DAY_S + 43_200
    assert suggest(responses, noon_s, is_worn=False) == suggest(responses, noon_s + 60, is_silent=True) == []
    assert len(suggest(responses, noon_s + 120)) == 1


def test_a_channel_below_thirty_percent_is_named_once_a_week():
    responses = two_weeks(missed=8, answered=2)
    noon_s = 7 * DAY_S + 43_200
    [told] = suggest(responses, noon_s)
    assert (told.event_type, told.detail) == ("few_answers", {"channel": "desktop", "reminders": 10, "answered": 2})
    for number in range(10):
        remind(responses, 13 * DAY_S + 100 * number, answered=False)
    assert suggest(responses, 13 * DAY_S + 43_200) == []  # told within the week
    assert len(suggest(responses, 14 * DAY_S + 43_200)) == 1


@pytest.mark.parametrize(("missed", "answered"), [(7, 3), (8, 1)])
def test_enough_answers_or_too_few_reminders_are_not_told(missed, answered):
    assert suggest(two_weeks(missed, answered), 7 * DAY_S + 43_200) == []


def test_the_dashboard_asks_nobody_and_is_never_suggested_against():
    assert suggest(two_weeks(missed=20, answered=0, rung=0), 7 * DAY_S + 43_200) == []


def test_nothing_is_suggested_in_the_first_week():
    responses = Responses(BOTH)
    for number in range(20):
        remind(responses, 100 * number, answered=False)
    assert suggest(responses, 6 * DAY_S) == []
    assert len(suggest(responses, 7 * DAY_S - 60)) == 0


def test_it_goes_on_from_what_was_saved_also_within_a_reminder():
    responses = two_weeks(missed=9, answered=0)
    responses.follow(prompt(8 * DAY_S, "open"), UTC)
    again = Responses(BOTH, json.loads(json.dumps(responses.dump())))
    again.follow(Concluded((8 * DAY_S + 60) * NS_PER_S, "open", is_answered=False), UTC)
    assert again.week() == {"all": (10, 0), "desktop": (10, 0), "push": (10, 0)}
    assert len(suggest(again, 8 * DAY_S + 43_200)) == 1


@pytest.mark.parametrize(
    "saved", [None, 7, [], {"days": 3}, {"days": [[1]]}, {"days": [[1, [["push", "x", 2]]]], "open": [1, 2]}]
)
def test_what_was_not_saved_by_us_is_forgotten(saved):
    assert not any(Responses(BOTH, saved).week().values())
