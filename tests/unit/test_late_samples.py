"""Samples that come late are not lost: a wearer is known again as soon as they are there."""

from __future__ import annotations

import pytest
from posturewatch_sim.scenarios import load
from posturewatch_sim.stream import samples

from posturewatch.core.pipeline import advance, advance_all, initial
from posturewatch.core.settings import SensorSettings, Settings
from posturewatch.core.snapshot import dump_state
from posturewatch.rules import discover
from posturewatch.types import NS_PER_S, Link, Placement, SampleBatch, Tick, Wear

START_NS = 1_790_000_000 * NS_PER_S
SETTINGS = Settings("me", (SensorSettings("s", Placement.CHEST),), discover())


def batches(until_s: float) -> list[SampleBatch]:
    found = samples(load("demo-cycle"), seed=3, start_ns=START_NS, chunk_s=1.0, duration_s=until_s)
    return [SampleBatch("s", chunk.t_ns, chunk.acc_10ug) for chunk in found]


@pytest.mark.parametrize("late_s", [14, 45, 90])
def test_a_stalled_link_that_delivers_everything_in_the_end_leaves_the_wearer_known(late_s):
    state = initial(SETTINGS)
    early, late = batches(300)[: 300 - late_s], batches(300)[300 - late_s :]
    state, _ = advance_all(state, early, SETTINGS)
    assert (state.body.link, state.body.wear) == (Link.OK, Wear.WORN)
    for second in range(300 - late_s, 301):
        state, _ = advance(state, Tick(START_NS + second * NS_PER_S), SETTINGS)
    assert state.body.link is not Link.OK
    state, _ = advance_all(state, late, SETTINGS)
    assert (state.body.link, state.body.wear) == (Link.OK, Wear.WORN)
    assert state.body.sedentary_s > 280


def test_two_sensors_whose_clocks_go_back_by_different_times_are_both_heard_on():
    """The first takes all moments with it; the seconds the second one looks back at are later ones then."""
    about = Settings("me", (SensorSettings("a", Placement.CHEST), SensorSettings("b", Placement.THIGH)), discover())
    batch = samples(load("demo-cycle"), seed=3, start_ns=START_NS, chunk_s=100.0, duration_s=100)
    found = next(iter(batch))

    def from_second(sensor: str, second: int) -> SampleBatch:
        return SampleBatch(sensor, found.t_ns + second * NS_PER_S, found.acc_10ug)

    state = initial(about)
    both = [from_second("a", 20), from_second("b", 20), Tick(START_NS + 130 * NS_PER_S)]
    state, _ = advance_all(state, both, about)
    for sensor, second in (("a", -3600), ("b", 90), ("a", -3500)):
        state, _ = advance(state, from_second(sensor, second), about)
    state, _ = advance(state, Tick(START_NS - 3390 * NS_PER_S), about)
    assert state.body.link is Link.OK


def test_many_at_once_are_the_same_as_one_by_one():
    items = [item for batch in batches(240) for item in (batch, Tick(int(batch.t_ns[-1])))]
    one, many = initial(SETTINGS), initial(SETTINGS)
    events = []
    for item in items:
        one, said = advance(one, item, SETTINGS)
        events += said
    before = dump_state(many)
    after, together = advance_all(many, items, SETTINGS)
    assert (dump_state(after), together) == (dump_state(one), events)
    assert dump_state(many) == before
