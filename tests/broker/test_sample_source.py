"""Samples of gateways, from another client over a real broker into the records of the core."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from posturewatch.errors import BrokerRefused
from posturewatch.mqtt.settings import MQTT_5, MqttSettings
from posturewatch.sources.mqtt import MqttSource
from posturewatch.types import LinkChanged, RawSamples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio
BATCH = json.dumps({"seq": 7, "rate_hz": 50, "unit": "mg", "acc": [[0, 0, 1000], [10, -20, 990.5]]})


@contextlib.asynccontextmanager
async def hearing(settings: MqttSettings, *sensors: str) -> AsyncIterator[tuple[MqttSource, list[Any]]]:
    """A source at work."""
    got: list[Any] = []
    source = MqttSource(settings, sensors, got.append, time.time_ns)
    task = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(5):
            await source.ready.wait()
        yield source, got
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_json_of_a_configured_sensor_becomes_samples(
    any_broker: MqttSettings, listen: Any, wait_until: Any
) -> None:
    base = any_broker.base_topic
    async with listen(any_broker) as gateway, hearing(any_broker, "back") as (source, got):
        await gateway.client.publish(f"{base}/sensor/stranger/samples", BATCH, qos=1)
        await gateway.client.publish(f"{base}/sensor/back/samples", "nonsense", qos=1)
        await gateway.client.publish(f"{base}/sensor/back/samples", BATCH, qos=1)
        await wait_until(lambda: len(got) >= 2)
    link, samples = got
    assert isinstance(link, LinkChanged)
    assert link.up
    assert isinstance(samples, RawSamples)
    assert (samples.sensor, samples.rate_hz, samples.seq, samples.last_ns) == ("back", 50.0, 7, None)
    np.testing.assert_array_equal(samples.acc_10ug, [[0, 0, 100_000], [1000, -2000, 99_050]])
    assert samples.acc_10ug.dtype == np.int32
    assert abs(time.time_ns() - samples.arrived_ns) < 10e9
    assert source.counts.undecodable == 1


async def test_binary_with_user_properties_becomes_samples(
    any_broker: MqttSettings, listen: Any, wait_until: Any
) -> None:
    if any_broker.protocol != MQTT_5:
        return  # user properties exist in MQTT 5 only
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in (("rate_hz", "26"), ("scale_g", "0.000244"), ("seq", "3"), ("time_ns", "1700000000000000000")):
        properties.UserProperty = (name, value)
    payload = np.array([[0, 4098, -1], [1, 2, 3]], dtype="<i2").tobytes()
    async with listen(any_broker) as gateway, hearing(any_broker, "back") as (_, got):
        topic = f"{any_broker.base_topic}/sensor/back/samples"
        await gateway.client.publish(topic, payload, qos=0, properties=properties)
        await wait_until(lambda: len(got) >= 2)
    samples = got[1]
    assert (samples.rate_hz, samples.seq, samples.last_ns) == (26.0, 3, 1_700_000_000_000_000_000)
    np.testing.assert_array_equal(samples.acc_10ug, np.rint(np.array([[0, 4098, -1], [1, 2, 3]]) * 24.4))


async def test_retained_samples_are_old_and_not_heard(any_broker: MqttSettings, listen: Any, wait_until: Any) -> None:
    topic = f"{any_broker.base_topic}/sensor/back/samples"
    async with listen(any_broker) as gateway:
        await gateway.client.publish(topic, BATCH, qos=1, retain=True)
        async with hearing(any_broker, "back") as (source, got):
            await wait_until(lambda: source.counts.foreign == 1)
            assert not got


async def test_many_sensors_share_one_subscription(any_broker: MqttSettings, listen: Any, wait_until: Any) -> None:
    names = [f"s{number}" for number in range(80)]
    async with listen(any_broker) as gateway, hearing(any_broker, *names) as (source, got):
        for name in (*names, "stranger"):
            await gateway.client.publish(f"{any_broker.base_topic}/sensor/{name}/samples", BATCH, qos=0)
        await wait_until(lambda: source.counts.batches == 80 and source.counts.foreign == 1)
        assert {g.sensor for g in got} == set(names)


async def test_a_lost_broker_is_a_lost_sensor_that_comes_back(
    fresh_mosquitto: Any, listen: Any, wait_until: Any
) -> None:
    settings = fresh_mosquitto.settings()
    topic = f"{settings.base_topic}/sensor/back/samples"
    async with hearing(settings, "back") as (source, got):
        async with listen(settings) as gateway:
            await gateway.client.publish(topic, BATCH, qos=1)
            await wait_until(lambda: source.counts.batches == 1)
        fresh_mosquitto.kill()
        await wait_until(lambda: len(got) == 3)
        assert got[-1] == LinkChanged("back", got[-1].t_ns, up=False, reason="broker lost")
        await asyncio.sleep(1.5)
        fresh_mosquitto.start()
        async with listen(settings) as gateway:

            async def keep_sending() -> None:
                while source.counts.batches < 2:
                    await gateway.client.publish(topic, BATCH, qos=1)
                    await asyncio.sleep(0.05)

            async with asyncio.timeout(4):
                await keep_sending()
    assert [g.up for g in got if isinstance(g, LinkChanged)] == [True, False, True]


async def test_a_refusing_broker_ends_the_source_with_one_line(start_mosquitto: Any, tmp_path: Path) -> None:
    with start_mosquitto(tmp_path, "allow_anonymous false") as broker:
        source = MqttSource(broker.settings(), ["back"], lambda _: None, time.time_ns)
        with pytest.raises(BrokerRefused, match="username"):
            async with asyncio.timeout(5):
                await source.run()
