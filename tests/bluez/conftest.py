"""What runs in the virtual machine of scripts/bluez_vm: the real bluetoothd, adapters on /dev/vhci, the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from posturewatch.drivers.bound import BoundSensor
from posturewatch.drivers.preset_files import parse_presets
from posturewatch.sources.ble import BleSource
from posturewatch.types import LinkChanged, RawSamples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

IN_GUEST = "POSTUREWATCH_BLUEZ_VM" in os.environ
HERE = Path(__file__).parent
PATIENCE_S = 30.0  # an emulated processor is slow
PROGRAM = [sys.executable, "-m", "posturewatch"]
DEVICES = ("counted", "ruuvi")  # their addresses are counted up from C0:5E:00:00:00:01
COUNTED = """
[counted]
title = "Board with counted packets"
kind = "notify"
match.service_uuid = "5e500010-7077-4d53-9a1b-0c5d2e8f4a10"
service = "5e500010-7077-4d53-9a1b-0c5d2e8f4a10"
char = "5e500011-7077-4d53-9a1b-0c5d2e8f4a10"
type = "i16"
offset = 6
repeat = "rest"
unit = "mg"
rate_hz = 50
seq = { offset = 0, type = "u16" }
time = { offset = 2, type = "u32", unit = "ms" }
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what lies here; outside of the virtual machine it has no business."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker("bluez")
    if ours and not IN_GUEST:
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


class Bluetoothd:
    """BlueZ's daemon, which the tests may kill."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = {**os.environ, "LD_LIBRARY_PATH": os.environ["BLUETOOTHD_LIBRARIES"]}
        with Path("/run/vm/bluetoothd.log").open("ab") as log:
            # Experimental: passive scanning.
            command = [os.environ["BLUETOOTHD"], "--nodetach", "--experimental"]
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def bluetoothd() -> Iterator[Bluetoothd]:
    """The one bluetoothd of the guest."""
    daemon = Bluetoothd()
    daemon.start()
    yield daemon
    daemon.kill()


class Adapter:
    """The first adapter as BlueZ shows it on the system bus."""

    PATH = "/org/bluez/hci0"

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    async def switch(self, on: bool) -> None:
        """Power on or off; an adapter that was just plugged in takes a moment to be there."""
        body = ["org.bluez.Adapter1", "Powered", Variant("b", on)]
        reply = None
        for _ in range(int(PATIENCE_S / 0.1)):
            reply = await self._bus.call(
                Message(
                    destination="org.bluez",
                    path=self.PATH,
                    interface="org.freedesktop.DBus.Properties",
                    member="Set",
                    signature="ssv",
                    body=body,
                )
            )
            if reply.message_type is MessageType.METHOD_RETURN:
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"the adapter was not switched: {reply.error_name} {reply.body}")


@pytest_asyncio.fixture
async def adapter(bluetoothd: Bluetoothd) -> AsyncIterator[Adapter]:
    """Switches for the first adapter, if one is plugged in."""
    assert bluetoothd.process is not None
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    yield Adapter(bus)
    bus.disconnect()


class Simulator:
    """Virtual sensors behind /dev/vhci, as `posturewatch simulate` offers them, and what can be done to them."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._control = folder / "control"
        self._said = folder / "simulator.log"
        command = ["simulate", *arguments, "--seed", "1", "--transport", "vhci", "--control", str(self._control)]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen([*PROGRAM, *command], stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def wait(self) -> None:
        """Until it obeys."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not self._control.exists():
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                pytest.fail(f"the simulator did not come: {self._said.read_text()}")
            time.sleep(0.1)

    def obey(self, command: str) -> dict[str, Any]:
        """Carry out one line, such as `kick counted`."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(self._control))
            line.sendall(command.encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
        assert answer["ok"], answer
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session")
def running_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Started once: in an emulated processor that takes ten seconds."""
    devices = (part for device in DEVICES for part in ("--device", device))
    simulator = Simulator(tmp_path_factory.mktemp("simulator"), "office-day", *devices)
    simulator.wait()
    yield simulator
    simulator.end()


@pytest_asyncio.fixture
async def simulator(running_simulator: Simulator, adapter: Adapter) -> Simulator:
    """The sensors in reach, and the adapter on."""
    for command in ("plug", "back all"):
        running_simulator.obey(command)
    await adapter.switch(on=True)
    return running_simulator


class Heard:
    """A Bluetooth source while it runs, and what it gave."""

    def __init__(self, sensors: Sequence[BoundSensor]) -> None:
        self.items: list[RawSamples | LinkChanged] = []
        self.source = BleSource("bluez", sensors, self.items.append, time.time_ns)

    def batches(self, sensor: str) -> list[RawSamples]:
        return [item for item in self.items if isinstance(item, RawSamples) and item.sensor == sensor]

    def links(self, sensor: str) -> list[bool]:
        return [item.up for item in self.items if isinstance(item, LinkChanged) and item.sensor == sensor]

    async def until(self, fits: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Wait for it; on time-out everything that is known is told."""
        deadline_s = time.monotonic() + within_s
        while not fits():
            if time.monotonic() > deadline_s:
                links = [(item.sensor, item.up, item.reason) for item in self.items if isinstance(item, LinkChanged)]
                pytest.fail(f"not within {within_s:g} s: {self.source.health}, links {links}")
            await asyncio.sleep(0.05)

    async def more(self, sensor: str, count: int, within_s: float = PATIENCE_S) -> None:
        """Wait for so many batches more."""
        wanted = len(self.batches(sensor)) + count
        await self.until(lambda: len(self.batches(sensor)) >= wanted, within_s)


@contextlib.asynccontextmanager
async def listening(*sensors: BoundSensor) -> AsyncIterator[Heard]:
    heard = Heard(sensors)
    task = asyncio.create_task(heard.source.run())
    try:
        yield heard
        assert not task.done(), task  # it never ends by itself
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE_S)


@pytest.fixture
def listen() -> Callable[..., contextlib.AbstractAsyncContextManager[Heard]]:
    """The daemon's own source for some sensors, in this process."""
    return listening


@pytest.fixture(scope="session")
def counted() -> BoundSensor:
    """A board that counts its packets, described by a preset file."""
    [(family, _)] = parse_presets(COUNTED, "counted.toml")
    return BoundSensor("counted", family, address="C0:5E:00:00:00:01")
