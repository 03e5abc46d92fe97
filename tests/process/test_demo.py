"""The demonstration shows one full cycle on a broker of its own, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from posturewatch.publishing.messages import json_schemas

WEARER = "posturewatch/wearer/demo"
FAST = ("--speed", "300")


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def cycle_of(lines: list[dict]) -> list[str]:
    """What the reminder was, one after another."""
    phases: list[str] = []
    for line in lines:
        if line["topic"] == f"{WEARER}/state" and line["payload"] and line["payload"]["reminder"] not in phases[-1:]:
            phases.append(line["payload"]["reminder"])
    return phases


def zone_at_hour(hour: int) -> str:
    """A time zone where it is so late now, as POSIX writes it: hours west of Greenwich."""
    return f"TEST{(time.gmtime().tm_hour - hour + 12) % 24 - 12}"


def login_of(program) -> tuple[int, int, tuple[str, str]]:
    """Both ports, user and password, as printed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = re.search(
            r"port (\d+) \(MQTT 5\) and (\d+) \(MQTT 3\.1\.1\)\nuser (\S+), password (\S+)\n", program.say()
        )
        if found:
            return int(found[1]), int(found[2]), (found[3], found[4])
        time.sleep(0.02)
    raise AssertionError(program.say())


def assert_nothing_is_left(program, folder: Path) -> None:
    assert list(folder.iterdir()) == []
    deadline = time.monotonic() + 5
    while (left := program.relatives()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where the demonstration makes its temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_once_shows_a_full_cycle_at_the_usual_speed_in_45_seconds(start, scratch):
    began_s = time.monotonic()
    environ = {"TMPDIR": str(scratch), "TZ": zone_at_hour(22)}  # also when people are usually left alone
    program = start("demo", "--once", "--json", stdout=subprocess.PIPE, text=True, environ=environ)
    said, _ = program.process.communicate(timeout=60)
    assert program.process.returncode == 0, program.say()
    assert time.monotonic() - began_s < 45
    lines = lines_of(said)
    assert all(set(line) == {"topic", "payload", "retain"} for line in lines)
    phases = cycle_of(lines)
    assert phases.index("due") < phases.index("on_break") < len(phases) - 1
    assert phases[-1] == "ok"
    prompts = [line["payload"] for line in lines if line["topic"] == f"{WEARER}/reminder"]
    asked = next(prompt for prompt in prompts if prompt["event_type"] == "break_due")
    events = [line["payload"] for line in lines if line["topic"] == f"{WEARER}/event"]
    credit = next(event for event in events if event["event_type"] == "break_completed")
    assert credit["cycle"] == asked["cycle"]
    last = [line["payload"] for line in lines if line["topic"] == f"{WEARER}/state" and line["payload"]][-1]
    assert (last["due"], last["breaks_today"], last["simulated"]) == (False, 1, True)
    assert lines[-1] == {"topic": "posturewatch/bridge/state", "payload": "offline", "retain": True}
    assert {"topic": f"{WEARER}/state", "payload": None, "retain": True} in lines
    schemas = {name: jsonschema.Draft202012Validator(schema) for name, schema in json_schemas().items()}
    for line in lines:
        name = line["topic"].split("/")[-1]
        if name in schemas and isinstance(line["payload"], dict):
            schemas[name].validate(line["payload"])
    assert_nothing_is_left(program, scratch)


def test_any_client_of_either_protocol_can_look_on(start, scratch, listen):
    program = start("demo", "--json", *FAST, stdout=subprocess.DEVNULL, environ={"TMPDIR": str(scratch)})
    port_5, port_311, login = login_of(program)
    for port, five in ((port_5, True), (port_311, False)):
        ears = listen(port, five, login)
        state = ears.until("/state", lambda payload: isinstance(payload, dict))
        assert state["simulated"] is True
    assert program.end(signal.SIGTERM) == 0
    assert_nothing_is_left(program, scratch)


@pytest.mark.parametrize("after_s", [0.2, 0.6, 0.9, 1.5])
@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_ended_at_any_moment_it_leaves_nothing(start, scratch, after_s, signals):
    program = start("demo", *FAST, stdout=subprocess.DEVNULL, environ={"TMPDIR": str(scratch)})
    time.sleep(after_s)
    for number in signals:
        program.process.send_signal(number)
    assert program.wait(5) in (0, 130, -signals[0])
    assert_nothing_is_left(program, scratch)


def test_killed_it_takes_its_broker_along(start, scratch):
    program = start("demo", "--json", *FAST, stdout=subprocess.DEVNULL, environ={"TMPDIR": str(scratch)})
    login_of(program)
    program.process.kill()
    program.process.wait()
    deadline = time.monotonic() + 5
    while program.relatives() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert program.relatives() == []


def test_its_broker_killed_it_says_so_and_leaves_nothing(start, scratch):
    program = start("demo", "--json", stdout=subprocess.DEVNULL, environ={"TMPDIR": str(scratch)})
    login_of(program)
    (broker,) = (pid for pid in program.relatives() if pid != program.process.pid)
    os.kill(broker, signal.SIGKILL)
    assert program.wait(20) == 3
    assert program.say().splitlines()[-1] == (
        "posturewatch: the embedded broker ended by itself: start again, or use one of your own"
    )
    assert_nothing_is_left(program, scratch)


def test_a_cycle_that_does_not_come_costs_exit_code_1_and_one_line(start, scratch):
    arguments = ("demo", "--once", "--scenario", "supine", "--speed", "600")
    program = start(*arguments, stdout=subprocess.DEVNULL, environ={"TMPDIR": str(scratch)})
    assert program.wait() == 1
    (line,) = program.say().splitlines()
    assert line.startswith("posturewatch: no full cycle within")
    assert_nothing_is_left(program, scratch)


def test_the_reader_may_leave_early(start, scratch):
    program = start("demo", "--json", *FAST, stdout=subprocess.PIPE, environ={"TMPDIR": str(scratch)})
    assert program.process.stdout is not None
    assert program.process.stdout.readline()
    program.process.stdout.close()
    assert program.wait() == 0
    assert "Traceback" not in program.say()
    assert "Exception" not in program.say()
    assert_nothing_is_left(program, scratch)


def test_a_port_in_use_and_an_unknown_scenario_are_named(start, scratch, start_broker):
    broker = start_broker()
    program = start("demo", "--port", str(broker.port), environ={"TMPDIR": str(scratch)})
    assert program.wait() == 3
    assert f"port {broker.port} on 127.0.0.1 is not free" in program.say()
    program = start("demo", "--scenario", "office-dya", environ={"TMPDIR": str(scratch)})
    assert program.wait() == 2
    assert "office-day" in program.say()
    assert_nothing_is_left(program, scratch)


def test_without_the_extra_it_names_the_extra(start, scratch):
    without = "import sys; sys.modules['iotcore'] = None; from posturewatch.cli import main; main()"
    program = start("demo", argv=[sys.executable, "-c", without], environ={"TMPDIR": str(scratch)})
    assert program.wait() == 2
    assert "posturewatch[broker]" in program.say()
    assert_nothing_is_left(program, scratch)


def test_on_a_terminal_there_is_a_live_picture(start, scratch):
    leader, follower = os.openpty()
    program = start(
        "demo", *FAST, stdout=follower, environ={"TMPDIR": str(scratch), "COLUMNS": "110", "TERM": "xterm-256color"}
    )
    os.close(follower)
    shown = b""
    deadline = time.monotonic() + 20
    while b"without a real break" not in shown and time.monotonic() < deadline:
        shown += os.read(leader, 65536)
    program.process.send_signal(signal.SIGINT)
    try:
        while more := os.read(leader, 65536):
            shown += more
    except OSError:  # the terminal is gone: the program has ended
        pass
    os.close(leader)
    assert program.wait() == 130
    for part in ("one posture", "next break", "MQTT messages as they go out", "mosquitto_sub", "offline"):
        assert part in shown.decode()
    assert shown.decode().count("\x1b[?25l") == shown.decode().count("\x1b[?25h"), "the cursor is given back"
    assert_nothing_is_left(program, scratch)
