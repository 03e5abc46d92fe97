"""Which note each wearer should see on the desktop now: decided from the messages alone, at most one for a wearer.

Pure: time comes as numbers.  `desktop.py` brings the screen in line with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from posturewatch.publishing.texts import ENGLISH_DESKTOP, done_text
from posturewatch.types import NS_PER_S, ReminderPhase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.publishing.texts import DesktopTexts
    from posturewatch.types import Message

BUTTONS_RUNG = 2  # from here on a prompt is a push with buttons, below a silent one
BRIEF_S = 60.0  # how long a note stays that asks for nothing
OPEN = (ReminderPhase.DUE, ReminderPhase.ESCALATED, ReminderPhase.UNKNOWN)  # without data the question still stands


@dataclass(frozen=True, slots=True)
class DesktopSettings:
    """Whose prompts are shown, and how."""

    snooze_minutes: Mapping[str, int] = field(default_factory=dict)  # of each wearer shown: what its button asks for
    least_rung: int = 1
    sound: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """One notification, as it should be seen."""

    title: str
    text: str
    until_ns: int
    cycle: str | None = None  # of the prompt; none: it asks for nothing
    is_quiet: bool = True
    has_buttons: bool = False
    closes_with_cycle: bool = False


class DesktopNotes:
    """Of all wearers of a daemon."""

    def __init__(
        self, settings: DesktopSettings, clock_speed: float = 1.0, texts: DesktopTexts = ENGLISH_DESKTOP
    ) -> None:
        """Nobody sees anything yet; `clock_speed` makes the times of a fast clock readable for people."""
        self._settings = settings
        self._brief_ns = round(BRIEF_S * clock_speed * NS_PER_S)
        self._texts = texts
        self._notes: dict[str, Note] = {}
        self._prompted: dict[str, str] = {}  # the cycle that was last asked about

    def wanted(self, wearer: str, now_ns: int) -> Note | None:
        """What `wearer` should see now."""
        note = self._notes.get(wearer)
        return note if note is not None and note.until_ns > now_ns else None

    def next_end_ns(self, now_ns: int) -> int | None:
        """When the next note ends by itself."""
        return min((n.until_ns for n in self._notes.values() if n.until_ns > now_ns), default=None)

    def take(self, message: Message, now_ns: int) -> None:
        """Follow one message; most change nothing."""
        wearer, leaf = find_leaf(message.topic)
        if wearer not in self._settings.snooze_minutes or leaf not in ("state", "reminder", "event"):
            return
        content = read_object(message.payload)
        if leaf == "state":
            self._follow_state(wearer, content)
        elif leaf == "reminder":
            self._ask(wearer, content, now_ns)
        elif content.get("event_type") == "break_completed" and content.get("cycle") == self._prompted.get(wearer):
            self._praise(wearer, content, now_ns)
        elif str(content.get("event_type")) in self._texts.notices:
            self._notice(wearer, content, now_ns)

    def dismiss(self, wearer: str, note: Note) -> None:
        """The wearer closed it, or pressed a button: it is not to come again."""
        if self._notes.get(wearer) == note:
            del self._notes[wearer]

    def refuse(self, wearer: str, why: str, now_ns: int) -> None:
        """What a button asked for was not possible: say so, since the prompt is gone."""
        text = self._texts.over if why == "stale" else self._texts.refused.format(why=why)
        self._notes[wearer] = Note(self._title(wearer), text, now_ns + self._brief_ns)

    def _ask(self, wearer: str, prompt: Mapping[str, Any], now_ns: int) -> None:
        rung, is_test = prompt.get("rung"), bool(prompt.get("test"))
        if not isinstance(rung, int) or rung < self._settings.least_rung:
            self._notes.pop(wearer, None)  # an older, louder one is out of date
            return
        cycle = str(prompt.get("cycle"))
        self._prompted[wearer] = cycle
        self._notes[wearer] = Note(
            title=self._title(wearer, simulated=bool(prompt.get("simulated"))),
            text=str(prompt.get("message")),
            until_ns=now_ns + self._brief_ns if is_test else _read_ns(prompt.get("expires"), now_ns + self._brief_ns),
            cycle=cycle,
            is_quiet=rung < BUTTONS_RUNG,
            has_buttons=rung >= BUTTONS_RUNG,
            closes_with_cycle=not is_test,
        )

    def _follow_state(self, wearer: str, state: Mapping[str, Any]) -> None:
        note = self._notes.get(wearer)
        if note is None or not note.closes_with_cycle:
            return
        if state.get("cycle") != note.cycle or str(state.get("reminder")) not in OPEN:
            del self._notes[wearer]

    def _praise(self, wearer: str, event: Mapping[str, Any], now_ns: int) -> None:
        text = done_text(self._prompted.pop(wearer), self._texts)
        title = self._title(wearer, simulated=bool(event.get("simulated")))
        self._notes[wearer] = Note(title, text, now_ns + self._brief_ns)

    def _notice(self, wearer: str, event: Mapping[str, Any], now_ns: int) -> None:
        """Once a day at most, and never in the place of a question."""
        if self.wanted(wearer, now_ns) is not None:
            return
        detail = event.get("detail")
        try:
            text = self._texts.notices[event["event_type"]].format_map(detail if isinstance(detail, dict) else {})
        except (KeyError, ValueError):
            return  # of another version: it lacks what the wording tells
        title = self._title(wearer, simulated=bool(event.get("simulated")))
        self._notes[wearer] = Note(title, text, now_ns + self._brief_ns)

    def _title(self, wearer: str, simulated: bool = False) -> str:
        parts = [self._texts.title]
        if len(self._settings.snooze_minutes) > 1:
            parts.append(f": {wearer}")
        return "".join((*parts, self._texts.simulated if simulated else ""))


def find_leaf(topic: str) -> tuple[str, str]:
    """The wearer and the last word of a topic about a wearer; empty words for other topics."""
    *_, kind, wearer, leaf = ("", "", *topic.split("/"))
    return (wearer, leaf) if kind == "wearer" else ("", "")


def read_object(payload: bytes) -> dict[str, Any]:
    """The JSON object of a payload; empty for what is none."""
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_ns(moment: object, otherwise_ns: int) -> int:
    try:
        return round(datetime.fromisoformat(str(moment)).timestamp() * NS_PER_S)
    except ValueError:
        return otherwise_ns
