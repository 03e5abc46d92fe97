"""To ask the daemon for something, from another process: through its control socket, or through a broker."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any

from posturewatch.errors import PosturewatchError, UsageError
from posturewatch.mqtt.link import connected
from posturewatch.publishing.topics import ID_PATTERN, Topics
from posturewatch.requests.control_socket import NoDaemon, ask
from posturewatch.types import Message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from posturewatch.mqtt.link import Link
    from posturewatch.mqtt.settings import MqttSettings

ANSWER_S = 3.0
FIND_S = 2.0  # retained states come at once
FIND_NEXT_S = 0.3


async def through_daemon(
    door: Path, wearer: str | None, topic: str, fields: Mapping[str, Any], answer_s: float = ANSWER_S
) -> dict[str, Any]:
    """The daemon's answer to `topic` (`do/snooze`, `set/level`), as on MQTT; `NoDaemon` if none is there."""
    kind, _, word = topic.partition("/")
    payload = json.dumps({**fields, "transaction": secrets.token_hex(8)})
    told = await ask(door, "command", answer_s, wearer=wearer, kind=kind, word=word, payload=payload)
    return {"wearer": told["wearer"], **told["result"]}


async def through_broker(
    settings: MqttSettings, wearer: str | None, topic: str, fields: Mapping[str, Any], answer_s: float = ANSWER_S
) -> dict[str, Any]:
    """The answer that a daemon at that broker publishes; `NoDaemon` if none comes."""
    topics = Topics(settings.base_topic)
    if wearer is not None and not ID_PATTERN.fullmatch(wearer):
        raise UsageError(f"wearer {wearer!r}: 1 to 32 of the characters a-z 0-9 _ -")
    transaction = secrets.token_hex(8)
    payload = json.dumps({**fields, "transaction": transaction}).encode()
    async with connected(settings, client_id=f"posturewatch-{secrets.token_hex(4)}", keep_session=False) as link:
        wearer = wearer or await _find_only_wearer(link, topics, settings.address)
        await link.subscribe([topics.wearer(wearer, "result"), topics.bridge("result")])
        await link.publish(Message(topics.wearer(wearer, topic), payload))
        try:
            async with asyncio.timeout(answer_s):
                return {"wearer": wearer, **await _wait_for(link, transaction)}
        except TimeoutError:
            raise NoDaemon(
                f"broker {settings.address}: no answer within {answer_s:g} s; does a daemon run there with the base "
                f"topic {settings.base_topic}, and may we write to {topics.wearer(wearer, topic)}?"
            ) from None


async def _wait_for(link: Link, transaction: str) -> dict[str, Any]:
    while True:
        received = await link.receive()
        try:
            content = json.loads(received.payload)
        except ValueError:
            continue  # not one of ours
        if isinstance(content, dict) and content.get("transaction") == transaction and "ok" in content:
            return content


async def _find_only_wearer(link: Link, topics: Topics, address: str) -> str:
    """The wearer of whom the broker keeps a state, if it is one."""
    await link.subscribe([f"{topics.base}/wearer/+/availability"])
    names: set[str] = set()
    try:
        async with asyncio.timeout(FIND_S) as patience:
            while True:
                received = await link.receive()
                if received.payload and received.topic.endswith("/availability"):
                    names.add(received.topic.split("/")[-2])
                    patience.reschedule(asyncio.get_running_loop().time() + FIND_NEXT_S)
    except TimeoutError:
        pass  # nothing more is kept there
    if not names:
        raise PosturewatchError(f"broker {address}: nobody is known there below {topics.base}/wearer")
    if len(names) > 1:
        raise UsageError(f"there are several wearers: name one with --wearer: {', '.join(sorted(names))}")
    return names.pop()
