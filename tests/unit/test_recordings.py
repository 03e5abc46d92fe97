"""Recordings as files, and the lines that a replay makes of them, below the command line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from posturewatch.errors import RecordingError
from posturewatch.recording.timeline import since
from posturewatch.sources.replay import Replay, ReplayOptions
from posturewatch.sources.sample_files import RELATIVE_START_NS, open_samples
from posturewatch.types import NS_PER_S, Placement

RATE_HZ = 20


def breathing(length_s: int, from_s: float = 0.0) -> pl.DataFrame:
    """Somebody who holds a posture."""
    draw = np.random.default_rng(6)
    t_s = from_s + np.arange(length_s * RATE_HZ) / RATE_HZ
    up = np.array([1.0, 0.0, 0.0]) + draw.normal(0, 0.002, (len(t_s), 3))
    up[:, 1] += 0.02 * np.sin(2 * np.pi * 0.25 * t_s)
    return pl.DataFrame({"t_s": t_s, **{name: np.round(up[:, i], 4) for i, name in enumerate("xyz")}})


def replayed(path: Path, placement: Placement = Placement.UNKNOWN) -> list[dict[str, Any]]:
    found = open_samples(path)
    replay = Replay(ReplayOptions(placement), since(found.start_ns), lambda _what, _done: None)
    return list(replay.samples(found))


@pytest.mark.parametrize("placement", [Placement.WRIST, Placement.CHEST, Placement.THIGH, Placement.UNKNOWN])
def test_the_states_cover_the_recording_even_where_the_placement_shows_none(
    tmp_path: Path, placement: Placement
) -> None:
    breathing(400).write_parquet(tmp_path / "a.parquet")
    lines = replayed(tmp_path / "a.parquet", placement)
    for kind in ("wear", "motion", "posture"):
        spans = [(line["start_s"], line["end_s"]) for line in lines if line["type"] == kind]
        assert (spans[0][0], spans[-1][1]) == (0.0, 400.0)
        assert all(end == start for (_, end), (start, _) in pairwise(spans))


def test_nobody_is_said_to_sit_where_the_posture_cannot_be_known(tmp_path: Path) -> None:
    breathing(400).write_parquet(tmp_path / "a.parquet")
    lines = replayed(tmp_path / "a.parquet", Placement.WRIST)
    assert {line["state"] for line in lines if line["type"] == "posture"} == {"unknown"}
    assert {name for name, length_s in lines[-1]["posture_s"].items() if length_s} <= {"unknown"}


@pytest.mark.parametrize("gap_s", [5, 45, 90, 10_800])
def test_a_hole_in_a_recording_is_unknown_and_no_stillness(tmp_path: Path, gap_s: int) -> None:
    pl.concat([breathing(400), breathing(400, 400.0 + gap_s)]).write_parquet(tmp_path / "a.parquet")
    lines = replayed(tmp_path / "a.parquet")
    holes = [(x["start_s"], x["end_s"]) for x in lines if x["type"] == "motion" and x["state"] == "unknown"]
    assert holes == ([] if gap_s <= 10 else [(400.0, 400.0 + gap_s)])
    worn_s = sum(x["end_s"] - x["start_s"] for x in lines if x["type"] == "wear" and x["state"] == "worn")
    assert worn_s <= 800 + (gap_s if gap_s <= 10 else 0)


@pytest.mark.parametrize("unit", ["mg", "m/s2"])
def test_another_unit_gives_the_same_samples(tmp_path: Path, unit: str) -> None:
    size = {"mg": 1000.0, "m/s2": 9.80665}[unit]
    breathing(60).write_parquet(tmp_path / "g.parquet")
    breathing(60).with_columns(pl.col("x", "y", "z") * size).write_parquet(tmp_path / "other.parquet")
    (one,) = open_samples(tmp_path / "g.parquet").batches()
    (other,) = open_samples(tmp_path / "other.parquet", unit).batches()
    assert np.array_equal(one.t_ns, other.t_ns)
    assert np.array_equal(one.acc_10ug, other.acc_10ug)


@pytest.mark.parametrize("digits", ["float16", "float32", "int16"])
def test_narrow_numbers_are_read_as_exactly_as_they_are_stored(tmp_path: Path, digits: str) -> None:
    unit, size = ("mg", 1000.0) if digits == "int16" else ("g", 1.0)
    table = {name: (breathing(60)[name].to_numpy() * size).astype(digits) for name in "xyz"}
    pq.write_table(pa.table({"t_s": breathing(60)["t_s"].to_numpy(), **table}), tmp_path / "a.parquet")
    (batch,) = open_samples(tmp_path / "a.parquet", unit).batches()
    stored = np.stack([table[name].astype(np.float64) for name in "xyz"], axis=1)
    assert np.abs(batch.acc_10ug - stored * 100_000 / size).max() <= 0.51


@pytest.mark.parametrize("kind", ["seconds", "integer ms", "time stamps", "text"])
def test_a_time_column_of_any_kind_is_the_same_moment(tmp_path: Path, kind: str) -> None:
    start_s = 1_790_000_000
    t_ms = [start_s * 1000 + 50 * i for i in range(600)]
    stamps = pl.Series(t_ms).cast(pl.Datetime("ms"))
    column = {
        "seconds": pl.Series([t / 1000 for t in t_ms]),
        "integer ms": pl.Series(t_ms),
        "time stamps": stamps,
        "text": stamps.dt.to_string("%Y-%m-%dT%H:%M:%S%.3f"),
    }[kind]
    frame = breathing(30).select("x", "y", "z").with_columns(column.alias("time"))
    path = tmp_path / ("a.csv" if kind == "text" else "a.parquet")
    (frame.write_csv if kind == "text" else frame.write_parquet)(path)
    found = open_samples(path)
    assert found.dated
    (batch,) = found.batches()
    expected = np.array(t_ms, np.int64) * 1_000_000
    assert int(np.abs(batch.t_ns - expected).max()) < 1000  # seconds as a double are exact to 0.2 µs


def test_a_recording_without_a_date_begins_at_the_agreed_one(tmp_path: Path) -> None:
    breathing(30, 5.0).write_parquet(tmp_path / "a.parquet")
    found = open_samples(tmp_path / "a.parquet")
    assert not found.dated
    assert found.start_ns == RELATIVE_START_NS + 5 * NS_PER_S
    assert found.rate_hz == pytest.approx(RATE_HZ)
    assert found.step_10ug == 10


def test_disorder_far_into_a_recording_is_found_and_its_row_is_named(tmp_path: Path) -> None:
    frame = pl.concat([breathing(8000), breathing(10, 7000.0)])
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(RecordingError, match=r"a\.parquet: row 160001: the clock was set back by 1000 s here: cut"):
        list(open_samples(tmp_path / "a.parquet").batches())
    rows = breathing(8000)
    pl.concat([rows[:100_000], rows[100_000:100_200].reverse(), rows[100_200:]]).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(RecordingError, match=r"b\.parquet: row 100002: the time goes back; sort"):
        list(open_samples(tmp_path / "b.parquet").batches())


def test_row_groups_of_more_than_an_hour_are_told(tmp_path: Path) -> None:
    breathing(8000).write_parquet(tmp_path / "large.parquet", row_group_size=160_000)
    breathing(8000).write_parquet(tmp_path / "small.parquet", row_group_size=60_000)
    (note,) = open_samples(tmp_path / "large.parquet").notes
    assert "row groups of up to 2.2 h" in note
    assert open_samples(tmp_path / "small.parquet").notes == []
