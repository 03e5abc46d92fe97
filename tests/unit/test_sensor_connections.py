"""What a connection hands over of what it hears; the rest of it is tested on radios."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from bleak.backends.device import BLEDevice

from posturewatch.drivers import Characteristic
from posturewatch.radio import Radio
from posturewatch.sources.ble.adapter import Adapter
from posturewatch.sources.ble.connection import GATHER_S, Connection, Notified

pytestmark = pytest.mark.asyncio

CHAR = Characteristic("0000fff0-0000-1000-8000-00805f9b34fb", "0000fff1-0000-1000-8000-00805f9b34fb")
ADDRESS = "A0:9E:1A:00:00:01"


def unopened() -> Connection:
    device = BLEDevice(ADDRESS, "bench", {"path": "/org/bluez/hci0/dev_A0_9E_1A_00_00_01", "props": {}})
    return Connection("chest", device, Adapter(Radio("bluez", True)), time.time_ns)


async def hear(connection: Connection, every_s: float, count: int) -> list[tuple[float, list[Notified]]]:
    """`count` notifications at this pace; when something was handed over, and what."""

    async def notify() -> None:
        for number in range(count):
            connection._on_notified(CHAR, None, bytearray([number]))  # type: ignore[arg-type]  # as the library calls it
            await asyncio.sleep(every_s)

    groups: list[tuple[float, list[Notified]]] = []
    notifying = asyncio.create_task(notify())
    while sum(len(items) for _, items in groups) < count:
        items = await connection.hear()
        groups.append((time.time(), items))
    await notifying
    return groups


async def test_a_packet_for_each_sample_does_not_wake_us_for_each_and_none_is_lost():
    groups = await hear(unopened(), 0.005, 100)
    assert [item.payload[0] for _, items in groups for item in items] == list(range(100))
    assert all(later - earlier > 0.9 * GATHER_S for (earlier, _), (later, _) in pairwise(groups))
    assert len(groups) < 50


async def test_a_packet_after_a_pause_is_handed_over_at_once():
    groups = await hear(unopened(), 2 * GATHER_S, 5)
    assert [len(items) for _, items in groups] == [1] * 5
    assert min(at_s - items[0].arrived_ns / 1e9 for at_s, items in groups) < GATHER_S / 5
