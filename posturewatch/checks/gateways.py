"""Sensors whose samples come over MQTT: heard for a moment, with their rate, and whether all of it is understood."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from posturewatch.checks import Finding, Group, fail, ok, warn
from posturewatch.drivers.gateway import decode
from posturewatch.errors import BrokerRefused, BrokerUnavailable, ConfigError, DecodeError
from posturewatch.mqtt.embedded_broker import settings_from_outside
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.settings import MQTT_5
from posturewatch.publishing.topics import Topics

if TYPE_CHECKING:
    from posturewatch.checks import Subject
    from posturewatch.mqtt.settings import MqttSettings

LISTEN_S = 2.0
ANSWER_S = 1.5
MOST_NAMED = 20


@dataclass(slots=True)
class _Heard:
    batches: int = 0
    samples: int = 0
    rate_hz: float = 0.0
    wrong: str | None = None


async def _examine(subject: Subject) -> list[Finding]:
    names = [sensor.id for sensor in subject.sensors() if sensor.source == "mqtt"]
    if subject.loaded is None or not names:
        return []
    loaded, own = subject.loaded, subject.loaded.config.broker
    try:
        if not own.is_embedded:
            settings = loaded.to_mqtt()
        elif await subject.status() is not None:
            settings = settings_from_outside(loaded.state_folder(), own.port)
        else:
            return []  # their broker runs with the daemon only, which is told elsewhere
        heard = await _listen(replace(settings, timeout_s=ANSWER_S), names)
    except (BrokerRefused, BrokerUnavailable, ConfigError):
        return []  # told where the broker is examined
    topics = Topics(settings.base_topic)
    return [_tell(name, topics.samples(name), heard[name]) for name in names[:MOST_NAMED]]


async def _listen(settings: MqttSettings, names: list[str]) -> dict[str, _Heard]:
    """As an MQTT 5 client where that works, since binary samples need its properties."""
    heard = {name: _Heard() for name in names}
    topics = Topics(settings.base_topic)
    client_id = f"posturewatch-doctor-{secrets.token_hex(4)}"
    async with connected(settings, client_id=client_id, keep_session=False, max_incoming=1000) as link:
        await link.subscribe([topics.samples(name) for name in names], qos=0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LISTEN_S):
                while True:
                    received = await link.receive()
                    of = heard.get(topics.sensor_of(received.topic) or "")
                    if of is None or received.retain:
                        continue
                    try:
                        batch = decode(received.payload, received.properties)
                    except DecodeError as error:
                        of.wrong = str(error) if settings.protocol == MQTT_5 else of.wrong
                        continue
                    of.batches += 1
                    of.samples += len(batch.acc_10ug)
                    of.rate_hz = batch.rate_hz
    return heard


def _tell(name: str, topic: str, heard: _Heard) -> Finding:
    check = f"sensor {name}"
    if heard.wrong is not None:
        return fail(check, f"not understood: {heard.wrong}", "docs/mqtt.md says what a message of samples holds")
    if not heard.batches:
        fix = f"let its gateway publish to {topic} (docs/mqtt.md); a slow one may just have been silent"
        return warn(check, f"nothing came on {topic} in {LISTEN_S:g} s", fix)
    seen_hz = heard.samples / LISTEN_S
    return ok(check, f"{heard.batches} messages in {LISTEN_S:g} s, {seen_hz:.0f} samples a second of {heard.rate_hz:g}")


GROUP = Group("gateways", 6, _examine)
