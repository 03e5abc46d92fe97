"""The launchd file is a property list that says what its comment says; no Mac has started it."""

from __future__ import annotations

import plistlib
from pathlib import Path

from posturewatch.cli import group

PATH = Path(__file__).resolve().parents[2] / "config/launchd/posturewatch.plist"
JOB = plistlib.loads(PATH.read_bytes())
# of launchd.plist(5): a key that launchd does not know it ignores without a word
KNOWN = {
    "KeepAlive": dict,
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "StandardErrorPath": str,
    "ThrottleInterval": int,
    "Umask": int,
}


def test_launchd_would_know_every_key_and_its_type():
    assert {key: type(value) for key, value in JOB.items()} == KNOWN
    assert JOB["Label"] == PATH.stem


def test_it_starts_the_daemon_again_only_after_a_failure():
    program, *words = JOB["ProgramArguments"]
    assert program.endswith("/posturewatch")
    assert words == ["run"]
    assert set(words) <= set(group.list_commands(None))
    assert JOB["KeepAlive"] == {"SuccessfulExit": False}
    assert JOB["Umask"] == 0o077  # a number: launchd reads a string with a leading zero, plutil writes it decimal


def test_every_path_is_of_the_person_who_is_asked_to_write_a_name():
    paths = [JOB["ProgramArguments"][0], JOB["StandardErrorPath"]]
    assert all(path.startswith("/Users/USER/") for path in paths)
    assert "Write your name for USER" in PATH.read_text("utf-8")


def test_it_says_that_it_was_not_tried():
    assert "Untested" in PATH.read_text("utf-8")
