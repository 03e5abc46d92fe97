"""The topics of the user's other devices, from the broker to the wearers whom they concern."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from posturewatch.requests.conditions import Conditions
from posturewatch.types import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from posturewatch.mqtt.link import Received
    from posturewatch.requests.conditions import MappedTopic
    from posturewatch.watch import Watch

log = logging.getLogger(__name__)


class Neighbourhood:
    """All mapped topics of a daemon; a topic may concern several wearers."""

    def __init__(
        self, mapped: Iterable[tuple[Watch, Iterable[MappedTopic]]], now_ns: Callable[[], int], base_topic: str
    ) -> None:
        """Topics of our own below `base_topic` are not other devices."""
        self._now_ns = now_ns
        self._pairs = [(watch, Conditions(topics)) for watch, topics in mapped]
        self._told: set[str] = set()
        self._by_topic: dict[str, list[tuple[Watch, Conditions]]] = {}
        for watch, conditions in self._pairs:
            for topic in conditions.topics:
                if topic.startswith(f"{base_topic}/wearer/"):
                    log.warning("%s: our own topics are no condition; it is not heard", topic)
                    continue
                self._by_topic.setdefault(topic, []).append((watch, conditions))
        self._forget_removed()

    @property
    def subscriptions(self) -> list[str]:
        """What the broker is asked for."""
        return sorted(self._by_topic)

    def hear(self, received: Received) -> None:
        """One message, retained or not: it tells how things are."""
        now_ns = self._now_ns()
        for watch, conditions in self._by_topic.get(received.topic, ()):
            unreadable = conditions.unreadable
            told = conditions.hear(received.topic, received.payload, now_ns)
            if told is not None:
                watch.take(told)
            if conditions.unreadable > unreadable and received.payload and received.topic not in self._told:
                self._told.add(received.topic)
                log.warning("%s: no value is found in this payload; check the pointer of the condition", received.topic)

    def tick(self, now_ns: int) -> None:
        """What settles, and what was silent for too long."""
        for watch, conditions in self._pairs:
            told = conditions.tick(now_ns)
            if told is not None:
                watch.take(told)

    def _forget_removed(self) -> None:
        """A condition that is no longer configured holds nothing."""
        for watch, conditions in self._pairs:
            if not conditions.topics and watch.state.reminding.surroundings is not None:
                watch.take(Surroundings(self._now_ns(), None, 0))
