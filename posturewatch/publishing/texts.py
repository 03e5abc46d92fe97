"""What is said to the wearer, in one place, so that a translation can replace it.

Short, varied, about movement and never about a right posture; no health claims (texts rotate because varied prompts
are preferred, and keep to what a sensor of time and inclination can know).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

S_PER_MIN = 60.0
NO_HOLDS = ("", "quiet hours", "reminders are off")  # a prompt after these silences is one like any other


@dataclass(frozen=True, slots=True)
class Texts:
    """One language: for each kind of prompt its wordings; `{minutes}` is how long the wearer has been still."""

    shift_due: tuple[str, ...]
    break_due: tuple[str, ...]
    break_due_firm: tuple[str, ...]
    after_hold: tuple[str, ...]  # a break that was due meanwhile
    after_hold_shift: tuple[str, ...]  # a shift that was
    test: tuple[str, ...]


ENGLISH = Texts(
    shift_due=(
        "Time to change something: shift, lean or stretch for a moment.",
        "{minutes} minutes much the same. A small move would do.",
        "Try another position for a while.",
        "A little variety: roll the shoulders, change how you sit or stand.",
        "Still for {minutes} minutes. Move a bit, any way you like.",
    ),
    break_due=(
        "A good moment for a short walk.",
        "{minutes} minutes without a break. Two minutes of walking would do.",
        "Fetch some water? Two minutes on your feet and moving count as a break.",
        "Time to move about for two minutes, when it suits you.",
        "{minutes} minutes since you last moved about. How about a little round?",
    ),
    break_due_firm=(
        "{minutes} minutes without a break. Please take two minutes to walk about.",
        "It has been a long while. Walk a little, then carry on.",
        "Time for a real break: two minutes of moving about.",
        "{minutes} minutes in one go. Get moving for a short while.",
    ),
    after_hold=(
        "Welcome back. It has been a while: a short walk would be good now.",
        "That was a long one. Move about for two minutes when you can.",
        "The hold is over. A little walk before the next thing?",
    ),
    after_hold_shift=(
        "Welcome back. Shift, lean or stretch for a moment.",
        "That was a while in one position. A small move would do.",
        "The hold is over. Change something before the next thing?",
    ),
    test=("This is a test reminder. Nothing to do.",),
)


def prompt_text(
    event_type: str,
    prompt_id: str,
    reason: Mapping[str, float | str],
    *,
    test: bool = False,
    texts: Texts = ENGLISH,
) -> str:
    """The wording for one prompt; the same id always gets the same one."""
    if test:
        wordings = texts.test
    elif reason.get("after", "") not in NO_HOLDS:
        wordings = texts.after_hold_shift if event_type == "shift_due" else texts.after_hold
    else:
        wordings = getattr(texts, event_type, texts.shift_due)
    minutes = still_minutes(event_type, reason)
    fitting = tuple(w for w in wordings if minutes is not None or "{minutes}" not in w) or wordings
    chosen = fitting[zlib.crc32(prompt_id.encode()) % len(fitting)]
    return chosen.format(minutes=minutes)


def still_minutes(event_type: str, reason: Mapping[str, float | str]) -> int | None:
    """How long the wearer has been still, in whole minutes, as far as the reason tells."""
    keys = ("static_s", "sedentary_s") if event_type == "shift_due" else ("sedentary_s", "static_s")
    for key in keys:
        value = reason.get(key)
        if isinstance(value, (int, float)) and S_PER_MIN <= value < float("inf"):
            return int(value // S_PER_MIN)
    return None


@dataclass(frozen=True, slots=True)
class DesktopTexts:
    """What is written on the desktop around a prompt; `{minutes}` is the length of a snooze, `{why}` a refusal."""

    title: str
    simulated: str
    going: str
    later: str
    skip: str
    refused: str
    over: str
    notices: Mapping[str, str]  # by event; filled from its details
    done: tuple[str, ...]


ENGLISH_DESKTOP = DesktopTexts(
    title="Posturewatch",
    simulated=" (simulated)",
    going="Going",
    later="{minutes} min",
    skip="Skip",
    refused="That was not possible: {why}",
    over="That reminder is over.",
    notices={
        "battery_low": "The battery of the sensor is low: {battery_pct:.0f} %.",
        "not_worn": "The sensor is not worn; usually it is from {usually_worn_from}.",
        "sensor_slipped": "The sensor {sensor} sits differently now: calibrate it anew.",
        "few_answers": "This week {answered:.0f} of {reminders:.0f} reminders by {channel} were answered. "
        "Another channel, or other hours, may suit you better.",
    },
    done=("Break taken. Carry on.", "That was a real break.", "Done. The clock starts anew."),
)


def done_text(cycle: str, texts: DesktopTexts = ENGLISH_DESKTOP) -> str:
    """The wording for a reminder that ended in a break; the same cycle always gets the same one."""
    return texts.done[zlib.crc32(cycle.encode()) % len(texts.done)]
