"""Where samples come from.  A source puts what it hears into its wearer's queue, in order, until it is cancelled.

It reconnects by itself: the pipeline sees samples and `LinkChanged`, never a retry.  Its `put` never waits, so that a
radio or a broker is never held up; what the pipeline cannot follow is dropped, oldest first, and shows as a gap.
"""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Something that gives samples."""

    async def run(self) -> None:
        """Put what comes until cancelled; `SourceError` or `SinkError` when that can never work."""
        ...
