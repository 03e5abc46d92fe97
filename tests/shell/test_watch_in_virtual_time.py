"""One wearer's live pipeline over hours: the same as a replay, quiet when nothing happens, never fooled by silence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from posturewatch_sim.scenarios import load
from posturewatch_sim.stream import samples

from posturewatch.clock import ScaledClock, WallClock
from posturewatch.core.pipeline import advance, initial
from posturewatch.core.settings import SensorSettings, Settings
from posturewatch.core.snapshot import dump_state
from posturewatch.publishing.messages import for_event
from posturewatch.publishing.topics import Topics
from posturewatch.rules import discover
from posturewatch.sinks.outbox import Outbox
from posturewatch.sources.packet_queue import PacketQueue
from posturewatch.sources.simulated import SimulatedSensor, SimulatedSource
from posturewatch.types import NS_PER_S, Link, LinkChanged, Placement, RawSamples, SampleBatch, Tick
from posturewatch.watch import Watch

START_NS = 1_790_000_000 * NS_PER_S
SETTINGS = Settings("me", (SensorSettings("s", Placement.UPPER_BACK),), discover())


class Hours:
    """A watch with its queue, source and ticks, and everything it said."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.clock = ScaledClock(1.0, START_NS)
        self.outbox = Outbox(self.clock.now_ns, max_history=10_000)
        self.watch = Watch(settings, Topics(), self.outbox, simulated=True)
        self.queue = PacketQueue("me", self.clock.now_ns)
        self.said: list[tuple[str, object]] = []

    async def pass_by(self, hours: float, *sources) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for task in (self._follow(), self._tick(), self._hear(), *(source.run() for source in sources)):
                running = asyncio.ensure_future(task)
                stack.callback(running.cancel)
            await self.clock.sleep(3600 * hours)
            self.watch.work()
        self.said += [(m.topic.split("/")[-1], value_of(m)) for m in drained(self.outbox)]

    async def _follow(self) -> None:
        async for item in self.queue:
            self.watch.take(item)

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(1.0)
            self.watch.tick(self.clock.now_ns())

    async def _hear(self) -> None:
        while True:
            await self.outbox.next()
            self.said += [(m.topic.split("/")[-1], value_of(m)) for m in drained(self.outbox)]

    def of(self, leaf: str) -> list:
        return [value for topic, value in self.said if topic == leaf]


def value_of(message):
    return json.loads(message.payload) if message.payload.startswith(b"{") else message.payload.decode()


def drained(outbox: Outbox):
    while (message := outbox.peek()) is not None:
        outbox.done(message)
        yield message


def test_a_watched_hour_says_what_a_replay_of_the_same_samples_says(fast_forward):
    async def watch() -> Hours:
        hours = Hours()
        source = SimulatedSource(SimulatedSensor("s", "demo-cycle", 5), hours.queue.put, hours.clock)
        await hours.pass_by(0.8, source)
        return hours

    live = fast_forward(watch())
    state, events = initial(SETTINGS), []
    state, _ = advance(state, LinkChanged("s", START_NS, up=True), SETTINGS)
    for chunk in samples(load("demo-cycle"), seed=5, start_ns=START_NS, chunk_s=60.0, duration_s=0.8 * 3600):
        state, said = advance(state, SampleBatch("s", chunk.t_ns, chunk.acc_10ug), SETTINGS)
        events += said
    messages = [m for event in events for m in for_event(Topics(), "me", event, simulated=True)]
    for leaf in ("reminder", "event", "bout"):
        assert live.of(leaf) == [value_of(m) for m in messages if m.topic.endswith(leaf)], leaf
    assert [prompt["event_type"] for prompt in live.of("reminder")][-1] == "break_due"
    assert any(state["reminder"] == "on_break" for state in live.of("state"))


def test_silence_is_told_after_a_minute_and_then_once_a_minute(fast_forward):
    async def watch() -> Hours:
        hours = Hours()
        chunk = next(samples(load("desk-freeze"), seed=1, start_ns=START_NS, chunk_s=600.0))
        hours.queue.put(SampleBatch("s", chunk.t_ns - 600 * NS_PER_S, chunk.acc_10ug))
        await hours.pass_by(2.0)
        return hours

    hours = fast_forward(watch())
    assert hours.of("availability") == ["online", "offline"]
    states = hours.of("state")
    assert states[-1]["reminder"] == "unknown"
    assert (states[-1]["wear"], states[-1]["motion"]) == ("unknown", "unknown")
    assert len(states) <= 2 * 60 + 5
    assert hours.watch.state.body.link is Link.LOST
    assert hours.of("reminder") == []


def test_a_wearer_of_whom_nothing_ever_came_is_unknown_and_offline(fast_forward):
    async def watch() -> Hours:
        hours = Hours()
        await hours.pass_by(1.0)
        return hours

    hours = fast_forward(watch())
    assert hours.of("availability") == ["offline"]
    assert {state["reminder"] for state in hours.of("state")} == {"unknown"}


