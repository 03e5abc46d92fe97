"""A radio between sensor and detector changes no reminder: the same scene with it and without it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from posturewatch_sim.scenarios import load
from posturewatch_sim.wearing import WornSensor

from posturewatch import rules
from posturewatch.clock import ScaledClock
from posturewatch.core import pipeline
from posturewatch.core.settings import Limits, SensorSettings, Settings
from posturewatch.drivers import discover
from posturewatch.drivers.bound import BoundSensor
from posturewatch.sources.ble import BleSource
from posturewatch.types import NS_PER_S, Placement, RawSamples, RuleDue, SampleBatch, StaticEnded

pytestmark = pytest.mark.asyncio

SPEED = 15.0
SCENE_S = 190.0
SCENARIO, SEED, START_NS = "desk-freeze", 7, 1_772_438_400 * NS_PER_S
SETTINGS = Settings(
    wearer="me",
    sensors=(SensorSettings("chest", Placement.CHEST),),
    rules=rules.discover(),
    limits=Limits(static_limit_s=60.0, sedentary_limit_s=75.0),  # short, so that much happens in little time
)


def say(items: list[Any]) -> list[Any]:
    """What the detector makes of it."""
    state, events = pipeline.advance_all(pipeline.initial(SETTINGS), items, SETTINGS)
    _, last = pipeline.close(state, SETTINGS)
    return [event for event in (*events, *last) if isinstance(event, RuleDue | StaticEnded)]


async def test_reminders_are_the_same_with_and_without_a_radio(on_the_air):
    items: list[Any] = []
    async with on_the_air("polar_h10", scenario=SCENARIO, seed=SEED, speed=SPEED) as air:
        clock = ScaledClock(SPEED, START_NS + round(air.simulation.clock.now_s() * NS_PER_S))
        sensor = BoundSensor("chest", discover()["polar"], air.sensor("polar_h10").address)
        source = BleSource(f"hci:unix:{air.port.path}", [sensor], items.append, clock.now_ns)
        task = asyncio.create_task(source.run())
        await air.until(lambda: air.simulation.clock.now_s() > SCENE_S, 60)
        task.cancel()
        await asyncio.wait([task])
        worn = air.sensor("polar_h10").worn
    heard = [item for item in items if isinstance(item, RawSamples)]
    first_s = (heard[0].last_ns - START_NS) / NS_PER_S - (len(heard[0].acc_10ug) - 1) / heard[0].rate_hz
    last_s = (heard[-1].last_ns - START_NS) / NS_PER_S
    same = WornSensor(load(SCENARIO), SEED, worn.model)
    t_s, acc = same.readings(first_s, last_s)
    direct = SampleBatch("chest", START_NS + (t_s * NS_PER_S).astype("int64"), acc)

    over_the_radio, without = say(items), say([direct])
    reminders = [event for event in without if isinstance(event, RuleDue)]
    assert {event.rule for event in reminders} == {"static", "sedentary", "sedentary_firm"}
    assert [_name(event) for event in over_the_radio] == [_name(event) for event in without]
    for there, here in zip(over_the_radio, without, strict=True):
        assert abs(there.t_ns - here.t_ns) <= 2 * NS_PER_S


def _name(event: Any) -> tuple[str, str]:
    return type(event).__name__, event.rule if isinstance(event, RuleDue) else str(event.closed_by)
