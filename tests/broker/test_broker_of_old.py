"""Brokers that speak only MQTT 3.1.1: found out, told once, and spoken to, unless somebody chose the version."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from posturewatch.cli._broker_options import read_broker
from posturewatch.config import load
from posturewatch.errors import BrokerRefused, BrokerUnavailable, UsageError
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.settings import MQTT_5, MQTT_311
from posturewatch.types import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

UNACCEPTABLE = b"\x20\x02\x00\x01"  # MQTT 3.1.1, table 3.1: the level of the protocol is not supported
FOUR, FIVE = 4, 5  # MQTT 3.1.1, 3.1.2.2 and MQTT 5, 3.1.2.2: the eighth byte after the fixed header
NO_ACCESS: dict[str, Any] = dict.fromkeys(
    ("username", "password_file", "tls_cafile", "tls_certfile", "tls_keyfile", "protocol")
) | {"base_topic": "posturewatch", "tls": False, "insecure": False}


class Doorkeeper:
    """In front of mosquitto: what is not MQTT 3.1.1 gets `answer` and is thrown out, all else goes through."""

    def __init__(self, port: int, answer: bytes) -> None:
        self._behind, self._answer = port, answer
        self.levels: list[int] = []
        self.port = 0

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            begin = await reader.readuntil(b"MQTT") + await reader.readexactly(1)
            self.levels.append(begin[-1])
            if begin[-1] == FOUR:
                there, behind = await asyncio.open_connection("127.0.0.1", self._behind)
                behind.write(begin)
                async with asyncio.TaskGroup() as group:
                    group.create_task(pass_on(reader, behind))
                    group.create_task(pass_on(there, writer))
            else:
                writer.write(self._answer)
        writer.close()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(4096):
            writer.write(content)
    writer.close()


@pytest_asyncio.fixture
async def doorkeeper(mosquitto: Any) -> AsyncIterator[Callable[[bytes], Any]]:
    async with contextlib.AsyncExitStack() as stack:

        async def start(answer: bytes) -> Doorkeeper:
            keeper = Doorkeeper(mosquitto.port, answer)
            server = await asyncio.start_server(keeper.receive, "127.0.0.1", 0)
            stack.callback(server.close)
            keeper.port = server.sockets[0].getsockname()[1]
            return keeper

        yield start


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [UNACCEPTABLE, b""], ids=["says so", "hangs up"])
async def test_a_broker_without_mqtt_5_is_spoken_to_in_the_older_version(
    mosquitto: Any, doorkeeper: Any, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = await doorkeeper(answer)
    settings = mosquitto.settings(port=keeper.port, falls_back=True)
    topic = f"{settings.base_topic}/a"
    for _ in range(2):
        async with connected(settings, keep_session=False) as link:
            await link.subscribe([topic])
            await link.publish(Message(topic, b"x"), expiry_s=5)
            assert (await link.receive()).payload == b"x"
            assert link.protocol == MQTT_311
    told = [record.getMessage() for record in caplog.records if "3.1.1" in record.getMessage()]
    assert told == [f"broker {settings.address} does not speak MQTT 5: going on with 3.1.1"]


@pytest.mark.asyncio
async def test_a_version_that_was_chosen_is_kept(mosquitto: Any, doorkeeper: Any) -> None:
    keeper = await doorkeeper(UNACCEPTABLE)
    with pytest.raises(BrokerRefused, match="does not speak this version of MQTT"):
        async with connected(mosquitto.settings(port=keeper.port)):
            pass
    assert keeper.levels == [FIVE]


@pytest.mark.asyncio
async def test_who_hangs_up_on_both_is_not_called_old(
    mosquitto: Any, doorkeeper: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = await doorkeeper(b"")
    settings = mosquitto.settings(port=keeper.port, falls_back=True)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BrokerUnavailable, match="closed the connection without a word"):
            async with connected(replace(settings, port=port)):
                pass
    assert "3.1.1" not in caplog.text


@pytest.mark.asyncio
async def test_a_broker_with_mqtt_5_is_asked_once(mosquitto: Any) -> None:
    async with connected(mosquitto.settings(falls_back=True), keep_session=False) as link:
        assert link.protocol == MQTT_5


@pytest.mark.parametrize(
    ("line", "protocol", "falls_back"),
    [("", MQTT_5, True), ("protocol = 5", MQTT_5, False), ("protocol = 311", MQTT_311, False)],
)
def test_only_a_configuration_without_a_version_lets_it_be_found_out(
    tmp_path: Path, line: str, protocol: str, falls_back: bool
) -> None:
    path = tmp_path / "posturewatch.toml"
    path.write_text(f'[broker]\nhost = "127.0.0.1"\n{line}\n')
    mqtt = load(path, {}).to_mqtt()
    assert (mqtt.protocol, mqtt.falls_back) == (protocol, falls_back)


@pytest.mark.parametrize(
    ("option", "protocol", "falls_back"), [(None, MQTT_5, True), ("5", MQTT_5, False), ("311", MQTT_311, False)]
)
def test_the_option_chooses_the_version(option: str | None, protocol: str, falls_back: bool) -> None:
    settings = read_broker("127.0.0.1:1883", **NO_ACCESS | {"protocol": option})
    assert (settings.protocol, settings.falls_back) == (protocol, falls_back)


def test_options_name_our_own_certificate(tmp_path: Path) -> None:
    files = {"tls_certfile": tmp_path / "a.pem", "tls_keyfile": tmp_path / "a.key"}
    tls = read_broker("broker.example:8883", **NO_ACCESS | files | {"tls": True}).tls
    assert tls is not None
    assert (tls.certfile, tls.keyfile) == tuple(files.values())
    with pytest.raises(UsageError, match="--tls-certfile needs --tls"):
        read_broker("127.0.0.1:8883", **NO_ACCESS | files)
    with pytest.raises(UsageError, match="belong together"):
        read_broker("broker.example:8883", **NO_ACCESS | files | {"tls": True, "tls_keyfile": None})
