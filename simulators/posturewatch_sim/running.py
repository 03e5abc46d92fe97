"""posturewatch and its virtual sensors as processes of a test: started, listened to, spoken to, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

PATIENCE_S = 20.0
POLL_S = 0.02
USER = "posturewatch"  # of the embedded broker
PASSWORD_FILE = "broker-password"  # in the state folder
DEMO_TOPIC, USUAL_TOPIC = "posturewatch-demo", "posturewatch"
Login = tuple[str, str]  # user and password
LOGIN = re.compile(r"port (\d+) \(MQTT 5\).*?user (\S+), password (\S+)$", re.DOTALL | re.MULTILINE)


class NotAsExpected(AssertionError):
    """A process or the broker did not do in time what the test waits for."""


class Process:
    """One run of the command line; what it says on standard error goes to a file."""

    def __init__(self, folder: Path, *words: str, **environ: str) -> None:
        """Starts it, in an environment without settings of the surroundings."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("POSTUREWATCH_", "NOTIFY_"))}
        homes = dict.fromkeys(("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"), str(folder))
        self._errors = folder / f"stderr-{uuid.uuid4().hex[:8]}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "posturewatch", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**clean, **homes, **environ},
            )

    @property
    def said(self) -> str:
        """Its log so far."""
        return self._errors.read_text("utf-8", "replace")

    def until(
        self,
        happened: Callable[[], Any],
        what: str,
        within_s: float = PATIENCE_S,
        *,
        instead: Callable[[], str] = str,
    ) -> Any:
        """Poll until `happened` gives something; `NotAsExpected` when the time is up or the process has ended.

        `instead` says what happened instead, at the end.
        """
        end_s = time.monotonic() + within_s
        while not (found := happened()):
            if self.process.poll() is not None:
                raise NotAsExpected(f"posturewatch ended with {self.process.returncode}: {self.said}")
            if time.monotonic() > end_s:
                raise NotAsExpected(f"{what}: not within {within_s:g} s; {instead()}{self.said}")
            time.sleep(POLL_S)
        return found

    def stop(self) -> int:
        """End it politely, or otherwise; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class RunningPosturewatch:
    """A posturewatch at work, and a client at its broker that hears everything below the base topic."""

    def __init__(self, process: Process, address: tuple[str, int], login: Login | None, topic: str) -> None:
        """Connects; the broker must be there.  Commands are heard from then on."""
        self.process = process
        self.host, self.port = address
        self.login = login
        self.base_topic = topic
        self.heard: list[tuple[str, Any]] = []  # topic without the base, payload: JSON as values, else text
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"test-{uuid.uuid4().hex[:12]}", protocol=MQTTProtocolVersion.MQTTv5
        )
        if login is not None:
            self._client.username_pw_set(*login)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(f"{topic}/#", 1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._hear(message)
        try:
            self._client.connect(*address)
        except OSError as error:
            raise NotAsExpected(f"broker {self.host}:{self.port} cannot be reached: {error}") from None
        self._client.loop_start()
        process.until(subscribed.is_set, f"broker {self.host}:{self.port}")
        self.until("bridge/state", lambda word: word == "online")

    def _hear(self, message: paho.MQTTMessage) -> None:
        text = message.payload.decode("utf-8", "replace")
        with contextlib.suppress(ValueError):
            self.heard.append((message.topic.removeprefix(f"{self.base_topic}/"), json.loads(text)))
            return
        self.heard.append((message.topic.removeprefix(f"{self.base_topic}/"), text))

    def payloads(self, topic: str) -> list[Any]:
        """All that was said on a topic, which is written without the base topic: `wearer/demo/state`."""
        return [payload for heard, payload in list(self.heard) if heard == topic]

    def until(self, topic: str, fits: Callable[[Any], Any] = lambda _: True, within_s: float = PATIENCE_S) -> Any:
        """The first payload of a topic that fits; waits for it."""

        def found() -> list[Any]:
            return [payload for payload in self.payloads(topic) if fits(payload)][:1]

        return self.process.until(found, topic, within_s, instead=lambda: f"heard at last {self.heard[-5:]}; ")[0]

    def publish(self, topic: str, payload: Any = "") -> None:
        """Say something below the base topic; what is not text or bytes goes as JSON."""
        said = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        self._client.publish(f"{self.base_topic}/{topic}", said, 1).wait_for_publish(PATIENCE_S)

    def stop(self) -> int:
        """End the process, then the client; the exit code."""
        code = self.process.stop()
        self._client.disconnect()
        self._client.loop_stop()
        return code


class VirtualRadio:
    """Virtual Bluetooth sensors in a process of their own."""

    def __init__(self, process: Process, folder: Path) -> None:
        """Waits until the radio is on the air."""
        self.process = process
        self.name = f"hci:unix:{folder / 'air'}"  # for `radio = "..."` of a configuration
        self._control = folder / "control"
        process.until(self._control.exists, "the virtual radio")
        self.devices: list[str] = list(self.tell("stats")["devices"])

    def tell(self, command: str) -> dict[str, Any]:
        """Do something to the sensors, such as `kick polar_h10` or `battery all 5`; the answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(self._control))
            line.sendall(command.encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
        if not answer["ok"]:
            raise NotAsExpected(f"{command}: {answer['error']}")
        return answer

    def stop(self) -> int:
        """End it."""
        return self.process.stop()


def start_radio(
    folder: Path, *devices: str, scenario: str | Path = "still-upright", seed: int = 1, speed: float = 1.0
) -> VirtualRadio:
    """Virtual sensors that play a scenario; each device is written as for `posturewatch simulate --device`."""
    kinds = [word for device in devices or ("polar_h10",) for word in ("--device", device)]
    where = ["--transport", f"unix:{folder / 'air'}", "--control", str(folder / "control")]
    play = ["simulate", str(scenario), "--seed", str(seed), "--speed", str(speed)]
    with _stopped_on_failure(Process(folder, *play, *where, *kinds)) as process:
        return VirtualRadio(process, folder)


def start_demo(  # noqa: PLR0913  # all but the first two are named
    folder: Path,
    scenario: str | Path = "demo-cycle",
    *,
    seed: int = 1,
    speed: float = 60.0,
    broker: str | None = None,
    login: Login | None = None,
) -> RunningPosturewatch:
    """A scenario on a fast clock; the wearer is called `demo`.  `broker` is HOST:PORT on this machine."""
    words = ["demo", "--json", "--scenario", str(scenario), "--seed", str(seed), "--speed", str(speed)]
    if broker is not None:
        words += ["--broker", broker]
        words += ["--username", login[0], "--password-file", str(_keep(folder, login))] if login is not None else []
    with _stopped_on_failure(Process(folder, *words, TMPDIR=str(folder))) as process:
        if broker is not None:
            return RunningPosturewatch(process, _address(broker), login, DEMO_TOPIC)
        port, user, password = process.until(lambda: LOGIN.search(process.said), "the broker of the demo").groups()
        return RunningPosturewatch(process, ("127.0.0.1", int(port)), (user, password), USUAL_TOPIC)


def start_daemon(
    folder: Path, configuration: str, *, broker: str | None = None, login: Login | None = None
) -> RunningPosturewatch:
    """`posturewatch run`; broker and state folder of the configuration are replaced by those of the test."""
    path = folder / "posturewatch.toml"
    path.write_text(configuration, encoding="utf-8")
    host, port = _address(broker) if broker is not None else ("127.0.0.1", _free_pair())
    settings = {"STORAGE__FOLDER": str(folder / "state"), "BROKER__PORT": str(port)}
    if broker is not None:
        settings["BROKER__HOST"] = host
    if login is not None:
        settings |= {"BROKER__USERNAME": login[0], "BROKER__PASSWORD_FILE": str(_keep(folder, login))}
    environ = {f"POSTUREWATCH_{name}": value for name, value in settings.items()}
    with _stopped_on_failure(Process(folder, "run", "--config", str(path), **environ)) as process:
        if broker is None:
            process.until(lambda: "embedded broker: " in process.said, "the embedded broker")
            login = USER, (folder / "state" / PASSWORD_FILE).read_text("ascii").strip()
        return RunningPosturewatch(process, (host, port), login, USUAL_TOPIC)


@contextlib.contextmanager
def _stopped_on_failure(process: Process) -> Iterator[Process]:
    """Who fails while it starts leaves nothing running."""
    try:
        yield process
    except BaseException:
        process.stop()
        raise


def _keep(folder: Path, login: Login) -> Path:
    """A password belongs into a file, where no list of processes shows it."""
    path = folder / "password"
    path.touch(mode=0o600)
    path.write_text(login[1] + "\n", encoding="utf-8")
    return path


def _address(broker: str) -> tuple[str, int]:
    host, _, port = broker.rpartition(":")
    return host.strip("[]"), int(port)


def _free_pair() -> int:
    """The first of two free ports in a row: the embedded broker has one for each version of the protocol."""
    while True:
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError, OverflowError):
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            second.bind(("127.0.0.1", port + 1))
            return port
