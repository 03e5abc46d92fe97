"""Programs of the user's own, started by a real daemon: told what happened, bounded in every way, ended with it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, get_args

import pytest
from testbench.waiting import until

from posturewatch.config import load
from posturewatch.config.values import PROMPTS
from posturewatch.errors import ConfigError
from posturewatch.publishing.messages import for_event
from posturewatch.publishing.payloads import Reminder
from posturewatch.publishing.topics import Topics
from posturewatch.sinks import SinkContext
from posturewatch.sinks.hooks import HookSettings, HooksSink
from posturewatch.sinks.outbox import Outbox
from posturewatch.types import Happened, Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOTE = """
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("POSTUREWATCH_")}
with open(sys.argv[1], "a") as file:
    file.write(json.dumps({"arguments": sys.argv[2:], "told": told, "input": sys.stdin.read()}) + "\\n")
"""
# Starts a child that will not go when asked; both tell their numbers.
HANG = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""
FLOOD = """
import os, sys
while True:
    os.write(1, b"x" * 65536)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Writes a program and gives its command."""

    def write(name: str, text: str) -> list[str]:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return [sys.executable, str(path)]

    return write


def table(command: list[str], **settings: Any) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"command": command, **settings}.items()]
    return "\n".join(["[[hook]]", *lines, ""])


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_learns_what_happened_and_nothing_else_of_ours(
    start: Any, configure: Any, start_broker: Any, listen: Any, script: Any, tmp_path: Path
) -> None:
    noted, command = tmp_path / "noted", script("note", NOTE)
    other = '[[wearer]]\nid = "you"\n[[wearer.sensor]]\nid = "back"\nplacement = "chest"\nsource = "simulated"\n'
    held = {"on": ["held", "released"], "wearers": ["me"]}
    more = other + table([*command, str(noted), "$(whoami)", "a b"], **held) + table(["/no/such/program"], on=["held"])
    broker = start_broker()
    ears, config = listen(broker.port), configure(broker.port, more=more)
    secret = {"POSTUREWATCH_BROKER__USERNAME": "me", "POSTUREWATCH_BROKER__PASSWORD": "secret"}
    program = start("run", "--config", str(config), environ=secret)
    ears.until("me/state")
    for wearer in ("you", "me"):
        ears.client.publish(f"posturewatch/wearer/{wearer}/do/hold", "5", 1)
    ears.client.publish("posturewatch/wearer/me/do/test_reminder", "PRESS", 1)
    (line,) = until(lambda: lines_of(noted))
    note = json.loads(line)
    assert note["arguments"] == ["$(whoami)", "a b"]
    assert note["input"] == ""
    assert note["told"] == {
        "POSTUREWATCH_EVENT": "held",
        "POSTUREWATCH_WEARER": "me",
        "POSTUREWATCH_CYCLE": "",
        "POSTUREWATCH_LEVEL": "",
        "POSTUREWATCH_MESSAGE": "",
    }
    ears.client.publish("posturewatch/wearer/me/do/release", "PRESS", 1)
    until(lambda: len(lines_of(noted)) == 2)
    assert program.end(signal.SIGTERM) == 0
    assert program.say().count("hook[1] (/no/such/program) cannot be started (No such file or directory)") == 1


def test_a_program_that_hangs_ends_with_the_daemon_and_all_that_it_started(
    start: Any, configure: Any, start_broker: Any, listen: Any, script: Any, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    broker = start_broker()
    ears = listen(broker.port)
    config = configure(broker.port)
    plain = config.read_text()
    program = start("run", "--config", str(config))
    ears.until("me/state")
    config.write_text(plain + table([*script("hang", HANG), str(noted)], on=["held"], timeout_s=300))
    heard = len(ears.heard)
    program.process.send_signal(signal.SIGHUP)
    ears.until("bridge/state", lambda word: word == "online", since=heard)
    ears.client.publish("posturewatch/wearer/me/do/hold", "5", 1)
    processes = until(lambda: len(lines_of(noted)) == 2 and lines_of(noted))
    assert all(map(lives, processes))
    began_s = time.monotonic()
    assert program.end(signal.SIGTERM) == 0
    assert time.monotonic() - began_s < 4.0
    until(lambda: not any(map(lives, processes)))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('on = ["break_dou"]', "did you mean 'break_due'?"),
        ("on = []", "hook[0].on"),
        ("timeout_s = 0", "hook[0].timeout_s"),
        ('wearers = ["nobody"]', "there is no wearer 'nobody'"),
        ('shell = "sh"', "hook[0].shell: unknown key"),
    ],
)
def test_a_wrong_hook_is_refused_in_one_line(configure: Any, line: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(configure(1, more=table(["true"]) + line), {})
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_prompt_can_have_a_hook() -> None:
    assert set(PROMPTS) == set(get_args(Reminder.model_fields["event_type"].annotation))


# ---------------------------------------------------------------- the sink alone


def event(event_type: str = "held") -> Message:
    return for_event(Topics(), "me", Happened(time.time_ns(), event_type, "a cycle", {}))[0]


def sink_for(*command: str, **settings: Any) -> tuple[Outbox, HooksSink]:
    outbox = Outbox(time.time_ns)
    context = SinkContext(outbox, time.time_ns)
    return outbox, HooksSink([HookSettings(["held"], command, ["me"], **settings)], context)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
@pytest.mark.asyncio
async def test_a_flood_of_output_stops_at_the_time_limit_and_little_of_it_is_kept(
    script: Any, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level, "posturewatch.sinks.hooks")
    outbox, sink = sink_for(*script("flood", FLOOD), timeout_s=0.7)
    running = asyncio.create_task(sink.run())
    outbox.put(event())
    await asyncio.sleep(1.5)
    outbox.close()
    await running
    (warning,) = warnings_of(caplog)
    assert "was ended after 0.7 s" in warning
    shown = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert len(shown) == (level == logging.DEBUG)
    assert all(1000 < len(text) < 3000 for text in shown)


@pytest.mark.asyncio
async def test_a_flood_of_events_starts_one_at_a_time_and_so_many_a_minute(
    script: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = script("slow", "import sys, time\nopen(sys.argv[1], 'a').write('x\\n')\ntime.sleep(0.3)")
    outbox, sink = sink_for(*slow, str(tmp_path / "noted"), most_per_min=2)
    running = asyncio.create_task(sink.run())
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2.0:
        for _ in range(50):
            outbox.put(event())
        await asyncio.sleep(0.02)
    outbox.close()
    await running
    assert lines_of(tmp_path / "noted") == ["x", "x"]
    assert len(warnings_of(caplog)) == 1


@pytest.mark.asyncio
async def test_a_program_that_fails_is_told_once_and_again_after_it_worked(
    script: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    codes = tmp_path / "codes"
    fail = script("fail", "import sys\nlines = open(sys.argv[1]).read().split()\nsys.exit(int(lines[0]))")
    outbox, sink = sink_for(*fail, str(codes), most_per_min=60)
    running = asyncio.create_task(sink.run())
    for code in (3, 3, 0, 3):
        codes.write_text(str(code))
        outbox.put(event())
        outbox.put(event("snoozed"))
        await asyncio.sleep(0.4)
    outbox.close()
    await running
    assert [text.rpartition(") ")[2] for text in warnings_of(caplog)] == ["failed with exit code 3"] * 2
