"""Prompts on a desktop: a real notification service on a bus of its own, the daemon on a fast clock, a real broker."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch.publishing.messages import Topics, for_event
from posturewatch.publishing.texts import ENGLISH_DESKTOP
from posturewatch.sinks import SinkContext
from posturewatch.sinks.desktop import DesktopSink
from posturewatch.sinks.desktop_notes import DesktopSettings
from posturewatch.sinks.outbox import Outbox
from posturewatch.types import NS_PER_S, Level, Message, Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DBUS_DAEMON = shutil.which("dbus-daemon")
SERVICE = Path(__file__).with_name("notification_service.py")
SPEED = 400  # a machine under load still keeps up
REACTION_S = 0.2
PATIENCE_S = 20.0
# The same app as `posturewatch run`, on a clock that runs faster.
DAEMON = """
import os, sys
from pathlib import Path
from posturewatch.app import Given, run
from posturewatch.clock import ScaledClock, read_wall_ns
from posturewatch.config import load
from posturewatch.terminal.log_output import logging_to_stderr
from posturewatch.signals import until_stopped
speed = float(sys.argv[2])
async def serve(signals):
    await run(Given(load(Path(sys.argv[1]), {}), ScaledClock(speed, read_wall_ns()), signals, os.environ, speed=speed))
with logging_to_stderr("info", "text"):
    sys.exit(until_stopped(serve))
