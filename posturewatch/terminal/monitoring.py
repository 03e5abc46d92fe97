"""What is published about the wearers at a broker, as it comes: for somebody who watches from anywhere.

Nothing here is believed: whoever may write to the broker may write anything, so every value is shown as text.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from posturewatch.errors import BrokerRefused, BrokerUnavailable
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.reconnecting import Patience
from posturewatch.publishing.topics import ID_PATTERN, Topics
from posturewatch.types import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.mqtt.settings import MqttSettings

LEAVES = ("state", "reminder", "event", "availability", "result")
MOST_WEARERS = 200
MAX_BYTES = 65_536


class Picture:
    """How it stands with each wearer and with the daemon, as far as it was heard."""

    def __init__(self, base_topic: str) -> None:
        """Nothing was heard yet."""
        self.topics = Topics(base_topic)
        self.link = "connecting"
        self.bridge = "unknown"
        self.states: dict[str, dict[str, Any]] = {}
        self.online: dict[str, str] = {}
        self.said: dict[str, str] = {}  # the last prompt's words

    def take(self, topic: str, payload: bytes) -> bool:
        """One message; whether it is one of ours that can be shown."""
        if len(payload) > MAX_BYTES:
            return False
        if topic == self.topics.bridge("state"):
            self.bridge = payload.decode("ascii", "replace")[:20]
            return True
        wearer, _, leaf = topic.removeprefix(f"{self.topics.base}/wearer/").partition("/")
        if leaf not in LEAVES or not ID_PATTERN.fullmatch(wearer):
            return False
        if wearer not in self.states and len(self.states) >= MOST_WEARERS:
            return False
        if leaf == "availability":
            self.online[wearer] = payload.decode("ascii", "replace")[:20]
            return True
        return self._take_content(wearer, leaf, payload)

    def _take_content(self, wearer: str, leaf: str, payload: bytes) -> bool:
        if not payload:  # what was retained is taken back
            self.states.pop(wearer, None)
            return True
        try:
            content = json.loads(payload)
        except (ValueError, RecursionError):
            return False
        if not isinstance(content, dict):
            return False
        if leaf == "state":
            self.states[wearer] = content
        elif leaf == "reminder":
            self.said[wearer] = str(content.get("message", ""))[:200]
        return True


def printable(text: object) -> str:
    """One line for a terminal, whatever somebody published: nothing in it moves the cursor."""
    return "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in str(text)[:500])


async def follow(settings: MqttSettings, client_id: str, picture: Picture, show: Callable[[Message], None]) -> None:
    """Hear until cancelled, over losses of the connection; raises what is wrong if there never was one."""
    patience = Patience(settings)
    was_up, never = False, asyncio.Event()
    while True:
        try:
            async with connected(settings, client_id=client_id, keep_session=False) as link:
                await link.subscribe([f"{picture.topics.base}/wearer/+/{leaf}" for leaf in LEAVES])
                await link.subscribe([picture.topics.bridge("state")])
                patience.start()
                was_up, picture.link = True, "connected"
                while True:
                    received = await link.receive()
                    if picture.take(received.topic, received.payload):
                        show(Message(received.topic, received.payload, retain=received.retain))
        except (BrokerRefused, BrokerUnavailable) as lost:
            if not was_up:
                raise
            picture.link = f"{lost}; trying again"
            await patience.pause(lost, never.wait)
