"""Virtual sensors on a virtual radio, reached through a real socket as the daemon reaches it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from posturewatch_sim.control import Control
from posturewatch_sim.dongles import SocketPort
from posturewatch_sim.faults import Faults
from posturewatch_sim.peripherals.virtual import SimClock, VirtualSensor
from posturewatch_sim.scenarios import load
from posturewatch_sim.simulation import DeviceSpec, Simulation

from posturewatch.radio import Radio, open_radio

START_NS = 1_772_438_400 * 10**9
PATIENCE_S = 10.0


class OnTheAir:
    """What a test sees of the simulation, and one radio to reach it."""

    def __init__(self, simulation: Simulation, port: SocketPort, radio: Radio, events: list[dict[str, Any]]) -> None:
        self.simulation = simulation
        self.port = port
        self.radio = radio
        self.events = events
        self._control = Control(simulation, port)

    def sensor(self, name: str) -> VirtualSensor:
        return self.simulation.sensors[name]

    async def do(self, command: str) -> dict[str, Any]:
        answer = await self._control.obey(command)
        assert answer["ok"], answer
        return answer

    async def find(self, name: str, within_s: float = PATIENCE_S) -> Any:
        """The device with the address of this sensor."""
        found = await BleakScanner.find_device_by_address(
            self.sensor(name).address, timeout=within_s, **self.radio.scanner_arguments
        )
        assert found is not None, f"{name} was not heard within {within_s:g} s"
        return found

    async def client(self, name: str, **options: Any) -> BleakClient:
        """Not connected yet."""
        return BleakClient(await self.find(name), **options, **self.radio.client_arguments)

    async def until(self, fits: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            while not fits():  # noqa: ASYNC110  what tests wait for has no event
                await asyncio.sleep(0.01)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a name short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="air"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def on_the_air(short_path: Path) -> Callable[..., Any]:
    """`async with on_the_air("polar_h10", "ruuvi,pace=fast") as air:`."""

    @contextlib.asynccontextmanager
    async def begin(
        *devices: str, scenario: str = "still-upright", seed: int = 7, speed: float = 1.0, **faults: Any
    ) -> AsyncIterator[OnTheAir]:
        events: list[dict[str, Any]] = []

        def say(event: str, **what: Any) -> None:
            events.append({"event": event, **what})

        clock = SimClock(START_NS, speed)
        specs = [DeviceSpec.parse(text) for text in devices]
        simulation = Simulation(load(scenario), specs, seed, Faults.parse(faults), clock, say)
        port = SocketPort(simulation.air, short_path / "air", say)
        await port.open()
        await simulation.start()
        try:
            async with open_radio(f"hci:unix:{port.path}") as radio:
                yield OnTheAir(simulation, port, radio, events)
        finally:
            await simulation.stop()
            await port.close()

    return begin
