"""A day of 24 h x 100 Hz in one Parquet file: posturewatch replay beside other programs, each a whole process.

python benchmarks/replay_peers.py [--work FOLDER] [--runs 3] [--peers actipy,acti-motus] [--days 14] [--slow]

The peers get environments of their own in the work folder (default: a folder in the user's cache).  They do more and
other things (activity classes, steps), so the fair claim is: the time and memory for a posture timeline of the same
recording.  Prints the best of the runs, taken in turn, and each as a ratio to the fastest peer: wall time, and user and
system time, which says more on a machine with other work.  `numpy` is no peer but the least that can be done: read the
file, the mean and the spread of each second.  `--slow` adds scikit-digital-health, which takes about a minute a run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

RATE_HZ = 100
HOUR = 3600 * RATE_HZ
START_NS = 1_767_571_200_000_000_000
PEERS = {
    "actipy": (
        "actipy",
        """
import sys, pandas
from actipy import processing
data = pandas.read_parquet(sys.argv[1]).set_index("time")
data, _ = processing.lowpass(data, 100, 20)
data, _ = processing.calibrate_gravity(data)
processing.flag_nonwear(data)
""",
    ),
    "scikit-digital-health": (
        "scikit-digital-health",
        """
import sys, numpy, pandas
from skdh.activity import ActivityLevelClassification
from skdh.preprocessing import AccelThresholdWearDetection, CalibrateAccelerometer, GetDayWindowIndices
data = pandas.read_parquet(sys.argv[1])
known = {"time": data["time"].astype("int64").to_numpy() / 1e9, "accel": data[["x", "y", "z"]].to_numpy("float64")}
for step in (
    GetDayWindowIndices(bases=[0], periods=[24]),
    CalibrateAccelerometer(min_hours=12),
    AccelThresholdWearDetection(),
    ActivityLevelClassification(short_wlen=1),
):
    found = step.predict(**known, fs=100.0, tz_name=None)
    known |= {key: value for key, value in (found or {}).items() if key in ("wear", "day_ends", "accel")}
""",
    ),
    "acti-motus": (
        "acti-motus",
        """
import sys, pandas
from actimotus import Activities, Features
data = pandas.read_parquet(sys.argv[1]).set_index("time").tz_localize("UTC")
data.index.name = "datetime"
features = Features(calibrate=False).compute(data.rename(columns=lambda name: f"acc_{name}").astype("float64"))
Activities(vendor="Other").compute(features)
""",
    ),
}
FLOOR = """
import sys, numpy, pyarrow.parquet
data = pyarrow.parquet.read_table(sys.argv[1])
acc = numpy.stack([data[name].to_numpy() for name in "xyz"])
epoch = data["time"].to_numpy().astype("int64") // 1_000_000_000
starts = numpy.flatnonzero(numpy.diff(epoch, prepend=-1))
count = numpy.diff(starts, append=len(epoch))
mean = numpy.add.reduceat(acc, starts, axis=1) / count
norm = numpy.sqrt((acc * acc).sum(axis=0))
spread = numpy.add.reduceat(norm * norm, starts) / count - (numpy.add.reduceat(norm, starts) / count) ** 2
"""


def make_hour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Forty minutes sitting with sway, ten standing restlessly, ten walking: [n, 3] in g."""
    t = np.arange(HOUR) / RATE_HZ
    up = rng.normal(size=3)
    up /= np.linalg.norm(up)
    acc = up + rng.normal(0.0, 0.004, (HOUR, 3))
    acc[:, 0] += 0.01 * np.sin(2 * np.pi * t / 4.1) + 0.02 * np.sin(2 * np.pi * t / 97.0)
    restless, walking = slice(40 * 60 * RATE_HZ, 50 * 60 * RATE_HZ), slice(50 * 60 * RATE_HZ, HOUR)
    acc[restless, 1] += 0.05 * np.sin(2 * np.pi * t[restless] / 23.0)
    acc[walking, 2] += 0.25 * np.sin(2 * np.pi * 1.8 * t[walking])
    acc[walking, 0] += 0.1 * np.sin(2 * np.pi * 0.9 * t[walking])
    return acc.astype(np.float32)


