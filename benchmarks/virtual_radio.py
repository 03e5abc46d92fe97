"""Eight sensors at 50 Hz over a virtual radio: is anything lost or doubled, and what does the daemon cost?

python benchmarks/virtual_radio.py [--minutes 10] [--sensors 8]

Two processes: `posturewatch simulate` with boards that count their packets, five samples in each, and
`posturewatch run` with one wearer for each of them and its embedded broker.  Counters prove that every packet arrived
once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "posturewatch"]
GOAL_CORE_FRAC = 0.08
START_S, SETTLE_S = 60.0, 5.0
PRESET = files("posturewatch_sim") / "peripherals/counted.toml"


def configure(folder: Path, sensors: int, port: int) -> Path:
    """One wearer for each sensor."""
    (folder / "sensors").mkdir()
    (folder / "sensors" / "counted.toml").write_text(PRESET.read_text())
    text = f'[storage]\nfolder = "{folder}/state"\n[broker]\nport = {port}\n'
    text += f'[bluetooth]\nradio = "hci:unix:{folder}/air"\nmax_connections = {sensors}\n'
    for at in range(1, sensors + 1):
        text += f'[[wearer]]\nid = "w{at}"\n[[wearer.sensor]]\nid = "s{at}"\nplacement = "chest"\nsource = "ble"\n'
        text += f'family = "counted"\naddress = "C0:5E:00:00:00:{at:02X}"\n'
    path = folder / "posturewatch.toml"
    path.write_text(text)
    return path


def cpu_s(pid: int) -> float:
    """What a process used so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask_simulator(folder: Path, command: str) -> dict[str, Any]:
    """Over its control socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{folder}/control")
        line.sendall(command.encode() + b"\n")
        answer: dict[str, Any] = json.loads(line.makefile().readline())
    return answer


def ask_daemon(path: Path, environ: dict[str, str]) -> list[dict[str, Any]]:
    """How its sensors do."""
    said = subprocess.run(
        [*PROGRAM, "status", "--config", str(path), "--json"], env=environ, capture_output=True, check=True
    )
    sensors: list[dict[str, Any]] = json.loads(said.stdout).get("sensors", [])
    return sensors


@contextlib.contextmanager
def running(*words: str, environ: dict[str, str], said: Path) -> Any:
    """A process of ours; what it says goes to a file, since nobody reads it in time."""
    with said.open("wb") as out:
        process = subprocess.Popen([*PROGRAM, *words], env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def until_connected(path: Path, environ: dict[str, str], sensors: int) -> float:
    """Seconds until all sensors stream."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < START_S:
        time.sleep(0.5)
        told = ask_daemon(path, environ)
        if sum(each["connected"] for each in told) == sensors:
            return time.monotonic() - began_s
    raise SystemExit(f"not all of {sensors} sensors were connected within {START_S:g} s")


def measure(folder: Path, sensors: int, minutes: float) -> bool:
    """Run, print, and tell whether all goals were reached."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = configure(folder, sensors, port)
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    devices = [word for _ in range(sensors) for word in ("--device", "counted")]
    where = ["--transport", f"unix:{folder}/air", "--control", f"{folder}/control", "--seed", "1"]
    with (
        running("simulate", "still-upright", *where, *devices, environ=environ, said=folder / "said.air") as simulator,
        running("run", "--config", str(path), environ=environ, said=folder / "said.daemon") as daemon,
    ):
        time.sleep(SETTLE_S)
        print(f"all connected after {SETTLE_S + until_connected(path, environ, sensors):.1f} s")
        first = sum(each["samples"] for each in ask_daemon(path, environ))
        before, began_s = (cpu_s(daemon.pid), cpu_s(simulator.pid)), time.monotonic()
        time.sleep(minutes * 60)
        told, took_s = ask_daemon(path, environ), time.monotonic() - began_s
        ours, theirs = cpu_s(daemon.pid) - before[0], cpu_s(simulator.pid) - before[1]
        sent = ask_simulator(folder, "stats")["devices"]
    rate_hz = (sum(each["samples"] for each in told) - first) / took_s
    totals = {name: sum(each[name] for each in told) for name in ("packets", "lost", "repeated", "undecodable", "gaps")}
    in_flight = sum(each["packets"] for each in sent.values()) - totals["packets"]
    print(f"{sensors} sensors, {took_s:.0f} s: {rate_hz:.1f} samples/s of {50 * sensors}")
    print(f"packets {totals['packets']}, sent since and not asked for yet {in_flight}")
    print(", ".join(f"{name} {totals[name]}" for name in ("lost", "repeated", "undecodable", "gaps")))
    print(f"daemon {ours / took_s:.1%} of a core (goal {GOAL_CORE_FRAC:.0%}), simulator {theirs / took_s:.1%}")
    clean = not any(totals[name] for name in ("lost", "repeated", "undecodable", "gaps"))
    return clean and 0 <= in_flight <= 20 * sensors and ours / took_s <= GOAL_CORE_FRAC


def main() -> int:
    """Measure as the arguments say; 0 if nothing was lost or doubled and the goal was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sensors", type=int, default=8, choices=range(1, 9))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="air") as folder:
        return 0 if measure(Path(folder), given.sensors, given.minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
