"""A simulated stream depends on scenario and seed alone: not on how it is cut, not on what was asked before."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posturewatch_sim import scenarios, stream, truth
from posturewatch_sim.faults import Faults

FAULTS = Faults.parse({"drop": "5%", "gap": "20s@1:10", "clock_skew": "100ppm", "stuck_axis": "y@3:00"})
DIGEST = """
import hashlib
from posturewatch_sim import scenarios, stream
digest = hashlib.sha256()
for chunk in stream.samples(scenarios.load("walk-at-28"), seed=7, start_ns=0, duration_s=300.0):
    digest.update(chunk.t_ns.tobytes() + chunk.acc_10ug.tobytes())
print(digest.hexdigest())
"""


def collected(chunk_s: float, seed: int = 3, name: str = "left-on-desk") -> tuple[bytes, bytes]:
    chunks = list(
        stream.samples(
            scenarios.load(name), seed=seed, start_ns=10**18, faults=FAULTS, chunk_s=chunk_s, duration_s=280.0
        )
    )
    t_ns, acc = np.concatenate([c.t_ns for c in chunks]), np.concatenate([c.acc_10ug for c in chunks])
    assert t_ns.dtype == np.int64
    assert acc.dtype == np.int32
    return t_ns.tobytes(), acc.tobytes()


WHOLE = collected(60.0)


@given(chunk_s=st.floats(0.31, 500.0))
@settings(max_examples=25, deadline=None)
def test_any_chunk_length_gives_the_same_bytes(chunk_s: float) -> None:
    assert collected(chunk_s) == WHOLE


def test_another_seed_gives_another_body() -> None:
    assert collected(60.0, seed=4) != WHOLE


def test_another_process_gives_the_same_bytes() -> None:
    digest = hashlib.sha256()
    for chunk in stream.samples(scenarios.load("walk-at-28"), seed=7, start_ns=0, duration_s=300.0):
        digest.update(chunk.t_ns.tobytes() + chunk.acc_10ug.tobytes())
    other = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == digest.hexdigest()


def test_a_shorter_stream_is_the_beginning_of_a_longer_one() -> None:
    day = scenarios.load("demo-cycle")
    short, long = (
        np.concatenate([c.acc_10ug for c in stream.samples(day, seed=1, start_ns=0, duration_s=d)]) for d in (100, 250)
    )
    assert np.array_equal(long[: len(short)], short)


def test_an_endless_scenario_goes_on_after_its_script() -> None:
    day = scenarios.load("demo-cycle")
    events = truth.truth(day, seed=1, duration_s=24 * 3600.0)
    assert sum(e["type"] == "reminder" for e in events) > 10
    assert max(e["end_s"] for e in events if e["type"] == "wear") == 24 * 3600.0
    count = sum(1 for _ in zip(stream.samples(day, seed=1, start_ns=0, chunk_s=600.0), range(20), strict=False))
    assert count == 20


def test_wearers_of_one_scenario_have_bodies_of_their_own() -> None:
    pair = scenarios.load("two-wearers")
    ada, ben = (
        next(stream.samples(pair, seed=1, start_ns=0, wearer=w, sensor_model="polar_h10")).acc_10ug
        for w in ("ada", "ben")
    )
    assert not np.array_equal(ada[:1000], ben[:1000])
    with pytest.raises(scenarios.ScenarioError, match="ada, ben"):
        next(stream.samples(pair, seed=1, start_ns=0, wearer="eve"))


def test_time_stamps_rise_and_chunks_say_how_far_they_reach() -> None:
    last = -1
    for number, chunk in enumerate(stream.samples(scenarios.load("office-day"), seed=2, start_ns=0, duration_s=900.0)):
        assert chunk.until_s == 60.0 * (number + 1)
        assert chunk.t_ns[0] > last
        assert (np.diff(chunk.t_ns) > 0).all()
        last = int(chunk.t_ns[-1])


def test_a_day_is_simulated_two_thousand_times_as_fast_as_it_lasts() -> None:
    day = scenarios.load("office-day")
    began = time.process_time()
    for _ in stream.samples(day, seed=1, start_ns=0, duration_s=3600.0, chunk_s=600.0):
        pass
    assert 3600.0 / (time.process_time() - began) > 2000.0
