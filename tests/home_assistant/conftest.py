"""A house: a real broker, a real Home Assistant, the real daemon with a simulated wearer, and a phone.

Runs by `make test-ha`, which installs Home Assistant outside the checkout and names its interpreter; the part with
Node-RED instead of Home Assistant by `make test-node-red`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from posturewatch_sim.stream import samples
from testbench.mosquitto import MOSQUITTO, NO_MOSQUITTO, write_configuration
from testbench.ports import answers, free_port
from testbench.waiting import until

from posturewatch.config import load
from posturewatch.publishing.topics import Topics
from posturewatch.sinks.outbox import Outbox
from posturewatch.sources.simulated import SimulatedSensor, find_scenario
from posturewatch.store import SnapshotStore
from posturewatch.types import SampleBatch
from posturewatch.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PYTHON = os.environ.get("POSTUREWATCH_HOME_ASSISTANT")
KIT = Path(__file__).resolve().parents[2] / "config" / "home-assistant"
PATIENCE_S = 60.0
PROMISED_S = 5.0
# What Home Assistant rightly says when its broker goes away (once with a traceback of its own message that did not get
# through), and about this bare installation rather than about us.  Releases up to 2026.2 empty the topic of a device
# that they remove, hear themselves, and wonder about it.
TRUE = re.compile(
    r"Disconnected from MQTT server|Failed to connect to MQTT server|Error returned from MQTT server"
    r"|\[paho\.mqtt\.client\] failed to receive|_async_wait_for_mid_or_raise"
    r"|No device components to cleanup|Skipping pip installation|libturbojpeg"
)
# `python -m homeassistant`, also for a release that asks for a later patch of the same Python
START = (
    "import sys, homeassistant.const as c; c.REQUIRED_PYTHON_VER = min(c.REQUIRED_PYTHON_VER, sys.version_info[:3]);"
    "from homeassistant.__main__ import main; sys.exit(main())"
)
RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:)", re.MULTILINE)

MEASURED: list[str] = []

collect_ignore_glob = [] if PYTHON else ["test_[abcd]_*.py"]
collect_ignore_glob += [] if "POSTUREWATCH_NODE_RED" in os.environ else ["test_e_*.py"]


class Process:
    """Something that can be started, stopped and killed, again and again."""

    def __init__(self, argv: list[str], log: Path) -> None:
        self.argv = argv
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("POSTUREWATCH_", "NOTIFY_"))}
        environ |= {"XDG_RUNTIME_DIR": str(self.log.parent), "HOME": str(self.log.parent)}
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(self.argv, stdout=said, stderr=said, env=environ)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
            self.process = None


class Broker(Process):
    """A real mosquitto without a memory of its own: it forgets what was retained when it stops."""

    def __init__(self, folder: Path) -> None:
        assert MOSQUITTO is not None, NO_MOSQUITTO
        self.port = free_port()
        config = write_configuration(folder, self.port, "log_type notice")
        self._read = 0
        super().__init__([MOSQUITTO, "-c", str(config)], folder / "mosquitto.log")

    def start(self) -> None:
        self._read = self.log.stat().st_size if self.log.exists() else 0
        super().start()
        until(lambda: answers(self.port), PATIENCE_S)

    def has_client(self, fits: Callable[[str], bool]) -> bool:
        """Whether a client with such an id has connected since the last start."""
        return any(fits(name) for name in re.findall(r" as (\S+) \(", self.log.read_text()[self._read :]))


class Daemon(Process):
    """`posturewatch run`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.config = folder / "posturewatch.toml"
        self.folder = folder / "kept"
        self.port = port
        self.configure()
        super().__init__(
            [sys.executable, "-m", "posturewatch", "run", "--config", str(self.config)], folder / "posturewatch.log"
        )

    def configure(self, *wearers: str, more: str = "", limits: str = "", manners: str = "grace_min = 0") -> None:
        """Anew, for the wearers of these names."""
        self.wearers = wearers or ("me",)
        tables = "".join(
            f'[[wearer]]\nid = "{name}"\n{limits}\n[wearer.reminding]\nquiet_hours = []\n{manners}\n'
            f'[[wearer.sensor]]\nid = "{name}-chest"\nplacement = "chest"\nsource = "simulated"\n'
            'scenario = "desk-freeze"\nseed = 4\n'
            for name in self.wearers
        )
        self.config.write_text(
            f'[storage]\nfolder = "{self.folder}"\n[broker]\nhost = "127.0.0.1"\nport = {self.port}\n{more}\n{tables}'
        )

    def sit(self, minutes: float) -> None:
        """Let all wearers have sat so long already, as the snapshots of a daemon that just stopped would say."""
        loaded = load(self.config, {})
        store = SnapshotStore(self.folder)
        until_ns = time.time_ns()
        for wearer in loaded.config.wearer:
            settings = loaded.to_core(wearer, until_ns)
            watch = Watch(settings, Topics(), Outbox(time.time_ns), simulated=True)
            sensor = wearer.sensor[0]
            scene = find_scenario(SimulatedSensor(sensor.id, sensor.scenario, sensor.seed, sensor.placement))
            start_ns = until_ns - int(minutes * 60e9)
            for chunk in samples(scene, seed=sensor.seed, start_ns=start_ns, chunk_s=10.0):
                if chunk.until_s > minutes * 60:
                    break
                watch.take(SampleBatch(sensor.id, chunk.t_ns, chunk.acc_10ug))
            watch.work()
            store.save(wearer.id, watch.dump(), until_ns)


