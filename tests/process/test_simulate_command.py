"""`simulate` and `score` as people run them: real processes, real files, exit codes for CI."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from posturewatch_sim import scenarios, stream, truth

RUN = """
import importlib, sys
from posturewatch.errors import PosturewatchError
try:
    importlib.import_module("posturewatch.cli." + sys.argv[1]).command(sys.argv[2:])
except PosturewatchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_same_seed_writes_the_same_file_and_the_seed_is_printed(tmp_path: Path) -> None:
    digests = []
    for name in ("a.parquet", "b.parquet"):
        done = run("simulate", "walk-at-28", "--seed", "7", "--out", tmp_path / name)
        assert done.returncode == 0
        assert "seed 7" in done.stderr
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_a_file_holds_the_samples_of_the_stream(tmp_path: Path) -> None:
    day = scenarios.load("walk-at-28")
    chunks = list(stream.samples(day, seed=7, start_ns=0, duration_s=120.0))
    for name, read in (("a.parquet", pl.read_parquet), ("a.csv", pl.read_csv)):
        assert (
            run("simulate", "walk-at-28", "--seed", "7", "--duration", "2m", "--out", tmp_path / name).returncode == 0
        )
        table = read(tmp_path / name)
        assert table.columns == ["t_s", "x", "y", "z"]
        assert table["t_s"].to_list() == pytest.approx([t / 1e9 for c in chunks for t in c.t_ns.tolist()], abs=1e-6)
        assert table["x"].to_list() == pytest.approx([x / 1e5 for c in chunks for x in c.acc_10ug[:, 0].tolist()])


def test_truth_and_score_agree_and_a_wrong_answer_has_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    assert run("simulate", "walk-at-28", "--seed", "7", "--truth", file).returncode == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert events == truth.truth(scenarios.load("walk-at-28"), seed=7)
    right = run("score", file, file, "--json")
    assert right.returncode == 0
    assert json.loads(right.stdout)["reminders_on_time"] == 1
    silent = tmp_path / "silent.jsonl"
    silent.write_text("".join(json.dumps(e) + "\n" for e in events if e["type"] != "reminder"))
    wrong = run("score", file, silent)
    assert wrong.returncode == 1
    assert "static at 1200 s" in wrong.stdout


def test_a_pipe_gets_the_samples_of_the_contract() -> None:
    done = run(
        "simulate", "still-upright", "--seed", "1", "--transport", "process", "--speed", "max", "--duration", "10s"
    )
    batches = [json.loads(line) for line in done.stdout.splitlines()]
    assert [b["seq"] for b in batches] == list(range(20))
    assert sum(len(b["acc"]) for b in batches) == pytest.approx(250, abs=10)
    assert {b["unit"] for b in batches} == {"mg"}
    assert max(map(len, done.stdout.splitlines())) < 4096


def test_the_scenarios_are_listed_for_people_and_programs() -> None:
    listed = run("simulate", "--list").stdout
    assert all(name in listed for name in scenarios.available())
    told = json.loads(run("simulate", "--list", "--json").stdout)
    assert [scene["name"] for scene in told["scenarios"]] == list(scenarios.available())
    pair = next(scene for scene in told["scenarios"] if scene["name"] == "two-wearers")
    assert {wearer["placement"] for wearer in pair["wearers"]} == {"chest", "thigh"}
    assert "polar_h10" in {sensor["device"] for sensor in told["devices"]}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("posturewatch sn", "snooze"),
        ("posturewatch simulate --tru", "--truth"),
        ("posturewatch demo --scenario off", "office-day"),
    ],
)
def test_a_shell_completes_commands_options_and_scenarios(words: str, offered: str) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_POSTUREWATCH_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "posturewatch"], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [f"plain,{offered}"]


def test_a_scenario_is_shown_as_a_picture_of_its_activities_and_reminders() -> None:
    shown = run("simulate", "meeting", "--seed", "1", "--show").stdout
    told = json.loads(run("simulate", "meeting", "--seed", "1", "--show", "--json").stdout)
    rows = {line[:16].strip(): line[16:] for line in shown.splitlines()}
    assert max(map(len, shown.splitlines()[2:])) <= 80
    end_s = told["activities"][-1]["end_s"]
    for step in told["activities"]:
        middle = int((step["start_s"] + step["end_s"]) / 2 / end_s * 64)
        assert rows[step["do"]][middle] in "#-"
    for reminder in told["reminders"]:
        assert rows[reminder["rule"]][int(reminder["t_s"] / end_s * 64)] == "^"
    assert told["reminders"]
    assert "0:20:00  static" in run("simulate", "still-upright", "--seed", "1", "--show").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("simulate", "nowhere"), "no scenario 'nowhere'"),
        (("simulate", "/nowhere/day.toml"), "no file '/nowhere/day.toml'"),
        (("simulate", "office-day", "--transport", "mqtt", "--broker", "192.0.2.7:1883"), "give --tls"),
        (("simulate", "office-day"), "where to?"),
        (("simulate", "office-day", "--out", "day.xls"), "written as .parquet or .csv"),
        (("simulate", "office-day", "--device", "abacus", "--out", "a.csv"), "no sensor model 'abacus'"),
        (("simulate", "office-day", "--gap", "soon", "--out", "a.csv"), "90s@14:00"),
        (("simulate", "office-day", "--duration", "-3", "--out", "a.csv"), "--duration"),
        (("simulate", "office-day", "--wearer", "eve", "--out", "a.csv"), "no wearer 'eve'"),
        (("simulate", "office-day", "--transport", "process", "--speed", "0"), "--speed '0'"),
        (("simulate", "office-day", "--transport", "mqtt", "--broker", "here"), "--broker 'here'"),
        (("simulate", "still-upright", "--out", "/nowhere/a.csv"), "/nowhere/a.csv"),
        (("simulate", "still-upright", "--json", "--out", "a.csv"), "--json belongs to --list or --show"),
        (("score", "/nowhere/truth.jsonl", "/nowhere/said.jsonl"), "cannot be read"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_one_line_and_exit_code_2(words: tuple[str, ...], says: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text('{"type": "reminder", "rule": "static"}\n')
    done = run("score", file, file)
    assert done.returncode == 2
    assert "said.jsonl, line 1" in done.stderr