def raw_packets(seconds: float, rate_hz: float, batch: int, late_ns: int = 50_000_000):
    """What a gateway sends, with the moment of its arrival."""
    chunk = next(samples(load("demo-cycle"), seed=2, start_ns=START_NS, chunk_s=seconds, sensor_model="polar_h10"))
    step = max(1, round(len(chunk.t_ns) / (seconds * rate_hz)))
    acc = chunk.acc_10ug[::step]
    period_ns = round(NS_PER_S / rate_hz)
    for number, at in enumerate(range(0, len(acc) - batch, batch)):
        last_ns = START_NS + (at + batch) * period_ns
        yield RawSamples("s", last_ns + late_ns, acc[at : at + batch], rate_hz, seq=number)


@pytest.mark.parametrize(("rate_hz", "batch"), [(50.0, 10), (26.0, 1), (10.0, 40), (1.0, 1)])
def test_samples_that_wait_for_their_second_change_nothing_but_the_work(fast_forward, rate_hz, batch):
    packets = list(raw_packets(240, rate_hz, batch))

    async def watch() -> tuple[Hours, int]:
        hours, latest = Hours(), 0
        for packet in packets:
            before = hours.watch.state.sensors[0].framing.closed
            hours.watch.take(packet)
            latest = max(latest, hours.watch.state.sensors[0].framing.closed - before if before else 0)
        hours.watch.work()
        return hours, latest

    hours, latest = fast_forward(watch())
    state = initial(SETTINGS)
    for packet in packets:
        state, _ = advance(state, packet, SETTINGS)
    assert hours.watch.dump()["core"] == dump_state(state)
    per_packet_s = max(1, round(batch / rate_hz))
    assert latest <= per_packet_s + 1, "seconds close when they can, not in heaps"


def test_a_watch_goes_on_from_its_own_snapshot_and_with_other_sensors_keeps_the_reminders_only(fast_forward):
    async def watch() -> Hours:
        hours = Hours()
        source = SimulatedSource(SimulatedSensor("s", "desk-freeze", 5), hours.queue.put, hours.clock)
        await hours.pass_by(0.4, source)
        return hours

    hours = fast_forward(watch())
    saved = json.loads(json.dumps(hours.watch.dump()))
    same = Watch(SETTINGS, Topics(), Outbox(lambda: 0), simulated=True, saved=saved)
    assert same.dump() == saved
    moved = replace(SETTINGS, sensors=(SensorSettings("s", Placement.THIGH),))
    other = Watch(moved, Topics(), Outbox(lambda: 0), simulated=True, saved=saved)
    assert other.state.body == initial(moved).body
    assert other.state.reminding == hours.watch.state.reminding


def test_a_full_queue_drops_the_oldest_and_says_so_once_a_minute(fast_forward, caplog):
    async def flood() -> list[int]:
        clock = WallClock(read_wall=lambda: START_NS)
        queue = PacketQueue("me", clock.now_ns, bound=10)
        for second in range(65):
            for _ in range(4):
                queue.put(Tick(START_NS + second))
            await asyncio.sleep(1)
        left = []
        while (item := queue.take()) is not None:
            left.append(item.now_ns - START_NS)
        assert queue.dropped == 250
        return left

    with caplog.at_level(logging.WARNING):
        assert fast_forward(flood()) == sorted([62, 62, *([63] * 4), *([64] * 4)])
    assert len(caplog.records) == 2


def test_a_simulated_sensor_keeps_pace_and_is_lost_after_its_last_act(fast_forward):
    async def wear() -> list:
        clock, items = ScaledClock(1.0, START_NS), []
        source = SimulatedSource(SimulatedSensor("s", "lean-6s", 1), lambda i: items.append((clock.now_ns(), i)), clock)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * 3600):
                await source.run()
        return items

    items = fast_forward(wear())
    batches = [(at_ns, item) for at_ns, item in items if isinstance(item, SampleBatch)]
    late_s = np.array([(at_ns - int(item.t_ns[-1])) / 1e9 for at_ns, item in batches])
    assert late_s.min() > -0.2
    assert late_s.max() < 0.5
    assert [item.up for _, item in items if isinstance(item, LinkChanged)] == [True, False]
    assert isinstance(items[-1][1], LinkChanged)


@pytest.mark.parametrize(("scenario", "is_off"), [("left-on-desk", True), ("desk-freeze", False)])
def test_it_can_be_asked_whether_a_sensor_lies_somewhere(fast_forward, scenario, is_off):
    async def watch() -> Hours:
        hours = Hours()
        source = SimulatedSource(SimulatedSensor("s", scenario, 5), hours.queue.put, hours.clock)
        await hours.pass_by(1.0, source)
        return hours

    hours = fast_forward(watch())
    assert hours.watch.is_off_body("s") is is_off
    assert not hours.watch.is_off_body("another")
