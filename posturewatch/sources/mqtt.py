"""Samples from gateways and small boards over MQTT: any of them can be a sensor.

Only the sensors of the configuration are heard.  A batch that cannot be understood is counted and told about, never
fatal.  While the broker is away the sensors count as lost, never as still.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.drivers.gateway import decode
from posturewatch.drivers.sparse import BRIDGED_HZ, bridge_all
from posturewatch.errors import BrokerRefused, BrokerUnavailable, DecodeError
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.reconnecting import Patience
from posturewatch.publishing.topics import Topics
from posturewatch.types import NS_PER_S, LinkChanged, RawSamples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from posturewatch.mqtt.link import Link, Received
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.types import Int32Array

log = logging.getLogger(__name__)

ONE_BY_ONE = 50  # up to so many sensors have a subscription each
WAITING_PER_SENSOR = 20
COMPLAINT_NS = 60 * NS_PER_S


@dataclass(slots=True)
class SampleCounts:
    """What became of the messages, since the start."""

    batches: int = 0
    samples: int = 0
    undecodable: int = 0
    foreign: int = 0  # of sensors nobody configured, or retained


class MqttSource:
    """Hears the samples of some sensors until cancelled, and hands them on as they come."""

    def __init__(
        self,
        settings: MqttSettings,
        sensors: Iterable[str],
        put: Callable[[RawSamples | LinkChanged], None],
        now_ns: Callable[[], int],
    ) -> None:
        """`put` must not wait; it is called in the loop's own thread."""
        self._settings = settings
        self._topics = Topics(settings.base_topic)
        self._sensors = frozenset(sensors)
        self._put = put
        self._now_ns = now_ns
        self._up: set[str] = set()
        self._complained_ns: dict[str, int] = {}
        self._slow: dict[str, tuple[Int32Array, int]] = {}  # the last sample of sensors slower than one a second
        self._said = ""
        self.counts = SampleCounts()
        self.ready = asyncio.Event()  # subscribed, for the first time

    async def run(self) -> None:
        """Listen until cancelled; `BrokerRefused` when the broker will not have us."""
        patience = Patience(self._settings)
        never = asyncio.Event()
        while True:
            try:
                await self._listen(patience)
            except (BrokerRefused, BrokerUnavailable) as lost:
                if not lost.retry and not self.ready.is_set():
                    raise
                self._lose_all()
                self._say(logging.WARNING, f"samples: {lost}; trying again")
                await patience.pause(lost, never.wait)

    async def _listen(self, patience: Patience) -> None:
        """Use one connection until it is lost."""
        async with connected(
            self._settings,
            client_id=f"{self._settings.client_id}-samples",
            keep_session=False,  # old samples are of no use
            max_incoming=max(100, WAITING_PER_SENSOR * len(self._sensors)),
        ) as link:
            await self._subscribe(link)
            patience.start()
            self._say(logging.INFO, f"samples: listening at broker {self._settings.address}")
            self.ready.set()
            while True:
                self.take(await link.receive())

    async def _subscribe(self, link: Link) -> None:
        names = sorted(self._sensors) if len(self._sensors) <= ONE_BY_ONE else ["+"]
        await link.subscribe([self._topics.samples(name) for name in names])

    def take(self, received: Received) -> None:
        """One message, whatever it is."""
        sensor = self._topics.sensor_of(received.topic)
        if sensor is None or sensor not in self._sensors or received.retain:
            self.counts.foreign += 1
            return
        now_ns = self._now_ns()
        try:
            batch = decode(received.payload, received.properties)
        except DecodeError as error:
            self.counts.undecodable += 1
            self._complain(sensor, now_ns, error)
            return
        self.counts.batches += 1
        self.counts.samples += len(batch.acc_10ug)
        if sensor not in self._up:
            self._up.add(sensor)
            self._put(LinkChanged(sensor, now_ns, up=True))
        acc, rate_hz = batch.acc_10ug, batch.rate_hz
        if rate_hz < BRIDGED_HZ:  # the detector looks at whole seconds
            before = self._slow.get(sensor)
            self._slow[sensor] = acc[-1:], now_ns
            if before is not None:
                acc, rate_hz = bridge_all(acc, before[0], now_ns - before[1], rate_hz), BRIDGED_HZ
        self._put(RawSamples(sensor, now_ns, acc, rate_hz, last_ns=batch.last_ns, seq=batch.seq))

    def _complain(self, sensor: str, now_ns: int, error: DecodeError) -> None:
        """At most once a minute for each sensor."""
        last_ns = self._complained_ns.get(sensor)
        if last_ns is None or not 0 <= now_ns - last_ns < COMPLAINT_NS:
            self._complained_ns[sensor] = now_ns
            log.warning("sensor %s: %s (%d messages so far)", sensor, error, self.counts.undecodable)

    def _lose_all(self) -> None:
        now_ns = self._now_ns()
        for sensor in sorted(self._up):
            self._put(LinkChanged(sensor, now_ns, up=False, reason="broker lost"))
        self._up.clear()

    def _say(self, level: int, text: str) -> None:
        """Log on change only."""
        if text != self._said:
            self._said = text
            log.log(level, "%s", text)
