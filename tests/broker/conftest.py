"""Real brokers: one mosquitto process per test module, the embedded broker per test, and ears of another make."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
import pytest_asyncio
from testbench.mosquitto import MOSQUITTO, NO_MOSQUITTO, Mosquitto

from posturewatch.mqtt.embedded_broker import embedded_broker
from posturewatch.mqtt.settings import MQTT_5, MqttSettings
from posturewatch.sinks import SinkContext
from posturewatch.sinks.mqtt import MqttSink
from posturewatch.sinks.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


async def until(happened: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait for the outside world, which sends us no events."""
    end_s = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > end_s:
            raise TimeoutError
        await asyncio.sleep(0.01)


class Broker(Mosquitto):
    """With settings for the daemon's connection to it."""

    def settings(self, **changes: Any) -> MqttSettings:
        fields: dict[str, Any] = {"port": self.port, "base_topic": f"test-{uuid.uuid4().hex}", **changes}
        fields.setdefault("client_id", f"daemon-{uuid.uuid4().hex[:8]}")
        return MqttSettings(**fields)


@contextlib.contextmanager
def mosquitto_process(folder: Path, extra: str = "") -> Iterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    broker = Broker(folder, extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.thaw()
        broker.kill()


@pytest.fixture(scope="session")
def start_mosquitto() -> Callable[..., contextlib.AbstractContextManager[Broker]]:
    """To start one with a configuration of its own."""
    return mosquitto_process


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One process for the module; running again at the start of each test that asks for `fresh_mosquitto`."""
    with mosquitto_process(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture
def fresh_mosquitto(mosquitto: Broker) -> Iterator[Broker]:
    """The module's broker, running and warm, whatever the test before did to it."""
    yield mosquitto
    mosquitto.thaw()
    if mosquitto.process is None:
        mosquitto.start()


@pytest_asyncio.fixture(params=["mosquitto 5", "mosquitto 3.1.1", "embedded 5", "embedded 3.1.1"])
async def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MqttSettings]:
    """Each kind of broker with each version of the protocol."""
    kind, protocol = request.param.split()
    if kind == "mosquitto":
        yield request.getfixturevalue("mosquitto").settings(protocol=protocol, will_delay_s=1)
        return
    async with embedded_broker(tmp_path, port=None) as broker:
        port = broker.port if protocol == MQTT_5 else broker.port_311
        yield broker.settings(
            port=port,
            protocol=protocol,
            base_topic=f"test-{uuid.uuid4().hex}",
            client_id=f"daemon-{uuid.uuid4().hex[:8]}",
            will_delay_s=1,
        )


@dataclass
class Ears:
    """What another client heard below one base topic."""

    client: aiomqtt.Client
    heard: list[aiomqtt.Message] = field(default_factory=list)

    def payloads(self, leaf: str) -> list[bytes]:
        return [bytes(m.payload) for m in self.heard if str(m.topic).endswith(leaf)]

    async def until(self, leaf: str, payload: bytes | None = None, within_s: float = 5.0, count: int = 1) -> None:
        """Wait until it was heard, `count` times."""
        try:
            await until(lambda: sum(payload in (None, p) for p in self.payloads(leaf)) >= count, within_s)
        except TimeoutError:
            told = [(str(m.topic), bytes(m.payload)) for m in self.heard]
            pytest.fail(f"{leaf} {payload!r} not heard within {within_s} s, but {told}")


@contextlib.asynccontextmanager
async def listening(settings: MqttSettings, topics: str = "#") -> AsyncIterator[Ears]:
    """An independent subscriber, of the protocol of `settings`."""
    five = settings.protocol == MQTT_5
    client = aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        identifier=f"ears-{uuid.uuid4().hex[:8]}",
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
    )
    async with client:
        ears = Ears(client)

        async def listen() -> None:
            async for message in client.messages:
                ears.heard.append(message)

        await client.subscribe(f"{settings.base_topic}/{topics}", qos=1)
        task = asyncio.create_task(listen())
        try:
            yield ears
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()


@dataclass
class Running:
    """A sink at work."""

    outbox: Outbox
    sink: MqttSink
    task: asyncio.Task[None]

    async def until_up(self, within_s: float = 5.0) -> None:
        await until(lambda: self.sink.up or self.task.done(), within_s)
        assert not self.task.done(), self.task.exception()

    async def until_down(self, within_s: float = 5.0) -> None:
        await until(lambda: not self.sink.up, within_s)


@contextlib.asynccontextmanager
async def delivering(settings: MqttSettings, **context: Any) -> AsyncIterator[Running]:
    """A sink with its outbox, ended politely."""
    now_ns = context.pop("now_ns", time.time_ns)
    outbox = Outbox(now_ns, **context.pop("bounds", {}))
    sink = MqttSink(settings, replace(SinkContext(outbox, now_ns), **context))
    task = asyncio.create_task(sink.run())
    try:
        yield Running(outbox, sink, task)
    finally:
        outbox.close()
        done, _ = await asyncio.wait([task], timeout=4)
        if not done:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]  # checked one line above


@pytest.fixture
def listen() -> Callable[..., contextlib.AbstractAsyncContextManager[Ears]]:
    """An independent subscriber."""
    return listening


@pytest.fixture
def deliver() -> Callable[..., contextlib.AbstractAsyncContextManager[Running]]:
    """A sink at work."""
    return delivering


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """Wait for something to become true."""
    return until
