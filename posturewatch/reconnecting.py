"""How long to wait before the next attempt at a broker: patient with it, quick when it returns."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from posturewatch.errors import BrokerRefused
from posturewatch.link import NoAnswer, NobodyThere, listens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from posturewatch.errors import SinkError
    from posturewatch.mqtt_settings import MqttSettings

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STABLE_S = 10.0  # a connection that lasted this long starts the delays afresh
PROBE_S = 1.0  # the state is right within 2 s of the broker's return, however long it was away


class Patience:
    """Doubling delays with jitter; ends early when somebody listens again where nobody did."""

    def __init__(self, settings: MqttSettings) -> None:
        """One per client, kept over its connections."""
        self._settings = settings
        self._delay_s = FIRST_DELAY_S
        self._up_since_s: float | None = None

    def connected(self) -> None:
        """A connection stands."""
        self._up_since_s = asyncio.get_running_loop().time()

    async def pause(self, lost: SinkError, until_told: Callable[[], Awaitable[object]]) -> None:
        """Wait as long as this kind of failure deserves, or until `until_told` ends."""
        now_s = asyncio.get_running_loop().time()
        if self._up_since_s is not None and now_s - self._up_since_s > STABLE_S:
            self._delay_s = FIRST_DELAY_S
        self._up_since_s = None
        if isinstance(lost, BrokerRefused):
            self._delay_s = LONGEST_DELAY_S
        delay_s = self._delay_s * random.uniform(0.5, 1.0)
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
        if isinstance(lost, NoAnswer):  # the attempt itself takes its time
            delay_s = min(delay_s, PROBE_S)
        probing = isinstance(lost, NobodyThere)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + delay_s
        while (left_s := end_s - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, PROBE_S) if probing else left_s):
                    await until_told()
                    return
            if probing and await listens(self._settings, PROBE_S):
                return
