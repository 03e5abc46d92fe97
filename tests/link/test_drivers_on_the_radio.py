"""Every driver with the virtual sensor that speaks its protocol, through the daemon's own source and a real GATT."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from posturewatch.drivers import Advert, Options, discover
from posturewatch.drivers.bound import BoundSensor
from posturewatch.drivers.preset_files import parse_presets
from posturewatch.sources.ble import BleSource, supervisor
from posturewatch.sources.ble.adapter import Adapter
from posturewatch.sources.ble.ears import Heard
from posturewatch.sources.ble.survey import Survey
from posturewatch.sources.ble.trial import feel
from posturewatch.types import LinkChanged, RawSamples

pytestmark = pytest.mark.asyncio

OWN = """
[split]
kind = "notify"
match.service_uuid = "5e500020-7077-4d53-9a1b-0c5d2e8f4a10"
split.x = "5e500021-7077-4d53-9a1b-0c5d2e8f4a10"
split.y = "5e500022-7077-4d53-9a1b-0c5d2e8f4a10"
split.z = "5e500023-7077-4d53-9a1b-0c5d2e8f4a10"
type = "i16"
unit = "mg"
rate_hz = 10

[counted]
kind = "notify"
match.service_uuid = "5e500010-7077-4d53-9a1b-0c5d2e8f4a10"
char = "5e500011-7077-4d53-9a1b-0c5d2e8f4a10"
type = "i16"
offset = 6
repeat = "rest"
unit = "mg"
rate_hz = 50
seq = { offset = 0, type = "u16" }
time = { offset = 2, type = "u32", unit = "ms" }
"""
FAMILIES = discover() | {family.id: family for family, _ in parse_presets(OWN, "own.toml")}
SENSORS = [
    ("polar_h10", "polar", {}),
    ("polar_h10", "polar", {"rate_hz": 100.0, "range_g": 8.0}),
    ("verity_sense", "polar", {}),
    ("verity_sense,firmware=old", "polar", {}),
    ("verity_sense", "polar", {"is_clipped": True, "rate_hz": 52.0, "range_g": 4.0}),
    ("ruuvi,pace=fast", "ruuvi", {}),
    ("ruuvi_df3,pace=fast", "ruuvi", {}),
    ("witmotion,cut=yes", "witmotion", {}),
    ("witmotion", "witmotion", {"rate_hz": 50.0}),
    ("witmotion,rate=50", "witmotion", {"rate_hz": 10.0}),
    ("witmotion,rate=50,cut=yes", "witmotion", {"rate_hz": 100.0}),
    ("movesense", "movesense", {}),
    ("movesense", "movesense", {"rate_hz": 52.0}),
    ("bthome", "bthome", {}),
    ("infinitime", "infinitime", {}),
    ("microbit", "microbit", {}),
    ("adafruit", "adafruit", {}),
    ("thingy52", "thingy52", {}),
    ("kkm", "kkm", {}),
    ("minew", "minew", {}),
    ("sig", "sig_precise_acceleration_3d", {}),
    ("sig_coarse", "sig_acceleration_3d", {}),
    ("uart_text", "espruino_uart_text", {}),
    ("split", "split", {}),
    ("counted", "counted", {}),
]


async def test_every_family_and_preset_has_a_virtual_sensor_that_speaks_it():
    assert {family for _, family, _ in SENSORS} == set(FAMILIES)


@pytest.mark.parametrize(("device", "family", "options"), SENSORS, ids=str)
async def test_a_virtual_sensor_streams_to_its_driver(on_the_air, device: str, family: str, options: dict[str, Any]):
    samples: list[RawSamples] = []

    def put(item: Any) -> None:
        if isinstance(item, RawSamples):
            samples.append(item)

    async with on_the_air(device) as air:
        name = device.split(",", maxsplit=1)[0]
        virtual = air.sensor(name)
        found_hz = virtual.worn.model.rate_hz
        sensor = BoundSensor(name, FAMILIES[family], virtual.address, options=Options(**options))
        source = BleSource(f"hci:unix:{air.port.path}", [sensor], put, time.time_ns)
        task = asyncio.create_task(source.run())
        try:
            await air.until(lambda: len(samples) >= 2)
            await air.until(lambda: options.get("rate_hz") in (None, virtual.worn.model.rate_hz))
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=10)
        health = source.health[name]
        left_streaming, left_hz = virtual.counts().get("streaming", False), virtual.worn.model.rate_hz
    acc_g = np.concatenate([batch.acc_10ug for batch in samples]) / 1e5
    assert 0.9 < np.linalg.norm(acc_g, axis=1).mean() < 1.1
    assert (health.undecodable, health.invalid) == (0, 0)
    assert not left_streaming
    if family not in ("polar", "movesense"):  # these are asked for a rate at each start, and have none else
        assert left_hz == found_hz
    if "rate_hz" in options:
        assert {batch.rate_hz for batch in samples[1:]} == {options["rate_hz"]}


async def test_a_board_that_only_notifies_streams_and_its_silence_is_a_fault(on_the_air, monkeypatch):
    monkeypatch.setattr(supervisor, "SILENT_LEAST_S", 1.0)
    items: list[Any] = []
    async with on_the_air("sig,wrong=unreadable") as air:
        sensor = BoundSensor("board", FAMILIES["sig_precise_acceleration_3d"], air.sensor("sig").address)
        source = BleSource(f"hci:unix:{air.port.path}", [sensor], items.append, time.time_ns)
        task = asyncio.create_task(source.run())
        try:
            await air.until(lambda: sum(isinstance(item, RawSamples) for item in items) >= 3)
            assert (source.health["board"].reconnects, source.health["board"].battery_pct) == (0, 87)
            await air.do("mute sig")
            await air.until(lambda: any(isinstance(item, LinkChanged) and not item.up for item in items), 4.0)
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=10)


@pytest.mark.parametrize("family", ["polar", "movesense"])
async def test_a_trial_that_is_broken_off_leaves_nothing_streaming(on_the_air, family: str):
    device = {"polar": "polar_h10"}.get(family, family)
    async with on_the_air(device) as air:
        virtual = air.sensor(device)
        survey, adapter = Survey({family: FAMILIES[family]}), Adapter(air.radio)
        ble_device = await air.find(device)
        survey.take(Heard(Advert(virtual.address, virtual.name, -50), ble_device), 0.0)
        task = asyncio.create_task(feel(survey.sensors()[0], adapter, time.time_ns))
        await air.until(lambda: virtual.counts()["streaming"] and virtual.packets > 0)
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
        assert not virtual.counts()["streaming"]


@pytest.mark.parametrize("poll_s", [0.5, 2.0])
async def test_a_sensor_that_is_only_read_streams_too(on_the_air, monkeypatch, poll_s: float):
    monkeypatch.setattr(supervisor, "FIRST_PACKET_S", 1.0)
    text = f'[board]\nkind = "read"\nchar = "0x2C1E"\ntype = "i16"\nunit = "mg"\npoll_s = {poll_s}\n'
    ((family, _),) = parse_presets(text, "board.toml")
    samples: list[Any] = []
    async with on_the_air("sig") as air:
        sensor = BoundSensor("board", family, air.sensor("sig").address)
        source = BleSource(f"hci:unix:{air.port.path}", [sensor], samples.append, time.time_ns)
        task = asyncio.create_task(source.run())
        try:
            await air.until(lambda: sum(isinstance(item, RawSamples) for item in samples) >= 3)
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=10)
    assert (source.health["board"].reconnects, source.health["board"].gaps) == (0, 0)
