"""Stage 1 as a ratio to the memory-read limit, and one second of stage 2 on a simulated office day.

python benchmarks/stages.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from typing import TYPE_CHECKING

import numpy as np
from posturewatch_sim import scenarios, stream

from posturewatch.core import pipeline
from posturewatch.core.features import FeatureState, Row, rows_of
from posturewatch.core.framing import FramingState, frame
from posturewatch.core.settings import Calibration, Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.rules import discover
from posturewatch.types import NS_PER_S, Placement, SampleBatch

if TYPE_CHECKING:
    from collections.abc import Callable

START_NS = 1_767_571_200 * NS_PER_S
BYTES_PER_SAMPLE = 12  # three int32 read once


def best_s(call: Callable[[], object], runs: int = 5) -> float:
    """The fastest of some runs, in processor time: other work on the machine must not count."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def measure_stage_1() -> None:
    """Int32 samples in memory with real (jittered) time stamps to frames."""
    rng = np.random.default_rng(0)
    n = 100 * 3600 * 4
    acc = (rng.normal(0, 500, (n, 3)) + np.array([0, 0, 100_000])).astype(np.int32)
    t_ns = np.sort(np.arange(n) * 10_030_000 + rng.integers(0, 2_000_000, n)) + START_NS
    block = np.ones(40_000_000)
    limit = block.nbytes / best_s(block.sum) / BYTES_PER_SAMPLE
    rate = n / best_s(lambda: frame(FramingState(), SampleBatch("s", t_ns, acc)))
    print(f"stage 1: {rate / 1e6:.0f} M samples/s = 1/{limit / rate:.1f} of the memory-read limit (target 1/40)")


def measure_stage_2() -> None:
    """Frames to rows, and rows to events, of eight simulated hours."""
    parts = [
        frames
        for chunk in stream.samples(scenarios.load("office-day"), seed=3, start_ns=START_NS)
        for frames in frame(STATE, SampleBatch("s", chunk.t_ns, chunk.acc_10ug))
    ]

    def make_rows() -> list[Row]:
        features = FeatureState()
        return [row for frames in parts for row in rows_of(features, frames)]

    rows = make_rows()
    up = np.median([(r.up_x, r.up_y, r.up_z) for r in rows if r.sd_mg > 100], axis=0)
    x, y, z = (up / np.linalg.norm(up)).tolist()
    sensor = SensorSettings("s", Placement.CHEST, SensorTraits(100), Calibration((x, y, z)))
    settings = Settings("w", (sensor,), rules=discover(), reminding=Reminding(as_due=True))

    def follow() -> None:
        state = pipeline.initial(settings)
        state.sensors[0].rows = list(rows)
        pipeline.close(state, settings)

    print(f"features: {best_s(make_rows) / len(rows) * 1e6:.1f} µs a second")
    print(f"stage 2: {best_s(follow) / len(rows) * 1e6:.1f} µs a second over {len(rows)} s (target 8)")


STATE = FramingState()

if __name__ == "__main__":
    measure_stage_1()
    measure_stage_2()
