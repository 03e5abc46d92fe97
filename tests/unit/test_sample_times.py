"""Samples get their place on our clock from when they came, how they count, and what their sender says."""

from __future__ import annotations

import numpy as np
import pytest

from posturewatch.core.timebase import TimebaseState, align
from posturewatch.types import NS_PER_S, RawSamples

START_NS = 1_790_000_000 * NS_PER_S
REST = np.tile(np.array([0, 0, 100_000], np.int32), (10, 1))


def batch(number: int, late_s: float = 0.0, behind_s: float | None = None, **about: int) -> RawSamples:
    arrived_ns = START_NS + round((number * 0.2 + late_s) * NS_PER_S)
    theirs = None if behind_s is None else START_NS + round((number * 0.2 - behind_s) * NS_PER_S)
    return RawSamples("s", arrived_ns, REST, 50.0, theirs, **about)


def times(batches: list[RawSamples]) -> np.ndarray:
    state = TimebaseState()
    return np.concatenate([found.t_ns for raw in batches if (found := align(state, raw)) is not None])


def test_jitter_of_the_radio_does_not_become_jitter_of_the_samples() -> None:
    rng = np.random.default_rng(1)
    spacing = np.diff(times([batch(i, late) for i, late in enumerate(rng.uniform(0.0, 0.05, 200))]))
    assert (spacing > 0).all()
    assert np.percentile(np.abs(spacing - NS_PER_S / 50), 95) < 5_000_000


@pytest.mark.parametrize("slow_by", [0.01, 0.03, 0.045])
@pytest.mark.parametrize("batch_s", [0.2, 1.44])
def test_a_sensor_slower_than_its_nominal_rate_does_not_fall_behind(slow_by: float, batch_s: float) -> None:
    samples = np.tile(REST[:1], (round(batch_s * 50), 1))
    state = TimebaseState()
    for number in range(1, 2000):  # 2 s behind, it would jump, and the wearer's clocks would miss the rest
        arrived_ns = START_NS + round(number * batch_s * (1 + slow_by) * NS_PER_S)
        found = align(state, RawSamples("s", arrived_ns, samples, 50.0))
        assert found is not None
        assert arrived_ns - found.t_ns[-1] < 17 * slow_by * batch_s * NS_PER_S


@pytest.mark.parametrize("behind_s", [-3600.0, 13.0, 59.0, 86_400.0])
def test_a_sender_whose_clock_is_wrong_is_placed_on_ours(behind_s: float) -> None:
    found = times([batch(i, 0.01, behind_s) for i in range(100)])
    assert abs(found[-1] - (START_NS + 99 * NS_PER_S // 5)) < NS_PER_S // 2
    assert (np.diff(found) > 0).all()


def test_a_sender_whose_clock_was_set_is_believed() -> None:
    found = times([batch(i, 0.3, 0.0) for i in range(20)])
    assert found[-1] == START_NS + 19 * NS_PER_S // 5


def test_a_repeated_batch_is_dropped_and_a_missing_one_counted() -> None:
    state = TimebaseState()
    given = [batch(0, seq=254, seq_modulus=256), batch(1, seq=255, seq_modulus=256), batch(1, seq=255, seq_modulus=256)]
    given += [batch(3, seq=1, seq_modulus=256)]
    kept = [align(state, raw) is not None for raw in given]
    assert kept == [True, True, False, True]
    assert (state.repeated, state.lost) == (1, 1)


def test_nothing_comes_of_an_empty_batch_or_no_rate() -> None:
    assert align(TimebaseState(), RawSamples("s", START_NS, REST[:0], 50.0)) is None
    assert align(TimebaseState(), RawSamples("s", START_NS, REST, float("nan"))) is None
