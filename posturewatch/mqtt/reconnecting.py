"""What to make of a lost connection: how long to wait, and whether a rival with our name took it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from typing import TYPE_CHECKING

from posturewatch.errors import BrokerRefused, BrokerUnavailable
from posturewatch.mqtt.link import NoAnswer, NobodyThere, TakenOver, connected, listens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from posturewatch.errors import SinkError
    from posturewatch.mqtt.link import Link
    from posturewatch.mqtt.settings import MqttSettings

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STABLE_S = 10.0  # a connection that lasted this long starts the delays afresh
PROBE_S = 1.0  # the state is right within 2 s of the broker's return, however long it was away

SUSPICIOUS, CERTAIN = 2, 3  # so many losses make a rival likely, so many takeovers certain
LOSSES_WINDOW_S = 60.0  # within this time
IDLE_S = 0.2  # a broker that closes sooner after a message did so because of the message
NOTICE_S = 0.3  # a dying broker takes its other connections with it at once


class Patience:
    """Doubling delays with jitter; ends early when somebody listens again where nobody did."""

    def __init__(self, settings: MqttSettings) -> None:
        """One per client, kept over its connections."""
        self._settings = settings
        self._delay_s = FIRST_DELAY_S
        self._up_since_s: float | None = None

    def start(self) -> None:
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


class NameTaken(BrokerRefused):
    """Another client uses our client id; going on would only throw it out, and it us."""


class Rivalry:
    """Two daemons with one client id throw each other out for ever; one has to give way.

    Some brokers give the reason (142).  Where they do not, a second connection under another name is the witness:
    if it outlives ours, which was lost while we said nothing, the broker is well and only our name was taken.
    """

    def __init__(self, settings: MqttSettings) -> None:
        """One per client, kept over its connections."""
        self._settings = settings
        self._losses_s: deque[float] = deque(maxlen=CERTAIN)

    @contextlib.asynccontextmanager
    async def witness(self) -> AsyncIterator[Link | None]:
        """A second connection, if there is reason for one and it can be had."""
        async with contextlib.AsyncExitStack() as stack:
            link: Link | None = None
            if self._losses() >= SUSPICIOUS:
                name = f"{self._settings.client_id}-{random.randrange(16**6):06x}"
                with contextlib.suppress(BrokerRefused, BrokerUnavailable):
                    link = await stack.enter_async_context(
                        connected(self._settings, client_id=name, keep_session=False)
                    )
            yield link

    async def judge(self, lost: BrokerUnavailable, idle_s: float, witness: Link | None) -> None:
        """`NameTaken` when it is certain that somebody uses our client id."""
        if idle_s < IDLE_S and not isinstance(lost, TakenOver):
            return
        self._losses_s.append(asyncio.get_running_loop().time())
        certain = isinstance(lost, TakenOver) and self._losses() >= CERTAIN
        if witness is not None and not certain:
            await asyncio.sleep(NOTICE_S)
            certain = witness.alive
        if certain:
            raise NameTaken(
                f"broker {self._settings.address}: another client uses our client id {self._settings.client_id!r}: "
                "give each daemon its own"
            ) from lost

    def acquit(self, lost: BrokerUnavailable) -> None:
        """A broker that is away or frozen explains the losses before."""
        if isinstance(lost, (NobodyThere, NoAnswer)):
            self._losses_s.clear()

    def _losses(self) -> int:
        """How many connections were lost lately."""
        now_s = asyncio.get_running_loop().time()
        return sum(now_s - lost_s < LOSSES_WINDOW_S for lost_s in self._losses_s)
