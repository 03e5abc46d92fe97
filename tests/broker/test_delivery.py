"""What is published arrives, at every kind of broker, in every version of the protocol."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from testbench.reminders import reminder_view

from posturewatch.core.body import Body
from posturewatch.home_assistant.discovery import forget
from posturewatch.mqtt.settings import MQTT_5
from posturewatch.publishing import messages
from posturewatch.types import (
    BreakEnded,
    BreakKind,
    ClosedBy,
    CommandResult,
    Happened,
    Level,
    Message,
    Prompt,
    ReminderPhase,
    SedentaryEnded,
    StaticEnded,
)

if TYPE_CHECKING:
    from posturewatch.mqtt.settings import MqttSettings

pytestmark = pytest.mark.asyncio

REMINDER = reminder_view(
    phase=ReminderPhase.DUE,
    cycle="anna-1",
    level=Level.SHIFT,
    reason="21 min in one posture",
    due=True,
    load_frac=1.05,
    next_break_ns=1_700_000_600_000_000_000,
    prompts_left_today=9,
    breaks_today=3,
)


def prompt(now_ns: int, life_s: float = 600.0, cycle: str = "anna-1") -> Prompt:
    return Prompt(
        t_ns=now_ns,
        event_type="shift_due",
        id=f"{cycle}/static/1",
        cycle=cycle,
        rule="static",
        level=Level.SHIFT,
        rung=1,
        reason={"static_s": 1260.0, "text": "21 min in one posture"},
        expires_ns=now_ns + int(life_s * 1e9),
    )


def everything(topics: messages.Topics, now_ns: int) -> list[Message]:
    """One of each kind of message about a wearer."""
    events = [
        prompt(now_ns),
        Happened(now_ns, "break_completed", "anna-1", {"duration_s": 125.0}),
        StaticEnded(now_ns, now_ns - 10**12, now_ns, ClosedBy.SHIFT, None, 1.5, 3),
        SedentaryEnded(now_ns, now_ns - 10**12, now_ns, ClosedBy.BREAK),
        BreakEnded(now_ns, BreakKind.REAL, now_ns - 10**11, now_ns),
        CommandResult(now_ns, "snooze", ok=False, request="r1", error="stale"),
    ]
    said = [m for event in events for m in messages.for_event(topics, "anna", event)]
    info = messages.bridge_info(topics, version="1", instance="home", started_ns=now_ns)
    state = messages.wearer_state(topics, "anna", Body(), REMINDER, simulated=False, now_ns=now_ns)
    return [info, messages.availability(topics, "anna", online=True), state, *said]


async def test_every_message_arrives_and_follows_its_schema(
    any_broker: MqttSettings, listen: Any, deliver: Any
) -> None:
    topics = messages.Topics(any_broker.base_topic)
    sent = everything(topics, time.time_ns())
    schemas = messages.json_schemas()
    async with listen(any_broker) as ears, deliver(any_broker) as running:
        running.outbox.put_all(sent)
        for message in sent:
            await ears.until(message.topic.removeprefix(topics.base), message.payload)
    validated = 0
    for message in sent:
        if message.schema is not None:
            name = message.schema.split("/")[1]
            jsonschema.validate(json.loads(message.payload), schemas[name])
            validated += 1
    assert validated == len(sent) - 1  # all but the plain word


async def test_a_wanted_end_says_offline_and_a_late_subscriber_sees_it(
    any_broker: MqttSettings, listen: Any, deliver: Any
) -> None:
    async with listen(any_broker) as ears, deliver(any_broker):
        await ears.until("bridge/state", b"online")
    async with listen(any_broker) as late:
        await late.until("bridge/state", b"offline")
        assert all(m.retain for m in late.heard)


async def test_many_messages_arrive_once_in_their_order_and_are_counted(
    any_broker: MqttSettings, listen: Any, deliver: Any
) -> None:
    sent = [Message(f"{any_broker.base_topic}/wearer/anna/bout", b"%d" % number) for number in range(100)]
    async with listen(any_broker) as ears, deliver(any_broker) as running:
        await running.until_up()
        before = running.outbox.counts.published
        running.outbox.put_all(sent)
        await ears.until("anna/bout", sent[-1].payload)
        assert ears.payloads("anna/bout") == [message.payload for message in sent]
    assert running.outbox.counts.published - before == len(sent)
    assert len(running.outbox) == 0


async def test_what_is_more_than_the_socket_takes_at_once_is_sent_when_there_is_room(
    mosquitto: Any, listen: Any, deliver: Any
) -> None:
    settings = mosquitto.settings()
    sent = [Message(f"{settings.base_topic}/wearer/anna/bout", b"%d" % number * 1_000_000) for number in range(10, 30)]
    async with listen(settings) as ears, deliver(settings) as running:
        running.outbox.put_all(sent)
        await ears.until("anna/bout", sent[-1].payload, within_s=20.0)
        assert ears.payloads("anna/bout") == [message.payload for message in sent]


async def test_state_is_retained_and_prompts_are_not(any_broker: MqttSettings, listen: Any, deliver: Any) -> None:
    topics = messages.Topics(any_broker.base_topic)
    sent = everything(topics, time.time_ns())
    async with deliver(any_broker) as running:
        running.outbox.put_all(sent)
    async with listen(any_broker) as late:
        await late.until("anna/state")
        await late.until("bridge/info")
        await late.until("bridge/state", b"offline")
    assert {str(m.topic).removeprefix(f"{topics.base}/") for m in late.heard} == {
        "bridge/info",
        "bridge/state",
        "wearer/anna/availability",
        "wearer/anna/state",
    }


async def test_what_a_withdrawn_wearer_left_is_forgotten(any_broker: MqttSettings, listen: Any, deliver: Any) -> None:
    topics = messages.Topics(any_broker.base_topic)
    async with deliver(any_broker) as running:
        running.outbox.put_all(everything(topics, time.time_ns()))
    async with deliver(any_broker) as running:
        leaves = ("state", "availability", "settings")
        running.outbox.put_all(forget(topics.wearer("anna", leaf) for leaf in leaves))
    async with listen(any_broker) as late:
        await late.until("bridge/state", b"offline")
        assert not [m for m in late.heard if "anna" in str(m.topic)]


async def test_mqtt_5_tells_expiry_schema_and_content_type(any_broker: MqttSettings, listen: Any, deliver: Any) -> None:
    if any_broker.protocol != MQTT_5:
        return  # 3.1.1 loses nothing but these
    topics = messages.Topics(any_broker.base_topic)
    async with listen(any_broker) as ears, deliver(any_broker) as running:
        running.outbox.put_all(messages.for_event(topics, "anna", prompt(time.time_ns(), life_s=90)))
        await ears.until("anna/reminder")
    properties = next(m.properties for m in ears.heard if str(m.topic).endswith("reminder"))
    assert 85 <= properties.MessageExpiryInterval <= 90
    assert dict(properties.UserProperty) == {"schema": "posturewatch/reminder/1"}
    assert properties.ContentType == "application/json"


DAEMON = """
import asyncio, sys, time
from posturewatch.mqtt.settings import MqttSettings
from posturewatch.sinks import SinkContext
from posturewatch.sinks.mqtt import MqttSink
from posturewatch.sinks.outbox import Outbox

async def main():
    settings = MqttSettings(**eval(sys.stdin.read()))
    await MqttSink(settings, SinkContext(Outbox(time.time_ns), time.time_ns)).run()

asyncio.run(main())
"""


async def test_a_killed_daemon_is_offline_by_its_will(any_broker: MqttSettings, listen: Any) -> None:
    names = ("host", "port", "protocol", "username", "password", "client_id", "base_topic", "will_delay_s")
    fields = {name: getattr(any_broker, name) for name in names}
    async with listen(any_broker) as ears:
        daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", DAEMON, stdin=asyncio.subprocess.PIPE)
        try:
            assert daemon.stdin is not None
            daemon.stdin.write(repr(fields).encode())
            daemon.stdin.close()
            await ears.until("bridge/state", b"online", within_s=10)
        finally:
            daemon.kill()
            await daemon.wait()
        await ears.until("bridge/state", b"offline", within_s=5)


async def test_a_cancelled_sink_still_says_offline(any_broker: MqttSettings, listen: Any, deliver: Any) -> None:
    async with listen(any_broker) as ears, deliver(any_broker) as running:
        await running.until_up()
        running.task.cancel()
        await ears.until("bridge/state", b"offline", within_s=1)
