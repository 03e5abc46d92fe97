"""The radio seam on the virtual radio, used through the Bluetooth library's public interface only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from posturewatch_sim.peripherals import boards, polar, triples

from posturewatch.radio import open_radio

pytestmark = pytest.mark.asyncio


async def hear(air: Any, names: set[str], within_s: float = 5.0, **options: Any) -> dict[str, Any]:
    """The last advertisement of each of these sensors, by the sensor's name."""
    wanted = {air.sensor(name).address: name for name in names}
    heard: dict[str, Any] = {}
    async with BleakScanner(**options, **air.radio.scanner_arguments) as scanner, asyncio.timeout(within_s):
        async for device, advertisement in scanner.advertisement_data():
            if device.address in wanted:
                heard[wanted[device.address]] = advertisement
            if len(heard) == len(names):
                return heard
    return heard


async def test_a_scan_hears_names_services_company_data_service_data_and_strength(on_the_air):
    async with on_the_air("polar_h10,rssi=-63", "ruuvi,pace=fast", "kkm") as air:
        heard = await hear(air, {"polar_h10", "ruuvi", "kkm"})
    assert heard["polar_h10"].local_name == "Polar H10 5E500001"
    assert heard["polar_h10"].rssi == -63
    assert set(heard["polar_h10"].service_uuids) == {
        "0000180d-0000-1000-8000-00805f9b34fb",
        "0000feee-0000-1000-8000-00805f9b34fb",
    }
    assert heard["polar_h10"].manufacturer_data == {0x006B: bytes.fromhex("3f000036")}
    assert heard["polar_h10"].tx_power == 4
    assert heard["ruuvi"].manufacturer_data[0x0499][0] == 5
    assert heard["ruuvi"].local_name == "Ruuvi 0002"  # it cannot be connected to, but asked for its name
    data = heard["kkm"].service_data["0000feaa-0000-1000-8000-00805f9b34fb"]
    assert data[:3] == bytes.fromhex("21010b")
    assert heard["kkm"].local_name is None  # it cannot even be asked


async def test_a_passive_scan_asks_nobody_for_a_name(on_the_air):
    async with on_the_air("polar_h10", "ruuvi,pace=fast") as air:
        heard = await hear(air, {"polar_h10", "ruuvi"}, scanning_mode="passive")
        assert {advertisement.local_name for advertisement in heard.values()} == {None}
        assert heard["ruuvi"].manufacturer_data[0x0499][0] == 5


async def test_a_scan_can_be_limited_to_services(on_the_air):
    async with on_the_air("sig", "counted") as air:
        found = await BleakScanner.discover(
            timeout=0.5, service_uuids=[boards.COUNTED_SERVICE], **air.radio.scanner_arguments
        )
        assert [device.name for device in found] == ["Counted 2"]


async def test_values_are_read_and_written_and_forbidden_access_is_refused(on_the_air):
    async with on_the_air("microbit") as air, await air.client("microbit") as client:
        assert await client.read_gatt_char(triples.MICROBIT_PERIOD) == b"\x14\x00"
        await client.write_gatt_char(triples.MICROBIT_PERIOD, b"\x3c\x00", response=True)
        assert await client.read_gatt_char(triples.MICROBIT_PERIOD) == b"\x64\x00"  # 60 ms: rounded up to 100
        with pytest.raises(BleakGATTProtocolError):
            await client.write_gatt_char(triples.MICROBIT_PERIOD, b"\x3c", response=True)
        with pytest.raises(BleakGATTProtocolError):
            await client.write_gatt_char(triples.MICROBIT_DATA, bytes(6), response=True)


async def test_notifications_come_until_they_are_stopped(on_the_air):
    async with on_the_air("counted") as air, await air.client("counted") as client:
        heard: list[int] = []
        await client.start_notify(boards.COUNTED_DATA, lambda _, data: heard.append(int.from_bytes(data[:2], "little")))
        await air.until(lambda: len(heard) >= 5)
        assert heard == list(range(len(heard)))
        await client.stop_notify(boards.COUNTED_DATA)
        count = len(heard)
        await asyncio.sleep(0.4)
        assert len(heard) == count
        events = [event["event"] for event in air.events]
        assert events[events.index("connected") :] == ["connected", "subscribed", "unsubscribed"]


