"""The daemon as its users meet it: a process, a real broker, files, signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from testbench.mosquitto import MOSQUITTO, NO_MOSQUITTO, Mosquitto
from testbench.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = [sys.executable, "-m", "posturewatch"]
PATIENCE_S = 20.0


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Brokers that end with the test."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    running: list[Mosquitto] = []

    def start(more: str = "", *, started: bool = True) -> Mosquitto:
        # with 0, which is no limit, mosquitto 2.0 hangs up on whoever it refuses something
        broker = Mosquitto(tmp_path, f"max_queued_messages 100000\n{more}")
        running.append(broker)
        if started:
            broker.start()
        return broker

    yield start
    for broker in running:
        broker.kill()


class Ears:
    """An independent client; `heard` is what came, in order."""

    def __init__(self, port: int, five: bool = True, login: tuple[str, str] | None = None) -> None:
        version = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, f"ears-{uuid.uuid4().hex[:8]}", protocol=version)
        if login is not None:
            self.client.username_pw_set(*login)
        self._subscribed = threading.Event()
        self.client.on_message = lambda _c, _u, m: self.heard.append((m.topic, m.payload, m.retain))
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_connect = lambda c, *_: c.subscribe("posturewatch/#", 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(PATIENCE_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def payloads(self, leaf: str, since: int = 0) -> list[Any]:
        return [load(payload) for topic, payload, _ in self.heard[since:] if topic.endswith(leaf)]

    def until(self, leaf: str, fits: Callable[[Any], bool] = bool, since: int = 0) -> Any:
        return until(
            lambda: next((p for p in self.payloads(leaf, since) if fits(p)), None), told=lambda: self.heard[-5:]
        )


def without_quiet_hours(wearer: str) -> str:
    """The same table of a wearer, with prompts at any hour: these tests run at night, too."""
    table = "[wearer.reminding]\n"
    silent = wearer if table in wearer else f"{wearer}\n{table}"
    return silent if "quiet_hours" in wearer else silent.replace(table, f"{table}quiet_hours = []\n")


def load(payload: bytes) -> Any:
    return json.loads(payload) if payload.startswith(b"{") else payload.decode()


@pytest.fixture
def listen() -> Iterator[Callable[..., Ears]]:
    """Independent subscribers that end with the test."""
    ears: list[Ears] = []

    def start(*args: Any, **named: Any) -> Ears:
        ears.append(Ears(*args, **named))
        return ears[-1]

    yield start
    for each in ears:
        each.close()


class Program:
    """One run of the command line; its standard error goes to a file."""

    def __init__(self, folder: Path, arguments: list[str], **options: Any) -> None:
        self.mark = uuid.uuid4().hex
        self.errors = folder / f"stderr-{self.mark[:6]}"
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("POSTUREWATCH_", "NOTIFY_"))},
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "POSTUREWATCH_TEST": self.mark,
            **options.pop("environ", {}),
        }
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(arguments, stderr=errors, env=environ, **options)

    def say(self) -> str:
        return self.errors.read_text()

    def end(self, number: signal.Signals, within_s: float = PATIENCE_S) -> int:
        self.process.send_signal(number)
        return self.wait(within_s)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"did not end within {within_s:g} s: {self.say()}")

    def relatives(self) -> list[int]:
        """Processes that were started with our environment and still live."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if self._is_ours(path)]

    def _is_ours(self, path: Path) -> bool:
        with contextlib.suppress(OSError):
            return self.mark.encode() in path.read_bytes()
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Runs of the command line that end with the test."""
    programs: list[Program] = []

    def begin(*arguments: str, argv: list[str] | None = None, **options: Any) -> Program:
        programs.append(Program(tmp_path, [*(argv or PROGRAM), *arguments], **options))
        return programs[-1]

    yield begin
    for program in programs:
        program.process.kill()
        program.process.wait()


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration for a broker on this machine."""

    def write(
        port: int, sensor: str = 'source = "simulated"', more: str = "", storage: str = "", wearer: str = ""
    ) -> Path:
        path = tmp_path / "posturewatch.toml"
        path.write_text(
            f'[storage]\nfolder = "{tmp_path}/kept"\n{storage}\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
            f'[[wearer]]\nid = "me"\n{without_quiet_hours(wearer)}\n'
            f'[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\n{sensor}\n{more}'
        )
        return path

    return write


@pytest.fixture
def daemon(
    start_broker: Callable[..., Mosquitto],
    configure: Callable[..., Path],
    start: Callable[..., Program],
    listen: Callable[..., Ears],
) -> Any:
    """A daemon with its broker's `port`, its `config` and its `ears`: somebody who listens."""
    port = start_broker().port
    config, ears = configure(port), listen(port)
    program: Any = start("run", "--config", str(config))
    ears.until("me/state")
    program.port, program.config, program.ears = port, config, ears
    return program
