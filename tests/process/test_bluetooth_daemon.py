"""The daemon, `record` and `scan` as processes, with virtual sensors in another one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = [sys.executable, "-m", "posturewatch"]
RECOVERED_S = 5.0
RESTARTED_S = 15.0  # from the start of its process; 2.4 to 3.8 s where the processor has time for it
ADDRESS = "C0:5E:00:00:00:01"
WALKING = 'title = "A walk"\nplacement = "chest"\nsensor = "polar_h10"\nscript = [{ do = "walk", minutes = 30 }]\n'
POLAR = f'source = "ble"\nfamily = "polar"\naddress = "{ADDRESS}"'


class VirtualRadio:
    """A simulator process; its radio can be asked for things."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "air"
        self.radio = f"hci:unix:{self.path}"
        self._control = folder / "control"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *devices: str, scenario: str = "still-upright") -> None:
        words = [word for device in devices for word in ("--device", device)]
        where = ["--transport", f"unix:{self.path}", "--control", str(self._control), "--seed", "7"]
        self._process = subprocess.Popen(
            [*PROGRAM, "simulate", scenario, *where, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert any(b'"ready"' in line for line in self._process.stdout)

    def ask(self, command: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._control))
            line.sendall(command.encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
        assert answer["ok"], answer
        return answer

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture
def radio() -> Iterator[VirtualRadio]:
    """Its folder has a name short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="air"))
    made = VirtualRadio(folder)
    yield made
    made.kill()
    shutil.rmtree(folder)


def test_a_daemon_streams_a_sensor_and_does_so_again_after_both_were_killed(
    start_broker: Callable[..., Any],
    listen: Callable[..., Any],
    start: Callable[..., Any],
    configure: Callable[..., Path],
    radio: VirtualRadio,
) -> None:
    radio.start("polar_h10")
    broker = start_broker()
    ears = listen(broker.port)
    path = configure(broker.port, POLAR, f'[bluetooth]\nradio = "{radio.radio}"')
    daemon = start("run", "--config", str(path))
    health = ears.until("sensor/chest/health", lambda told: told["connected"])
    assert (health["battery_pct"], health["lost"], health["fault"]) == (87, 0, None)
    ears.until("me/availability", lambda word: word == "online")
    ears.until("me/state", lambda state: state["battery_pct"] == 87 and not state["simulated"])

    status = subprocess.run(
        [*PROGRAM, "status", "--config", str(path), "--json"],
        env={"XDG_RUNTIME_DIR": str(path.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    [sensor] = json.loads(status.stdout)["sensors"]
    assert (sensor["sensor"], sensor["connected"]) == ("chest", True)
    assert ADDRESS not in status.stdout.decode()

    daemon.process.kill()  # the sensor is not told; its link ends with the dongle
    daemon.process.wait()
    heard, started_s = len(ears.heard), time.monotonic()
    daemon = start("run", "--config", str(path))
    ears.until("bridge/state", lambda word: word == "online", since=heard)
    began_s = time.monotonic()
    ears.until("sensor/chest/health", lambda told: told["connected"], since=heard)
    assert time.monotonic() - began_s < RECOVERED_S
    assert time.monotonic() - started_s < RESTARTED_S

    heard = len(ears.heard)
    radio.kill()
    lost = ears.until("me/event", lambda event: event["event_type"] == "sensor_lost", since=heard)
    assert lost["detail"]["sensor"] == "chest"
    heard = len(ears.heard)
    radio.start("polar_h10")
    ears.until("me/event", lambda event: event["event_type"] == "sensor_back", since=heard)

    assert daemon.end(signal.SIGTERM) == 0
    assert "Traceback" not in daemon.say()
    told = b"".join(payload for _, payload, _ in ears.heard)
    assert ADDRESS.encode() not in told


def test_a_recording_of_a_sensor_names_nobody_and_can_be_replayed(
    start: Callable[..., Any], configure: Callable[..., Path], radio: VirtualRadio, tmp_path: Path
) -> None:
    radio.start("polar_h10")
    path = configure(1, POLAR, f'[bluetooth]\nradio = "{radio.radio}"')
    out = tmp_path / "day.jsonl"
    recorder = start("record", "--config", str(path), "-o", str(out), "--duration", "10s")
    assert recorder.wait() == 0
    text = out.read_text()
    assert ADDRESS not in text
    assert "chest" not in text.replace('"placement":"chest"', "")
    packets = [json.loads(line) for line in text.splitlines() if line.startswith('{"s"')]
    assert len(packets) >= 2
    assert all(packet["hz"] == 25.0 for packet in packets)
    replayed = subprocess.run(
        [*PROGRAM, "replay", str(out), "--placement", "chest", "--format", "jsonl"], capture_output=True, check=True
    )
    assert b'"type":"summary"' in replayed.stdout.replace(b" ", b"")


def test_a_recording_keeps_packets_byte_for_byte_without_the_address_inside(
    start: Callable[..., Any], configure: Callable[..., Path], radio: VirtualRadio, tmp_path: Path
) -> None:
    radio.start("ruuvi,pace=fast", "polar_h10")
    mac, polar = "C0:5E:00:00:00:01", "C0:5E:00:00:00:02"
    other = f'[[wearer.sensor]]\nid = "strap"\nplacement = "waist"\n{POLAR.replace(ADDRESS, polar)}'
    tag = f'source = "ble"\nfamily = "ruuvi"\naddress = "{mac}"\n{other}'
    path = configure(1, tag, f'[bluetooth]\nradio = "{radio.radio}"')
    out = tmp_path / "day.jsonl"
    recorder = start("record", "--config", str(path), "-o", str(out), "--duration", "6s", "--raw")
    assert recorder.wait() == 0
    packets = [json.loads(line) for line in out.read_text().splitlines() if line.startswith('{"p"')]
    by_part = {packet["part"]: packet["hex"] for packet in packets}
    assert by_part["company 0499"].startswith("05")
    assert by_part["company 0499"].endswith("00" * 6)
    assert "fb005c82-02e7-f387-1cad-8acd2d8df0c8" in by_part  # Polar's measurement data
    assert mac.replace(":", "").lower() not in out.read_text().lower()
    words = ["decode", "ruuvi", by_part["company 0499"]]
    assert subprocess.run([*PROGRAM, *words], capture_output=True, check=False).returncode == 0
    replayed = subprocess.run([*PROGRAM, "replay", str(out), "--format", "jsonl"], capture_output=True, check=True)
    assert b'"type":"summary"' in replayed.stdout.replace(b" ", b"")


def test_who_would_take_a_sensor_from_the_daemon_says_so_and_leaves_it(
    start: Callable[..., Any], configure: Callable[..., Path], radio: VirtualRadio, tmp_path: Path
) -> None:
    radio.start("polar_h10")
    path = configure(1, POLAR, f'[bluetooth]\nradio = "{radio.radio}"')
    daemon = start("run", "--config", str(path))
    status = ["status", "--config", str(path), "--json"]
    words = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*PROGRAM, *arguments], env=words, capture_output=True, check=False, text=True)

    def is_streaming() -> bool:
        told = ask(*status)  # refused until the daemon is there
        return told.returncode == 0 and json.loads(told.stdout)["sensors"][0]["connected"] is True

    deadline_s = time.monotonic() + 20.0
    while not is_streaming():
        assert time.monotonic() < deadline_s, daemon.say()
        time.sleep(0.2)
    out = tmp_path / "day.jsonl"
    refused = ask("record", "--config", str(path), "-o", str(out), "--duration", "5s")
    told = f"posturewatch: the daemon (process {daemon.process.pid}) streams chest: "
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    assert refused.stderr.startswith(told)
    assert not out.exists()
    felt = ask("scan", "--config", str(path), "--duration", "1", "--shake", "--json")
    assert (felt.returncode, felt.stderr.count("\n")) == (0, 1)
    assert felt.stderr.startswith(told)
    assert is_streaming()


def test_a_scan_names_the_sensors_and_prints_the_lines_for_the_picked_one(radio: VirtualRadio, tmp_path: Path) -> None:
    radio.start("polar_h10", "ruuvi", "sig")
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    scan = [*PROGRAM, "scan", "--radio", radio.radio]
    said = subprocess.run([*scan, "--duration", "3", "--json"], env=environ, capture_output=True, check=True).stdout
    found = {sensor["family"]: sensor for sensor in json.loads(said)["sensors"]}
    assert found["polar"]["address"] == ADDRESS
    assert found["polar"]["rssi_dbm"] == -50
    assert "no walking" in found["ruuvi"]["use"]
    assert json.loads(said)["other_devices"] >= 1
    picked = subprocess.run(
        [*scan, "--duration", "2", "--pick", ADDRESS], env=environ, capture_output=True, check=True, text=True
    ).stdout
    lines = picked[picked.index("[[wearer.sensor]]") :]
    path = tmp_path / "posturewatch.toml"
    path.write_text(f'[[wearer]]\nid = "me"\n{lines}')
    subprocess.run([*PROGRAM, "config", "check", str(path)], env=environ, check=True)
    unknown = [*scan, "--duration", "2", "--pick", "C0:5E:00:00:00:03"]
    refused = subprocess.run(unknown, env=environ, capture_output=True, check=False, text=True)
    assert (refused.returncode, "--family NAME" in refused.stderr) == (2, True)
    unknown += ["--family", "sig_precise_acceleration_3d"]
    picked = subprocess.run(unknown, env=environ, capture_output=True, check=True, text=True).stdout
    lines = picked[picked.index("[[wearer.sensor]]") :]
    assert 'family = "sig_precise_acceleration_3d"\naddress = "C0:5E:00:00:00:03"' in lines


def test_a_scan_marks_the_sensor_that_is_shaken(radio: VirtualRadio, tmp_path: Path) -> None:
    walking = tmp_path / "walking.toml"
    walking.write_text(WALKING)
    radio.start("witmotion", "polar_h10", scenario=str(walking))
    radio.ask("doff witmotion")
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    words = ["scan", "--radio", radio.radio, "--duration", "2", "--shake", "--json"]
    said = subprocess.run([*PROGRAM, *words], env=environ, capture_output=True, check=True).stdout
    shaken = {sensor["family"]: sensor["shaken"] for sensor in json.loads(said)["sensors"]}
    assert shaken == {"witmotion": False, "polar": True}


def test_no_radio_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    words = ["scan", "--radio", f"hci:unix:{tmp_path}/none", "--duration", "2"]
    said = subprocess.run([*PROGRAM, *words], capture_output=True, check=False, text=True)
    assert said.returncode == 3
    assert said.stderr.count("\n") == 1
    assert "cannot be reached" in said.stderr


def test_a_radio_nobody_knows_is_a_usage_error() -> None:
    said = subprocess.run([*PROGRAM, "scan", "--radio", "hci0"], capture_output=True, check=False, text=True)
    assert said.returncode == 2
    assert "radio 'hci0' is not known" in said.stderr
