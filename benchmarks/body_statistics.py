"""How real bodies move: the 10 to 90 % ranges of three figures a minute, from labelled recordings.

    python benchmarks/body_statistics.py [FOLDER] > tests/golden/body_ranges.json

FOLDER holds the recordings as Parquet with JSON sidecars (default: POSTUREWATCH_RECORDINGS, or shared/data/recordings
beside the project).  With --compare the simulated minutes are printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
from posturewatch_sim import scenarios, stream
from posturewatch_sim.likeness import FIGURES, Minute, minutes

PROJECT = Path(__file__).resolve().parents[1]
STATES = {"sit": (1,), "stand": (2, 9), "walk": (4,)}  # labels of the recordings; 9: standing and talking
# which recordings show which body part, on which sensor, and what their people did, in the simulator's words
GROUPS: dict[str, dict[str, Any]] = {
    "chest": {
        "files": "uci287_chest_*",
        "sensor": "beastreamer",
        "do": {"sit": "type", "stand": "stand_talk", "walk": "walk"},
    },
    "thigh": {
        "files": "selfback_thigh_*",
        "sensor": "axivity_ax3_coarse",
        "do": {"sit": "sit", "stand": "stand", "walk": "walk"},
    },
    "wrist": {
        "files": "selfback_wrist_*",
        "sensor": "axivity_ax3_coarse",
        "do": {"sit": "sit", "stand": "stand", "walk": "walk"},
    },
    "wrist writing": {"files": "exam_wrist_*", "sensor": "empatica_e4", "do": {"sit": "write"}},
    "wrist talking": {"files": "stress_wrist_*", "sensor": "empatica_e4", "do": {"sit": "talk"}},
}


def recorded(path: Path, labels: tuple[int, ...]) -> list[Minute]:
    """All minutes of a recording that carry one of these labels throughout."""
    table = pl.read_parquet(path)
    t_s = table["t_s"].to_numpy()
    acc_g = table.select("x", "y", "z").to_numpy().astype(float)
    fits = np.isin(table["label"].to_numpy(), labels)
    second = (t_s - np.floor(t_s[0])).astype(np.int64)
    other = np.bincount(second, ~fits) > 0
    return [m for m in minutes(t_s, acc_g) if not other[m.start_s : m.start_s + 60].any()]


def ranges(folder: Path) -> dict[str, Any]:
    """For each group and state the 10 and 90 % points of each figure over all its people's minutes."""
    out: dict[str, Any] = {}
    for name, group in GROUPS.items():
        states: dict[str, Any] = {}
        for state, do in group["do"].items():
            files = sorted(folder.glob(group["files"] + ".parquet"))
            found = [m for path in files for m in recorded(path, STATES[state])]
            row: dict[str, Any] = {"do": do, "minutes": len(found), "recordings": len(files)}
            for figure in FIGURES:
                low, high = np.percentile([getattr(m, figure) for m in found], (10, 90))
                row[figure] = [round(float(low), 2), round(float(high), 2)]
            states[state] = row
        out[name] = {"placement": name.split()[0], "sensor": group["sensor"], "states": states}
    return out


def simulated(placement: str, sensor: str, do: str, seeds: range = range(1, 5)) -> dict[str, float]:
    """The median of each figure over the simulated minutes of a few people."""
    script = (scenarios.Step(do, (900.0, 900.0)),)
    scene = scenarios.Scenario(do, do, "", (scenarios.Wearer("w", placement, sensor, script),))
    found: list[Minute] = []
    for seed in seeds:
        chunk = next(stream.samples(scene, seed=seed, start_ns=0, chunk_s=900.0))
        found += minutes(chunk.t_ns / 1e9, chunk.acc_10ug / 1e5)
    return {figure: float(np.median([getattr(m, figure) for m in found])) for figure in FIGURES}


def main() -> int:
    """Print the ranges as JSON, or the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("POSTUREWATCH_RECORDINGS") or PROJECT.parent / "shared" / "data" / "recordings"
    parser.add_argument("folder", nargs="?", type=Path, default=Path(default))
    parser.add_argument("--compare", action="store_true")
    given = parser.parse_args()
    if not given.folder.is_dir():
        sys.exit(f"{given.folder} is not a folder; name the folder of the recordings")
    found = ranges(given.folder)
    if not given.compare:
        click.echo(json.dumps(found, indent=1))
        return 0
    for name, group in found.items():
        for state, row in group["states"].items():
            medians = simulated(group["placement"], group["sensor"], row["do"])
            cells = [f"{f} {medians[f]:7.2f} in {row[f][0]:.2f} to {row[f][1]:.2f}" for f in FIGURES]
            marks = ["" if row[f][0] <= medians[f] <= row[f][1] else " <-- outside" for f in FIGURES]
            click.echo(f"{name:14} {state:6} " + "; ".join(c + m for c, m in zip(cells, marks, strict=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