def write(path: Path, hours: int) -> None:
    """A recording with row groups of one hour."""
    rng = np.random.default_rng(7)
    step_ns = 1_000_000_000 // RATE_HZ
    writer = None
    for hour in range(hours):
        acc = make_hour(rng)
        at = START_NS + (hour * HOUR + np.arange(HOUR, dtype=np.int64)) * step_ns
        table = pa.table({"time": pa.array(at, pa.timestamp("ns")), "x": acc[:, 0], "y": acc[:, 1], "z": acc[:, 2]})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=HOUR)
    if writer:
        writer.close()


def environment(work: Path, name: str, package: str) -> Path:
    """The interpreter of a peer's own environment."""
    folder = work / f"venv-{name}"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", package, "pyarrow", "pandas"], check=True)
    return python


class Cost(NamedTuple):
    """Of one process, or the least of several for the times and the most for the memory."""

    wall_s: float
    cpu_s: float  # user and system
    peak_mb: float

    def best(self, other: Cost) -> Cost:
        """Of both runs."""
        return Cost(min(self.wall_s, other.wall_s), min(self.cpu_s, other.cpu_s), max(self.peak_mb, other.peak_mb))


def run(command: list[str | Path], out: Path) -> Cost:
    """One process, its output in a file."""
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with out.open("wb") as sink:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=sink, stderr=subprocess.DEVNULL, env=environ)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} {command[1]} failed with {child.returncode}")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=platformdirs.user_cache_path("posturewatch-benchmarks"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default="actipy,acti-motus")
    parser.add_argument("--slow", action="store_true", help="with scikit-digital-health")
    parser.add_argument("--days", type=int, default=14)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    day = given.work / "day-100hz.parquet"
    if not day.exists():
        write(day, 24)
    replay: list[str | Path] = [Path(sysconfig.get_path("scripts")) / "posturewatch", "replay"]
    options = ["--placement", "chest", "--format", "jsonl"]
    commands: dict[str, list[str | Path]] = {"posturewatch": [*replay, day, *options]}
    commands["numpy"] = [sys.executable, "-c", FLOOR, day]
    for name in filter(None, [*given.peers.split(","), "scikit-digital-health" if given.slow else ""]):
        package, code = PEERS[name]
        commands[name] = [environment(given.work, name, package), "-c", code, day]
    best: dict[str, Cost] = {}
    for _ in range(given.runs):  # in turn: a noisy minute hits all
        for name, command in commands.items():
            cost = run(command, given.work / f"{name}.out")
            best[name] = cost.best(best.get(name, cost))
    peers = [cost for name, cost in best.items() if name in PEERS]
    fastest_s = min((cost.wall_s for cost in peers), default=float("nan"))
    least_s = min((cost.cpu_s for cost in peers), default=float("nan"))
    print(f"{'program':22} {'wall s':>8} {'of fastest peer':>16} {'CPU s':>8} {'of least peer':>14} {'peak MB':>8}")
    for name, cost in best.items():
        print(
            f"{name:22} {cost.wall_s:8.2f} {cost.wall_s / fastest_s:16.2f}"
            f" {cost.cpu_s:8.2f} {cost.cpu_s / least_s:14.2f} {cost.peak_mb:8.0f}"
        )
    print("\nposturewatch, by length:")
    for hours in (1, 24, 24 * given.days):
        path = given.work / f"{hours}h.parquet"
        if not path.exists():
            write(path, hours)
        cost = run([*replay, path, *options], given.work / "length.out")
        print(f"{hours:5} h {cost.wall_s:8.2f} s {cost.peak_mb:6.0f} MB")


if __name__ == "__main__":
    main()
