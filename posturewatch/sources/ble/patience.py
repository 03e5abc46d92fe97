"""How long to wait before the next attempt: longer each time, never twice the same, soon again after a success."""

from __future__ import annotations

import asyncio
import random

FIRST_S = 0.25
LONGEST_S = 15.0
STABLE_S = 10.0  # a connection that lasted this long starts the delays afresh


class Patience:
    """One per sensor, kept over its connections."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        """Nothing failed yet."""
        self._longest_s = longest_s
        self._delay_s = FIRST_S
        self._since_s: float | None = None

    def start(self) -> None:
        """It works now."""
        self._since_s = asyncio.get_running_loop().time()

    def renew(self) -> None:
        """What failed is long past."""
        self._delay_s = FIRST_S

    async def pause(self, least_s: float = 0.0) -> None:
        """Wait, at least `least_s`."""
        now_s = asyncio.get_running_loop().time()
        if self._since_s is not None and now_s - self._since_s > STABLE_S:
            self._delay_s = FIRST_S
        self._since_s = None
        delay_s = max(self._delay_s, least_s)
        self._delay_s = min(2 * self._delay_s, self._longest_s)
        await asyncio.sleep(delay_s * random.uniform(0.75, 1.25))
