"""The broker for people without one: private, found busy ports, gone with its owner."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from posturewatch.errors import BrokerUnavailable, ConfigError, MissingExtra
from posturewatch.mqtt.embedded_broker import PASSWORD_FILE, PortInUse, embedded_broker, free_pair
from posturewatch.mqtt.link import connected
from posturewatch.mqtt.settings import MQTT_311
from posturewatch.types import Message

pytestmark = pytest.mark.asyncio
TCP_LISTEN = "0A"


def arguments(pid: int) -> str:
    """The command line everybody on this machine can read."""
    return Path(f"/proc/{pid}/cmdline").read_text()


def listening_addresses(port: int) -> set[str]:
    """Local addresses with a listener on `port`, as the kernel tells them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, hexport = local.split(":")
            if int(hexport, 16) == port and state == TCP_LISTEN:
                found.add(address)
    return found


async def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path, port=None) as broker:
        for port in (broker.port, broker.port_311):
            assert listening_addresses(port) == {"0100007F"}


async def test_another_address_than_loopback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mosquitto"):
        async with embedded_broker(tmp_path, port=None, host="0.0.0.0"):
            pass


async def test_both_protocol_versions_hear_the_same_messages(tmp_path: Path, listen: Any) -> None:
    async with embedded_broker(tmp_path, port=None) as broker:
        five, three = broker.settings(), broker.settings(port=broker.port_311, protocol=MQTT_311)
        async with listen(five) as ears_5, listen(three) as ears_311:
            for number, settings in enumerate((five, three)):
                async with connected(settings, client_id=f"speaker-{number}") as link:
                    await link.publish(Message("posturewatch/x", b"%d" % number))
            for ears in (ears_5, ears_311):
                await ears.until("/x", b"0")
                await ears.until("/x", b"1")


async def test_the_password_stays_the_same_and_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with embedded_broker(folder, port=None) as first:
        assert "posturewatch.mqtt.embedded_broker" in arguments(first.pid)
        assert first.password not in arguments(first.pid)
        assert first.password not in repr(first)
    async with embedded_broker(folder, port=None) as second:
        assert second.password == first.password
    assert stat.S_IMODE((folder / PASSWORD_FILE).stat().st_mode) == 0o600
    assert [p.name for p in folder.iterdir()] == [PASSWORD_FILE]


async def test_two_installations_have_two_passwords(tmp_path: Path) -> None:
    async with (
        embedded_broker(tmp_path / "a", port=None) as one,
        embedded_broker(tmp_path / "b", port=None) as other,
    ):
        assert one.password != other.password


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": None, "password": None}])
async def test_without_the_password_nobody_gets_in(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with embedded_broker(tmp_path, port=None) as broker:
        for port, protocol in ((broker.port, "5"), (broker.port_311, "3.1.1")):
            settings = broker.settings(port=port, protocol=protocol, **changes)
            started_s = time.monotonic()
            with pytest.raises(BrokerUnavailable, match="password"):
                async with connected(settings):
                    pass
            assert time.monotonic() - started_s < settings.timeout_s / 2


async def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    pair = free_pair()
    for taken in pair:
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", taken))
            busy.listen()
            with pytest.raises(PortInUse, match=f"port {taken}") as refused:
                async with embedded_broker(tmp_path, port=pair[0]):
                    pass
            assert "\n" not in str(refused.value)


async def test_a_port_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="65534"):
        async with embedded_broker(tmp_path, port=65535):
            pass


async def test_it_ends_with_the_block_and_frees_its_ports(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path, port=None) as broker:
        port = broker.port
    assert not is_running(broker.pid)
    async with embedded_broker(tmp_path, port=port) as again:
        assert again.port == port


async def test_it_ends_when_its_owner_is_cancelled(tmp_path: Path) -> None:
    started: asyncio.Queue[int] = asyncio.Queue()

    async def own() -> None:
        async with embedded_broker(tmp_path, port=None) as broker:
            started.put_nowait(broker.pid)
            await asyncio.Event().wait()

    owner = asyncio.create_task(own())
    pid = await started.get()
    owner.cancel()
    await asyncio.wait([owner])
    assert not is_running(pid)


OWNER = """
import asyncio, pathlib, sys
from posturewatch.mqtt.embedded_broker import embedded_broker

async def main():
    async with embedded_broker(pathlib.Path(sys.argv[1]), port=None) as broker:
        print(broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def test_it_dies_with_a_killed_owner(tmp_path: Path, wait_until: Any) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    assert is_running(pid)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    await wait_until(lambda: not is_running(pid))


async def test_a_broker_that_dies_is_noticed_and_started_anew_it_is_told_everything(
    tmp_path: Path, listen: Any, deliver: Any
) -> None:
    topic = "posturewatch/wearer/anna/state"
    current = [Message(topic, b"now", retain=True, key=topic)]
    async with embedded_broker(tmp_path, port=None) as broker:
        settings = broker.settings()
        async with deliver(settings, announce=lambda: current) as running:
            await running.until_up()
            os.kill(broker.pid, signal.SIGKILL)
            await running.until_down()
            async with embedded_broker(tmp_path, port=broker.port), listen(settings) as ears:
                await ears.until("anna/state", b"now", within_s=2.5)
                await ears.until("bridge/state", b"online")
                running.outbox.close()
                await running.task


async def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "iotcore", None)
    with pytest.raises(MissingExtra, match=r"posturewatch\[broker\]"):
        async with embedded_broker(tmp_path, port=None):
            pass


async def test_a_state_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="state folder"):
        async with embedded_broker(tmp_path / "file" / "state", port=None):
            pass
