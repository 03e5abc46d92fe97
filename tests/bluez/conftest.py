"""What runs in the virtual machine of scripts/bluez_vm: the real bluetoothd, adapters on /dev/vhci, the daemon."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

IN_GUEST = "POSTUREWATCH_BLUEZ_VM" in os.environ
HERE = Path(__file__).parent
PATIENCE_S = 30.0  # an emulated processor is slow


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
