"""The daemon's Bluetooth source on the virtual radio: every kind of sensor, and everything that can happen to one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from posturewatch.drivers import Options
from posturewatch.drivers.bound import BoundSensor
from posturewatch.drivers.preset_files import families, parse_presets
from posturewatch.sources.ble import BleSource, ears, listener, patience, rest, supervisor
from posturewatch.types import LinkChanged, RawSamples

pytestmark = pytest.mark.asyncio

RECOVERED_S = 5.0
COUNTED = (files("posturewatch_sim") / "peripherals/counted.toml").read_text()
FAMILIES = families(None) | {"counted": parse_presets(COUNTED, "counted.toml")[0][0]}


class Heard:
    """A source while it runs, and what it gave."""

    def __init__(self, path: Path, sensors: Sequence[BoundSensor]) -> None:
        self.items: list[RawSamples | LinkChanged] = []
        self.off_body: set[str] = set()  # what a detector would think
        self.source = BleSource(
            f"hci:unix:{path}", sensors, self.items.append, time.time_ns, is_off_body=self.off_body.__contains__
        )

    def batches(self, sensor: str) -> list[RawSamples]:
        return [item for item in self.items if isinstance(item, RawSamples) and item.sensor == sensor]

    def links(self, sensor: str) -> list[bool]:
        return [item.up for item in self.items if isinstance(item, LinkChanged) and item.sensor == sensor]

    async def until(self, fits: Callable[[], object], within_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not fits():
            if time.monotonic() > deadline_s:
                links = [item for item in self.items if isinstance(item, LinkChanged)]
                pytest.fail(f"not within {within_s:g} s: {self.source.health}, {links}")
            await asyncio.sleep(0.01)

    async def more(self, sensor: str, count: int, within_s: float = 10.0) -> None:
        """Wait for so many batches more."""
        wanted = len(self.batches(sensor)) + count
        await self.until(lambda: len(self.batches(sensor)) >= wanted, within_s)

    def is_whole(self, sensor: str) -> bool:
        """Whether no packet is missing and none came twice."""
        numbers = [batch.seq for batch in self.batches(sensor)]
        return numbers == list(range(len(numbers)))


@contextlib.asynccontextmanager
async def listening(air: Any, *sensors: BoundSensor) -> AsyncIterator[Heard]:
    heard = Heard(air.port.path, sensors)
    task = asyncio.create_task(heard.source.run())
    try:
        yield heard
        assert not task.done(), task  # it never ends by itself
    finally:
        task.cancel()
        _, pending = await asyncio.wait([task], timeout=10)
        assert not pending


def bound(air: Any, device: str, family: str, **options: Any) -> BoundSensor:
    return BoundSensor(device, FAMILIES[family], air.sensor(device).address, options=Options(**options))


# ---------------------------------------------------------------- every style


async def test_notifying_listening_and_advertising_sensors_stream_side_by_side(on_the_air):
    async with on_the_air("counted", "infinitime", "ruuvi,pace=fast", "polar_h10") as air:
        sensors = [
            bound(air, *names)
            for names in (
                ("counted", "counted"),
                ("infinitime", "infinitime"),
                ("ruuvi", "ruuvi"),
                ("polar_h10", "polar"),
            )
        ]
        async with listening(air, *sensors) as heard:
            for sensor, count in (("counted", 20), ("infinitime", 5), ("ruuvi", 3), ("polar_h10", 2)):
                await heard.more(sensor, count)
            health = heard.source.health
    for name in ("counted", "infinitime", "ruuvi", "polar_h10"):
        newest = heard.batches(name)[-1]
        norm_g = (newest.acc_10ug.astype(float) ** 2).sum(axis=1) ** 0.5 / 1e5
        assert 0.8 < norm_g.mean() < 1.2, name
        assert heard.links(name) == [True]
        assert health[name].is_connected
        assert health[name].undecodable == 0
    assert heard.is_whole("counted")
    assert (health["polar_h10"].battery_pct, health["infinitime"].battery_pct) == (87, 87)
    assert health["ruuvi"].battery_mv is not None
    assert health["counted"].rssi_dbm == -50


async def test_samples_get_the_time_at_which_they_were_taken(on_the_air):
    async with on_the_air("polar_h10") as air, listening(air, bound(air, "polar_h10", "polar")) as heard:
        await heard.more("polar_h10", 3)
    batches = heard.batches("polar_h10")
    assert all(batch.last_ns is not None for batch in batches)
    steps_s = [(b.last_ns - a.last_ns) / 1e9 for a, b in itertools.pairwise(batches)]
    assert steps_s == pytest.approx([36 / 25] * len(steps_s), rel=0.05)
    assert all(-0.05 < (batch.arrived_ns - batch.last_ns) / 1e9 < 0.5 for batch in batches)


async def test_eight_sensors_at_50_hz_lose_and_double_nothing(on_the_air):
    async with on_the_air(*["counted"] * 8) as air:
        names = list(air.simulation.sensors)
        sensors = [BoundSensor(name, FAMILIES["counted"], air.sensor(name).address) for name in names]
        async with listening(air, *sensors) as heard:
            await heard.until(lambda: all(len(heard.batches(name)) >= 5 for name in names), 20)
            first = {name: len(heard.batches(name)) for name in names}
            began_s = time.monotonic()
            await asyncio.sleep(20)
            took_s = time.monotonic() - began_s
            counts = {name: len(heard.batches(name)) - first[name] for name in names}
    assert all(heard.is_whole(name) for name in names)
    assert all(health.lost == health.repeated == 0 for health in heard.source.health.values())
    assert all(count * 5 / took_s == pytest.approx(50, rel=0.05) for count in counts.values()), counts


# ---------------------------------------------------------------- losses


@pytest.mark.parametrize("happens", [["kick counted"], ["lose counted", "back counted"]])
async def test_a_lost_link_is_back_within_seconds_and_nothing_is_heard_twice(on_the_air, happens):
    async with on_the_air("counted") as air, listening(air, bound(air, "counted", "counted")) as heard:
        await heard.more("counted", 5)
        for command in happens:
            await air.do(command)
            await heard.until(lambda: heard.links("counted") != [True])
        began_s = time.monotonic()
        await heard.more("counted", 10, RECOVERED_S)
        assert time.monotonic() - began_s < RECOVERED_S
    numbers = [batch.seq for batch in heard.batches("counted")]
    assert numbers == sorted(set(numbers))
    assert heard.links("counted") == [True, False, True]
    assert heard.source.health["counted"].repeated == 0
    assert heard.source.health["counted"].reconnects == 1


async def test_a_dongle_may_be_pulled_and_plugged_in_again(on_the_air, caplog):
    async with on_the_air("counted", "ruuvi,pace=fast") as air:
        sensors = bound(air, "counted", "counted"), bound(air, "ruuvi", "ruuvi")
        async with listening(air, *sensors) as heard:
            await heard.more("counted", 5)
            await heard.more("ruuvi", 2)
            await air.do("unplug")
            await heard.until(lambda: heard.links("counted")[-1] is False)
            await asyncio.sleep(2)
            await air.do("plug")
            await heard.more("counted", 5, RECOVERED_S)
            await heard.more("ruuvi", 2, RECOVERED_S)
    assert any("is gone" in record.message for record in caplog.records)


@pytest.mark.parametrize("meanwhile", [[], ["unplug", "plug"]])
async def test_a_sensor_that_was_away_for_long_is_back_within_seconds(on_the_air, monkeypatch, meanwhile):
    monkeypatch.setattr(supervisor, "SEARCH_S", 0.2)
    monkeypatch.setattr(patience, "FIRST_S", patience.LONGEST_S)  # as after minutes of vain attempts
    async with on_the_air("counted") as air:
        await air.do("lose counted")
        async with listening(air, bound(air, "counted", "counted")) as heard:
            for command in meanwhile:
                await asyncio.sleep(1.0)
                await air.do(command)
            await asyncio.sleep(1.0)
            await air.do("back counted")
            await heard.more("counted", 1, RECOVERED_S)


async def test_a_silent_surrounding_is_told_once_however_long_it_lasts(on_the_air, monkeypatch, caplog):
    monkeypatch.setattr(ears, "DEAF_S", 0.3)
    async with on_the_air() as air:
        absent = BoundSensor("absent", FAMILIES["polar"], "C0:5E:00:00:00:99")
        async with listening(air, absent):
            await asyncio.sleep(3.0)
    told = [record.levelname for record in caplog.records if "advertisement of anybody" in record.message]
    assert told.count("WARNING") == 1


async def test_a_sensor_that_is_connected_but_silent_is_dropped_and_asked_anew(on_the_air, monkeypatch):
    monkeypatch.setattr(supervisor, "SILENT_LEAST_S", 1.0)
    async with on_the_air("counted") as air, listening(air, bound(air, "counted", "counted")) as heard:
        await heard.more("counted", 5)
        await air.do("mute counted")
        await heard.until(lambda: heard.links("counted")[-1] is False, RECOVERED_S)
        await air.do("unmute counted")
        await heard.more("counted", 5, 2 * RECOVERED_S)
    lost = next(item for item in heard.items if isinstance(item, LinkChanged) and not item.up)
    assert "silent" in lost.reason


async def test_a_beacon_out_of_range_is_lost_and_comes_back(on_the_air, monkeypatch):
    monkeypatch.setattr(listener, "SILENT_LEAST_S", 1.0)
    monkeypatch.setattr(listener, "SILENT_PACKETS", 0.5)
    async with on_the_air("ruuvi,pace=fast") as air, listening(air, bound(air, "ruuvi", "ruuvi")) as heard:
        await heard.more("ruuvi", 2)
        await air.do("lose ruuvi")
        await heard.until(lambda: heard.links("ruuvi") == [True, False])
        await air.do("back ruuvi")
        await heard.more("ruuvi", 2, RECOVERED_S)
    assert heard.links("ruuvi") == [True, False, True]


async def test_a_device_that_restarts_its_clock_and_counter_streams_on(on_the_air):
    async with on_the_air("counted") as air, listening(air, bound(air, "counted", "counted")) as heard:
        await heard.more("counted", 10)
        await air.do("reboot counted")
        await heard.more("counted", 10)
    newest = heard.batches("counted")[-1]
    assert abs(newest.arrived_ns - newest.last_ns) < 1e9
    assert heard.source.health["counted"].repeated == 0


async def test_notifications_that_come_twice_are_dropped(on_the_air):
    async with on_the_air("counted") as air, listening(air, bound(air, "counted", "counted")) as heard:
        sensor = air.sensor("counted")
        send = sensor.send

        async def send_twice(payload: bytes) -> None:
            await send(payload)
            await send(payload)

        sensor.send = send_twice  # a stack that kept the subscription of before
        await heard.more("counted", 20)
        assert heard.source.health["counted"].repeated >= 19
    assert heard.is_whole("counted")


async def test_packets_that_come_twice_late_or_too_long_are_counted_and_the_stream_goes_on(on_the_air):
    async with on_the_air("counted") as air, listening(air, bound(air, "counted", "counted")) as heard:
        health = heard.source.health["counted"]
        await heard.more("counted", 5)
        for how, counter in (("repeat", "repeated"), ("swap", "repeated"), ("pad", "undecodable")):
            before = getattr(health, counter)
            await air.do(f"disturb counted {how}")
            await heard.until(lambda counter=counter, before=before: getattr(health, counter) >= before + 3)
        await air.do("disturb counted none")
        await heard.more("counted", 5)
    numbers = [batch.seq for batch in heard.batches("counted")]
    assert numbers == sorted(set(numbers))
    assert heard.links("counted") == [True]


# ---------------------------------------------------------------- laid aside


async def test_a_sensor_laid_aside_may_switch_itself_off_and_is_back_when_it_is_put_on(on_the_air, monkeypatch):
    monkeypatch.setattr(rest, "AFTER_S", 1.0)
    monkeypatch.setattr(rest, "SWITCHED_OFF_S", 1.0)
    async with on_the_air("polar_h10", speed=20.0) as air, listening(air, bound(air, "polar_h10", "polar")) as heard:
        health = heard.source.health["polar_h10"]
        await heard.more("polar_h10", 1)
        await air.do("doff polar_h10")
        heard.off_body.add("polar_h10")
        await heard.until(lambda: health.is_resting)
        await air.until(lambda: any(event["event"] == "off" for event in air.events))
        assert not air.sensor("polar_h10").is_streaming
        await asyncio.sleep(2.0)  # while it is off nothing goes on
        assert health.is_resting
        heard.off_body.clear()
        await air.do("mount polar_h10")
        await heard.more("polar_h10", 1, RECOVERED_S)
        assert not health.is_resting
    assert heard.links("polar_h10") == [True, False, True]
    assert "laid aside" in next(item.reason for item in heard.items if isinstance(item, LinkChanged) and not item.up)


async def test_a_sensor_that_stays_on_where_it_lies_is_streamed_again_so_that_no_donning_is_missed(
    on_the_air, monkeypatch
):
    monkeypatch.setattr(rest, "AFTER_S", 0.5)
    monkeypatch.setattr(rest, "LONGEST_S", 2.0)
    async with on_the_air("verity_sense") as air, listening(air, bound(air, "verity_sense", "polar")) as heard:
        health = heard.source.health["verity_sense"]
        await heard.more("verity_sense", 1)
        heard.off_body.add("verity_sense")
        await heard.until(lambda: health.is_resting)
        began_s = time.monotonic()
        await heard.more("verity_sense", 1, 2.0 + RECOVERED_S)
        assert not health.is_resting
        again_s = time.monotonic() - began_s
        await heard.until(lambda: health.is_resting)
    assert again_s > 1.5


@pytest.mark.parametrize(("family", "is_off"), [("counted", True), ("polar", False)])
async def test_what_is_worn_or_would_not_switch_itself_off_keeps_streaming(on_the_air, monkeypatch, family, is_off):
    monkeypatch.setattr(rest, "AFTER_S", 0.0)
    device = "polar_h10" if family == "polar" else family
    async with on_the_air(device) as air, listening(air, bound(air, device, family)) as heard:
        heard.off_body |= {device} if is_off else set()
        await heard.more(device, 3)
    assert heard.links(device) == [True]


# ---------------------------------------------------------------- refusals


async def test_a_sensor_with_the_right_uuid_and_the_wrong_properties_is_told_and_left_alone(on_the_air, caplog):
    family = "sig_precise_acceleration_3d"
    async with on_the_air("sig,wrong=properties") as air, listening(air, bound(air, "sig", family)) as heard:
        await heard.until(lambda: any("sensor sig: " in record.message for record in caplog.records))
        assert not heard.batches("sig")
    [said] = {record.message for record in caplog.records if record.message.startswith("sensor sig: ")}
    assert "notif" in said


async def test_a_sensor_whose_firmware_lacks_what_is_needed_is_told_and_streams_after_its_update(
    on_the_air, caplog, monkeypatch
):
    monkeypatch.setattr(supervisor, "REFUSED_S", 0.5)
    async with on_the_air("counted") as air, listening(air, bound(air, "counted", "counted")) as heard:
        await air.do("firmware counted former")
        await heard.until(lambda: any("has no characteristic" in record.message for record in caplog.records))
        await air.do("firmware counted new")
        await heard.more("counted", 5)


async def test_a_sensor_that_wants_to_be_paired_says_how(on_the_air, caplog):
    text = '[board]\nkind = "read"\nchar = "0x2C1E"\ntype = "i16"\nunit = "mg"\npoll_s = 0.5\n'
    ((family, _),) = parse_presets(text, "board.toml")
    sensor = BoundSensor("board", family, "C0:5E:00:00:00:01")
    async with on_the_air("sig,wrong=unpaired") as air, listening(air, sensor) as heard:
        await heard.until(lambda: any("bluetoothctl" in record.message for record in caplog.records))
        assert not heard.batches("board")
    [said] = {record.message for record in caplog.records if record.message.startswith("sensor board: ")}
    assert "wants to be paired: pair it once" in said


async def test_a_sensor_that_needs_longer_packets_than_the_link_carries_says_so(on_the_air, caplog):
    async with on_the_air("polar_h10,mtu=23") as air, listening(air, bound(air, "polar_h10", "polar")) as heard:
        await heard.until(lambda: any("MTU" in record.message for record in caplog.records))
        assert not heard.batches("polar_h10")


async def test_namesakes_are_refused_with_their_addresses(on_the_air, caplog):
    async with on_the_air("counted,name=Twin", "counted,name=Twin") as air:
        async with listening(air, BoundSensor("chest", FAMILIES["counted"], name="Twin")) as heard:
            await heard.until(lambda: any("Twin" in record.message for record in caplog.records))
            assert not heard.batches("chest")
        said = next(record.message for record in caplog.records if "Twin" in record.message)
        assert all(sensor.address in said for sensor in air.simulation.sensors.values())
        assert not [event for event in air.events if event["event"] == "connected"]


async def test_a_sensor_bound_by_name_or_serial_number_is_found(on_the_air):
    async with on_the_air("counted,name=Mine", "polar_h10") as air:
        named = BoundSensor("mine", FAMILIES["counted"], name="Mine")
        numbered = BoundSensor("polar", FAMILIES["polar"], air.sensor("polar_h10").serial)
        async with listening(air, named, numbered) as heard:
            await heard.more("mine", 3)
            await heard.more("polar", 1)


async def test_nobody_elses_sensor_is_touched(on_the_air):
    async with on_the_air("counted", "counted", "polar_h10") as air:
        async with listening(air, bound(air, "counted", "counted")) as heard:
            await heard.more("counted", 10)
        connected = {event["device"] for event in air.events if event["event"] == "connected"}
    assert connected == {"counted"}


async def test_a_sensor_that_another_central_holds_is_told_and_taken_when_free(on_the_air, caplog, monkeypatch):
    monkeypatch.setattr(supervisor, "SEARCH_S", 1.0)
    async with on_the_air("counted") as air:
        sensor = bound(air, "counted", "counted")
        async with listening(air, sensor) as first:
            await first.more("counted", 3)
            async with listening(air, sensor) as second:
                await second.until(lambda: any("may hold it" in record.message for record in caplog.records))
                assert not second.batches("counted")
                await air.do("hold counted")  # it does not advertise to the first one either
                await air.do("kick counted")
                await first.until(lambda: first.links("counted")[-1] is False)
                await air.do("release counted")
                await first.until(lambda: len(second.batches("counted")) + len(first.batches("counted")) > 8)


async def test_an_absent_sensor_does_not_keep_the_others_waiting(on_the_air):
    async with on_the_air("counted") as air:
        absent = BoundSensor("absent", FAMILIES["polar"], "C0:5E:00:00:00:99")
        async with listening(air, absent, bound(air, "counted", "counted")) as heard:
            await heard.more("counted", 5, 3.0)


# ---------------------------------------------------------------- the end


async def test_a_stream_is_stopped_and_the_link_closed_at_the_end(on_the_air):
    async with on_the_air("polar_h10") as air:
        async with listening(air, bound(air, "polar_h10", "polar")) as heard:
            await heard.more("polar_h10", 1)
            assert air.sensor("polar_h10").is_streaming
        assert not air.sensor("polar_h10").is_streaming
        await air.until(lambda: air.events[-1]["event"] == "disconnected" or not air.radio, 2)
        assert any(event["event"] == "disconnected" for event in air.events)


async def test_a_sensor_in_the_wrong_unit_is_a_fault_and_no_posture(on_the_air, monkeypatch):
    monkeypatch.setattr("posturewatch.drivers.plausibility.WINDOW_NS", 400_000_000)
    (family, _), *_ = parse_presets(COUNTED.replace('unit = "mg"', 'unit = "mg"\nscale = 2.0'), "counted.toml")
    sensor = BoundSensor("counted", family, "C0:5E:00:00:00:01")
    async with on_the_air("counted") as air, listening(air, sensor) as heard:
        health = heard.source.health["counted"]
        await heard.until(lambda: health.fault is not None)
        assert "instead of 1 g" in health.fault
        seen = len(heard.batches("counted"))
        await heard.until(lambda: health.packets > seen + 10)
        assert len(heard.batches("counted")) == seen
        assert heard.links("counted")[-1] is False


async def test_a_scan_that_hears_nobody_at_all_is_started_anew(on_the_air, monkeypatch, caplog):
    monkeypatch.setattr(ears, "DEAF_S", 1.0)
    async with on_the_air("ruuvi,pace=fast") as air, listening(air, bound(air, "ruuvi", "ruuvi")) as heard:
        await heard.more("ruuvi", 1)
        await air.do("hold ruuvi")
        await heard.until(lambda: any("starting the scan anew" in record.message for record in caplog.records))
        await air.do("release ruuvi")
        await heard.more("ruuvi", 2)
