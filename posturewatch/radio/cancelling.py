"""Python 3.11 loses a cancellation that comes together with an answer: `asyncio.wait_for` gives the answer only.

Bumble waits with it.  Who was cancelled would go on, and a daemon never end.  Mended in Python 3.12.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Raise `CancelledError` after the block if the task was cancelled meanwhile and nobody said so."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
