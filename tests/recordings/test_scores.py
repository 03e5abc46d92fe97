"""What the detector finds in the recordings of real wearers, against their labels and the figures it has to reach.

The yardstick lies beside the recordings (`tools/score.py`, two folders up); without it there is nothing to compare.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPLAY = f"{sys.executable} -m posturewatch replay {{file}} --placement {{placement}} --format jsonl"


@pytest.fixture(scope="module")
def yardstick(recordings: Path) -> Path:
    """The program that compares a replay with the labels."""
    found = recordings.parent.parent / "tools" / "score.py"
    if not found.is_file():
        pytest.skip(f"the yardstick of the recordings is not here: {found.name} in the folder tools beside data")
    return found


def scored(yardstick: Path, recordings: Path, only: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The figures of some recordings together, and the counts of each."""
    done = subprocess.run(
        [sys.executable, yardstick, recordings, "--replay", REPLAY, "--only", only, "--json", "-v"],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(" ", 1) for line in done.stderr.splitlines() if " {" in line]
    figures = json.loads(done.stdout)
    assert figures["recordings"] > 0, f"there is no recording {only}"
    assert figures["failed"] == []
    assert figures["said_twice_s"] == 0
    return figures, {name: json.loads(counts) for name, counts in lines}


def test_composed_days_give_the_breaks_the_bouts_and_the_reminders(yardstick: Path, recordings: Path) -> None:
    figures, _ = scored(yardstick, recordings, "composed_")
    assert figures["sedentary_precision"] >= 0.95
    assert figures["sedentary_recall"] == 1.0
    assert figures["break_recall"] == 1.0
    assert figures["false_breaks_per_h"] <= 0.1
    assert figures["off_body_silent"] >= 0.97
    assert figures["worn_lost"] <= 0.01
    assert figures["worn_unknown"] <= 0.05
    assert figures["first_reminder_error_median_s"] <= 10
    assert figures["first_reminder_error_p95_s"] <= 60
    assert figures["first_reminder_missed"] == 0
    assert figures["wrong_reminders_per_8h"] == 0


def test_a_wrist_sensor_taken_off_between_exams_is_silent_and_named(yardstick: Path, recordings: Path) -> None:
    figures, _ = scored(yardstick, recordings, "exam_")
    assert figures["off_body_silent"] >= 0.97
    assert figures["off_body_named"] >= 0.9
    assert figures["worn_lost"] <= 0.01
    assert figures["worn_unknown"] <= 0.05


def test_walks_between_talks_are_breaks_and_nobody_standing_is_off_body(yardstick: Path, recordings: Path) -> None:
    figures, each = scored(yardstick, recordings, "uci287_")
    assert figures["break_recall"] >= 0.95
    assert figures["false_breaks_per_h"] <= 0.1
    assert {name: counts["worn_s_lost"] for name, counts in each.items()} == dict.fromkeys(each, 0.0)


def test_a_thigh_sensor_tells_sitting_standing_and_walking(yardstick: Path, recordings: Path) -> None:
    figures, _ = scored(yardstick, recordings, "selfback_thigh_")
    assert figures["sit_recall"] >= 0.95
    assert figures["stand_recall"] >= 0.95
    assert figures["walk_recall"] >= 0.95


@pytest.mark.parametrize("prefix", ["st_awake", "uci287_"])
def test_a_still_wearer_is_never_off_body(recordings: Path, prefix: str) -> None:
    found = sorted(recordings.glob(f"{prefix}*.parquet"))
    assert found, f"there is no recording {prefix}"
    for file in found:
        place = json.loads(file.with_suffix(".json").read_text())["placement"].split("(")[0].strip().replace(" ", "_")
        done = subprocess.run(
            [sys.executable, "-m", "posturewatch", "replay", file, "--placement", place, "--format", "jsonl"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [x for x in lines if x["type"] == "wear" and x["state"] == "off_body"] == [], file.name
