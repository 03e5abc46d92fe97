"""What the detector's first stage adds up, and what gaps and a clock set back do to the clocks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from posturewatch.core.framing import CLIP_10UG, FramingState, close_second, frame, join
from posturewatch.core.pipeline import State, advance, close, initial
from posturewatch.core.settings import SensorSettings, SensorTraits, Settings
from posturewatch.rules import discover
from posturewatch.types import NS_PER_S, ClosedBy, Event, Placement, RuleDue, SampleBatch, SedentaryEnded, StaticEnded

START_NS = 1_790_000_000 * NS_PER_S
RATE_HZ = 10
CHEST = Settings("me", (SensorSettings("s", Placement.CHEST, SensorTraits(step_10ug=100)),), discover())


def sitting(from_s: float, length_s: int, up: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> SampleBatch:
    """A breathing wearer who holds a posture."""
    n = length_s * RATE_HZ
    t_s = from_s + np.arange(n) / RATE_HZ
    acc = np.array(up) * 100_000 + np.random.default_rng(abs(int(from_s))).normal(0, 300, (n, 3))
    acc[:, 1] += 2_000 * np.sin(2 * np.pi * 0.25 * t_s)
    return SampleBatch("s", START_NS + np.rint(t_s * 1e9).astype(np.int64), np.rint(acc).astype(np.int32))


def run(*batches: SampleBatch) -> tuple[State, list[Event]]:
    state, events = initial(CHEST), list[Event]()
    for batch in batches:
        state, new = advance(state, batch, CHEST)
        events += new
    return state, events


def test_frames_are_the_exact_sums_of_their_samples() -> None:
    draw = np.random.default_rng(3)
    t_ns = START_NS + np.sort(draw.integers(0, 20 * NS_PER_S, 900))
    acc = draw.integers(-2_000_000, 2_000_000, (900, 3)).astype(np.int32)
    framing = FramingState()
    found = frame(framing, SampleBatch("s", t_ns, acc)) + close_second(framing, "s")
    rows = {int(e): (f, i) for f in found for i, e in enumerate(f.epoch)}
    assert len(rows) == 20
    for epoch, (got, i) in rows.items():
        inside = [k for k in range(900) if int(t_ns[k]) // NS_PER_S == epoch]
        values = [[max(-CLIP_10UG, min(CLIP_10UG, int(v))) for v in acc[k]] for k in inside]
        norms = [round(math.sqrt(sum(v * v for v in row))) for row in values]
        assert int(got.n[i]) == len(inside)
        assert got.block_sum[i].sum(axis=0).tolist() == [sum(row[a] for row in values) for a in range(3)]
        assert got.sumsq[i].tolist() == [sum(row[a] ** 2 for row in values) for a in range(3)]
        assert (int(got.norm_sum[i]), int(got.norm_sumsq[i])) == (sum(norms), sum(n * n for n in norms))
        assert int(got.clipped[i]) == sum(bool((np.abs(acc[k]) > CLIP_10UG).any()) for k in inside)
        blocks = [(int(t_ns[k]) % NS_PER_S) // 100_000_000 for k in inside]
        assert got.block_n[i].tolist() == [blocks.count(b) for b in range(10)]


@pytest.mark.parametrize("cut", [0, 37, 60, 19_990])
@pytest.mark.parametrize("length_s", [1, 3, 400])
def test_large_batches_give_the_frames_of_one_whole(cut: int, length_s: int) -> None:
    draw = np.random.default_rng(cut + length_s)
    t_ns = START_NS + np.sort(draw.integers(0, length_s * NS_PER_S, 20_000))
    acc = draw.integers(-200_000, 200_000, (20_000, 3)).astype(np.int32)

    def frames(*edges: int) -> list[list[object]]:
        framing, parts = FramingState(), []
        for start, stop in pairwise(edges):
            parts += frame(framing, SampleBatch("s", t_ns[start:stop], acc[start:stop]))
        whole = join(parts + close_second(framing, "s"))
        return [getattr(whole, name).tolist() for name in ("epoch", "n", "block_n", "block_sum", "sumsq", "norm_sumsq")]

    assert frames(0, cut, 20_000) == frames(0, 20_000)


def test_a_sample_that_comes_after_its_second_closed_is_counted_and_left_out() -> None:
    framing, acc = FramingState(), np.full((1, 3), 100, np.int32)
    for at_s in (0.5, 1.5, 0.7):
        frame(framing, SampleBatch("s", np.array([START_NS + int(at_s * NS_PER_S)]), acc))
    assert framing.late == 1
    assert [int(f.n.sum()) for f in close_second(framing, "s")] == [1]


@pytest.mark.parametrize(("gap_s", "censored"), [(5, False), (45, False), (90, True), (10_800, True)])
def test_only_a_gap_of_more_than_a_minute_censors_the_static_bout(gap_s: int, censored: bool) -> None:
    _, events = run(sitting(0, 600), sitting(600 + gap_s, 60))
    ended = [e for e in events if isinstance(e, StaticEnded)]
    assert [e.closed_by for e in ended] == ([ClosedBy.CENSORED] if censored else [])


@pytest.mark.parametrize("gap_s", [45, 90])
def test_a_gap_pauses_the_sedentary_clock(gap_s: int) -> None:
    before, _ = run(sitting(0, 600))
    after, _ = run(sitting(0, 600), sitting(600 + gap_s, 60))
    assert 55 <= after.body.sedentary_s - before.body.sedentary_s <= 62


def test_a_gap_of_three_hours_keeps_the_sedentary_bout_only_in_the_same_posture() -> None:
    _, same = run(sitting(0, 600), sitting(11_400, 60))
    _, other = run(sitting(0, 600), sitting(11_400, 60, (0.8, 0.0, 0.6)))
    assert [e.closed_by for e in same if isinstance(e, SedentaryEnded)] == []
    assert [e.closed_by for e in other if isinstance(e, SedentaryEnded)] == [ClosedBy.CENSORED]


def test_a_clock_set_back_an_hour_loses_no_bout_and_makes_no_storm() -> None:
    state, events = run(sitting(0, 1000), sitting(-2600, 1000))
    events += close(state, CHEST)[1]
    assert state.body.sedentary_s >= 1900
    assert sorted(e.rule for e in events if isinstance(e, RuleDue)) == ["sedentary", "static"]
