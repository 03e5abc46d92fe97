"""What came and nobody took yet: bounded, first in first out, without a task for each waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Filled by a callback, emptied by one task."""

    def __init__(self, bound: int) -> None:
        """Empty; beyond `bound` what is new is dropped."""
        self._items: deque[T] = deque()
        self._bound = bound
        self._wake = asyncio.Event()
        self._is_closed = False

    def put(self, item: T) -> None:
        """Accept an item; never waits, never fails."""
        if len(self._items) < self._bound:
            self._items.append(item)
            self._wake.set()

    def close(self) -> None:
        """Nothing more will come."""
        self._is_closed = True
        self._wake.set()

    def take(self) -> T | None:
        """The oldest item, if there is one."""
        return self._items.popleft() if self._items else None

    async def next(self) -> T | None:
        """The oldest item; waits for one.  None once closed and empty."""
        while not self._items and not self._is_closed:
            self._wake.clear()
            await self._wake.wait()
        return self.take()
