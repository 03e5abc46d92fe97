"""What waits for the broker: bounded, the newest state instead of every state, late reminders dropped.

Messages with a key are slots: a newer one replaces an unsent older one and keeps its place.  Messages without a key
(bouts, events) are history: they queue, and when the queue is full the oldest goes.  Slots go first, so that after an
outage the present is right before the past is told.  Nothing here waits for a network.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from posturewatch.types import Message

MAX_HISTORY = 1_000
MAX_SLOTS = 10_000  # a wearer has about five


@dataclass(slots=True)
class OutboxCounts:
    """What became of the messages, since the start."""

    put: int = 0
    published: int = 0
    replaced: int = 0  # by a newer one of the same key
    expired: int = 0
    dropped: int = 0  # for space
    withdrawn: int = 0


class Outbox:
    """At least once: a message leaves after the acknowledgement, so a repeated delivery is possible."""

    def __init__(
        self, now_ns: Callable[[], int], *, max_history: int = MAX_HISTORY, max_slots: int = MAX_SLOTS
    ) -> None:
        """`now_ns` decides what has expired; the demo's runs faster than real time."""
        self._now_ns = now_ns
        self._max_history = max_history
        self._max_slots = max_slots
        self._slots: dict[str, Message] = {}
        self._history: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self.counts = OutboxCounts()

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._slots) + len(self._history)

    @property
    def closed(self) -> bool:
        """Whether nothing more is accepted."""
        return self._closed.is_set()

    async def until_closed(self) -> None:
        """Wait until nothing more is accepted."""
        await self._closed.wait()

    def put(self, message: Message) -> None:
        """Accept a message; never waits, never fails.  After `close` it is dropped and counted."""
        self.counts.put += 1
        if self.closed:
            self.counts.dropped += 1
            return
        if message.key is None:
            self._history.append(message)
            if len(self._history) > self._max_history:
                self._history.popleft()
                self.counts.dropped += 1
        else:
            self.counts.replaced += message.key in self._slots
            self._slots[message.key] = message
            if len(self._slots) > self._max_slots:
                del self._slots[next(iter(self._slots))]
                self.counts.dropped += 1
        self._wake.set()

    def put_all(self, messages: Iterable[Message]) -> None:
        """Accept messages in their order."""
        for message in messages:
            self.put(message)

    def discard(self, key: str) -> bool:
        """Take back an unsent message, such as a prompt that was withdrawn; whether there was one."""
        if self._slots.pop(key, None) is None:
            return False
        self.counts.withdrawn += 1
        self._wake.set()
        return True

    def peek(self) -> Message | None:
        """The message to send next, left in place; expired ones are dropped and counted on the way."""
        return next(iter(self.peek_some(1)), None)

    def peek_some(self, most: int) -> list[Message]:
        """The same for several."""
        now_ns = self._now_ns()
        found: list[Message] = []
        while self._slots and not found:
            for key, message in list(islice(self._slots.items(), most)):
                if _expired(message, now_ns):
                    del self._slots[key]
                    self.counts.expired += 1
                else:
                    found.append(message)
        while self._history and _expired(self._history[0], now_ns):
            self._history.popleft()
            self.counts.expired += 1
        lasting = takewhile(lambda message: not _expired(message, now_ns), self._history)
        return found + list(islice(lasting, most - len(found)))

    def purge(self) -> None:
        """Drop and count everything that has expired."""
        now_ns = self._now_ns()
        slots = {key: m for key, m in self._slots.items() if not _expired(m, now_ns)}
        history = deque(m for m in self._history if not _expired(m, now_ns))
        self.counts.expired += len(self) - len(slots) - len(history)
        self._slots, self._history = slots, history

    def done(self, message: Message, *, accepted: bool = True) -> None:
        """The broker has it, or will never have it: take it out, unless a newer one took its place meanwhile."""
        if accepted:
            self.counts.published += 1
        else:
            self.counts.dropped += 1
        if message.key is not None:
            if self._slots.get(message.key) is message:
                del self._slots[message.key]
        elif self._history and self._history[0] is message:
            self._history.popleft()

    async def next(self) -> Message | None:
        """Wait for the message to send next and leave it in place; nothing once closed and empty."""
        return next(iter(await self.next_some(1)), None)

    async def next_some(self, most: int) -> list[Message]:
        """The same for several, at least one."""
        while not (messages := self.peek_some(most)) and not self.closed:
            self._wake.clear()
            await self._wake.wait()
        return messages

    def close(self) -> None:
        """Accept nothing more; what waits can still be sent."""
        self._closed.set()
        self._wake.set()


class Outlets:
    """What goes to every sink of a daemon: each has an outbox of its own, so that none waits for another."""

    def __init__(self, outboxes: Iterable[Outbox]) -> None:
        """The outboxes stay their sinks' own."""
        self._outboxes = tuple(outboxes)

    def put(self, message: Message) -> None:
        """Tell all of them."""
        for outbox in self._outboxes:
            outbox.put(message)

    def put_all(self, messages: Iterable[Message]) -> None:
        """Tell all of them, in this order."""
        for message in messages:
            self.put(message)

    def discard(self, key: str) -> bool:
        """Take back an unsent message; whether any of them still had it."""
        return sum(outbox.discard(key) for outbox in self._outboxes) > 0


def _expired(message: Message, now_ns: int) -> bool:
    return message.expires_ns is not None and message.expires_ns <= now_ns
