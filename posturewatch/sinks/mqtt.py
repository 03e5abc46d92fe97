"""Messages to an MQTT broker, for months: connects, announces, delivers, says goodbye, and starts over when lost.

The pipeline never sees any of it: while the broker is away the outbox keeps what is worth keeping.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING

from posturewatch.errors import BrokerRefused, BrokerUnavailable, ConfigError
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.reconnecting import NameTaken, Patience, Rivalry
from posturewatch.publishing.messages import bridge_event, bridge_state
from posturewatch.publishing.topics import Topics
from posturewatch.sinks import SinkKind
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from posturewatch.mqtt.link import Link
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.sinks import SinkContext
    from posturewatch.types import Message

log = logging.getLogger(__name__)

GOODBYE_S = 1.0
AT_ONCE = 20  # what brokers let wait for acknowledgement, unless they are told otherwise
MOST_REFUSALS = 1_000  # that are told


class MqttSink:
    """One broker.  At least once for everything in the outbox, `offline` when we are gone."""

    def __init__(self, settings: MqttSettings, context: SinkContext) -> None:
        """Nothing is opened before `run`."""
        self._settings = settings
        self._context = context
        self._outbox = context.outbox
        self._topics = Topics(settings.base_topic)
        self._patience = Patience(settings)
        self._rivalry = Rivalry(settings)
        self._said = ""
        self._told_losses = (0, 0)
        self._refused_topics: set[str] = set()
        self.connections = 0
        self.refused = 0
        self.up = False

    async def run(self) -> None:
        """Deliver until the outbox is closed and empty; `BrokerRefused` when the broker will not have us."""
        while True:
            try:
                await self._attempt()
            except BrokerRefused as error:
                if not self.connections or isinstance(error, NameTaken):
                    raise
                lost: BrokerRefused | BrokerUnavailable = error
            except BrokerUnavailable as error:
                self._rivalry.acquit(error)
                lost = error
            else:
                return
            self._say(logging.WARNING, f"{lost}; trying again")
            await self._patience.pause(lost, self._outbox.until_closed)
            if self._outbox.closed:
                log.warning("broker %s: %d messages were not sent", self._settings.address, len(self._outbox))
                return

    async def _attempt(self) -> None:
        """One connection, from its beginning to its end."""
        will = bridge_state(self._topics, online=False)
        async with self._rivalry.witness() as witness, connected(self._settings, will=will) as link:
            try:
                await self._serve(link)
            except BrokerUnavailable as lost:
                await self._rivalry.judge(lost, link.idle_s, witness)
                raise

    async def _serve(self, link: Link) -> None:
        """Use one connection until it is lost or everything is said; the last word is `offline`."""
        await self._subscribe(link)
        await self._deliver(link, bridge_state(self._topics, online=True))
        self._patience.start()
        self.connections += 1
        self.up = True
        self._say(logging.INFO, f"broker {self._settings.address}: connected")
        self._outbox.put_all(self._context.announce())
        self._tell_losses()
        try:
            await self._exchange(link)
        except asyncio.CancelledError:
            await self._say_goodbye(link)
            raise
        else:
            await self._say_goodbye(link)
        finally:
            self.up = False

    async def _subscribe(self, link: Link) -> None:
        """One by one, so that what the broker's access list forbids takes nothing else away; said once for each."""
        for topic in self._context.subscriptions:
            try:
                await link.subscribe([topic])
            except BrokerRefused as error:
                self._tell_refusal(topic, error)

    async def _exchange(self, link: Link) -> None:
        """Read and write at the same time; the reader notices a lost connection while there is nothing to write."""
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._read(link), name="mqtt reader")
                await self._write(link)
                reader.cancel()
        except ExceptionGroup as lost:  # a bug, if there is one, goes before the loss of the connection
            raise min(lost.exceptions, key=lambda error: isinstance(error, BrokerUnavailable)) from lost

    async def _read(self, link: Link) -> None:
        while True:
            received = await link.receive()
            if self._context.on_message is not None:
                self._context.on_message(received)

    async def _write(self, link: Link) -> None:
        """Several at once, since the way to a broker and back takes its time; each leaves after its acknowledgement."""
        while messages := await self._outbox.next_some(AT_ONCE):
            sent = [(message, link.send(message, self._expiry_s(message))) for message in messages]
            for message, acknowledgement in sent:
                accepted = await self._settle(link, message, acknowledgement)
                self._outbox.done(message, accepted=accepted)

    async def _deliver(self, link: Link, message: Message) -> bool:
        """Publish one message, and wait until the broker has it."""
        return await self._settle(link, message, link.send(message, self._expiry_s(message)))

    async def _settle(self, link: Link, message: Message, acknowledgement: asyncio.Future[str | None]) -> bool:
        """Whether the broker has it; a refusal concerns this topic only and is said once."""
        try:
            await link.acknowledged(message, acknowledgement)
        except BrokerRefused as error:
            self.refused += 1
            self._tell_refusal(message.topic, error)
            return False
        if self._context.on_published is not None:
            self._context.on_published(message)
        return True

    def _tell_refusal(self, topic: str, error: BrokerRefused) -> None:
        """Once for each topic; senders of commands choose topics for their answers, so there is a limit."""
        if topic not in self._refused_topics and len(self._refused_topics) < MOST_REFUSALS:
            self._refused_topics.add(topic)
            log.error("%s", error)

    def _expiry_s(self, message: Message) -> int | None:
        """What is left of the message's life, in the broker's seconds."""
        left_s = math.inf if message.expiry_s is None else float(message.expiry_s)
        if message.expires_ns is not None:
            left_s = min(left_s, (message.expires_ns - self._context.now_ns()) / NS_PER_S)
        return None if math.isinf(left_s) else max(1, math.ceil(left_s / self._context.clock_speed))

    async def _say_goodbye(self, link: Link) -> None:
        """A polite disconnect suppresses the will, so we say it ourselves; bounded, since nobody waits for us."""
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._deliver(link, bridge_state(self._topics, online=False))

    def _tell_losses(self) -> None:
        """After an outage, say what did not survive it."""
        self._outbox.purge()
        counts = self._outbox.counts
        dropped, expired = counts.dropped - self._told_losses[0], counts.expired - self._told_losses[1]
        if dropped or expired:
            self._told_losses = (counts.dropped, counts.expired)
            detail = {"dropped": dropped, "expired": expired}
            self._outbox.put(bridge_event(self._topics, "messages_lost", self._context.now_ns(), detail))

    def _say(self, level: int, text: str) -> None:
        """Log on change only: an outage of hours is one line."""
        if text != self._said:
            self._said = text
            log.log(level, "%s", text)


def build(context: SinkContext) -> MqttSink:
    """The broker of `context.mqtt`."""
    if context.mqtt is None:
        raise ConfigError("the mqtt sink needs a broker: set its host, or use the embedded one")
    return MqttSink(context.mqtt, context)


SINK = SinkKind("mqtt", build)
