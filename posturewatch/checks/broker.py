"""The MQTT broker: there, encrypted where it must be, willing; and whether Home Assistant listens on it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import secrets
import ssl
from typing import TYPE_CHECKING, Any

from posturewatch.checks import Finding, Group, fail, fail_of, ok, warn
from posturewatch.clock import read_wall_ns
from posturewatch.errors import PosturewatchError
from posturewatch.mqtt.embedded_broker import DEFAULT_PORT, PortInUse, check_free, settings_from_outside
from posturewatch.mqtt.link import connected, listens, tls_context
from posturewatch.mqtt.settings import is_loopback
from posturewatch.publishing.topics import Topics
from posturewatch.types import NS_PER_S, Message

if TYPE_CHECKING:
    from posturewatch.checks import Subject
    from posturewatch.config import LoadedConfig
    from posturewatch.mqtt.link import Link, Received
    from posturewatch.mqtt.settings import MqttSettings

LISTEN_S = 1.0  # retained messages come at once
ANSWER_S = 2.5
CERTIFICATE_DAYS = 14
S_PER_DAY = 86_400


async def _examine(subject: Subject) -> list[Finding]:
    loaded = subject.loaded
    if loaded is None:
        return []
    if not loaded.config.broker.is_embedded:
        return await _examine_broker(loaded, loaded.to_mqtt())
    if await subject.status() is None:
        return _examine_ports(loaded.config.broker.port or DEFAULT_PORT)
    return await _examine_broker(loaded, settings_from_outside(loaded.state_folder(), loaded.config.broker.port))


def _examine_ports(port: int) -> list[Finding]:
    """The embedded broker runs with the daemon only; can it?"""
    if importlib.util.find_spec("iotcore") is None:
        return [fail("embedded", "the embedded broker is not installed", "pip install 'posturewatch[broker]'")]
    try:
        for each in (port, port + 1):
            check_free(each)
    except PortInUse as error:
        fix = "use that broker (broker.host), or another port (broker.port): posturewatch setup"
        return [fail("embedded", str(error).partition(":")[0], fix)]
    return [ok("embedded", f"will listen on 127.0.0.1:{port} and :{port + 1} when the daemon runs")]


async def _examine_broker(loaded: LoadedConfig, settings: MqttSettings) -> list[Finding]:
    from dataclasses import replace  # noqa: PLC0415

    settings = replace(settings, timeout_s=ANSWER_S)
    findings = await _examine_way(settings)
    if any(finding.fix and finding.grade == "fail" for finding in findings):
        return findings
    heard: list[Received] = []
    topics, prefix = Topics(settings.base_topic), loaded.config.home_assistant.prefix
    wanted = [topics.bridge("state"), topics.bridge("info"), f"{prefix}/status", f"{prefix}/+/+/config"]
    try:
        client_id = f"posturewatch-doctor-{secrets.token_hex(4)}"
        async with connected(settings, client_id=client_id, keep_session=False) as link:
            await link.subscribe(wanted)
            findings.append(ok("login", f"as {settings.username or 'anybody'}, MQTT {link.protocol}"))
            findings.append(await _examine_echo(link, topics, settings, heard))
            await _listen(link, heard)
    except PosturewatchError as error:
        return [*findings, fail_of("login", error)]
    return [*findings, *_find_other_daemon(loaded, topics, heard), _find_home_assistant(loaded, heard)]


async def _examine_way(settings: MqttSettings) -> list[Finding]:
    if not await listens(settings, LISTEN_S):
        fix = "start it, and check broker.host and broker.port; for one of our own remove broker.host"
        return [fail("reachable", f"nothing listens at {settings.address}", fix)]
    findings = [ok("reachable", settings.address)]
    if settings.tls is not None:
        findings.append(await _examine_certificate(settings))
    elif not is_loopback(settings.host):
        fix = "set up TLS at the broker, then broker.tls = true"
        findings.append(warn("TLS", f"{settings.address} is spoken to in clear text, the password too", fix))
    return findings


async def _examine_certificate(settings: MqttSettings) -> Finding:
    """Who it is, and for how long; `ConfigError` for files that cannot be used."""
    assert settings.tls is not None  # the caller's question
    context = await asyncio.to_thread(tls_context, settings.tls)
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(settings.host, settings.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        fix = "set broker.tls_cafile to the authority that signed it, and broker.host to the name in it"
        return fail("TLS", f"its certificate is not trusted ({error.verify_message})", fix)
    except (OSError, TimeoutError) as error:
        fix = "check broker.port (8883 is usual for TLS)"
        return fail("TLS", f"no TLS at {settings.address} ({error or 'no answer'})", fix)
    certificate: Any = writer.get_extra_info("peercert") or {}
    writer.close()
    if "notAfter" not in certificate:
        return ok("TLS", "encrypted, the certificate is trusted")
    left_days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - read_wall_ns() / NS_PER_S) / S_PER_DAY
    if left_days < CERTIFICATE_DAYS:
        return warn("TLS", f"the broker's certificate ends in {left_days:.0f} days", "renew it at the broker")
    return ok("TLS", f"encrypted, the certificate is trusted, for {left_days:.0f} more days")


async def _examine_echo(link: Link, topics: Topics, settings: MqttSettings, heard: list[Received]) -> Finding:
    """Whether we may write and read below our base topic."""
    topic, mark = topics.bridge("doctor"), secrets.token_hex(8).encode()
    fix = f"allow {settings.username or 'us'} to read and write {topics.base}/# in the broker's access list"
    try:
        await link.subscribe([topic])
        await link.publish(Message(topic, mark))
        async with asyncio.timeout(LISTEN_S):
            while (received := await link.receive()).payload != mark:
                heard.append(received)
    except TimeoutError:
        return fail("permissions", f"what we write to {topic} does not come back", fix)
    except PosturewatchError as error:
        return fail("permissions", str(error).partition(":")[0], fix)
    return ok("permissions", f"may write and read {topics.base}/#")


async def _listen(link: Link, heard: list[Received]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LISTEN_S / 2):
            while True:
                heard.append(await link.receive())


def _find_other_daemon(loaded: LoadedConfig, topics: Topics, heard: list[Received]) -> list[Finding]:
    said = {received.topic: received.payload for received in heard}
    if said.get(topics.bridge("state")) != b"online":
        return []
    with contextlib.suppress(ValueError, AttributeError):
        instance = json.loads(said.get(topics.bridge("info"), b"")).get("instance")
        if instance is not None and instance != loaded.to_mqtt().client_id:
            fix = "stop it, or give one of the two another broker.base_topic"
            return [warn("other daemons", f"one of another machine or folder publishes below {topics.base}", fix)]
    return []


def _find_home_assistant(loaded: LoadedConfig, heard: list[Received]) -> Finding:
    """Its birth message is seldom kept by the broker, but what others told it is."""
    own = loaded.config.home_assistant
    if not own.discovery:
        return ok("Home Assistant", "is told nothing, as configured")
    said = {received.topic: received.payload for received in heard}
    if (status := said.get(f"{own.prefix}/status")) is not None:
        return ok("Home Assistant", f"says {status[:20].decode(errors='replace')} on {own.prefix}/status")
    others = sum(topic.endswith("/config") and "posturewatch" not in topic for topic in said)
    if others:
        return ok("Home Assistant", f"others describe {others} devices to it below {own.prefix}")
    return ok(
        "Home Assistant", f"not seen below {own.prefix}/ (it says so at its start only): no matter if you have none"
    )


GROUP = Group("broker", 5, _examine)