class Ears:
    """An independent client; `heard` is what came, in order, `kept` the newest of each topic."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.kept: dict[str, bytes] = {}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, f"ears-{uuid.uuid4().hex[:8]}", protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.on_message = lambda _c, _u, m: self._hear(m.topic, m.payload)
        self.client.on_connect = lambda c, *_: c.subscribe([(f"{name}/#", paho.SubscribeOptions(1)) for name in NAMES])
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def _hear(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))
        self.kept[topic] = payload

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def payloads(self, leaf: str, since: int = 0) -> list[Any]:
        told = [payload for topic, payload in self.heard[since:] if topic.endswith(leaf)]
        return [json.loads(p) if p.startswith(b"{") else p.decode() for p in told]

    def until(self, leaf: str, fits: Callable[[Any], bool] = bool, since: int = 0, within_s: float = 10.0) -> Any:
        return until(
            lambda: next((p for p in self.payloads(leaf, since) if fits(p)), None), within_s, lambda: self.heard[-5:]
        )


NAMES = ("posturewatch", "homeassistant", "house", "test")


class HomeAssistant(Process):
    """A real core as a process of its own, set up through its own web interface as a person would."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        assert PYTHON is not None
        self.folder = folder / "home-assistant"
        self.port = free_port()
        self.broker_port = broker_port
        self.token = ""
        self.checked = 0
        self._write_config()
        argv = [PYTHON, "-c", START, "--config", str(self.folder), "--skip-pip", "--log-no-color"]
        super().__init__(argv, folder / "home-assistant.log")

    def _write_config(self) -> None:
        blueprints = self.folder / "blueprints" / "automation" / "posturewatch"
        blueprints.mkdir(parents=True)
        for path in (KIT / "blueprints").glob("*.yaml"):
            shutil.copy(path, blueprints)
        shutil.copy(KIT / "dashboard.yaml", self.folder / "posturewatch.yaml")
        (self.folder / "automations.yaml").write_text("[]\n")
        (self.folder / "configuration.yaml").write_text(
            "homeassistant:\n  name: House\n  latitude: 52.0\n  longitude: 5.0\n  elevation: 0\n  unit_system: metric\n"
            "  time_zone: UTC\n  currency: EUR\n  country: NL\n"
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\n"
            "logger:\n  default: warning\napi:\nconfig:\nfrontend:\nmobile_app:\nwebhook:\n"
            "input_boolean:\n  meeting:\n    name: Meeting\n"
            "automation: !include automations.yaml\n"
            "lovelace:\n  dashboards:\n    posture-watch:\n      mode: yaml\n      title: Posturewatch\n"
            "      icon: mdi:human-handsup\n      filename: posturewatch.yaml\n"
        )

    def start(self) -> None:
        super().start()
        until(lambda: answers(self.port), PATIENCE_S, told=lambda: self.log.read_text()[-2000:])
        until(self._runs, PATIENCE_S, told=lambda: self.log.read_text()[-2000:])

    def _runs(self) -> bool:
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            return not self.token or self.call("/api/config")["state"] == "RUNNING"
        return False

    def call(self, path: str, data: Any = None, *, form: bool = False) -> Any:
        """One request to the web interface."""
        body = None if data is None else urllib.parse.urlencode(data).encode() if form else json.dumps(data).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body)
        request.add_header("Content-Type", "application/x-www-form-urlencoded" if form else "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            text = answer.read().decode()
        return json.loads(text) if text[:1] in "{[" else text

    def welcome(self) -> None:
        """Make the first user and add the MQTT integration."""
        client = f"http://127.0.0.1:{self.port}/"
        user = {"client_id": client, "name": "Me", "username": "me", "password": "not a secret", "language": "en"}
        code = until(lambda: self._try("/api/onboarding/users", user), PATIENCE_S)["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": client}
        self.token = self.call("/auth/token", grant, form=True)["access_token"]
        until(self._runs, PATIENCE_S)
        flow = self.call("/api/config/config_entries/flow", {"handler": "mqtt", "show_advanced_options": True})
        data: dict[str, Any] = {"broker": "127.0.0.1", "port": self.broker_port}
        names = {field["name"] for field in flow["data_schema"]}
        if "protocol" not in names and "advanced_options" in names:  # older releases ask in two steps
            flow = self.call(f"/api/config/config_entries/flow/{flow['flow_id']}", {**data, "advanced_options": True})
            names = {field["name"] for field in flow["data_schema"]}
        data |= {"protocol": "5"} if "protocol" in names else {}
        data |= (
            {"other_settings": {"set_client_cert": False, "set_ca_cert": "off"}} if "other_settings" in names else {}
        )
        done = self.call(f"/api/config/config_entries/flow/{flow['flow_id']}", data)
        assert done["type"] == "create_entry", done

    def _try(self, path: str, data: Any) -> Any:
        with contextlib.suppress(OSError):
            return self.call(path, data)
        return None

    def states(self) -> dict[str, dict[str, Any]]:
        """All entities that are there, not only remembered from before."""
        return {
            one["entity_id"]: one for one in self.call("/api/states") if not one["attributes"].get("restored", False)
        }

    def state(self, entity: str) -> str | None:
        found = self.states().get(entity)
        return None if found is None else str(found["state"])

    def until_state(self, entity: str, fits: Callable[[str], bool] | str, within_s: float = 10.0) -> str:
        check = fits if callable(fits) else lambda state: state == fits

        def look() -> str | None:
            state = self.state(entity)
            return state if state is not None and check(state) else None

        return str(until(look, within_s, lambda: f"{entity} is {self.state(entity)}"))

    def serve(self, service: str, **data: Any) -> None:
        self.call(f"/api/services/{service.replace('.', '/')}", data)

    def render(self, template: str) -> str:
        return str(self.call("/api/template", {"template": template}))

    def automate(self, *automations: dict[str, Any]) -> None:
        """Replace all automations."""
        (self.folder / "automations.yaml").write_text(json.dumps(automations))
        self.serve("automation.reload")

    def websocket(self, message: dict[str, Any]) -> Any:
        """Ask through the websocket, which is what the browser uses; with Home Assistant's own client library."""
        script = (
            "import aiohttp, asyncio, json, sys\n"
            "async def main():\n"
            "    async with aiohttp.ClientSession() as s, s.ws_connect(sys.argv[1]) as ws:\n"
            "        await ws.receive_json()\n"
            "        await ws.send_json({'type': 'auth', 'access_token': sys.argv[2]})\n"
            "        await ws.receive_json()\n"
            "        await ws.send_json({'id': 1, **json.loads(sys.argv[3])})\n"
            "        print(json.dumps(await ws.receive_json()))\n"
            "asyncio.run(main())\n"
        )
        address = f"http://127.0.0.1:{self.port}/api/websocket"
        argv = [str(PYTHON), "-c", script, address, self.token, json.dumps(message)]
        answer = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout)
        assert answer["success"], answer
        return answer["result"]

    def complaints(self) -> list[str]:
        """Warnings and errors since the last look, but for those that are true."""
        text = self.log.read_text("utf-8", "replace")
        new, self.checked = text[self.checked :], len(text)
        bad = [record for record in RECORD.split(new) if re.search(r" (WARNING|ERROR|CRITICAL) |Traceback", record)]
        return [record for record in bad if not TRUE.search(record)]