async def test_indications_come_too(on_the_air):
    async with on_the_air("polar_h10") as air, await air.client("polar_h10") as client:
        answers: list[bytes] = []
        await client.start_notify(polar.PMD_CONTROL, lambda _, data: answers.append(bytes(data)))
        await client.write_gatt_char(polar.PMD_CONTROL, b"\x01\x02", response=True)
        await air.until(lambda: answers)
        assert answers[0].hex() == "f0010200000004190032006400c8000101100002030200040008" + "00"


async def test_a_characteristic_that_cannot_notify_says_so(on_the_air):
    async with on_the_air("sig,wrong=properties") as air, await air.client("sig") as client:
        with pytest.raises(BleakError, match="neither notify nor indicate"):
            await client.start_notify("00002c1e-0000-1000-8000-00805f9b34fb", lambda *_: None)


async def test_one_uuid_in_two_services_is_told_apart_by_handle(on_the_air):
    async with on_the_air("adafruit") as air, await air.client("adafruit") as client:
        period = triples.ADAFRUIT.format(1)
        periods = [char for service in client.services for char in service.characteristics if char.uuid == period]
        assert len(periods) == 2
        with pytest.raises(BleakError, match="Multiple"):
            await client.read_gatt_char(period)
        mine = next(char for char in periods if char.service_uuid == triples.AdafruitBoard.service_uuid)
        await client.write_gatt_char(mine, (250).to_bytes(4, "little"), response=True)
        assert [int.from_bytes(await client.read_gatt_char(char), "little") for char in periods] == [1000, 250]


@pytest.mark.parametrize("mtu", [23, 185])
async def test_the_smaller_mtu_counts(on_the_air, mtu):
    async with on_the_air(f"counted,mtu={mtu}") as air, await air.client("counted") as client:
        assert client.mtu_size == mtu


async def test_a_sensor_that_hangs_up_is_noticed_and_can_be_connected_again(on_the_air):
    async with on_the_air("counted") as air:
        ended = asyncio.Event()
        client = await air.client("counted", disconnected_callback=lambda _: ended.set())
        await client.connect()
        await air.do("kick counted")
        async with asyncio.timeout(1.0):
            await ended.wait()
        assert not client.is_connected
        with pytest.raises(BleakError):
            await client.read_gatt_char("00002a19-0000-1000-8000-00805f9b34fb")
        async with await air.client("counted") as again:
            assert await again.read_gatt_char("00002a19-0000-1000-8000-00805f9b34fb") == b"\x57"


async def test_out_of_range_a_link_ends_and_nothing_is_heard_until_it_is_back(on_the_air):
    async with on_the_air("counted", "sig") as air:
        ended = asyncio.Event()
        client = await air.client("counted", disconnected_callback=lambda _: ended.set())
        device = await air.find("counted")
        await client.connect()
        await air.do("lose counted 0.3")
        await asyncio.sleep(0.1)
        assert client.is_connected  # the supervision timeout has not passed
        async with asyncio.timeout(1.0):
            await ended.wait()
        found = await BleakScanner.discover(timeout=0.4, **air.radio.scanner_arguments)
        assert [device.name for device in found] == ["Board 2"]
        with pytest.raises(TimeoutError):
            await BleakClient(device, timeout=0.5, **air.radio.client_arguments).connect()
        with pytest.raises(BleakDeviceNotFoundError):
            await BleakClient(device.address, timeout=0.5, **air.radio.client_arguments).connect()
        async with await air.client("sig") as other:  # an attempt that failed leaves the radio usable
            assert other.is_connected
        await air.do("back counted")
        async with await air.client("counted") as again:
            assert again.is_connected