"""
BUS_CONFIG = """
<busconfig>
  <type>session</type>
  <listen>{address}</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"""
STILL = 'source = "simulated"\nscenario = "desk-freeze"\ndevice = "lsm6dsox_12hz"\nseed = 4'
BACK = f'id = "back"\nplacement = "chest"\n{STILL}\n'
EAGER = "sedentary_limit_min = 15\nstatic_limit_min = 60\n[wearer.reminding]\ngrace_min = 0\nmin_gap_min = 1\n"
ON = "[desktop]\nenabled = true\n"


class Bus:
    """A session bus of its own, which starts no services: a desktop of this machine stays out of it."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:path={folder}/bus"
        self.config = folder / "bus.conf"
        self.config.write_text(BUS_CONFIG.format(address=self.address))
        self.start()

    def start(self) -> None:
        assert DBUS_DAEMON is not None
        command = [DBUS_DAEMON, f"--config-file={self.config}", "--nofork", "--nopidfile", "--print-address=1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


class Screen:
    """The notification service, and who sits before it."""

    def __init__(self, bus: Bus) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVICE), bus.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.calls: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.until(lambda call: call["call"] == "ready")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.calls.append(json.loads(line))

    def until(self, fits: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = next((call for call in self.calls[since:] if fits(call)), None)
            if found is not None:
                return found
            assert time.monotonic() < deadline, self.calls
            assert self.process.poll() is None
            time.sleep(0.01)

    def until_shown(self, since: int = 0, **like: Any) -> dict[str, Any]:
        return self.until(lambda c: c["call"] == "notify" and all(c[k] == v for k, v in like.items()), since)

    def until_closed(self, number: int) -> dict[str, Any]:
        return self.until(lambda call: call["call"] == "close" and call["id"] == number)

    def say(self, line: str) -> int:
        """What the person does, as quickly as a person can; how many calls there were before."""
        time.sleep(REACTION_S)
        since = len(self.calls)
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return since

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """A session bus that ends with the test."""
    if DBUS_DAEMON is None:
        pytest.skip("dbus-daemon is not installed: apt-get install dbus-daemon")
    started = Bus(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def screen(bus: Bus) -> Iterator[Screen]:
    """A notification service that ends with the test."""
    started = Screen(bus)
    yield started
    started.stop()


@pytest.fixture
def daemon(
    start: Callable[..., Any], configure: Callable[..., Path], start_broker: Any, listen: Any, bus: Bus
) -> Callable[..., Any]:
    """The daemon in the session of `bus`, and an ear at its broker."""

    def begin(sensor: str = STILL, more: str = ON, wearer: str = EAGER, speed: float = SPEED) -> Any:
        broker = start_broker()
        ears = listen(broker.port)
        config = configure(broker.port, sensor, more=more, wearer=wearer)
        environ = {"DBUS_SESSION_BUS_ADDRESS": bus.address}
        return start(str(config), str(speed), argv=[sys.executable, "-c", DAEMON], environ=environ), ears

    return begin


def test_a_prompt_is_shown_goes_with_the_walk_and_a_done_message_takes_its_place(screen: Screen, daemon: Any) -> None:
    program, ears = daemon('source = "simulated"\nscenario = "demo-cycle"', wearer="", speed=300)
    silent = screen.until_shown(buttons=[])
    assert silent["hints"]["urgency"] == 0
    prompt = screen.until_shown(buttons=["Going", "10 min", "Skip"])
    assert prompt["hints"]["urgency"] == 1
    assert "sound-name" not in prompt["hints"]
    assert prompt["title"] == "Posturewatch (simulated)"
    assert prompt["text"] == ears.until("me/reminder", lambda p: p["event_type"] == "break_due")["message"]
    assert screen.until_closed(silent["id"])["was_open"]
    screen.until_closed(prompt["id"])
    done = screen.until(lambda call: call.get("text") in ENGLISH_DESKTOP.done)
    assert done["buttons"] == []
    assert done["hints"]["urgency"] == 0
    assert 50_000 <= done["timeout_ms"] <= 60_000
    ears.until("me/event", lambda event: event["event_type"] == "break_completed")
    assert program.end(signal.SIGTERM) == 0
    screen.until_closed(done["id"])
    assert all(call["open"] == 1 for call in screen.calls if call["call"] == "notify")


def press(screen: Screen, title: str, came: Callable[[], object]) -> None:
    """Press the button until it worked: at this speed a prompt may be replaced under the person's hand."""
    deadline, since = time.monotonic() + PATIENCE_S, 0
    while not came():
        assert time.monotonic() < deadline, screen.calls
        shown = screen.until_shown(since, buttons=["Going", "10 min", "Skip"])
        since = screen.say(f"press {shown['id']} {title}")
        time.sleep(REACTION_S)


def test_the_buttons_are_commands_like_any_other_and_one_that_is_refused_says_why(screen: Screen, daemon: Any) -> None:
    _, ears = daemon(wearer=EAGER + "snoozes_per_cycle = 1\nescalate_min = 2\n", speed=300)

    def events(event_type: str) -> list[Any]:
        return [event for event in ears.payloads("me/event") if event["event_type"] == event_type]

    def refusals() -> list[dict[str, Any]]:
        return [call for call in screen.calls if "not possible" in call.get("text", "")]

    press(screen, "10 min", lambda: events("snoozed"))
    assert events("snoozed")[0]["detail"] == {"minutes": 10.0}
    press(screen, "10 min", refusals)
    assert "no snoozes are left" in refusals()[0]["text"]
    assert refusals()[0]["buttons"] == []
    press(screen, "Going", lambda: any(state["reminder"] == "acknowledged" for state in ears.payloads("me/state")))
    press(screen, "Skip", lambda: events("skipped"))
    cycles = {prompt["cycle"] for prompt in ears.payloads("me/reminder")}
    assert {event["cycle"] for event in events("skipped") + events("snoozed")} <= cycles


def test_an_answer_from_elsewhere_takes_the_notification_away(screen: Screen, daemon: Any) -> None:
    _, ears = daemon()
    prompt = screen.until_shown(buttons=["Going", "10 min", "Skip"])
    ears.client.publish("posturewatch/wearer/me/do/skip", "PRESS", 1)
    assert screen.until_closed(prompt["id"])["was_open"]


def test_prompts_of_a_wearer_who_is_not_named_are_not_shown(screen: Screen, daemon: Any) -> None:
    other = (
        '[[wearer]]\nid = "you"\nstatic_limit_min = 5\n[wearer.reminding]\nquiet_hours = []\ngrace_min = 0\n'
        f"[[wearer.sensor]]\n{BACK}"
    )
    _, ears = daemon(more=f'{other}{ON}sound = true\nwearers = ["me"]\n')
    ears.until("you/reminder")  # earlier than the first of mine
    screen.until_shown()
    first = next(call for call in screen.calls if call["call"] == "notify")
    assert first["buttons"] == ["Going", "10 min", "Skip"]
    assert first["hints"]["sound-name"] == "default"
    assert first["title"] == "Posturewatch (simulated)"


def test_a_desktop_that_is_not_there_is_one_warning_and_the_daemon_goes_on(daemon: Any) -> None:
    program, ears = daemon()
    ears.until("me/event", lambda event: event["event_type"] == "missed")
    heard = len(ears.heard)
    ears.until("me/state", since=heard)
    assert program.say().count("no desktop notifications") == 1
    assert "Traceback" not in program.say()
    assert program.end(signal.SIGTERM) == 0


def test_without_its_extra_the_daemon_says_what_to_install(
    start: Callable[..., Any], configure: Callable[..., Path]
) -> None:
    hidden = "import sys; sys.modules['desktop_notifier'] = None; from posturewatch.cli import main; sys.exit(main())"
    config = configure(1, more=ON)
    for more in ([], ["--check"]):
        program = start("run", "--config", str(config), *more, argv=[sys.executable, "-c", hidden])
        assert program.wait() == 2
        assert program.say().strip().endswith("pip install 'posturewatch[desktop]'")
        assert len(program.say().strip().splitlines()) == 1


def ask(cycle: str, expires_s: float = 600.0) -> Any:
    """The message of a prompt with buttons, as the daemon makes it."""
    now_ns = time.time_ns()
    expires_ns = now_ns + round(expires_s * NS_PER_S)
    prompt = Prompt(now_ns, "break_due", cycle, cycle, "sedentary", Level.BREAK, 2, {}, expires_ns)
    return for_event(Topics(), "me", prompt)[0]


class Requests(list[Any]):
    """Where buttons ask, in place of the daemon: everything is carried out."""

    async def answer(self, request: Any) -> dict[str, Any]:
        self.append(request)
        return {"result": {"ok": True, "error": None}}


def sink_at(bus: Bus, monkeypatch: pytest.MonkeyPatch, answer: Any = None) -> tuple[Outbox, DesktopSink]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    outbox = Outbox(time.time_ns)
    context = SinkContext(outbox, time.time_ns, ask=answer)
    return outbox, DesktopSink(DesktopSettings({"me": 10}), context, first_retry_s=0.1)


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until_shown(screen: Screen) -> dict[str, Any]:
    return await asyncio.to_thread(screen.until_shown)


@pytest.mark.asyncio
async def test_a_service_that_comes_dies_and_comes_back_is_used_again(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outbox, sink = sink_at(bus, monkeypatch)
    running = asyncio.create_task(sink.run())
    outbox.put(ask("a"))
    await asyncio.sleep(1.0)  # three attempts
    open_files = count_open_files()
    first = await asyncio.to_thread(Screen, bus)
    await until_shown(first)
    await asyncio.to_thread(first.stop)
    for cycle in "bcdef":  # five more attempts
        outbox.put(ask(cycle))
        await asyncio.sleep(0.2)
    second = await asyncio.to_thread(Screen, bus)
    shown = await until_shown(second)
    await asyncio.to_thread(second.stop)
    bus.stop()
    (tmp_path / "bus").unlink(missing_ok=True)
    outbox.put(ask("g"))
    await asyncio.sleep(0.3)
    bus.start()
    third = await asyncio.to_thread(Screen, bus)
    again = await until_shown(third)
    outbox.close()
    await running
    await asyncio.to_thread(third.until_closed, again["id"])
    third.stop()
    assert shown["buttons"] == ["Going", "10 min", "Skip"]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("posturewatch")]
    assert [line.split(" (")[0] for line in said] == [
        "no desktop notifications",
        "desktop notifications work again",
        "no desktop notifications",
        "desktop notifications work again",
        "no desktop notifications",
        "desktop notifications work again",
    ]
    assert [record for record in caplog.records if "desktop_notifier" in record.name] == []
    assert count_open_files() <= open_files


@pytest.mark.asyncio
async def test_a_prompt_that_nobody_answers_goes_when_it_expires(
    screen: Screen, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, sink = sink_at(bus, monkeypatch)
    running = asyncio.create_task(sink.run())
    outbox.put(ask("a", expires_s=0.8))
    shown = await until_shown(screen)
    began_s = time.monotonic()
    await asyncio.to_thread(screen.until_closed, shown["id"])
    assert 0.3 < time.monotonic() - began_s < 2.0
    outbox.put_all([ask("b"), ask("c")])
    latest = await asyncio.to_thread(screen.until_shown, screen.calls.index(shown) + 1)
    outbox.close()
    await running
    await asyncio.to_thread(screen.until_closed, latest["id"])
    assert max(call.get("open", 0) for call in screen.calls) == 1


@pytest.mark.asyncio
async def test_a_pressed_prompt_goes_also_where_the_service_would_leave_it(
    screen: Screen, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = Requests()
    outbox, sink = sink_at(bus, monkeypatch, requests.answer)
    running = asyncio.create_task(sink.run())
    outbox.put(ask("a"))
    shown = await until_shown(screen)
    await asyncio.to_thread(screen.say, f"choose {shown['id']} Going")
    closed = await asyncio.to_thread(screen.until_closed, shown["id"])
    assert closed["was_open"]
    assert requests == [
        {"wearer": "me", "kind": "do", "word": "ack", "payload": '{"cycle": "a", "channel": "desktop"}'}
    ]
    outbox.close()
    await running


@pytest.mark.asyncio
async def test_a_dismissed_prompt_does_not_come_back_by_itself_and_asks_for_nothing(
    screen: Screen, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = Requests()
    outbox, sink = sink_at(bus, monkeypatch, requests.answer)
    running = asyncio.create_task(sink.run())
    outbox.put(ask("a"))
    shown = await until_shown(screen)
    since = await asyncio.to_thread(screen.say, f"dismiss {shown['id']}")
    for _ in range(10):
        outbox.put(Message("posturewatch/wearer/me/state", b'{"reminder": "due", "cycle": "a"}'))
        await asyncio.sleep(0.05)
    outbox.close()
    await running
    assert [call for call in screen.calls[since:] if call["call"] == "notify"] == []
    assert requests == []
