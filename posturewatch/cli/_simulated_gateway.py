"""A gateway that does not exist: simulated samples in the form of the MQTT contract, with the truth beside them."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from posturewatch.errors import BrokerRefused
from posturewatch.mqtt.link import connected
from posturewatch.publishing.messages import simulated_truth
from posturewatch.publishing.topics import Topics
from posturewatch.types import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from posturewatch_sim.stream import Chunk
    from posturewatch_sim.telling import Telling

    from posturewatch.mqtt.link import Link
    from posturewatch.mqtt.settings import MqttSettings


async def in_step(chunks: Iterator[Chunk], speed: float | None) -> AsyncIterator[Chunk]:
    """Each chunk when its last sample has been taken; without a speed at once."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for chunk in chunks:
        if speed is not None:
            await asyncio.sleep(began_s + chunk.until_s / speed - loop.time())
        yield chunk


async def print_samples(chunks: AsyncIterator[Chunk], rate_hz: float) -> None:
    """A line for each batch."""
    seq = 0
    async for chunk in chunks:
        if len(chunk.t_ns):
            click.echo(_payload(chunk, rate_hz, seq))
            seq += 1


async def publish_samples(
    chunks: AsyncIterator[Chunk],
    rate_hz: float,
    broker: MqttSettings,
    sensor: str,
    telling: Telling | None,
    start_ns: int,
) -> None:
    """A message for each batch of this sensor, and one for each truth that begins meanwhile."""
    topics = Topics(broker.base_topic)
    client_id = f"posturewatch-sim-{secrets.token_hex(4)}"
    seq = 0
    async with connected(broker, client_id=client_id, keep_session=False) as link:
        async for chunk in chunks:
            if telling is not None and not await _tell(link, topics, sensor, telling, chunk.until_s, start_ns):
                telling = None
            if len(chunk.t_ns):
                await link.publish(Message(topics.samples(sensor), _payload(chunk, rate_hz, seq).encode()))
                seq += 1


async def _tell(link: Link, topics: Topics, sensor: str, telling: Telling, until_s: float, start_ns: int) -> bool:
    """False where the broker does not allow it: a gateway's account need not be allowed more than samples."""
    for told in telling.until(until_s):
        try:
            await link.publish(simulated_truth(topics, sensor, told, start_ns))
        except BrokerRefused as refusal:
            click.echo(f"{refusal}, or give --no-truth-topic; only the samples go on", err=True)
            return False
    return True


def _payload(chunk: Chunk, rate_hz: float, seq: int) -> str:
    """The MQTT contract's JSON of samples."""
    acc = [[round(v / 100.0, 2) for v in row] for row in chunk.acc_10ug.tolist()]
    batch = {"seq": seq, "time": _iso(int(chunk.t_ns[-1])), "rate_hz": rate_hz, "unit": "mg", "acc": acc}
    return json.dumps(batch, separators=(",", ":"))


def _iso(t_ns: int) -> str:
    whole = datetime.fromtimestamp(t_ns // 10**9, tz=UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{t_ns % 10**9 // 1000:06d}Z"
