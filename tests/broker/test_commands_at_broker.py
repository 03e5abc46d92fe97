"""Commands through a real broker: done and answered, and without harm when they are not what they should be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
import pytest_asyncio
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from posturewatch.core.settings import SensorSettings, Settings
from posturewatch.mqtt.settings import MQTT_5, MQTT_311
from posturewatch.publishing.topics import Topics
from posturewatch.requests.desk import BURST, Desk
from posturewatch.rules import discover
from posturewatch.sinks import SinkContext
from posturewatch.sinks.mqtt import MqttSink
from posturewatch.sinks.outbox import Outbox
from posturewatch.types import Placement
from posturewatch.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from posturewatch.mqtt.settings import MqttSettings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class Daemon:
    """A watch, its desk and its sink at a broker."""

    def __init__(self, settings: MqttSettings) -> None:
        self.topics = Topics(settings.base_topic)
        self.outbox = Outbox(time.time_ns)
        core = Settings("anna", (SensorSettings("s", Placement.CHEST),), discover())
        self.watch = Watch(core, self.topics, self.outbox, simulated=True)
        self.changes = 0
        self.desk = Desk(self.topics, [self.watch], self.outbox, time.time_ns, self._count)
        context = SinkContext(
            self.outbox,
            time.time_ns,
            announce=lambda: self.watch.announce(time.time_ns()),
            subscriptions=self.desk.subscriptions,
            on_message=self.desk.hear,
        )
        self.sink = MqttSink(settings, context)

    def _count(self) -> None:
        self.changes += 1


@contextlib.asynccontextmanager
async def serving(settings: MqttSettings) -> AsyncIterator[Daemon]:
    daemon = Daemon(settings)
    task = asyncio.create_task(daemon.sink.run())
    while not daemon.sink.up:
        await asyncio.sleep(0.01)
        assert not task.done(), task.exception()
    try:
        yield daemon
    finally:
        daemon.outbox.close()
        await asyncio.wait([task], timeout=4)
        assert task.done()


@contextlib.asynccontextmanager
async def client_of(settings: MqttSettings, **login: Any) -> AsyncIterator[aiomqtt.Client]:
    protocol = aiomqtt.ProtocolVersion.V5 if settings.protocol == MQTT_5 else aiomqtt.ProtocolVersion.V311
    login = login or {"username": settings.username, "password": settings.password}
    async with aiomqtt.Client(settings.host, settings.port, protocol=protocol, **login) as client:
        yield client


def answers(ears: Any, leaf: str = "wearer/anna/result") -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in ears.payloads(leaf)]


@pytest_asyncio.fixture(params=[MQTT_5, MQTT_311])
async def settings(request: pytest.FixtureRequest, mosquitto: Any) -> MqttSettings:
    found: MqttSettings = mosquitto.settings(protocol=request.param)
    return found


async def test_a_command_is_done_and_answered_at_every_kind_of_broker(any_broker: Any, listen: Any) -> None:
    async with serving(any_broker) as daemon, listen(any_broker) as ears, client_of(any_broker) as client:
        await client.publish(daemon.topics.wearer("anna", "do/hold"), b'{"minutes": 30, "transaction": 7}', qos=1)
        await client.publish(daemon.topics.wearer("anna", "set/static_limit_min"), b"25", qos=1)
        await ears.until("wearer/anna/result", count=2)
        hold, put = answers(ears)
        assert (hold["ok"], hold["action"], hold["value"], hold["transaction"]) == (True, "hold", 30.0, "7")
        assert (put["ok"], put["action"], put["key"], put["value"]) == (True, "set", "static_limit_min", 25.0)
        assert json.loads(ears.payloads("state")[-1])["hold_reason"] == "on hold"
        assert json.loads(ears.payloads("settings")[-1])["static_limit_min"] == 25.0
        assert daemon.changes == 2
        told = [m for m in ears.heard if str(m.topic).endswith("result")]
        assert not any(m.retain for m in told)


async def test_an_answer_goes_where_its_sender_wants_it_with_what_it_sent_along(mosquitto: Any, listen: Any) -> None:
    settings = mosquitto.settings()
    async with serving(settings) as daemon, listen(settings) as ears, client_of(settings) as client:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = f"{settings.base_topic}/wearer/anna/result/app"
        properties.CorrelationData = b"\x00\x01"
        await client.publish(daemon.topics.wearer("anna", "do/release"), b"PRESS", qos=1, properties=properties)
        await ears.until("result/app")
        (told,) = [m for m in ears.heard if str(m.topic).endswith("result/app")]
        assert told.properties.CorrelationData == b"\x00\x01"
        properties.ResponseTopic = f"{settings.base_topic}/wearer/anna/do/pause"
        await client.publish(daemon.topics.wearer("anna", "do/release"), b"PRESS", qos=1, properties=properties)
        await ears.until("wearer/anna/result")
        assert daemon.watch.state.reminding.paused_until_ns == 0


async def test_what_makes_no_sense_is_answered_and_changes_nothing(settings: Any, listen: Any) -> None:
    async with serving(settings) as daemon, listen(settings) as ears, client_of(settings) as client:
        for topic, payload in [
            ("wearer/anna/do/dance", b"x"),
            ("wearer/anna/do/snooze", b"{"),
            ("wearer/anna/do/snooze", b""),
            ("wearer/anna/do/hold", b"x" * 1_000_000),
            ("wearer/anna/do/hold", b'{"minutes": "many", "transaction": "t1"}'),
            ("wearer/anna/set/colour", b"red"),
            ("wearer/anna/do/ack", b'{"cycle": "anna/static/1/1"}'),
        ]:
            await client.publish(f"{settings.base_topic}/{topic}", payload, qos=1)
        await client.publish(f"{settings.base_topic}/wearer/bob/do/ack", b"PRESS", qos=1)
        await ears.until("wearer/anna/result", count=7)
        await ears.until("bridge/result")
        told = answers(ears)
        assert not any(answer["ok"] for answer in told)
        assert "at most 4096" in told[3]["error"]
        assert told[4]["transaction"] == "t1"
        assert told[5]["key"] == "colour"
        assert told[6]["error"] == "stale"
        assert "no wearer 'bob'" in answers(ears, "bridge/result")[0]["error"]
        assert daemon.changes == 0


async def test_a_repeated_request_is_answered_alike_and_done_once(settings: Any, listen: Any) -> None:
    async with serving(settings) as daemon, listen(settings) as ears, client_of(settings) as client:
        for _ in range(3):
            topic = daemon.topics.wearer("anna", "do/count_break")
            await client.publish(topic, b'{"transaction": "same"}', qos=1)
        await ears.until("wearer/anna/result", count=3)
        assert {answer["transaction"] for answer in answers(ears)} == {"same"}
        assert daemon.watch.state.reminding.breaks_today == 1


async def test_a_retained_command_is_ignored_removed_and_told_once(
    settings: Any, listen: Any, wait_until: Any, caplog: Any
) -> None:
    caplog.set_level(logging.WARNING)
    topic = f"{settings.base_topic}/wearer/anna/do/pause"
    async with client_of(settings) as client:
        await client.publish(topic, b"60", qos=1, retain=True)
    async with serving(settings) as daemon:
        await wait_until(lambda: daemon.desk.counts.retained and not daemon.desk._emptied)
        assert daemon.watch.state.reminding.paused_until_ns == 0
    async with listen(settings, "wearer/anna/do/#") as ears:
        await asyncio.sleep(0.2)
        assert ears.heard == []
    async with serving(settings) as daemon, listen(settings) as ears, client_of(settings) as client:
        await client.publish(topic, b"60", qos=1)
        await ears.until("wearer/anna/result")
        assert daemon.watch.state.reminding.paused_until_ns > 0
    assert sum("a retained command is ignored" in record.message for record in caplog.records) == 1
    assert not any(answer["error"] for answer in answers(ears))


async def test_a_thousand_commands_a_second_are_bounded_and_told(settings: Any, listen: Any, wait_until: Any) -> None:
    async with serving(settings) as daemon, listen(settings, "wearer/anna/result") as ears, client_of(settings) as c:
        topic = daemon.topics.wearer("anna", "set/top_rung")
        started_s = time.monotonic()
        for second in range(2):
            for at in range(1000):
                await c.publish(topic, b"%d" % (at % 3), qos=0)
            await asyncio.sleep(max(0.0, started_s + second + 1 - time.monotonic()))
        lasted_s = time.monotonic() - started_s
        assert daemon.desk.counts.too_many > 100
        assert daemon.desk.counts.done <= BURST + 5 * (lasted_s + 1)
        assert len(daemon.outbox) < 100
        await asyncio.sleep(0.5)  # a little patience fills the bucket again
        before = len(answers(ears))
        await c.publish(daemon.topics.wearer("anna", "do/hold"), b"30", qos=1)
        await wait_until(lambda: any(answer["action"] == "hold" for answer in answers(ears)[before:]))


ACCESS_LIST = """
user daemon
topic readwrite #
topic deny {base}/wearer/anna/result
user button
topic write {base}/wearer/anna/do/hold
topic read {base}/#
"""


async def test_the_brokers_access_list_decides_who_may_ask(
    tmp_path: Path, start_mosquitto: Callable[..., Any], listen: Any, wait_until: Any
) -> None:
    access_list = tmp_path / "access-list"
    access_list.write_text(ACCESS_LIST.format(base="pw"))
    access_list.chmod(0o600)
    with start_mosquitto(tmp_path, f"allow_anonymous true\nacl_file {access_list}") as broker:
        settings = broker.settings(base_topic="pw", username="daemon")
        async with serving(settings) as daemon, client_of(settings, username="button") as client:
            async with listen(settings) as ears:
                await client.publish("pw/wearer/anna/do/pause", b"60", qos=1)
                await client.publish("pw/wearer/anna/do/hold", b"60", qos=1)
                await ears.until("wearer/anna/event")
                await wait_until(lambda: daemon.sink.refused == 1)  # its own answer
            assert daemon.watch.state.reminding.paused_until_ns == 0
            assert daemon.watch.state.reminding.wearer_hold is not None
            assert daemon.sink.up


DENY_SUBSCRIPTIONS = {
    "defaultACLAccess": {
        "publishClientSend": True,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    },
    "clients": [],
    "groups": [],
    "roles": [],
}
PLUGIN = next(Path("/usr/lib").rglob("mosquitto_dynamic_security.so"), None)


@pytest.mark.skipif(PLUGIN is None, reason="mosquitto comes without its plugin mosquitto_dynamic_security")
@pytest.mark.parametrize("protocol", [MQTT_5, MQTT_311])
async def test_a_broker_that_refuses_subscriptions_costs_the_commands_only(
    tmp_path: Path, start_mosquitto: Callable[..., Any], wait_until: Any, caplog: Any, protocol: str
) -> None:
    security = tmp_path / "security.json"
    security.write_text(json.dumps(DENY_SUBSCRIPTIONS))
    extra = f"allow_anonymous true\nplugin {PLUGIN}\nplugin_opt_config_file {security}"
    with start_mosquitto(tmp_path, extra) as broker:
        async with serving(broker.settings(protocol=protocol)) as daemon:
            await wait_until(lambda: daemon.outbox.counts.published >= 3)
            assert daemon.sink.up
    told = [record.message for record in caplog.records if "refuses to subscribe" in record.message]
    assert len(told) == 2
    assert all("allow it in the broker's access list" in line for line in told)
