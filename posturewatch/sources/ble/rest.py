"""A sensor that lies somewhere rests: its stream is stopped, so that its battery lasts, until it is worn again.

For sensors that switch themselves off where nobody wears them and nothing streams, and advertise when they are put on:
who hears one after a silence knows that it is worn.  One that is heard on and on does not switch itself off, or was put
on at once; it is streamed again, so that no donning is missed for longer than `LONGEST_S`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.drivers import Advert
    from posturewatch.sources.ble.ears import Ears, Heard

AFTER_S = 600.0  # off body for so long, as the detector sees it
SWITCHED_OFF_S = 60.0  # a Polar H10 switches itself off after 45 s
LONGEST_S = 180.0


class Rest:
    """One per sensor, kept over its connections."""

    def __init__(self, is_off_body: Callable[[], bool]) -> None:
        """`is_off_body` is what the detector thinks of the sensor."""
        self._is_off_body = is_off_body
        self._after_s = AFTER_S
        self._since_s: float | None = None  # of the loop's clock

    def is_due(self) -> bool:
        """Whether it lies there for so long that its stream should stop."""
        if not self._is_off_body():
            self._since_s, self._after_s = None, AFTER_S
            return False
        now_s = asyncio.get_running_loop().time()
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s >= self._after_s

    async def until_worn(self, ears: Ears, is_meant: Callable[[Advert], bool]) -> None:
        """Until it is heard after it had switched itself off; or it does not, then the next rest is twice as far."""
        loop = asyncio.get_running_loop()
        began_s = heard_s = loop.time()
        was_off = False
        ended = asyncio.Event()

        def hear(heard: Heard) -> None:
            nonlocal heard_s, was_off
            if not is_meant(heard.advert):
                return
            now_s = loop.time()
            was_off = was_off or now_s - heard_s >= SWITCHED_OFF_S
            if was_off or now_s - began_s >= LONGEST_S:
                ended.set()
            heard_s = now_s

        with ears.listening(hear):
            await ended.wait()
        self._since_s = None
        if not was_off:
            self._after_s *= 2.0
