"""What runs in the virtual machine of scripts/bluez_vm: the real bluetoothd, adapters on /dev/vhci, the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from posturewatch.drivers import discover
from posturewatch.drivers.bound import BoundSensor
from posturewatch.drivers.preset_files import parse_presets
from posturewatch.sources.ble import BleSource
from posturewatch.types import LinkChanged, RawSamples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

IN_GUEST = "POSTUREWATCH_BLUEZ_VM" in os.environ
HERE = Path(__file__).parent
PATIENCE_S = 40.0  # an emulated processor is slow
START_S = 120.0  # and slowest when a program imports what it needs
PROGRAM = [sys.executable, "-m", "posturewatch"]
# As scripts/bluez_vm/guest_init starts them.
COUNTED_BOARD, RUUVI_TAG, POLAR_H10 = (f"C0:5E:00:00:00:{number:02X}" for number in (1, 2, 3))
DONGLE = "00:5E:AA:FF:00:01"  # the simulator's
COUNTED = (files("posturewatch_sim") / "peripherals/counted.toml").read_text()


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
    """One adapter as BlueZ shows it on the system bus."""

    def __init__(self, bus: MessageBus, address: str) -> None:
        self._bus = bus
        self._address = address
        self.path = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    async def switch(self, *, on: bool) -> None:
        """Power on or off; an adapter that was just plugged in takes a moment to be there."""
        body = ["org.bluez.Adapter1", "Powered", Variant("b", on)]
        deadline_s = time.monotonic() + PATIENCE_S
        reply = None
        while time.monotonic() < deadline_s:
            if await self._find():
                reply = await self._call(self.path, "org.freedesktop.DBus.Properties", "Set", "ssv", body)
                if reply.message_type is MessageType.METHOD_RETURN:
                    return
            await asyncio.sleep(0.1)
        pytest.fail(f"adapter {self._address} was not switched: {reply and (reply.error_name, reply.body)}")

    async def _find(self) -> bool:
        reply = await self._call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", [])
        objects = reply.body[0] if reply.message_type is MessageType.METHOD_RETURN else {}
        for path, interfaces in objects.items():
            about = interfaces.get("org.bluez.Adapter1")
            if about is not None and about["Address"].value == self._address:
                self.path = path
                return True
        return False

    async def _call(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Message:
        message = Message("org.bluez", path, interface, member, signature=signature, body=body)
        reply = await self._bus.call(message)
        assert reply is not None
        return reply


@pytest_asyncio.fixture
async def adapter_of(bluetoothd: Bluetoothd) -> AsyncIterator[Callable[[str], Adapter]]:
    """The adapter of an address."""
    assert bluetoothd.process is not None
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    yield lambda address: Adapter(bus, address)
    bus.disconnect()


@pytest.fixture
def adapter(adapter_of: Callable[[str], Adapter]) -> Adapter:
    """The simulator's."""
    return adapter_of(DONGLE)


class Simulator:
    """Virtual sensors behind /dev/vhci, as `posturewatch simulate` offers them, and what can be done to them."""

    def __init__(self, folder: Path) -> None:
        """One that runs already, and has its control socket there."""
        self._control = folder / "control"
        self._said = folder / "simulator.log"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path, scenario: str, device: str, speed: float) -> Simulator:
        """One more."""
        simulator = cls(folder)
        where = ("--transport", "vhci", "--control", str(simulator._control), "--device", device)
        command = [*PROGRAM, "simulate", scenario, "--seed", "1", "--speed", str(speed), *where]
        with simulator._said.open("wb") as said:
            simulator._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        return simulator

    def wait(self) -> None:
        """Until it obeys."""
        deadline_s = time.monotonic() + START_S
        while not self._control.exists():
            has_ended = self._process is not None and self._process.poll() is not None
            if time.monotonic() > deadline_s or has_ended:
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

    def count(self, device: str, what: str) -> int:
        """One of its figures of a sensor."""
        return int(self.obey("stats")["devices"][device][what])

    async def until(self, device: str, what: str, count: int) -> None:
        """Wait until a figure of a sensor is this."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (seen := self.count(device, what)) != count:
            if time.monotonic() > deadline_s:
                pytest.fail(f"{device}: {what} is {seen}, not {count}")
            await asyncio.sleep(0.1)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def running_simulator() -> Simulator:
    """The one that the guest started before the tests."""
    simulator = Simulator(Path(os.environ["SIMULATOR"]))
    simulator.wait()
    return simulator


@pytest_asyncio.fixture
async def simulator(running_simulator: Simulator, adapter: Adapter) -> Simulator:
    """The sensors in reach, and the adapter on."""
    for command in ("plug", "back all"):
        running_simulator.obey(command)
    await adapter.switch(on=True)
    return running_simulator


@pytest.fixture
def start_simulator(tmp_path: Path) -> Iterator[Callable[..., Simulator]]:
    """Other simulators, which end with the test."""
    running: list[Simulator] = []

    def start(scenario: str, device: str, speed: float) -> Simulator:
        running.append(Simulator.start(tmp_path, scenario, device, speed))
        running[-1].wait()
        return running[-1]

    yield start
    for each in running:
        each.end()


class Heard:
    """A Bluetooth source while it runs, and what it gave."""

    def __init__(self, sensors: Sequence[BoundSensor], *, acquire_notify: bool) -> None:
        self.items: list[RawSamples | LinkChanged] = []
        self.source = BleSource("bluez", sensors, self.items.append, time.time_ns, acquire_notify=acquire_notify)

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
async def listening(*sensors: BoundSensor, acquire_notify: bool = False) -> AsyncIterator[Heard]:
    heard = Heard(sensors, acquire_notify=acquire_notify)
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
    return BoundSensor("counted", family, address=COUNTED_BOARD)


@pytest.fixture(scope="session")
def ruuvi_tag() -> BoundSensor:
    """A beacon, which nobody connects to."""
    return BoundSensor("tag", discover()["ruuvi"], address=RUUVI_TAG)


class Daemon:
    """The daemon as a process of its own."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._said = folder / f"daemon-{len(list(folder.glob('daemon-*')))}.log"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen([sys.executable, *command], stdin=subprocess.DEVNULL, stderr=said)

    def said(self) -> str:
        return self._said.read_text()

    async def until(self, text: str) -> None:
        """Wait until it logged this."""
        deadline_s = time.monotonic() + START_S
        while text not in (said := self.said()):
            if time.monotonic() > deadline_s or self.process.poll() is not None:
                pytest.fail(f"never said {text!r}: {said}")
            await asyncio.sleep(0.1)

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Daemons that end with the test."""
    running: list[Daemon] = []

    def start(*command: str) -> Daemon:
        running.append(Daemon(tmp_path, command))
        return running[-1]

    yield start
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()


@pytest.fixture
def configure(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a configuration with one Bluetooth sensor, and the preset of the counted board beside it."""

    def write(sensor: str, wearer: str = "") -> Path:
        (tmp_path / "sensors").mkdir(exist_ok=True)
        (tmp_path / "sensors" / "counted.toml").write_text(COUNTED)
        path = tmp_path / "posturewatch.toml"
        path.write_text(
            f'[storage]\nfolder = "{tmp_path}/kept"\n[[wearer]]\nid = "me"\n{wearer}\n'
            f'[[wearer.sensor]]\nid = "back"\nplacement = "upper_back"\nsource = "ble"\n{sensor}\n'
        )
        return path

    return write
