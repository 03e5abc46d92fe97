"""Simulated people move as much as recorded ones: the comparison that makes simulated days worth anything.

`body_ranges.json` holds the 10 to 90 % ranges of real minutes; it is made by
`python benchmarks/body_statistics.py > tests/golden/body_ranges.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from posturewatch_sim import scenarios, stream
from posturewatch_sim.likeness import FIGURES, minutes

RANGES = json.loads((Path(__file__).parent / "body_ranges.json").read_text())
CASES = [(group, state) for group, about in RANGES.items() for state in about["states"]]
SEEDS = range(11, 19)  # other people than those the amplitudes were tuned with


@pytest.mark.parametrize(("group", "state"), CASES)
def test_the_median_simulated_minute_lies_within_the_range_of_recorded_minutes(group: str, state: str) -> None:
    about, row = RANGES[group], RANGES[group]["states"][state]
    step = scenarios.Step(row["do"], (600.0, 600.0))
    scene = scenarios.Scenario(
        "likeness", "", "", (scenarios.Wearer("w", about["placement"], about["sensor"], (step,)),)
    )
    found = []
    for seed in SEEDS:
        for chunk in stream.samples(scene, seed=seed, start_ns=0, chunk_s=600.0):
            found += list(minutes(chunk.t_ns / 1e9, chunk.acc_10ug / 1e5))
    assert len(found) > 80
    for figure in FIGURES:
        low, high = row[figure]
        median = float(np.median([getattr(minute, figure) for minute in found]))
        assert low <= median <= high, f"{figure}: {median:.2f} is not within {low} to {high}"


def test_the_ranges_cover_sitting_standing_and_walking_at_chest_thigh_and_wrist() -> None:
    for group in ("chest", "thigh", "wrist"):
        assert set(RANGES[group]["states"]) == {"sit", "stand", "walk"}
        for row in RANGES[group]["states"].values():
            assert row["minutes"] >= 20
            assert row["recordings"] >= 4
