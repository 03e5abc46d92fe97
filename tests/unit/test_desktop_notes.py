"""What should be on the desktop follows from the messages alone: one note for a wearer, gone when it is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posturewatch.publishing.messages import for_event
from posturewatch.publishing.texts import ENGLISH_DESKTOP
from posturewatch.publishing.topics import Topics
from posturewatch.sinks.desktop_notes import DesktopNotes, DesktopSettings, find_leaf
from posturewatch.types import NS_PER_S, Happened, Level, Message, Prompt, ReminderPhase

NOW_NS = 1_790_000_000 * NS_PER_S
TOPICS = Topics("home/posture")


def prompt(cycle: str = "c1", rung: int = 2, wearer: str = "me", **more: Any) -> Message:
    expires_ns = NOW_NS + 300 * NS_PER_S
    event = Prompt(NOW_NS, "break_due", cycle, cycle, "sedentary", Level.BREAK, rung, {}, expires_ns, **more)
    return for_event(TOPICS, wearer, event)[0]


def state(reminder: str, cycle: str | None) -> Message:
    return Message(TOPICS.wearer("me", "state"), json.dumps({"reminder": reminder, "cycle": cycle}).encode())


def happened(event_type: str, cycle: str | None, **detail: float | str) -> Message:
    return for_event(TOPICS, "me", Happened(NOW_NS, event_type, cycle, detail))[0]


def notes_after(*messages: Message, least_rung: int = 1, wearers: tuple[str, ...] = ("me",)) -> DesktopNotes:
    notes = DesktopNotes(DesktopSettings(dict.fromkeys(wearers, 10), least_rung))
    for message in messages:
        notes.take(message, NOW_NS)
    return notes


@pytest.mark.parametrize(
    ("rung", "least_rung", "seen"), [(0, 1, None), (1, 1, "quiet"), (2, 1, "loud"), (1, 2, None), (2, 2, "loud")]
)
def test_a_prompt_is_seen_as_loudly_as_it_is_meant(rung: int, least_rung: int, seen: str | None) -> None:
    note = notes_after(prompt(rung=rung), least_rung=least_rung).wanted("me", NOW_NS)
    if seen is None:
        assert note is None
    else:
        assert note is not None
        assert (note.is_quiet, note.has_buttons) == ((True, False) if seen == "quiet" else (False, True))


@pytest.mark.parametrize("reminder", list(ReminderPhase))
def test_a_note_stays_only_while_its_reminder_is_open(reminder: ReminderPhase) -> None:
    stays = notes_after(prompt(), state(reminder, "c1")).wanted("me", NOW_NS) is not None
    assert stays is (reminder in ("due", "escalated", "unknown"))


@pytest.mark.parametrize("cycle", [None, "c0"])
def test_a_note_goes_with_its_cycle(cycle: str | None) -> None:
    assert notes_after(prompt(), state("due", cycle)).wanted("me", NOW_NS) is None


def test_a_note_ends_when_its_prompt_expires() -> None:
    notes = notes_after(prompt())
    end_ns = NOW_NS + 300 * NS_PER_S
    assert notes.next_end_ns(NOW_NS) == end_ns
    assert notes.wanted("me", end_ns - 1) is not None
    assert notes.wanted("me", end_ns) is None
    assert notes.next_end_ns(end_ns) is None


def test_a_break_that_was_asked_for_is_thanked_once_and_one_that_was_not_is_left_alone() -> None:
    done = happened("break_completed", "c1")
    notes = notes_after(prompt(), state("ok", None), done)
    note = notes.wanted("me", NOW_NS)
    assert note is not None
    assert note.text in ENGLISH_DESKTOP.done
    assert note.is_quiet
    assert notes.wanted("me", NOW_NS + 61 * NS_PER_S) is None
    notes.dismiss("me", note)
    notes.take(done, NOW_NS)
    assert notes.wanted("me", NOW_NS) is None
    assert notes_after(happened("self_initiated", None), done).wanted("me", NOW_NS) is None


@pytest.mark.parametrize(
    ("event_type", "detail", "told"),
    [
        ("battery_low", {"battery_pct": 12}, "is low: 12 %"),
        ("not_worn", {"usually_worn_from": "08:10"}, "usually it is from 08:10"),
        ("sensor_slipped", {"sensor": "chest", "off_deg": 31.0}, "The sensor chest sits differently"),
    ],
)
def test_a_notice_is_told_quietly_for_a_minute_but_never_in_the_place_of_a_question(
    event_type: str, detail: dict[str, Any], told: str
) -> None:
    notice = happened(event_type, None, **detail)
    note = notes_after(notice).wanted("me", NOW_NS)
    assert note is not None
    assert told in note.text
    assert (note.is_quiet, note.has_buttons, note.until_ns) == (True, False, NOW_NS + 60 * NS_PER_S)
    asked = notes_after(prompt("c1"), notice).wanted("me", NOW_NS)
    assert asked is not None
    assert asked.cycle == "c1"
    assert notes_after(happened(event_type, None)).wanted("me", NOW_NS) is None  # without its details


def test_a_test_prompt_outlives_the_state_but_not_a_minute() -> None:
    notes = notes_after(prompt(test=True), state("ok", None))
    note = notes.wanted("me", NOW_NS)
    assert note is not None
    assert note.has_buttons  # to be tried
    assert notes.wanted("me", NOW_NS + 60 * NS_PER_S) is None


def test_the_newest_prompt_is_the_only_one() -> None:
    notes = notes_after(prompt("c1"), prompt("c2"))
    note = notes.wanted("me", NOW_NS)
    assert note is not None
    assert note.cycle == "c2"
    assert notes_after(prompt("c1"), prompt("c2", rung=0)).wanted("me", NOW_NS) is None


def test_closing_an_old_note_leaves_the_new_one() -> None:
    notes = notes_after(prompt("c1"))
    old = notes.wanted("me", NOW_NS)
    assert old is not None
    notes.take(prompt("c2"), NOW_NS)
    notes.dismiss("me", old)
    assert notes.wanted("me", NOW_NS) is not None


def test_several_wearers_are_told_apart_and_others_are_nobodys_business() -> None:
    notes = notes_after(prompt(), prompt(wearer="you"), prompt(wearer="they"), wearers=("me", "you"))
    titles = [note.title for name in ("me", "you") if (note := notes.wanted(name, NOW_NS))]
    assert titles == ["Posturewatch: me", "Posturewatch: you"]
    assert notes.wanted("they", NOW_NS) is None


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("posturewatch/wearer/me/state", ("me", "state")),
        ("a/wearer/b/wearer/me/event", ("me", "event")),
        ("posturewatch/wearer/me/result/x", ("", "")),
        ("posturewatch/bridge/state", ("", "")),
        ("state", ("", "")),
    ],
)
def test_a_topic_names_its_wearer_or_nobody(topic: str, found: tuple[str, str]) -> None:
    assert find_leaf(topic) == found
