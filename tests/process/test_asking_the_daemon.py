"""The commands that ask a running daemon: here, through a broker, and from a terminal that only watches."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def say(start: Callable[..., Any], daemon: Any, *words: str, at_broker: bool = False) -> tuple[int, str, str]:
    where = ("--broker", f"127.0.0.1:{daemon.port}") if at_broker else ("--config", str(daemon.config))
    program = start(*words, *where, stdout=subprocess.PIPE)
    output, _ = program.process.communicate(timeout=20)
    return program.process.returncode, output.decode().strip(), program.say().strip()


@pytest.mark.parametrize("at_broker", [False, True], ids=["control socket", "broker"])
def test_what_is_asked_for_is_done_and_said(daemon: Any, start: Callable[..., Any], at_broker: bool) -> None:
    held = say(start, daemon, "hold", "45", "--reason", "reading", at_broker=at_broker)
    assert held == (0, "me: hold: done, for 45 min", "")
    daemon.ears.until("me/state", lambda state: state["hold_reason"] == "reading")
    code, output, _ = say(start, daemon, "release", "--json", at_broker=at_broker)
    assert (code, json.loads(output)["value"]) == (0, True)
    daemon.ears.until("me/state", lambda state: state["hold_reason"] is None, since=len(daemon.ears.heard) - 3)
    assert say(start, daemon, "set", "static_limit_min", "25", at_broker=at_broker)[0] == 0
    daemon.ears.until("me/settings", lambda settings: settings["static_limit_min"] == 25.0)
    days = say(start, daemon, "set", "quiet_hours", "mon-fri", "20:00-07:00", at_broker=at_broker)  # without quotes
    assert days == (0, "me: set: done, mon-fri 20:00-07:00", "")
    assert say(start, daemon, "resume", at_broker=at_broker) == (0, "me: resume: nothing to end", "")
    code, output, errors = say(start, daemon, "snooze", "7", at_broker=at_broker)
    assert (code, output) == (3, "")
    assert errors == "posturewatch: me: snooze: no reminder is open that could be snoozed"
    assert say(start, daemon, "ack", "--wearer", "bob", at_broker=at_broker)[0] == 3


def test_the_end_of_the_daemon_while_somebody_waits_for_an_answer_is_no_fault(daemon: Any, tmp_path: Path) -> None:
    (door,) = (tmp_path / "posturewatch").glob("*.sock")
    asked = {"request": "command", "wearer": "me", "kind": "do", "word": "calibrate", "payload": "PRESS"}
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(door))
        visitor.sendall(json.dumps(asked).encode() + b"\n")
        visitor.settimeout(0.5)
        with pytest.raises(TimeoutError):  # it takes ten seconds of samples
            visitor.recv(1)
        assert daemon.end(signal.SIGTERM) == 0
    assert "Traceback" not in daemon.say()


def test_what_was_held_and_set_is_kept_over_a_kill_a_moment_later(
    daemon: Any, start: Callable[..., Any], tmp_path: Path
) -> None:
    say(start, daemon, "pause", "2h")
    say(start, daemon, "set", "level", "break")
    until_s = 1.5  # it is saved within a second
    daemon.ears.until("me/settings", lambda settings: settings["level"] == "break")
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(until_s)
    daemon.end(signal.SIGKILL)
    since = len(daemon.ears.heard)
    start("run", "--config", str(daemon.config))
    daemon.ears.until("me/settings", lambda settings: settings["level"] == "break", since=since)
    daemon.ears.until("me/state", lambda state: state["reminder"] == "off" and state["paused"], since=since)
    (door,) = (tmp_path / "posturewatch").glob("*.sock")
    assert stat.S_IMODE(door.stat().st_mode) == 0o600


@pytest.mark.parametrize("at_broker", [False, True], ids=["control socket", "broker"])
def test_why_can_be_asked_for_one_of_several_wearers(
    start_broker: Callable[..., Any],
    configure: Callable[..., Path],
    start: Callable[..., Any],
    listen: Callable[..., Any],
    at_broker: bool,
) -> None:
    port = start_broker().port
    second = '[[wearer]]\nid = "bob"\n[[wearer.sensor]]\nid = "back"\nplacement = "chest"\nsource = "simulated"\n'
    config, ears = configure(port, more=second), listen(port)
    daemon = start("run", "--config", str(config))
    ears.until("me/state")
    ears.until("bob/state")
    daemon.config, daemon.port = config, port
    code, output, _ = say(start, daemon, "why", "--wearer", "bob", at_broker=at_broker)
    assert (code, len(output.splitlines()), output[:5]) == (0, 1, "bob: ")
    code, output, errors = say(start, daemon, "why", "--wearer", "eve", at_broker=at_broker)
    assert (code, output) == (2, "")
    assert errors == "posturewatch: no wearer 'eve' is known there; known are bob, me"


def test_without_a_daemon_there_is_one_line_and_code_3(
    start_broker: Callable[..., Any], configure: Callable[..., Path], start: Callable[..., Any]
) -> None:
    port = start_broker().port
    for where in (("--config", str(configure(port))), ("--broker", f"127.0.0.1:{port}")):
        program = start("skip", "--wearer", "me", *where, stdout=subprocess.PIPE)
        assert program.wait() == 3
        (line,) = program.say().strip().splitlines()
        assert line.startswith("posturewatch: ")


def test_monitor_shows_what_comes_until_interrupted(daemon: Any, start: Callable[..., Any]) -> None:
    monitor = start("monitor", "--broker", f"127.0.0.1:{daemon.port}", "--json", stdout=subprocess.PIPE)
    lines = []
    while not any(line["topic"].endswith("me/event") for line in lines):
        lines.append(json.loads(monitor.process.stdout.readline()))
        if len(lines) == 3:
            say(start, daemon, "hold")
    assert {line["topic"].split("/")[-1] for line in lines} >= {"state", "availability"}
    assert monitor.end(signal.SIGINT) == 130
    assert monitor.say() == ""


def test_monitor_prints_nothing_that_moves_the_cursor(daemon: Any, start: Callable[..., Any]) -> None:
    daemon.ears.client.publish("posturewatch/wearer/eve/state", b'{"reminder": "\\u001b[2J", "time": "x"}', retain=True)
    monitor = start("monitor", "--broker", f"127.0.0.1:{daemon.port}", stdout=subprocess.PIPE)
    while b"eve" not in (line := monitor.process.stdout.readline()):
        assert line
    assert b"\x1b" not in line
    monitor.end(signal.SIGTERM)
