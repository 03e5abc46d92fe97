"""Virtual time: an event loop whose clock jumps to the next thing to do, so that hours pass in moments."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class _Impatient(selectors.DefaultSelector):
    """Waits for nothing: tells the loop how long it would have waited."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again")
        if not ready and timeout:
            self.skipped_s += timeout
        return ready


class FastForwardLoop(asyncio.SelectorEventLoop):
    """Its time runs only while everybody sleeps."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.skipped_s


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = FastForwardLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def fast_forward() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in virtual time."""
    return run
