"""What a connection hands over of what it hears; the rest of it is tested on radios."""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from bleak.backends.device import BLEDevice

from posturewatch.drivers import Characteristic
from posturewatch.radio import Radio
from posturewatch.sources.ble.adapter import Adapter
from posturewatch.sources.ble.connection import BEAT_S, GATHER_S, Connection, Notified

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio

CHAR = Characteristic("0000fff0-0000-1000-8000-00805f9b34fb", "0000fff1-0000-1000-8000-00805f9b34fb")
ADDRESS = "A0:9E:1A:00:00:01"


def unopened(now_ns: Callable[[], int] = time.time_ns) -> Connection:
    device = BLEDevice(ADDRESS, "bench", {"path": "/org/bluez/hci0/dev_A0_9E_1A_00_00_01", "props": {}})
    return Connection("chest", device, Adapter(Radio("bluez", True)), now_ns)


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


async def groups_of(*arrivals_s: float) -> list[list[float]]:
    """Which of the packets that arrive at these times are handed over together; what waits at the end is left out."""
    arrived_ns = 0
    connection = unopened(lambda: arrived_ns)
    groups = []
    for arrived_s in arrivals_s:
        arrived_ns = round(arrived_s * 1e9)
        connection._on_notified(CHAR, None, bytearray(1))  # type: ignore[arg-type]  # as the library calls it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * GATHER_S):
                groups.append([item.arrived_ns / 1e9 for item in await connection.hear()])
    return groups


async def test_what_belongs_to_a_second_that_goes_on_waits_for_the_first_packet_after_it():
    groups = await groups_of(10.3, 10.5, 10.7, 10.9, 11.1, 11.3, 11.5, 12.2)
    assert groups == [[10.3], [10.5, 10.7, 10.9, 11.1], [11.3, 11.5, 12.2]]


async def test_so_early_in_a_second_a_packet_may_be_late_and_the_next_one_is_handed_over_at_once_too():
    groups = await groups_of(10.95, 11.05, 11.25, 11.45, 12.09)
    assert groups == [[10.95], [11.05], [11.25], [11.45, 12.09]]


async def test_packets_seconds_apart_and_such_after_the_clock_was_set_back_are_handed_over_at_once():
    assert await groups_of(10.3, 12.7, 14.2, 3.5, 4.9) == [[10.3], [12.7], [14.2], [3.5], [4.9]]


async def test_a_packet_that_is_due_is_handed_over_without_delay():
    groups = await hear(unopened(), 1.0, 3)
    waits_s = [at_s - items[-1].arrived_ns / 1e9 for at_s, items in groups if len(items) == 1]
    assert len(waits_s) == 3
    assert min(waits_s) < GATHER_S / 5


async def test_what_no_packet_follows_is_handed_over_after_a_beat():
    connection = unopened(lambda: 10_300_000_000)
    for wanted_s in (0.0, BEAT_S):
        connection._on_notified(CHAR, None, bytearray(1))  # type: ignore[arg-type]  # as the library calls it
        began_s = time.monotonic()
        assert len(await connection.hear()) == 1
        assert wanted_s - 0.05 < time.monotonic() - began_s < wanted_s + 1.0
    assert await connection.hear() == []


async def test_a_lost_connection_hands_over_what_waits_at_once():
    connection = unopened(lambda: 10_300_000_000)
    for _ in range(2):
        connection._on_notified(CHAR, None, bytearray(1))  # type: ignore[arg-type]  # as the library calls it
        asyncio.get_running_loop().call_later(2 * GATHER_S, connection._on_lost, connection._client)
        async with asyncio.timeout(BEAT_S / 2):
            assert len(await connection.hear()) == 1
