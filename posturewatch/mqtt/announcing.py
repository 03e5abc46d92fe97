"""What the broker keeps of us: announced on every connection, taken back when it is no longer true.

The list of it is in the state folder, so that a wearer who was removed or renamed while the daemon was off, discovery
that was switched off, and another prefix are cleaned up at the next start.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from posturewatch.home_assistant.discovery import Home, components_of, discovery, forget
from posturewatch.store import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from posturewatch.config import HomeAssistant
    from posturewatch.home_assistant.discovery import Subject
    from posturewatch.mqtt.link import Received
    from posturewatch.publishing.topics import Topics
    from posturewatch.types import Message

log = logging.getLogger(__name__)

FILE = "announced.json"
FORMAT = "posturewatch-announced"
MAX_BYTES = 64_000_000


class Announcer:
    """Keeps the broker's memory of us right."""

    def __init__(self, folder: Path, topics: Topics, told: HomeAssistant) -> None:
        """Reads what was announced before; nothing is written yet."""
        self._path = folder / FILE
        self._topics = topics
        self._told = told
        self._known = read_announced(self._path)
        self._home = Home(topics, told.prefix, dict(self._known))
        self._described: tuple[tuple[Subject, ...], list[Message], dict[str, dict[str, str]]] = ((), [], {})

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Where Home Assistant says that it is there."""
        return (self._home.birth_topic,) if self._told.discovery else ()

    def announce(self, subjects: Iterable[Subject], states: Iterable[Message]) -> list[Message]:
        """All that the broker should keep, in the order in which it can be understood; first what it should not."""
        described, parts = self._describe(tuple(subjects)) if self._told.discovery else ([], {})
        current = [*described, *states]
        kept: dict[str, dict[str, str]] = {message.topic: {} for message in current if message.retain}
        kept |= parts
        kept[self._topics.bridge("state")] = {}  # our last will
        stale = sorted(self._known.keys() - kept.keys())
        self._remember(kept | {topic: {} for topic in stale})  # until the broker has confirmed it
        return [*forget(stale), *current]

    def _describe(self, subjects: tuple[Subject, ...]) -> tuple[list[Message], dict[str, dict[str, str]]]:
        """The descriptions, and the components in each; a millisecond a wearer, so only when something changed."""
        if self._described[0] != subjects or not self._described[1]:
            described = discovery(self._home, subjects)
            self._described = (subjects, described, {m.topic: components_of(m) for m in described})
        return self._described[1], self._described[2]

    def withdraw(self) -> list[Message]:
        """Let the broker forget everything of us, but for our last word."""
        return forget(sorted(self._known.keys() - {self._topics.bridge("state")}))

    def published(self, message: Message) -> None:
        """The broker has this message; a topic that it forgot needs no remembering."""
        if message.retain and not message.payload and message.topic in self._known:
            self._remember({topic: parts for topic, parts in self._known.items() if topic != message.topic})

    def is_birth(self, received: Received) -> bool:
        """Whether Home Assistant just came; a retained word says nothing about now."""
        is_there = received.topic == self._home.birth_topic and not received.retain
        return self._told.discovery and is_there and received.payload == b"online"

    def _remember(self, known: dict[str, dict[str, str]]) -> None:
        if known == self._known:
            return
        self._known = known
        content = json.dumps({"format": FORMAT, "topics": known}, separators=(",", ":")).encode()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, content)
        except OSError as error:
            log.warning("%s: what was announced cannot be noted (%s); free some space", self._path, error.strerror)


def read_announced(path: Path) -> dict[str, dict[str, str]]:
    """The retained topics of ours that a broker may hold, with the components that they described."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s: cannot be read (%s); what was removed meanwhile stays at the broker", path, error)
        return {}
    topics = content.get("topics") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(topics, dict):
        log.warning("%s: not a list of announcements; what was removed meanwhile stays at the broker", path)
        return {}
    return {str(topic): _read_parts(parts) for topic, parts in topics.items()}


def _read_parts(parts: Any) -> dict[str, str]:
    return {str(key): str(platform) for key, platform in parts.items()} if isinstance(parts, dict) else {}
