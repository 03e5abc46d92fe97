"""Three hours of the wearer's day without a broker, on a fast clock: right when it is back, and nothing late."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch.app import Given, run
from posturewatch.clock import ScaledClock
from posturewatch.config import Broker, Config, RemindingManners, Sensor, Storage, Wearer
from posturewatch.config.loading import LoadedConfig
from posturewatch.signals import Signals
from posturewatch.types import NS_PER_S, Placement

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.types import Message
    from posturewatch.watch import Watch

pytestmark = pytest.mark.asyncio

SPEED = 600.0
START_NS = round(datetime(2026, 3, 2, 9, 0, tzinfo=UTC).timestamp()) * NS_PER_S
HOUR_S = 3600.0 / SPEED  # of the wearer, in seconds of ours
KEYS = ("reminder", "cycle", "breaks_today", "last_break", "prompts_left_today", "wear", "motion", "decision")


def office_worker(folder: Path, port: int) -> LoadedConfig:
    sensor = Sensor(id="anna", placement=Placement.UPPER_BACK, source="simulated", scenario="office-day", seed=7)
    wearer = Wearer(id="anna", sensor=(sensor,), reminding=RemindingManners(quiet_hours=()))
    broker = Broker(host="127.0.0.1", port=port, base_topic="three-hours")
    return LoadedConfig(Config(broker=broker, storage=Storage(folder=folder), wearer=(wearer,)))


def moment_ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000


def told(ears: Any, leaf: str) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in ears.payloads(leaf)]


async def test_three_hours_without_a_broker_end_with_the_right_state_all_bouts_and_no_late_prompt(
    fresh_mosquitto: Any, listen: Any, wait_until: Any, tmp_path: Path
) -> None:
    loaded, clock, signals = office_worker(tmp_path, fresh_mosquitto.port), ScaledClock(SPEED, START_NS), Signals()
    watches: list[Watch] = []
    sent: list[Message] = []  # what the broker took: it forgets prompts before anybody is back to hear them
    hooks: dict[str, Any] = {"on_watches": watches.extend, "on_published": sent.append}
    given = Given(loaded, clock, signals, speed=SPEED, has_control=False, **hooks)
    working = asyncio.create_task(run(given))
    settings = fresh_mosquitto.settings(base_topic="three-hours")
    async with listen(settings) as ears:
        await asyncio.sleep(HOUR_S)
        before = told(ears, "anna/bout")
        fresh_mosquitto.kill()
        killed_ns = clock.now_ns()
    await asyncio.sleep(3 * HOUR_S)
    await wait_until(lambda: watches[0].state.reminding.cycle is None)  # so that every prompt of the outage is over
    assert not working.done()
    assert watches[0].state.reminding.decision_ns > killed_ns
    assert clock.now_ns() - killed_ns >= 3 * 3600 * NS_PER_S
    fresh_mosquitto.start()
    returned_s, returned_ns = time.monotonic(), clock.now_ns()
    async with listen(settings) as ears:
        took_s = await until_right(ears, watches, clock, returned_s)
        assert took_s < 2.0
        await asyncio.sleep(HOUR_S)
        after = told(ears, "anna/bout")
    signals.stop.set()
    await working
    prompts = [json.loads(message.payload) for message in sent if message.topic.endswith("/reminder")]
    assert len(prompts) > 3
    assert [p for p in prompts if killed_ns <= moment_ns(p["time"]) < returned_ns] == []
    check_that_nothing_is_missing([*before, *after], killed_ns, returned_ns)


async def until_right(ears: Any, watches: list[Watch], clock: ScaledClock, since_s: float) -> float:
    """How long it took until the newest state that was heard is the one of now, with the age of its counters."""
    while time.monotonic() < since_s + 5.0:
        states, now = told(ears, "anna/state"), watches[0].status(clock.now_ns())
        if states and all(states[-1][key] == now[key] for key in KEYS):
            age_s = abs(moment_ns(now["time"]) - moment_ns(states[-1]["time"])) / NS_PER_S
            assert age_s < 2.0 * SPEED
            return time.monotonic() - since_s
        await asyncio.sleep(0.02)
    return 5.0


def check_that_nothing_is_missing(bouts: list[dict[str, Any]], killed_ns: int, returned_ns: int) -> None:
    """Time without a break, and the breaks between, follow each other without a hole."""
    spans = sorted(
        {(moment_ns(b["start"]), moment_ns(b["end"]), b["kind"]) for b in bouts if b["kind"] == "sedentary"}
        | {(moment_ns(b["start"]), moment_ns(b["end"]), b["kind"]) for b in bouts if b["break_kind"] == "real"}
    )
    in_outage = [kind for _, end_ns, kind in spans if killed_ns < end_ns < returned_ns]
    assert in_outage.count("break") >= 3
    holes = [(a, b) for a, b in itertools.pairwise(spans) if abs(b[0] - a[1]) > 5 * NS_PER_S]
    assert holes == []
