"""`posturewatch replay` as a person runs it: bad files get one line, good ones the same events in every form."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

RATE_HZ = 20


def replay(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "posturewatch", "replay", str(path), *options]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def lines(path: Path, *options: str) -> list[dict[str, Any]]:
    done = replay(path, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def day(minutes: int = 45) -> pl.DataFrame:
    """Somebody sits still at first, and walks for the last five minutes."""
    draw = np.random.default_rng(4)
    t_s = np.arange(minutes * 60 * RATE_HZ) / RATE_HZ
    up = np.array([1.0, 0.0, 0.0]) + draw.normal(0, 0.004, (len(t_s), 3))
    up[:, 2] += 0.02 * np.sin(2 * np.pi * 0.25 * t_s)
    walks = t_s >= (minutes - 5) * 60
    up[walks, 0] += 0.4 * np.sin(2 * np.pi * 1.8 * t_s[walks])
    up[walks, 2] += 0.2 * np.sin(2 * np.pi * 1.8 * t_s[walks])
    return pl.DataFrame({"t_s": t_s, **{name: np.round(up[:, i], 4) for i, name in enumerate("xyz")}})


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "day.parquet"
    day().write_parquet(path)
    return path


def short() -> pl.DataFrame:
    return day(6).head(60 * RATE_HZ)


def nothing_at_all(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    short().write_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])


def text(path: Path) -> None:
    path.write_text("dear diary, today I sat\n")


def unsorted(path: Path) -> None:
    pl.concat([short().tail(100), short().head(100)]).write_parquet(path)


BAD = [
    ("empty.parquet", nothing_at_all, "is empty"),
    ("truncated.parquet", truncated, "is it complete?"),
    ("text.parquet", text, "cannot be read"),
    ("text.csv", text, "missing"),
    ("unsorted.parquet", unsorted, "row 101: the time goes back; sort the recording by time"),
    ("header.csv", lambda p: p.write_text("t_s,x,y,z\n"), "no samples"),
    ("binary.csv", lambda p: p.write_bytes(bytes(range(256))), "neither Parquet"),
    ("folder", lambda p: p.mkdir(), "is a folder"),
    ("mg.parquet", lambda p: short().with_columns(pl.col("x", "y", "z") * 1000).write_parquet(p), "--unit mg"),
    ("ms2.parquet", lambda p: short().with_columns(pl.col("x", "y", "z") * 9.81).write_parquet(p), "--unit m/s2"),
    ("zero.parquet", lambda p: short().with_columns(pl.col("x", "y", "z") * 0).write_parquet(p), "all samples are 0"),
    ("one.parquet", lambda p: short().select("t_s", "x").write_parquet(p), "three axes"),
    ("timeless.parquet", lambda p: short().select("x", "y", "z").write_parquet(p), "a time column"),
    ("flat.parquet", lambda p: short().with_columns(pl.col("y", "z") * 0).write_parquet(p), "y, z are 0 throughout"),
    ("nan.parquet", lambda p: short().with_columns(pl.lit(float("nan")).alias("x")).write_parquet(p), "is a number"),
    ("absent.parquet", lambda _: None, "no such file"),
]


@pytest.mark.parametrize(("name", "make", "says"), BAD, ids=[b[0] for b in BAD])
def test_a_bad_recording_gets_one_line_that_names_it_and_the_fix(
    tmp_path: Path, name: str, make: Any, says: str
) -> None:
    path = tmp_path / name
    make(path)
    done = replay(path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert name in done.stderr
    assert says in done.stderr


@pytest.mark.parametrize("unit", ["mg", "m/s2"])
def test_g_said_to_be_another_unit_is_refused_with_the_right_one(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "g.parquet"
    short().write_parquet(path)
    done = replay(path, "--unit", unit)
    assert done.returncode == 2
    assert "--unit g" in done.stderr


def test_csv_says_the_same_as_parquet(parquet: Path, tmp_path: Path) -> None:
    pl.read_parquet(parquet).write_csv(tmp_path / "day.csv")
    assert lines(tmp_path / "day.csv", "--placement", "chest") == lines(parquet, "--placement", "chest")


def test_wear_motion_and_posture_cover_the_recording_without_overlap(parquet: Path) -> None:
    found = lines(parquet, "--placement", "chest")
    for kind in ("wear", "motion", "posture"):
        spans = [(line["start_s"], line["end_s"]) for line in found if line["type"] == kind]
        assert spans[0][0] == 0.0
        assert spans[-1][1] == 45 * 60
        assert all(end == start for (_, end), (start, _) in pairwise(spans))
    for kind in ("sedentary", "static", "break"):
        spans = sorted((line["start_s"], line["end_s"]) for line in found if line["type"] == kind)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_sitting_comes_due_and_the_walk_is_a_real_break(parquet: Path) -> None:
    found = lines(parquet, "--placement", "chest")
    due = {line["rule"]: line["t_s"] for line in reversed(found) if line["type"] == "reminder"}
    assert abs(due["static"] - 1200) <= 15
    assert abs(due["sedentary"] - 1800) <= 15
    breaks = [line for line in found if line["type"] == "break" and line["kind"] == "real"]
    assert len(breaks) == 1
    assert abs(breaks[0]["start_s"] - 2400) <= 2


def test_numbers_that_are_none_and_repeated_times_are_worked_around(tmp_path: Path) -> None:
    frame = short().with_row_index()
    holes = frame.with_columns(x=pl.when(pl.col("index") % 100 == 7).then(float("nan")).otherwise("x")).drop("index")
    holes.write_parquet(tmp_path / "holes.parquet")
    done = replay(tmp_path / "holes.parquet")
    assert done.returncode == 0
    assert "12 samples were no numbers and were left out" in done.stderr
    short().with_columns(pl.col("t_s").floor()).write_parquet(tmp_path / "same.parquet")
    done = replay(tmp_path / "same.parquet")
    assert done.returncode == 0
    assert "share their time stamp" in done.stderr


def test_utc_words_every_moment_as_a_date(parquet: Path, tmp_path: Path) -> None:
    dated = tmp_path / "dated.parquet"
    pl.read_parquet(parquet).with_columns(pl.col("t_s") + 1_790_000_000).write_parquet(dated)
    first = next(line for line in lines(dated, "--clock", "utc") if line["type"] == "wear")
    assert first["start"] == "2026-09-21T14:13:20.000+00:00"


def test_as_delivered_prints_prompts(parquet: Path) -> None:
    found = lines(parquet, "--placement", "chest", "--as-delivered")
    prompts = [line for line in found if line["type"] == "reminder"]
    assert prompts
    assert all("event_type" in line for line in prompts)
    assert any(line["type"] == "cleared" for line in found)
