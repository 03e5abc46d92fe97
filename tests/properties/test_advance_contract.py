"""The contract of `advance`, clause by clause, bit for bit."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posturewatch.core.framing import FramingState, close_second, frame
from posturewatch.core.pipeline import State, advance, close, initial
from posturewatch.core.settings import Calibration, SensorSettings, SensorTraits, Settings
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.recording.packet_log import NO_REASON, Header, RecordedSensor, RecordingReader, RecordingWriter
from posturewatch.rules import discover
from posturewatch.types import (
    NS_PER_S,
    Command,
    Event,
    Frames,
    Happened,
    Incoming,
    LinkChanged,
    Placement,
    RawSamples,
    SampleBatch,
    Surroundings,
    Tick,
    Verb,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

START_NS = 1_790_000_000 * NS_PER_S
RATE_HZ = 12.5
UPRIGHT = Calibration((1.0, 0.0, 0.0))
CHEST = SensorSettings("chest", Placement.CHEST, SensorTraits(step_10ug=100), UPRIGHT)
THIGH = SensorSettings("thigh", Placement.THIGH, SensorTraits(step_10ug=1600))
WRIST = SensorSettings("wrist", Placement.WRIST)
ONE = {name: Settings("me", (about,), discover()) for name, about in (("chest", CHEST), ("thigh", THIGH))}
ONE["wrist"] = Settings("me", (WRIST,), discover())
TWO = Settings("me", (CHEST, THIGH), discover())


@dataclass(frozen=True)
class Part:
    """Some seconds of one activity, after a hole or a jump of the clock."""

    kind: str
    length_s: int
    before_s: float


def part(jumps: Sequence[float]) -> st.SearchStrategy[Part]:
    kinds = ("still", "leaning", "lying", "fidgeting", "walking", "zero", "extreme")
    return st.builds(Part, st.sampled_from(kinds), st.integers(1, 60), st.sampled_from(jumps))


FORWARD = (0.0, 0.0, 0.0, 0.3, 5.0, 45.0, 90.0, 400.0, 10_800.0)
ANYWHERE = (*FORWARD, 3600.0, -3600.0, -1.0, -30.0)
PARTS = st.lists(part(FORWARD), min_size=1, max_size=6)
JUMPY = st.lists(part(ANYWHERE), min_size=1, max_size=6)
SEED = st.integers(0, 2**32 - 1)
NAME = st.sampled_from(sorted(ONE))


def stream(parts: Sequence[Part], seed: int, sensor: str = "chest") -> SampleBatch:
    """All samples of the parts, one after the other."""
    draw = np.random.default_rng(seed)
    times, values, at_s = [], [], 0.0
    for each in parts:
        at_s += each.before_s
        n = int(each.length_s * RATE_HZ)
        t_s = at_s + np.arange(n) / RATE_HZ
        times.append(START_NS + np.rint(t_s * 1e9).astype(np.int64))
        values.append(motion(each.kind, t_s, draw))
        at_s = t_s[-1] + 1 / RATE_HZ
    return SampleBatch(sensor, np.concatenate(times), np.concatenate(values).astype(np.int32))


def motion(kind: str, t_s: Any, draw: np.random.Generator) -> Any:
    noise = draw.normal(0, 200, (len(t_s), 3))
    if kind == "zero":
        return np.zeros((len(t_s), 3))
    if kind == "extreme":
        return draw.choice([-(2**31), 2**31 - 1, 0, 1_600_000, -1_600_001], (len(t_s), 3))
    up = {"leaning": (0.9, 0.1, 0.42), "lying": (0.05, 0.0, 1.0)}.get(kind, (1.0, 0.0, 0.0))
    still = np.array(up) * 100_000 + noise
    if kind == "fidgeting":
        return still + draw.normal(0, 12_000, (len(t_s), 3))
    if kind == "walking":
        return still + 30_000 * np.sin(2 * np.pi * 1.8 * t_s)[:, None] * (1.0, 0.3, 0.5)
    return still


def pieces(batch: SampleBatch, cuts: Iterable[int]) -> list[SampleBatch]:
    edges = [0, *sorted(cut % (len(batch.t_ns) + 1) for cut in cuts), len(batch.t_ns)]
    return [
        SampleBatch(batch.sensor, batch.t_ns[start:stop], batch.acc_10ug[start:stop]) for start, stop in pairwise(edges)
    ]


def run(items: Iterable[Incoming], about: Settings, state: State | None = None) -> tuple[State, list[Event]]:
    state = initial(about) if state is None else state
    events: list[Event] = []
    for item in items:
        state, new = advance(state, item, about)
        events += new
    return state, events


def settled(state: State) -> str:
    """All that the state says, whatever pieces the samples of the open second came in."""
    content = dump_state(state)
    for sensor in content["sensors"]:
        waiting = sensor["framing"]["pending"]
        times = [number for part in waiting for number in part["t_ns"]["numbers"]]
        axes = [number for part in waiting for number in part["acc_10ug"]["numbers"]]
        samples = zip(times, axes[0::3], axes[1::3], axes[2::3], strict=True)
        sensor["framing"]["pending"] = sorted(samples, key=lambda sample: sample[0])
    return json.dumps(content)


def without_framing(state: State) -> str:
    content = dump_state(state)
    for sensor in content["sensors"]:
        del sensor["framing"]
    return json.dumps(content)


CUTS = st.lists(st.integers(0, 5000), max_size=12)


@settings(max_examples=30)
@given(JUMPY, SEED, NAME, CUTS)
def test_the_same_input_gives_the_same_events_and_state(parts, seed, name, cuts):
    items = pieces(stream(parts, seed, name), cuts)
    (one, said), (other, again) = run(items, ONE[name]), run(items, ONE[name])
    assert said == again
    assert settled(one) == settled(other)


@settings(max_examples=30)
@given(JUMPY, SEED, NAME, CUTS)
def test_the_state_that_goes_in_is_left_as_it_was(parts, seed, name, cuts):
    state = initial(ONE[name])
    for item in pieces(stream(parts, seed, name), cuts):
        for taken in (item, Tick(int(item.t_ns[-1]) + NS_PER_S if len(item.t_ns) else START_NS)):
            before = json.dumps(dump_state(state))
            after, _ = advance(state, taken, ONE[name])
            assert json.dumps(dump_state(state)) == before
            state = after


@settings(max_examples=30)
@given(JUMPY, SEED, NAME, CUTS)
@example([Part("still", 60, 0.0), Part("walking", 60, 0.0), Part("still", 30, -3600.0)], 1, "chest", [700])
@example([Part("still", 60, 0.0), Part("walking", 10, 0.0), Part("still", 30, -1.0)], 1, "chest", [700])
@example([Part("walking", 1, 0.0), Part("walking", 30, -1.0)], 1, "chest", [2, 12])
def test_any_cutting_of_the_samples_gives_the_same_events_and_state(parts, seed, name, cuts):
    whole = stream(parts, seed, name)
    (one, said), (other, again) = run([whole], ONE[name]), run(pieces(whole, cuts), ONE[name])
    assert said == again
    assert settled(one) == settled(other)
    (one, said), (other, again) = close(one, ONE[name]), close(other, ONE[name])
    assert said == again
    assert settled(one) == settled(other)


def test_sample_by_sample_is_the_same_as_all_at_once():
    whole = stream([Part("still", 40, 0.0), Part("walking", 30, 5.0), Part("leaning", 20, 0.0)], 5)
    (one, said), (other, again) = run([whole], ONE["chest"]), run(pieces(whole, range(len(whole.t_ns))), ONE["chest"])
    assert said == again
    assert settled(one) == settled(other)


@settings(max_examples=30)
@given(PARTS, SEED, NAME, CUTS, st.integers(1, 40))
def test_closed_seconds_give_the_same_as_their_samples(parts, seed, name, cuts, rows):
    whole, framing = stream(parts, seed, name), FramingState()
    frames = [f for piece in pieces(whole, cuts) for f in frame(framing, piece)] + close_second(framing, name)
    names = [n for n in Frames.__dataclass_fields__ if n != "sensor"]
    joined = [np.concatenate([getattr(f, n) for f in frames]) for n in names]
    batches = [Frames(name, *(a[i : i + rows] for a in joined)) for i in range(0, len(joined[0]), rows)]
    one, said = run([whole], ONE[name])
    one, end = close(one, ONE[name])
    other, again = run(batches, ONE[name])
    other, last = close(other, ONE[name])
    assert said + end == again + last
    assert without_framing(one) == without_framing(other)


def live(parts: Sequence[Part], seed: int, delays_ms: Sequence[int], sensor: str = "chest") -> list[Incoming]:
    """What a daemon takes: packets of ten samples as they arrive, a tick each second, a command, a lost link."""
    items: list[Incoming] = []
    next_tick = START_NS
    for at, piece in enumerate(pieces(whole := stream(parts, seed, sensor), range(0, 100_000, 10))[:150]):
        if not len(piece.t_ns):
            continue
        arrived = int(piece.t_ns[-1]) + delays_ms[at % len(delays_ms)] * 1_000_000
        while next_tick < arrived and next_tick < START_NS + 1200 * NS_PER_S:
            items.append(Tick(next_tick))
            next_tick += NS_PER_S
        items.append(RawSamples(sensor, arrived, piece.acc_10ug, RATE_HZ, seq=at % 256, seq_modulus=256))
    end = int(whole.t_ns[-1])
    return [
        *items[: len(items) // 2],
        Command(end, Verb.SNOOZE, "r1", minutes=5),
        Surroundings(end, NO_REASON, end + 60 * NS_PER_S),
        LinkChanged(sensor, end, up=False),
        *items[len(items) // 2 :],
    ]


DELAYS = st.lists(st.integers(0, 900), min_size=1, max_size=5)


@settings(max_examples=12)
@given(PARTS, SEED, NAME, DELAYS)
def test_what_was_recorded_live_replays_to_the_same_events_and_state(parts, seed, name, delays_ms):
    kept = ONE[name].sensors[0]
    about = replace(ONE[name], sensors=(replace(kept, id="sensor-1"),))  # recordings number their sensors
    items = live(parts, seed, delays_ms, "sensor-1")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packets.jsonl"
        with RecordingWriter(path, Header(START_NS, (RecordedSensor("sensor-1", kept.placement, RATE_HZ),))) as writer:
            for item in items:
                writer.write(item)
        recorded = list(RecordingReader(path))
    assert len(recorded) == len(items)
    (one, said), (other, again) = run(items, about), run(recorded, about)
    assert said == again
    assert settled(one) == settled(other)


@settings(max_examples=12)
@given(PARTS, SEED, NAME, DELAYS, st.lists(st.integers(0, 1000), min_size=1, max_size=4))
def test_saving_and_loading_anywhere_changes_nothing(parts, seed, name, delays_ms, places):
    items = live(parts, seed, delays_ms, name)
    straight, said = run(items, ONE[name])
    state, again = initial(ONE[name]), list[Event]()
    stops = {place % len(items) for place in places}
    for at, item in enumerate(items):
        state, new = advance(state, item, ONE[name])
        again += new
        if at in stops:
            state = load_state(json.loads(json.dumps(dump_state(state), allow_nan=False)))
    assert said == again
    assert json.dumps(dump_state(straight)) == json.dumps(dump_state(state))


@settings(max_examples=30)
@given(PARTS, SEED, NAME, st.sampled_from([-3600, 3600, 86_400, 10_000_000]))
def test_moving_every_time_stamp_moves_every_event_and_nothing_else(parts, seed, name, by_s):
    whole = stream(parts, seed, name)
    moved = replace(whole, t_ns=whole.t_ns + by_s * NS_PER_S)
    plain = replace(ONE[name], rules=())
    one, said = run([whole], plain)
    other, again = run([moved], plain)
    said += close(one, plain)[1]
    again += close(other, plain)[1]
    assert [moved_back(event, by_s) for event in again] == said


def moved_back(event: Event, by_s: int) -> Event:
    moments: dict[str, Any] = {
        n: getattr(event, n) - by_s * NS_PER_S for n in event.__dataclass_fields__ if n.endswith("_ns")
    }
    if isinstance(event, Happened):
        moments["detail"] = {k: v - by_s * NS_PER_S if k.endswith("_ns") else v for k, v in event.detail.items()}
    return replace(event, **moments)


ODD_TIME = st.one_of(
    st.integers(0, 4 * 3600 * 10).map(lambda tenth: START_NS + tenth * NS_PER_S // 10),
    st.sampled_from([START_NS, START_NS - 3600 * NS_PER_S, START_NS + 90 * NS_PER_S, START_NS + 1, 1]),
)
ODD_VALUE = st.sampled_from([0, 1, -1, 100_000, -100_000, 1_600_001, 2**31 - 1, -(2**31)])


@st.composite
def odd_samples(draw: st.DrawFn) -> SampleBatch:
    n = draw(st.integers(0, 12))
    t_ns = np.array([draw(ODD_TIME) for _ in range(n)], np.int64)
    acc = np.array([[draw(ODD_VALUE) for _ in range(3)] for _ in range(n)], np.int32).reshape(n, 3)
    return SampleBatch(draw(st.sampled_from(["chest", "thigh", "nobody"])), t_ns, acc)


@st.composite
def good_samples(draw: st.DrawFn) -> SampleBatch:
    found = stream(
        [draw(part((0.0, 5.0, 90.0, 10_800.0)))], draw(st.integers(0, 9)), draw(st.sampled_from(["chest", "thigh"]))
    )
    return replace(found, t_ns=found.t_ns + draw(st.sampled_from([0, 60, 3600, -3600])) * NS_PER_S)


@st.composite
def odd_packets(draw: st.DrawFn) -> RawSamples:
    n = draw(st.integers(0, 20))
    rate_hz = draw(st.sampled_from([0.0, -1.0, 1e-9, 0.1, 12.5, 3200.0, 1e12, float("nan"), float("inf")]))
    last_ns = draw(st.none() | ODD_TIME)
    acc = np.full((n, 3), draw(ODD_VALUE), np.int32)
    seq, modulus = draw(st.none() | st.integers(-5, 300)), draw(st.sampled_from([0, 1, 256]))
    return RawSamples(draw(st.sampled_from(["chest", "thigh"])), draw(ODD_TIME), acc, rate_hz, last_ns, seq, modulus)


ODD = st.one_of(
    odd_samples(),
    good_samples(),
    odd_packets(),
    st.builds(Tick, ODD_TIME),
    st.builds(LinkChanged, st.sampled_from(["chest", "nobody"]), ODD_TIME, st.booleans()),
    st.builds(Surroundings, ODD_TIME, st.none() | st.just("in a meeting"), ODD_TIME),
    st.builds(
        Command,
        ODD_TIME,
        st.sampled_from(Verb),
        request=st.none() | st.just("r"),
        cycle=st.none() | st.just("old"),
        minutes=st.none() | st.sampled_from([0.0, -1.0, 5.0, 1e9, float("nan"), float("inf")]),
        until_ns=st.none() | ODD_TIME,
        key=st.none() | st.sampled_from(["static_limit_min", "level", "nothing"]),
        value=st.none() | st.sampled_from([0.0, 1.0, "x", True, float("nan")]),
    ),
)


@settings(max_examples=120)
@given(st.lists(ODD, max_size=25), st.sampled_from([ONE["chest"], TWO]))
def test_nothing_that_comes_in_raises_and_every_state_can_be_saved(items, about):
    state, _ = run(items, about)
    state, _ = close(state, about)
    loaded = load_state(json.loads(json.dumps(dump_state(state), allow_nan=False)))
    assert json.dumps(dump_state(loaded)) == json.dumps(dump_state(state))


@settings(max_examples=5)
@given(PARTS, PARTS, SEED, st.lists(st.booleans(), min_size=1, max_size=40))
def test_two_sensors_in_any_interleaving_give_the_same_second_by_second(chest, thigh, seed, turns):
    # both begin at once, so that neither counts as silent when the other's seconds close
    first = [
        pieces(stream([Part("still", 3, 0.0), *p], seed, n), range(0, 20_000, 25))
        for p, n in ((chest, "chest"), (thigh, "thigh"))
    ]
    together = [item for pair in zip(*([f[0], f[1]] for f in first), strict=True) for item in pair]
    rest = [iter(f[2:]) for f in first]
    mixed = [item for turn in turns for item in [next(rest[turn], None)] if item is not None]
    state, said = run([*together, *mixed, *rest[0], *rest[1]], TWO)
    said += close(state, TWO)[1]
    first_then = [iter(f[2:]) for f in first]
    state, again = run([*together, *first_then[1], *first_then[0]], TWO)
    again += close(state, TWO)[1]
    assert said == again
