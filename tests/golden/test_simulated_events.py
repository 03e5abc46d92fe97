"""A simulated day says the same whatever the pieces, the restart, and whether it went through a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from posturewatch_sim import files, scenarios, stream

from posturewatch.core.pipeline import advance, close, initial
from posturewatch.core.settings import Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.rules import discover
from posturewatch.sources.sample_files import RELATIVE_START_NS, open_samples
from posturewatch.types import Event, Placement, SampleBatch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CHEST = SensorSettings("recording", Placement.CHEST, SensorTraits(step_10ug=100))
SETTINGS = Settings("me", (CHEST,), discover(), reminding=Reminding(as_due=True))


def chunks(name: str, chunk_s: float) -> Iterable[stream.Chunk]:
    return stream.samples(
        scenarios.load(name), seed=6, start_ns=RELATIVE_START_NS, chunk_s=chunk_s, duration_s=2 * 3600.0
    )


def batches(name: str, chunk_s: float) -> list[SampleBatch]:
    return [SampleBatch("recording", chunk.t_ns, chunk.acc_10ug) for chunk in chunks(name, chunk_s)]


def events(items: Iterable[SampleBatch], restart_at: int | None = None) -> list[Event]:
    state, found = initial(SETTINGS), list[Event]()
    for at, item in enumerate(items):
        if at == restart_at:
            state = load_state(json.loads(json.dumps(dump_state(state))))
        state, new = advance(state, item, SETTINGS)
        found += new
    return found + close(state, SETTINGS)[1]


@pytest.mark.parametrize("name", ["walk-break", "fidgeter"])
def test_a_day_says_the_same_in_any_pieces_after_a_restart_and_through_a_file(name: str, tmp_path: Path) -> None:
    expected = events(batches(name, 600.0))
    assert len(expected) > 10
    assert events(batches(name, 7.3)) == expected
    for restart_at in (3, 61, 97):
        assert events(batches(name, 60.0), restart_at) == expected
    path = tmp_path / "day.parquet"
    files.write(path, chunks(name, 600.0), RELATIVE_START_NS)
    recorded = list(open_samples(path).batches())
    assert abs(int(recorded[0].t_ns[0]) - RELATIVE_START_NS) < 1_000_000_000
    kinds = [(type(e).__name__, round(e.t_ns / 1e9)) for e in expected]
    assert [(type(e).__name__, round(e.t_ns / 1e9)) for e in events(recorded)] == kinds
