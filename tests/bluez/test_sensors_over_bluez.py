"""Virtual sensors through bleak, bluetoothd and the kernel: found, streamed, and kept, whatever happens to them."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from typing import TYPE_CHECKING

import pytest
from bleak import BleakClient, BleakScanner

from posturewatch.sources.ble import BleSource

if TYPE_CHECKING:
    from posturewatch.drivers.bound import BoundSensor

pytestmark = pytest.mark.asyncio

NOTICED_S, RECOVERED_S = 10.0, 12.0  # in an emulated processor; elsewhere it takes a second, and less than five
COUNTED_DATA = "5e500011-7077-4d53-9a1b-0c5d2e8f4a10"


@pytest.mark.usefixtures("simulator")
async def test_a_scan_finds_every_sensor_by_its_name():
    names = set()
    async with asyncio.timeout(30), BleakScanner() as scanner:
        async for _, advertisement in scanner.advertisement_data():
            names.add((advertisement.local_name or "").split(" ")[0])
            if {"Counted", "Ruuvi", "Polar"} <= names:
                break


@pytest.mark.usefixtures("simulator")
async def test_every_packet_arrives_once_and_in_order(listen, counted):
    async with listen(counted) as heard:
        await heard.more("counted", 50)
        health = heard.source.health["counted"]
    numbers = [batch.seq for batch in heard.batches("counted")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert (health.lost, health.repeated, health.undecodable, health.gaps) == (0, 0, 0, 0)
    assert all(len(batch.acc_10ug) == 5 for batch in heard.batches("counted"))


async def test_nothing_is_heard_twice_after_the_sensor_hung_up(simulator, listen, counted):
    async with listen(counted) as heard:
        await heard.more("counted", 10)
        for _ in range(2):
            simulator.obey("kick counted")
            await heard.until(lambda: not heard.links("counted")[-1])
            await heard.more("counted", 10)
        health = heard.source.health["counted"]
    assert (health.repeated, health.reconnects) == (0, 2)
    assert heard.links("counted") == [True, False, True, False, True]


async def test_the_library_alone_hears_twice_so_that_the_test_before_can_fail(simulator):
    """A client that is not closed after its connection was lost goes on listening: why ours always disconnects."""
    heard: asyncio.Queue[int] = asyncio.Queue()
    numbers: list[int] = []
    clients = []
    for _ in range(2):
        device = await BleakScanner.find_device_by_address("C0:5E:00:00:00:01", 30.0)
        lost = asyncio.Event()
        client = BleakClient(device, disconnected_callback=lambda _, lost=lost: lost.set())
        clients.append(client)
        await client.connect()
        await client.start_notify(COUNTED_DATA, lambda _, data: heard.put_nowait(int.from_bytes(data[:2], "little")))
        async with asyncio.timeout(30):
            numbers += [await heard.get() for _ in range(10)]
        simulator.obey("kick counted")
        async with asyncio.timeout(30):
            await lost.wait()
    for client in clients:
        await client.disconnect()
    assert len(set(numbers)) < len(numbers)


async def test_a_sensor_that_was_out_of_range_comes_back(simulator, listen, counted):
    async with listen(counted) as heard:
        await heard.more("counted", 5)
        simulator.obey("lose counted")
        await heard.until(lambda: not heard.links("counted")[-1])
        simulator.obey("back counted")
        await heard.more("counted", 5)
        assert heard.source.health["counted"].repeated == 0


@pytest.mark.usefixtures("simulator")
async def test_a_beacon_is_heard_while_another_sensor_streams(listen, counted, ruuvi_tag):
    async with listen(counted, ruuvi_tag) as heard:
        await heard.more("counted", 5)
        await heard.more("tag", 3)
        await heard.more("counted", 5)
        health = heard.source.health
    assert (health["counted"].lost, health["tag"].undecodable) == (0, 0)
    numbers = [batch.seq for batch in heard.batches("tag")]
    assert numbers == sorted(set(numbers))  # it says each measurement twice


def stream_until_killed(sensor: BoundSensor) -> None:
    asyncio.run(BleSource("bluez", [sensor], lambda _: None, time.time_ns).run())


async def test_a_connection_that_outlived_its_process_is_taken_over(simulator, listen, counted, caplog):
    caplog.set_level("INFO")
    # Forked, so that it need not import everything anew.
    victim = multiprocessing.get_context("fork").Process(target=stream_until_killed, args=(counted,))
    victim.start()
    await simulator.until("counted", "streaming", 1)
    victim.kill()
    victim.join()
    assert simulator.count("counted", "connections") == 1  # BlueZ keeps it, so no scan can find the sensor
    async with listen(counted) as heard:
        await heard.more("counted", 10)
        assert "taking over its connection" in caplog.text
        assert heard.source.health["counted"].repeated == 0
    assert simulator.count("counted", "connections") == 0


@pytest.mark.usefixtures("simulator")
async def test_every_packet_arrives_once_through_sockets_too(listen, counted):
    async with listen(counted, acquire_notify=True) as heard:
        await heard.more("counted", 20)
        health = heard.source.health["counted"]
    numbers = [batch.seq for batch in heard.batches("counted")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert (health.lost, health.repeated, health.gaps) == (0, 0, 0)


async def test_what_bluez_remembers_of_former_firmware_is_forgotten_by_itself(simulator, listen, counted, caplog):
    simulator.obey("firmware counted former")
    device = await BleakScanner.find_device_by_address(counted.address, 30.0)
    await BleakClient(device).unpair()  # what it remembers of the tests before
    device = await BleakScanner.find_device_by_address(counted.address, 30.0)
    async with BleakClient(device) as client:
        assert client.services.get_characteristic(COUNTED_DATA) is None
    simulator.obey("firmware counted new")
    async with listen(counted) as heard:
        await heard.more("counted", 5)
    assert caplog.text.count("looking anew") == 1  # else there would have been nothing to forget


async def test_bluetoothd_may_be_restarted(bluetoothd, adapter, simulator, listen, counted, ruuvi_tag):
    assert simulator is not None
    async with listen(counted, ruuvi_tag) as heard:
        await heard.more("counted", 5)
        await heard.more("tag", 1)
        bluetoothd.kill()
        await heard.until(lambda: not heard.links("counted")[-1])
        bluetoothd.start()
        await adapter.switch(on=True)
        await heard.more("counted", 5, within_s=60)
        await heard.more("tag", 2, within_s=60)
        assert heard.source.health["counted"].repeated == 0


async def test_the_adapter_may_be_switched_off_and_on(adapter, simulator, listen, counted, caplog):
    assert simulator is not None
    async with listen(counted) as heard:
        await heard.more("counted", 5)
        await adapter.switch(on=False)
        await heard.until(lambda: not heard.links("counted")[-1])
        await heard.until(lambda: "the Bluetooth adapter is powered off" in caplog.text)
        await adapter.switch(on=True)
        await heard.more("counted", 5)
        assert heard.source.health["counted"].repeated == 0


async def test_the_adapter_may_be_pulled_and_plugged_in(adapter, simulator, listen, counted, ruuvi_tag):
    async with listen(counted, ruuvi_tag) as heard:
        await heard.more("counted", 5)
        await heard.more("tag", 1)
        simulator.obey("unplug")
        await heard.until(lambda: not heard.links("counted")[-1])
        simulator.obey("plug")
        await adapter.switch(on=True)
        await heard.more("counted", 5)
        await heard.more("tag", 2)
        assert heard.source.health["counted"].repeated == 0


async def test_the_adapter_may_be_pulled_while_the_sensor_is_away(adapter, simulator, listen, counted, caplog):
    async with listen(counted) as heard:
        await heard.more("counted", 5)
        simulator.obey("lose counted")
        await heard.until(lambda: not heard.links("counted")[-1])
        simulator.obey("unplug")
        await heard.until(lambda: "no Bluetooth adapter is there" in caplog.text, within_s=NOTICED_S)
        simulator.obey("plug")
        simulator.obey("back counted")
        await adapter.switch(on=True)
        await heard.more("counted", 1, within_s=RECOVERED_S)
