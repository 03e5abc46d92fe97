"""What other devices say about a wearer, on topics of the user's choice: when it means that no prompt should come.

Silence begins at once and ends only after `settle_s` without a relapse, so that a topic that flaps is one silence.  A
topic that says nothing for long no longer counts, and a hold that never ends is given up: neither a dead device nor a
forgotten camera may turn the reminders off for ever.  Pure: time comes as numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posturewatch.types import NS_PER_S, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 65_536  # of a payload that is looked at
RENEWED_NS = 30 * NS_PER_S  # an end that moves by less is not worth telling
SET_BACK_NS = 60 * NS_PER_S
SHOWN = 60


@dataclass(frozen=True, slots=True)
class MappedTopic:
    """One topic and what it means, from the configuration."""

    topic: str
    why: str
    is_hold: bool = True  # else: only when it is on
    pointer: str | None = None
    on: tuple[str, ...] = ("on", "true", "1")
    settle_ns: int = 15 * NS_PER_S
    silent_after_ns: int = 4 * 3600 * NS_PER_S
    longest_ns: int = 4 * 3600 * NS_PER_S  # a hold; then it has to end once before it counts again


class Condition:
    """One mapped topic over time."""

    def __init__(self, mapping: MappedTopic) -> None:
        """Nothing was heard yet, so nothing is silenced."""
        self.mapping = mapping
        self.unreadable = 0
        self.heard_ns: int | None = None
        self._last_ns = 0
        self._since_ns: int | None = None  # the silence that is going on
        self._ends_ns: int | None = None  # it is over, unless there is a relapse

    def hear(self, payload: bytes, now_ns: int) -> None:
        """One message; what cannot be read is counted and changes nothing."""
        self.silent_until(now_ns)
        value = read_value(payload, self.mapping.pointer)
        if value is None:
            self.unreadable += 1
            return
        self.heard_ns = now_ns
        is_on = value.casefold() in {word.casefold() for word in self.mapping.on}
        if is_on is self.mapping.is_hold:
            self._since_ns = now_ns if self._since_ns is None else self._since_ns
            self._ends_ns = None
        elif self._since_ns is not None and self._ends_ns is None:
            self._ends_ns = now_ns + self.mapping.settle_ns

    def silent_until(self, now_ns: int) -> int | None:
        """Until when no prompt should come if nothing more is heard; nothing: prompts may come.

        An end that still has to settle is not told before it has.
        """
        self._follow_clock(now_ns)
        if self.heard_ns is None or self._since_ns is None:
            return None
        until_ns = self.heard_ns + self.mapping.silent_after_ns
        if now_ns >= until_ns or (self._ends_ns is not None and now_ns >= self._ends_ns):
            self._since_ns = self._ends_ns = None
            return None
        if self.mapping.is_hold:
            until_ns = min(until_ns, self._since_ns + self.mapping.longest_ns)
        return until_ns if now_ns < until_ns else None

    def _follow_clock(self, now_ns: int) -> None:
        """A clock that is set back takes the moments with it."""
        by_ns = now_ns - self._last_ns
        self._last_ns = now_ns
        if by_ns > -SET_BACK_NS:
            return
        self.heard_ns = _moved(self.heard_ns, by_ns)
        self._since_ns = _moved(self._since_ns, by_ns)
        self._ends_ns = _moved(self._ends_ns, by_ns)


class Conditions:
    """All mapped topics of one wearer, and what they come to."""

    def __init__(self, mappings: Iterable[MappedTopic]) -> None:
        """Says nothing before something was heard: what the wearer's saved state holds goes on until then."""
        self._conditions = [Condition(mapping) for mapping in mappings]
        self._told: Surroundings | None = None

    @property
    def topics(self) -> set[str]:
        """What the broker is asked for."""
        return {condition.mapping.topic for condition in self._conditions}

    @property
    def unreadable(self) -> int:
        """Messages that could not be understood, since the start."""
        return sum(condition.unreadable for condition in self._conditions)

    def hear(self, topic: str, payload: bytes, now_ns: int) -> Surroundings | None:
        """One message; what there is to tell the core now, if that is new."""
        for condition in self._conditions:
            if condition.mapping.topic == topic:
                condition.hear(payload, now_ns)
        return self.tick(now_ns)

    def tick(self, now_ns: int) -> Surroundings | None:
        """Time passes; what there is to tell the core now, if that is new."""
        if all(condition.heard_ns is None for condition in self._conditions):
            return None
        why, until_ns = None, 0
        for condition in self._conditions:
            end_ns = condition.silent_until(now_ns)
            if end_ns is not None and end_ns > until_ns:
                why, until_ns = condition.mapping.why, end_ns
        told = self._told
        if told is not None and why == told.why and abs(until_ns - told.until_ns) < RENEWED_NS:
            return None
        self._told = Surroundings(now_ns, why, until_ns)
        return self._told


def read_value(payload: bytes, pointer: str | None) -> str | None:
    """The payload, or what a JSON pointer (RFC 6901) finds in it, as a word; nothing if there is none."""
    if not payload or len(payload) > MAX_BYTES:
        return None
    try:
        text = payload.decode().strip()
        if pointer is None:
            return text[:SHOWN] or None
        value = _find(json.loads(text), pointer)
    except (ValueError, LookupError, RecursionError):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:SHOWN] if isinstance(value, str | int | float) else None


def _find(content: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        content = content[int(key)] if isinstance(content, list) else dict.__getitem__(_checked(content), key)
    return content


def _checked(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise LookupError("not an object")
    return content


def _moved(moment_ns: int | None, by_ns: int) -> int | None:
    return None if moment_ns is None else moment_ns + by_ns
