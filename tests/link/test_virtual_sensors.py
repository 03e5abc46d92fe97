"""Virtual sensors behave as the real ones do, also where that is unfriendly."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from bleak import BleakScanner
from bleak.exc import BleakError
from posturewatch_sim.faults import Faults
from posturewatch_sim.peripherals import boards, discover, movesense, polar, triples, witmotion
from posturewatch_sim.scenarios import load
from posturewatch_sim.wearing import WornSensor

from posturewatch.drivers import discover as discover_families

BATTERY = "00002a19-0000-1000-8000-00805f9b34fb"
SIG_DATA = "00002c1e-0000-1000-8000-00805f9b34fb"
START_H10 = bytes.fromhex("0202000119000101100002010200")
START_VERITY = bytes.fromhex("020200013400010110000201080004 0103".replace(" ", ""))
START_SDK = bytes.fromhex("020200011a00010110000201020004 0103".replace(" ", ""))


class Heard:
    """One characteristic's notifications."""

    def __init__(self, air: Any, client: Any, char: str) -> None:
        self.air, self.client, self.char = air, client, char
        self.values: list[bytes] = []

    async def __aenter__(self) -> Heard:
        """Listen."""
        await self.client.start_notify(self.char, lambda _, data: self.values.append(bytes(data)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        if self.client.is_connected:
            await self.client.stop_notify(self.char)

    async def next(self, count: int = 1, within_s: float = 5.0) -> list[bytes]:
        had = len(self.values)
        await self.air.until(lambda: len(self.values) >= had + count, within_s)
        return self.values[had : had + count]

    async def ask(self, command: bytes, on: str) -> bytes:
        had = len(self.values)
        await self.client.write_gatt_char(on, command, response=True)
        await self.air.until(lambda: len(self.values) > had, 2.0)
        return self.values[had]


def control(air: Any, client: Any) -> Heard:
    return Heard(air, client, polar.PMD_CONTROL)


@pytest.mark.asyncio
async def test_a_polar_sensor_refuses_what_it_cannot_do_with_the_right_status(on_the_air):
    async with (
        on_the_air("polar_h10") as air,
        await air.client("polar_h10") as client,
        control(air, client) as control_point,
    ):
        assert (await client.read_gatt_char(polar.PMD_CONTROL))[:2] == b"\x0f\x05"
        for command, status in (
            ("0902", 1),
            ("0101", 3),
            ("0209", 3),  # an H10 has no SDK mode
            ("02", 4),
            ("0202", 5),
            ("020200011a00010110000201020004", 8),
            ("0202000119000101080002010200", 7),
            ("0202000119000101100002010300", 9),
            ("020200011900010110000201020004 0103".replace(" ", ""), 5),
            ("0302", 6),
        ):
            answer = await control_point.ask(bytes.fromhex(command), polar.PMD_CONTROL)
            assert (answer[0], answer[3]) == (0xF0, status), command
        await air.do("refuse polar_h10 13")
        assert (await control_point.ask(START_H10, polar.PMD_CONTROL)).hex() == "f002020d"
        await air.do("refuse polar_h10 0")
        assert (await control_point.ask(START_H10, polar.PMD_CONTROL)).hex() == "f00202000001"
        assert (await control_point.ask(START_H10, polar.PMD_CONTROL)).hex() == "f0020206"


@pytest.mark.asyncio
async def test_a_polar_sensor_does_not_start_with_a_small_mtu(on_the_air):
    async with (
        on_the_air("polar_h10,mtu=23") as air,
        await air.client("polar_h10") as client,
        control(air, client) as control_point,
    ):
        assert (await control_point.ask(START_H10, polar.PMD_CONTROL)).hex() == "f002020a"


@pytest.mark.asyncio
async def test_a_polar_stream_that_nobody_stopped_outlives_its_connection(on_the_air):
    async with on_the_air("polar_h10") as air:
        async with await air.client("polar_h10") as client, control(air, client) as control_point:
            await control_point.ask(START_H10, polar.PMD_CONTROL)
        async with await air.client("polar_h10") as client, control(air, client) as control_point:
            assert (await control_point.ask(START_H10, polar.PMD_CONTROL)).hex() == "f0020206"
            assert (await control_point.ask(b"\x03\x02", polar.PMD_CONTROL)).hex() == "f003020000"
            assert (await control_point.ask(START_H10, polar.PMD_CONTROL)).hex() == "f00202000001"
            async with Heard(air, client, polar.PMD_DATA) as data:
                (frame,) = await data.next()
                assert len(frame) == 10 + 36 * 6
                assert 599_616_000 <= int.from_bytes(frame[1:9], "little") / 1e9 < 599_616_000 + 60
                assert not await _stops_by_itself(air, control_point)
            await air.do("reboot polar_h10")
            await air.until(lambda: not client.is_connected, 1.0)
        assert not air.sensor("polar_h10").is_streaming


async def _stops_by_itself(air: Any, control_point: Heard) -> bool:
    """Whether it goes on streaming after it said that it stopped."""
    had = len(control_point.values)
    await air.do("stop polar_h10")
    await air.until(lambda: len(control_point.values) > had, 1.0)
    assert control_point.values[-1] == b"\x01\x02"
    return bool(air.sensor("polar_h10").is_streaming)


@pytest.mark.asyncio
@pytest.mark.parametrize(("firmware", "frame_type", "reply"), [("new", 0x81, 5), ("old", 0x80, 11)])
async def test_a_verity_sense_sends_differences_and_has_an_sdk_mode(on_the_air, firmware, frame_type, reply):
    async with (
        on_the_air(f"verity_sense,firmware={firmware}") as air,
        await air.client("verity_sense") as client,
        control(air, client) as control_point,
        Heard(air, client, polar.PMD_DATA) as data,
    ):
        answer = await control_point.ask(START_VERITY, polar.PMD_CONTROL)
        assert (len(answer), answer[3]) == (reply, 0)
        (frame,) = await data.next()
        assert frame[9] == frame_type
        factor = 0.000244 if firmware == "old" else None
        acc = discover_families()["polar"].decode(frame, factor).acc_10ug / 1e5
        assert len(acc) == 63
        assert np.linalg.norm(acc, axis=1) == pytest.approx(1.0, abs=0.6)
        assert (await control_point.ask(b"\x02\x09", polar.PMD_CONTROL))[3] == 6  # not while it streams
        await control_point.ask(b"\x03\x02", polar.PMD_CONTROL)
        assert (await control_point.ask(START_SDK, polar.PMD_CONTROL))[3] == 8
        assert (await control_point.ask(b"\x02\x09", polar.PMD_CONTROL))[3] == 0
        assert (await control_point.ask(START_SDK, polar.PMD_CONTROL))[3] == 0


@pytest.mark.asyncio
async def test_a_verity_sense_on_cloth_switches_itself_off_but_for_its_sdk_mode(on_the_air):
    async with on_the_air("verity_sense,worn=clip", "verity_sense,worn=clip", speed=400.0) as air:
        clients = [await air.client(name) for name in air.simulation.sensors]
        for client in clients:
            await client.connect()
        async with control(air, clients[0]) as plain, control(air, clients[1]) as clipped:
            await clipped.ask(b"\x02\x09", polar.PMD_CONTROL)
            assert (await plain.ask(START_VERITY, polar.PMD_CONTROL))[3] == 0
            assert (await clipped.ask(START_SDK, polar.PMD_CONTROL))[3] == 0
            await air.until(lambda: not clients[0].is_connected, 5.0)
            assert clients[1].is_connected


@pytest.mark.asyncio
async def test_an_infinitime_watch_at_rest_is_silent_and_still_answers(on_the_air):
    async with (
        on_the_air("infinitime") as air,
        await air.client("infinitime") as client,
        Heard(air, client, triples.MOTION) as motion,
    ):
        await motion.next(3)
        for axis in "xyz":
            await air.do(f"stick infinitime {axis}")
        await asyncio.sleep(0.3)
        motion.values.clear()
        await asyncio.sleep(0.5)
        assert motion.values == []
        assert len(await client.read_gatt_char(triples.MOTION)) == 6
        await air.do("stick infinitime none")
        await motion.next(2)


@pytest.mark.asyncio
async def test_a_witmotion_sensor_changes_its_rate_only_unlocked_and_packs_fast_samples_together(on_the_air):
    async with (
        on_the_air("witmotion,cut=yes") as air,
        await air.client("witmotion") as client,
        Heard(air, client, witmotion.DATA) as data,
    ):
        fast = bytes.fromhex("ffaa030b00")
        await client.write_gatt_char(witmotion.COMMAND, fast, response=False)
        await asyncio.sleep(0.2)
        assert air.sensor("witmotion").worn.model.rate_hz == 10.0
        await client.write_gatt_char(witmotion.COMMAND, bytes.fromhex("ffaa6988b5"), response=False)
        await client.write_gatt_char(witmotion.COMMAND, fast, response=False)
        await asyncio.sleep(0.6)
        stream = b"".join(data.values)
        assert max(map(len, data.values)) > 100
        assert any(len(value) % 20 for value in data.values)  # cut somewhere
        assert all(stream[at : at + 2] == b"\x55\x61" for at in range(0, len(stream) - 1, 20))
        assert not air.sensor("witmotion").has_saved
        await client.write_gatt_char(witmotion.COMMAND, bytes.fromhex("ffaa276400"), response=False)
        await air.until(lambda: b"\x55\x71\x64\x00" in b"".join(data.values), 2.0)


@pytest.mark.asyncio
async def test_movesense_answers_by_reference_and_cuts_packets_into_parts(on_the_air):
    async with (
        on_the_air("movesense,mtu=40") as air,
        await air.client("movesense") as client,
        Heard(air, client, movesense.DATA) as data,
    ):
        assert b"202530000001\x00" in await data.ask(b"\x00\x01", movesense.COMMAND)
        assert (await data.ask(b"\x01\x63/Meas/Acc/14", movesense.COMMAND)).hex() == "01639401"
        assert (await data.ask(b"\x04\x64/System/Energy/Level", movesense.COMMAND)).hex() == "0164c80057"
        assert (await data.ask(b"\x01\x63/Meas/Acc/26", movesense.COMMAND)).hex() == "0163c800"
        first, second = await data.next(2)
        assert (first[:2].hex(), second[:2].hex()) == ("0263", "0363")
        assert len(first) - 2 + len(second) - 2 == 4 + 4 * 12
        assert (await data.ask(b"\x02\x63", movesense.COMMAND))[:1] in (b"\x01", b"\x02", b"\x03")
        await asyncio.sleep(0.2)
        assert not air.sensor("movesense").is_streaming
    async with on_the_air("movesense,service=no") as air, await air.client("movesense") as client:
        assert client.services.get_service(movesense.SERVICE) is None


@pytest.mark.asyncio
async def test_a_ruuvi_tag_says_each_measurement_about_twice_and_counts_movements(on_the_air):
    async with on_the_air("ruuvi,pace=fast", scenario="walk-break", speed=1.0) as air:
        heard: list[bytes] = []
        async with BleakScanner(
            lambda _, said: heard.append(said.manufacturer_data[0x0499]), **air.radio.scanner_arguments
        ):
            await asyncio.sleep(1.9)
        numbers = [int.from_bytes(data[16:18], "big") for data in heard]
        assert numbers == sorted(numbers)
        assert 3 <= len(set(numbers)) <= 6
        assert 1.4 <= len(numbers) / len(set(numbers)) <= 2.6
        assert {data[18:].hex() for data in heard} == {"c05e00000001"}


@pytest.mark.asyncio
async def test_faults_of_the_scenario_happen_on_the_radio_at_their_moments(on_the_air):
    faults = {"gap": ["5s@10"], "kick": ["20"], "battery_low": "30", "drop": "20%"}
    async with on_the_air("counted", speed=10.0, **faults) as air:
        client = await air.client("counted")
        await client.connect()
        async with Heard(air, client, boards.COUNTED_DATA) as data:
            await air.until(lambda: not client.is_connected, 3.0)
            numbers = [int.from_bytes(value[:2], "little") for value in data.values]
            assert numbers == sorted(set(numbers))
            lost = 1.0 - len(numbers) / (numbers[-1] - numbers[0] + 1)
            assert 0.05 < lost < 0.4
        await air.until(lambda: any(e["event"] == "back" for e in air.events), 3.0)
        async with await air.client("counted") as again:
            await air.until(lambda: not again.is_connected, 3.0)
        async with await air.client("counted") as third, Heard(air, third, BATTERY) as battery:
            if air.sensor("counted").battery_pct > 4:
                assert await battery.next() == [b"\x04"]
            assert await third.read_gatt_char(BATTERY) == b"\x04"


@pytest.mark.asyncio
async def test_packets_can_be_disturbed_in_every_way(on_the_air):
    async with (
        on_the_air("sig", "counted") as air,
        await air.client("sig") as sig,
        await air.client("counted") as counted,
        Heard(air, sig, SIG_DATA) as plain,
        Heard(air, counted, boards.COUNTED_DATA) as numbered,
    ):
        await plain.next()
        for how, length in (("cut", 3), ("pad", 9), ("noise", 6)):
            await air.do(f"disturb sig {how}")
            await air.until(lambda wanted=length: len(plain.values[-1]) == wanted, 3.0)
        await air.do("disturb sig invalid")
        await air.until(lambda: plain.values[-1].hex() == "ff7f" * 3, 3.0)
        await air.do("disturb counted repeat")
        await air.until(lambda: numbered.values[-1:] == numbered.values[-2:-1], 3.0)
        await air.do("disturb counted swap")
        await air.until(lambda: seq(numbered, -1) == seq(numbered, -2) - 1, 3.0)


def seq(heard: Heard, at: int) -> int:
    return int.from_bytes(heard.values[at][:2], "little")


def test_a_sensor_laid_down_reads_gravity_and_two_places_of_one_body_differ():
    scene, kind = load("still-upright"), discover()["counted"]
    worn = WornSensor(scene, 7, kind.model)
    chest = worn.readings(60.0, 62.0)[1].mean(axis=0) / 1e5
    worn.take_off()
    t_s, acc = worn.readings(60.0, 70.0)
    assert np.linalg.norm(acc.mean(axis=0)) / 1e5 == pytest.approx(1.0, abs=0.06)
    assert np.abs(acc.mean(axis=0) / 1e5 - chest).max() > 0.1
    assert len(t_s) == pytest.approx(500, abs=20)
    worn.put_on()
    assert (worn.readings(60.0, 62.0)[1].mean(axis=0) / 1e5).tolist() == chest.tolist()


def test_readings_do_not_depend_on_how_they_are_asked_for():
    scene, kind = load("still-upright"), discover()["counted"]
    whole = WornSensor(scene, 7, kind.model, faults=Faults.parse({"drop": "50%", "gap": "9s@1"})).readings(50.0, 130.0)
    parts = [WornSensor(scene, 7, kind.model).readings(at, at + 8.0) for at in np.arange(50.0, 130.0, 8.0)]
    assert np.concatenate([t_s for t_s, _ in parts]).tolist() == whole[0].tolist()
    assert np.concatenate([acc for _, acc in parts]).tolist() == whole[1].tolist()


@pytest.mark.asyncio
async def test_somebody_else_may_hold_a_sensor(on_the_air):
    async with on_the_air("sig") as air:
        client = await air.client("sig")
        await client.connect()
        await air.do("hold sig")
        await air.until(lambda: not client.is_connected, 1.0)
        with pytest.raises(AssertionError, match="was not heard"):
            await air.find("sig", 0.4)
        await air.do("release sig")
        await air.find("sig", 2.0)
        await air.do("mute sig")
        async with await air.client("sig") as again, Heard(air, again, SIG_DATA) as data:
            await asyncio.sleep(0.4)
            assert data.values == []
            await air.do("unmute sig")
            await data.next()
            with pytest.raises(BleakError):
                await again.write_gatt_char(SIG_DATA, b"", response=True)
