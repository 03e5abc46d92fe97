"""What the outside wants of a running command, and the exit code that tells how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

INSIST_S = 0.1
INTERRUPTED = 130


@dataclass(slots=True)
class Signals:
    """What the outside wants: the first SIGINT or SIGTERM stops politely, the next one at once; SIGHUP reloads."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    received: int = 0  # the signal that stopped us

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to the signals for the length of the block."""
        loop, root = asyncio.get_running_loop(), asyncio.current_task()
        assert root is not None  # we are called in it
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._hear, number, root)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # we are leaving already

    def _hear(self, number: int, root: asyncio.Task[Any]) -> None:
        if self.stop.is_set():
            self._insist(root)
        self.received = self.received or number
        self.stop.set()

    def _insist(self, root: asyncio.Task[Any]) -> None:
        """Cancel everything, and again whatever still waits after that."""
        for task in asyncio.all_tasks():
            task.cancel()
        if not root.done():
            asyncio.get_running_loop().call_later(INSIST_S, self._insist, root)


def until_stopped(body: Callable[[Signals], Coroutine[Any, Any, None]]) -> int:
    """Run `body` with signals heard; the exit code: 0, or 130 if somebody interrupted."""

    async def heard() -> int:
        signals = Signals()
        with signals.heard():
            await body(signals)
        return signals.received

    try:
        received = asyncio.run(heard())
    except asyncio.CancelledError:  # a second signal
        return INTERRUPTED
    return INTERRUPTED if received == signal.SIGINT else 0
