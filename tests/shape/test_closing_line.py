"""The last line of a test run says how many tests did not run, and why."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SUITE = """
import pytest
def test_runs(): pass
@pytest.mark.skip(reason="mosquitto is not installed")
def test_one(): pass
@pytest.mark.skip(reason="mosquitto is not installed")
def test_two(): pass
@pytest.mark.recordings
def test_three(): raise AssertionError("ran without recordings")
def test_four(recordings): raise AssertionError("ran without recordings")
"""


def run_suite(folder: Path, suite: str, recordings: str, *options: str) -> list[str]:
    tests = folder / "project" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    shutil.copy(ROOT / "pyproject.toml", folder / "project")
    (tests / "test_suite.py").write_text(suite)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=folder / "project",
        env={"PATH": "", "POSTUREWATCH_RECORDINGS": recordings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


def test_skipped_tests_are_counted_by_reason(tmp_path):
    last = run_suite(tmp_path, SUITE, str(tmp_path / "absent"))[-1]
    assert last == (
        "not run: 4 tests; 2 because mosquitto is not installed; 2 because the recordings of real wearers are not "
        "here: set POSTUREWATCH_RECORDINGS to their folder"
    )


def test_a_whole_run_says_so(tmp_path):
    assert run_suite(tmp_path, "def test_runs(): pass\n", "")[-1] == "not run: nothing, every test ran"


def test_recordings_are_used_where_they_are(tmp_path):
    suite = f"def test_folder(recordings): assert str(recordings) == {str(tmp_path)!r}\n"
    assert run_suite(tmp_path, suite, str(tmp_path))[-1] == "not run: nothing, every test ran"


def test_several_workers_count_the_same(tmp_path):
    suite = SUITE + "@pytest.mark.bluez\ndef test_five(): raise AssertionError('ran without a machine')\n"
    last = run_suite(tmp_path, suite, str(tmp_path / "absent"), "-n", "2", "-m", "not bluez")[-1]
    assert last.startswith("not run: 5 tests; ")
    assert "1 because they run on a real BlueZ in a virtual machine: make test-bluez" in last