class Phone:
    """What the app on a phone is to Home Assistant: a receiver of pushes, a sender of taps."""

    def __init__(self) -> None:
        self.pushed: list[dict[str, Any]] = []
        phone = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                phone.pushed.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing to say."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.device = ""
        self._webhook = ""
        self._house: HomeAssistant | None = None

    def register(self, house: HomeAssistant) -> None:
        """As the app does after its login."""
        about = {
            "device_id": "phone-1",
            "app_id": "app",
            "app_name": "App",
            "app_version": "1",
            "device_name": "My Phone",
            "manufacturer": "None",
            "model": "None",
            "os_name": "None",
            "os_version": "1",
            "supports_encryption": False,
            "app_data": {"push_token": "token", "push_url": f"http://127.0.0.1:{self.server.server_port}/push"},
        }
        self._webhook = house.call("/api/mobile_app/registrations", about)["webhook_id"]
        self._house = house
        find = "{{ device_id('My Phone') or '' }}"
        self.device = until(lambda: house.render(find).replace("None", ""), PATIENCE_S)
        until(lambda: "mobile_app_my_phone" in json.dumps(house.call("/api/services")), PATIENCE_S)

    def until_push(self, fits: Callable[[dict[str, Any]], bool], within_s: float = 60.0) -> dict[str, Any]:
        found = until(lambda: next((p for p in self.pushed if fits(p)), None), within_s, lambda: self.pushed)
        assert isinstance(found, dict)
        return found

    def tap(self, action: str) -> None:
        """Press a button of a notification."""
        assert self._house is not None
        event = {"event_type": "mobile_app_notification_action", "event_data": {"action": action}}
        self._house.call(f"/api/webhook/{self._webhook}", {"type": "fire_event", "data": event})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests measured on their way."""
    for line in MEASURED:
        terminalreporter.write_line(f"measured: {line}")


def shows(part: dict[str, Any], shown: str, heard: dict[str, bytes]) -> bool:
    """Whether an entity shows what its topic said last; the key counts, not what its template makes of it."""
    if part["platform"] in ("button", "event"):
        return True  # they show when something happened, here or there
    payload = heard.get(part["state_topic"], b"").decode()
    if "value_template" not in part:
        return shown == {"online": "on", "offline": "off"}.get(payload)
    key = re.search(r"value_json\.(\w+)", part["value_template"])
    return bool(key and payload and is_same(shown, json.loads(payload)[key[1]], key[1], part.get("device_class")))


def is_same(shown: str, value: Any, key: str, device_class: str | None) -> bool:
    """Whether a state of Home Assistant is this value of ours."""
    if isinstance(value, str) and device_class != "timestamp":
        return shown == value  # `unknown` is a word of ours, too
    if value is None or shown == "unknown":
        return value is None and shown == "unknown"
    if isinstance(value, bool):
        return shown == ("on" if value else "off")
    if isinstance(value, int | float):
        factor = 60 if key.endswith("_s") else 1  # seconds are shown in minutes, to a tenth
        return abs(float(shown) - value / factor) <= (0.0501 if factor > 1 else 1e-6)
    return abs((datetime.fromisoformat(shown) - datetime.fromisoformat(value)).total_seconds()) < 1.0


class House:
    """All of it."""

    measured = MEASURED
    free_port = staticmethod(free_port)
    process = Process
    home: HomeAssistant

    def __init__(self, folder: Path) -> None:
        self.broker = Broker(folder)
        self.daemon = Daemon(folder, self.broker.port)
        if PYTHON:
            self.home = HomeAssistant(folder, self.broker.port)
        self.phone = Phone()
        self.broker.start()
        self.ears = Ears(self.broker.port)

    def described(self) -> dict[str, dict[str, Any]]:
        """The components that the retained messages describe, by entity id, with the topics of their device."""
        found = {}
        for topic, payload in list(self.ears.kept.items()):
            if topic.endswith("/config") and "/posturewatch_" in topic and payload:
                device = json.loads(payload)
                for part in device["components"].values():
                    if "unique_id" in part:
                        found[part["default_entity_id"]] = {"state_topic": device["state_topic"], **part}
        return found

    def enabled(self) -> dict[str, dict[str, Any]]:
        """Those that are shown unless somebody asks for more."""
        return {name: part for name, part in self.described().items() if part.get("enabled_by_default", True)}

    def missing(self) -> list[str]:
        """Entities that are not there, or do not show what was published last."""
        states, heard = self.home.states(), dict(self.ears.kept)
        bad = []
        for name, part in self.enabled().items():
            shown = states[name]["state"] if name in states else "unavailable"
            if shown == "unavailable" or not shows(part, shown, heard):
                bad.append(f"{name}: {shown}")
        return bad + [
            w for w in self.daemon.wearers if f"homeassistant/device/posturewatch_wearer_{w}/config" not in heard
        ]

    def is_home_connected(self) -> bool:
        """Whether Home Assistant has reached the broker since that was started."""
        return self.broker.has_client(lambda name: not name.startswith(("ears", "posturewatch", "auto")))

    def restart_daemon(self, *wearers: str, **options: str) -> None:
        """With another configuration."""
        self.daemon.stop()
        self.daemon.configure(*wearers, **options)
        self.ears.kept.clear()
        self.daemon.start()

    def until_right(self, within_s: float = PROMISED_S) -> float:
        """Wait until every entity is there with its value; how long that took."""
        began_s = time.monotonic()
        until(lambda: not self.missing(), within_s, lambda: f"{self.missing()}; {self.home.complaints()}")
        return time.monotonic() - began_s

    def close(self) -> None:
        self.ears.close()
        for part in (self.daemon, *([self.home] if PYTHON else []), self.broker):
            with contextlib.suppress(subprocess.TimeoutExpired):
                part.stop()
        self.phone.server.shutdown()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A broker, Home Assistant with its MQTT integration if it is here, and a daemon to start."""
    built = House(tmp_path_factory.mktemp("house"))
    try:
        if PYTHON:
            built.home.start()
            built.home.welcome()
            built.home.complaints()  # about a bare installation
        yield built
    finally:
        built.close()