async def test_a_pulled_dongle_ends_links_and_scans_are_refused_until_it_is_plugged_in_again(on_the_air):
    async with on_the_air("counted", "sig") as air:
        ended: list[str] = []
        clients = [
            await air.client(name, disconnected_callback=lambda c: ended.append(c.address))
            for name in ("counted", "sig")
        ]
        for client in clients:
            await client.connect()
        await air.do("unplug")
        await air.until(lambda: len(ended) == 2, 1.0)
        with pytest.raises(BleakBluetoothNotAvailableError) as told:
            await BleakScanner.discover(timeout=0.1, **air.radio.scanner_arguments)
        assert told.value.reason is BleakBluetoothNotAvailableReason.NO_BLUETOOTH
        for client in clients:
            await client.disconnect()  # does nothing, and does not wait
        await air.do("plug")
        async with await air.client("counted") as again:
            assert again.is_connected


async def test_a_scan_goes_on_by_itself_when_the_dongle_is_back(on_the_air):
    async with on_the_air("sig") as air:
        heard: list[str] = []
        async with BleakScanner(lambda device, _: heard.append(device.address), **air.radio.scanner_arguments):
            await air.until(lambda: heard)
            await air.do("unplug")
            await asyncio.sleep(0.2)
            heard.clear()
            await asyncio.sleep(0.3)
            assert heard == []
            await air.do("plug")
            await air.until(lambda: heard, 3.0)


async def test_a_radio_that_is_not_there_yet_is_used_when_it_comes(on_the_air, short_path):
    async with open_radio(f"hci:unix:{short_path}/air") as radio:
        with pytest.raises(BleakBluetoothNotAvailableError, match="cannot be reached"):
            await BleakScanner.discover(timeout=0.1, **radio.scanner_arguments)
        async with on_the_air("sig"):
            found = await BleakScanner.discover(timeout=0.4, **radio.scanner_arguments)
            assert [device.name for device in found] == ["Board 1"]


async def test_a_sensor_that_one_radio_holds_is_invisible_to_another(on_the_air):
    async with on_the_air("sig") as air, open_radio(f"hci:unix:{air.port.path}") as second:
        async with await air.client("sig"):
            assert await BleakScanner.discover(timeout=0.4, **second.scanner_arguments) == []
        assert len(await BleakScanner.discover(timeout=0.4, **second.scanner_arguments)) == 1


async def test_whoever_is_cancelled_while_the_answer_comes_ends_all_the_same(on_the_air):
    """Python 3.11 loses such a cancellation, in a window of two turns of the loop."""
    async with on_the_air("microbit") as air, await air.client("microbit") as client:
        survivors = 0
        for turns in range(200):
            reading = asyncio.create_task(client.read_gatt_char(triples.MICROBIT_PERIOD))
            for _ in range(turns):
                await asyncio.sleep(0)
            if reading.done():
                break
            reading.cancel()
            await asyncio.wait([reading])
            survivors += not reading.cancelled()
        assert turns > 3
        assert survivors == 0


async def test_of_two_radios_that_connect_at_once_one_gets_the_sensor(on_the_air):
    async with on_the_air("sig") as air, open_radio(f"hci:unix:{air.port.path}") as second:
        device = await air.find("sig")
        clients = [BleakClient(device, timeout=1.0, **radio.client_arguments) for radio in (air.radio, second)]
        results = await asyncio.gather(*(client.connect() for client in clients), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "TimeoutError"]
        assert sum(client.is_connected for client in clients) == 1


async def test_several_links_at_once_lose_and_double_nothing(on_the_air):
    async with on_the_air(*["counted"] * 4) as air:
        heard: dict[str, list[int]] = {name: [] for name in air.simulation.sensors}
        clients = [await air.client(name) for name in heard]
        for name, client in zip(heard, clients, strict=True):
            await client.connect()
            await client.start_notify(
                boards.COUNTED_DATA, lambda _, data, to=heard[name]: to.append(int.from_bytes(data[:2], "little"))
            )
        await asyncio.sleep(1.5)
        for client in clients:
            await client.disconnect()
        for name, numbers in heard.items():
            assert numbers == list(range(len(numbers))), name
            assert len(numbers) > 10, name
