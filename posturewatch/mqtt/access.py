"""How the daemon reaches its broker: the one of the configuration, or an embedded one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.mqtt.embedded_broker import BrokerDied, embedded_broker
from posturewatch.mqtt.settings import MQTT_311

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from posturewatch.config import LoadedConfig
    from posturewatch.mqtt.embedded_broker import EmbeddedBroker
    from posturewatch.mqtt.settings import MqttSettings

log = logging.getLogger(__name__)

ALIVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the broker."""

    publish: MqttSettings
    hear: MqttSettings  # for samples: binary ones need MQTT 5
    embedded: EmbeddedBroker | None = None

    async def until_broker_dies(self) -> None:
        """Watch over an embedded broker: `BrokerDied` when it ended by itself; with another one, wait for ever."""
        if self.embedded is None:
            await asyncio.Event().wait()
            return
        while True:
            await asyncio.sleep(ALIVE_S)
            try:
                os.kill(self.embedded.pid, 0)
            except ProcessLookupError:
                raise BrokerDied("the embedded broker ended by itself: start again, or use one of your own") from None


@contextlib.asynccontextmanager
async def broker_of(
    loaded: LoadedConfig, folder: Path, port: int | None, on_broker: Callable[[EmbeddedBroker], None] | None
) -> AsyncIterator[Access]:
    """The broker of the configuration, or one of our own on `port` (None: any), with its files in `folder`.

    The embedded one throws out every 3.1.1 client that is to get a message with MQTT 5 properties.  So we send it
    none: we publish as a 3.1.1 client ourselves, and what has to expire there ends with it.
    """
    mqtt, own = loaded.to_mqtt(), loaded.config.broker
    if not own.is_embedded:
        yield Access(mqtt, mqtt)
        return
    async with embedded_broker(folder, port=own.port or port) as broker:
        if on_broker is not None:
            on_broker(broker)
        log.info("embedded broker: 127.0.0.1:%d (MQTT 5), :%d (3.1.1)", broker.port, broker.port_311)
        names = {"client_id": mqtt.client_id, "base_topic": mqtt.base_topic}
        yield Access(
            broker.settings(port=broker.port_311, protocol=MQTT_311, **names), broker.settings(**names), broker
        )
