"""What the loads and the exposure summary cost: microseconds a call, and a second of wear in a long recording.

python benchmarks/stage_costs.py [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import timeit
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.core.exposure import ExposureRows, add_angles, summarise
from posturewatch.core.holding import TRUNK_LINE, dose_rate_per_s
from posturewatch.core.loads import LoadState, accumulate, build_params
from posturewatch.core.settings import Calibration, Detection
from posturewatch.types import Placement

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 100_000
DAYS = 14


def measure_us(call: Callable[[], object], calls: int = CALLS) -> float:
    """Best of five, microseconds a call."""
    return min(timeit.repeat(call, number=calls, repeat=5)) / calls * 1e6


def measure_loads() -> dict[str, float]:
    """Microseconds of one second's loads, in each of its cases."""
    plain = build_params(Placement.CHEST, Detection())
    modelled = build_params(Placement.CHEST, Detection(fatigue_index=True))
    leaning, load = math.cos(math.radians(40.0)), LoadState()
    return {
        "dose_rate_us": measure_us(lambda: dose_rate_per_s(TRUNK_LINE, leaning)),
        "accumulate_neutral_us": measure_us(lambda: accumulate(load, 0.99, False, plain)),
        "accumulate_leaning_us": measure_us(lambda: accumulate(load, leaning, False, plain)),
        "accumulate_break_us": measure_us(lambda: accumulate(load, 0.99, True, plain)),
        "accumulate_fatigue_index_us": measure_us(lambda: accumulate(load, leaning, False, modelled)),
    }


def measure_exposure() -> dict[str, float]:
    """Seconds for the summary of two weeks, and nanoseconds a second of wear."""
    n = DAYS * 86_400
    rng = np.random.default_rng(1)
    angle = np.radians(np.abs(np.cumsum(rng.normal(0.0, 0.5, n)) % 120.0 - 60.0))
    up = np.stack([-np.sin(angle), np.zeros(n), np.cos(angle)], axis=1)
    rows = ExposureRows(np.arange(n), np.ones(n, dtype=bool), up=up)
    calibration = Calibration((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    took_s = min(
        timeit.repeat(lambda: summarise(add_angles(rows, calibration), [], Placement.CHEST), number=1, repeat=3)
    )
    return {f"exposure_{DAYS}_days_s": took_s, "exposure_ns_per_worn_s": took_s / n * 1e9}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    figures = {**measure_loads(), **measure_exposure()}
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, value in figures.items():
        sys.stdout.write(f"{name:32}{value:10.3f}\n")


if __name__ == "__main__":
    main()
