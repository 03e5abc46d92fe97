"""To let a broker forget everything of one daemon: all that is retained below its base topic, and its devices."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

from posturewatch.errors import BrokerRefused, UsageError
from posturewatch.home_assistant.discovery import forget
from posturewatch.mqtt.link import connected
from posturewatch.publishing.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posturewatch.mqtt.link import Link, Received
    from posturewatch.mqtt.settings import MqttSettings

FIRST_S = 1.0  # retained messages come at once
NEXT_S = 0.3
LONGEST_S = 20.0  # somebody may publish without a pause
MOST_KEPT = 100_000


async def withdraw(
    settings: MqttSettings, prefix: str, known: Iterable[str] = (), *, dry_run: bool = False
) -> list[str]:
    """Empty what is retained there of ours, and the topics of `known`; their names, devices first.

    `UsageError` while the daemon is there, since it would announce everything again.
    """
    client_id = f"posturewatch-{secrets.token_hex(4)}"
    base, told = settings.base_topic, set(known)
    async with connected(settings, client_id=client_id, keep_session=False, max_incoming=MOST_KEPT) as link:
        for pattern in (f"{prefix}/device/+/config", f"{base}/#"):
            try:
                await link.subscribe([pattern])
            except BrokerRefused:
                if not told:
                    raise
        kept = await _hear_retained(link)
        if kept.get(Topics(base).bridge("state")) == b"online":
            raise UsageError(f"broker {settings.address}: the daemon of {base} is running: stop it first")
        ours = told | {topic for topic, payload in kept.items() if _is_ours(topic, payload, base)}
        topics = sorted(ours, key=lambda topic: (topic.startswith(f"{base}/"), topic))
        if not dry_run:
            await _empty(link, topics)
    return topics


async def _hear_retained(link: Link) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}
    loop = asyncio.get_running_loop()
    end_s, wait_s = loop.time() + LONGEST_S, FIRST_S
    while loop.time() < end_s:
        try:
            async with asyncio.timeout(wait_s):
                received: Received = await link.receive()
        except TimeoutError:
            break
        if received.retain and received.payload:
            wait_s = NEXT_S
            kept[received.topic] = received.payload
    return kept


def _is_ours(topic: str, payload: bytes, base: str) -> bool:
    """Whether a topic is below our base, or describes a device whose state is."""
    if topic.startswith(f"{base}/"):
        return True
    try:
        device = json.loads(payload)
    except ValueError:
        return False
    return isinstance(device, dict) and str(device.get("state_topic")).startswith(f"{base}/")


async def _empty(link: Link, topics: Iterable[str]) -> None:
    """One after the other; what the broker refuses is told at the end, all of it."""
    refused = []
    for message in forget(topics):
        try:
            await link.publish(message)
        except BrokerRefused as error:
            refused.append(str(error))
    if refused:
        raise BrokerRefused("\n".join(refused))
