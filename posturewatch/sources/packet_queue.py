"""What waits between a source and the pipeline of its wearer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.types import Incoming

log = logging.getLogger(__name__)

WAITING = 500  # ten seconds of the busiest radio
COMPLAINT_NS = 60 * NS_PER_S


class PacketQueue:
    """What waits for one wearer's pipeline: bounded, oldest out first, told once a minute."""

    def __init__(self, wearer: str, now_ns: Callable[[], int], bound: int = WAITING) -> None:
        """Empty."""
        self.dropped = 0
        self._wearer = wearer
        self._now_ns = now_ns
        self._items: deque[Incoming] = deque()
        self._bound = bound
        self._wake = asyncio.Event()
        self._complained_ns: int | None = None

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def put(self, item: Incoming) -> None:
        """Accept an item; never waits, never fails."""
        self._items.append(item)
        if len(self._items) > self._bound:
            self._items.popleft()
            self.dropped += 1
            self._complain()
        self._wake.set()

    def take(self) -> Incoming | None:
        """The oldest item, if one waits."""
        return self._items.popleft() if self._items else None

    def __aiter__(self) -> PacketQueue:
        """Items as they come, without end."""
        return self

    async def __anext__(self) -> Incoming:
        """The oldest item; waits for one."""
        while not self._items:
            self._wake.clear()
            await self._wake.wait()
        return self._items.popleft()

    def _complain(self) -> None:
        now_ns = self._now_ns()
        if self._complained_ns is None or not 0 <= now_ns - self._complained_ns < COMPLAINT_NS:
            self._complained_ns = now_ns
            log.warning("wearer %s: samples come faster than they can be used; %d lost", self._wearer, self.dropped)
