"""What is said to the wearer."""

from __future__ import annotations

import dataclasses
import re

import pytest

from posturewatch.publishing.texts import ENGLISH, Texts, prompt_text, still_minutes

KINDS = ("shift_due", "break_due", "break_due_firm")
ALL_TEXTS = [text for field in dataclasses.fields(Texts) for text in getattr(ENGLISH, field.name)]
NEVER = re.compile(
    r"\b(correct|bad|wrong|proper|poor|slouch\w*|straight|pain\w*|injur\w*|risk\w*|health\w*|medical\w*|muscle\w*|"
    r"fatigue\w*|prevent\w*|must|shame|fail\w*|lazy|stand up)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("text", ALL_TEXTS)
def test_texts_ask_for_movement_and_claim_nothing(text: str) -> None:
    assert not NEVER.search(text)
    assert len(text) <= 90
    assert set(re.findall(r"\{(\w+)\}", text)) <= {"minutes"}


@pytest.mark.parametrize("kind", KINDS)
def test_texts_vary_and_one_of_them_needs_no_number(kind: str) -> None:
    wordings = getattr(ENGLISH, kind)
    assert len(set(wordings)) == len(wordings) >= 3
    assert any("{" not in text for text in wordings)
    assert len({prompt_text(kind, f"id-{n}", {"static_s": 1260.0}) for n in range(60)}) == len(wordings)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_prompt_gets_the_same_words(kind: str) -> None:
    assert prompt_text(kind, "anna/1", {"static_s": 1260.0}) == prompt_text(kind, "anna/1", {"static_s": 1260.0})


@pytest.mark.parametrize("reason", [{}, {"static_s": float("nan")}, {"static_s": "long"}, {"static_s": 3.0}])
def test_without_a_number_none_is_said(reason: dict[str, float | str]) -> None:
    for number in range(40):
        assert not re.search(r"\d|None|\{", prompt_text("shift_due", str(number), reason))


def test_the_minutes_are_those_of_the_clock_that_asks() -> None:
    reason = {"static_s": 1260.0, "sedentary_s": 3660.0}
    assert still_minutes("shift_due", reason) == 21
    assert still_minutes("break_due", reason) == 61


def test_a_prompt_after_a_hold_and_a_test_prompt_have_words_of_their_own() -> None:
    assert prompt_text("break_due", "x", {"after": "meeting", "held_s": 3600.0}) in ENGLISH.after_hold
    assert prompt_text("break_due", "x", {}, test=True) in ENGLISH.test


@pytest.mark.parametrize(("kind", "words"), [("shift_due", "after_hold_shift"), ("break_due_firm", "after_hold")])
def test_what_was_due_in_a_hold_decides_its_words(kind: str, words: str) -> None:
    found = {prompt_text(kind, f"id-{n}", {"after": "meeting", "held_s": 3600.0}) for n in range(60)}
    assert found == set(getattr(ENGLISH, words))


def test_words_for_a_shift_after_a_hold_ask_for_no_walk() -> None:
    assert not any(re.search(r"walk|minutes|long one", text) for text in ENGLISH.after_hold_shift)


@pytest.mark.parametrize("after", ["quiet hours", "reminders are off"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_silence_that_is_no_hold_is_not_called_one(kind: str, after: str) -> None:
    reason = {"after": after, "held_s": 36_000.0, "static_s": 1260.0}
    found = {prompt_text(kind, f"id-{n}", reason) for n in range(60)}
    assert found == {prompt_text(kind, f"id-{n}", {"static_s": 1260.0}) for n in range(60)}


def test_a_translation_replaces_the_catalogue() -> None:
    german = Texts(
        ("Beweg dich.",),
        ("Geh ein paar Schritte.",),
        ("Pause: {minutes} min.",),
        ("Weiter?",),
        ("Rühr dich.",),
        ("Probe.",),
    )
    assert prompt_text("break_due_firm", "x", {"sedentary_s": 3600.0}, texts=german) == "Pause: 60 min."
