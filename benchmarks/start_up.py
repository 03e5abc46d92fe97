"""What a start costs: `--help`, `run --check`, the first state at a broker; which imports that is, and how much memory.

python benchmarks/start_up.py [--runs 9]

All times are the least and the median of several runs, which take turns, and ratios to `python -c ''` in the same runs,
since machines differ and are shared.  The first state needs mosquitto.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTUREWATCH = str(Path(sysconfig.get_path("scripts")) / "posturewatch")
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
STATE = "posturewatch/wearer/w/state"
DEADLINE_S = 30.0
HEAVIEST = 8
BARE = "python -c ''"
PEAK = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(open("/proc/self/status").read()))
from posturewatch.cli import main
main()
"""


def configuration(folder: Path, port: int) -> Path:
    """One simulated sensor, a broker on this machine."""
    path = folder / "posturewatch.toml"
    path.write_text(
        f'[storage]\nfolder = "{folder}/state"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
        '[[wearer]]\nid = "w"\nreminding = { quiet_hours = [] }\n'
        '[[wearer.sensor]]\nid = "s"\nplacement = "chest"\nsource = "simulated"\n'
    )
    return path


def measure_process(command: list[str]) -> float:
    """Seconds from start to end."""
    began_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began_s


def measure_memory_mb(words: list[str]) -> float:
    """Its peak.  Asked of the process itself: what `wait` tells includes ours from before the start."""
    said = subprocess.run([sys.executable, "-c", PEAK, *words], check=True, capture_output=True, text=True).stderr
    return int(said.partition("VmHWM:")[2].split()[0]) / 1024


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """mosquitto on a free port."""
    assert MOSQUITTO is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = folder / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"{user}listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def listener(port: int) -> Iterator[threading.Event]:
    """An event that is set whenever a state arrives."""
    arrived, subscribed = threading.Event(), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda c, *_: c.subscribe(STATE)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _c, _u, message: None if message.retain else arrived.set()
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(OSError):
            client.connect("127.0.0.1", port)
            break
        if time.monotonic() > deadline_s:
            raise SystemExit("mosquitto does not start")
        time.sleep(0.02)
    client.loop_start()
    subscribed.wait(DEADLINE_S)
    try:
        yield arrived
    finally:
        client.disconnect()
        client.loop_stop()


def measure_first_state(path: Path, arrived: threading.Event) -> float:
    """Seconds from the start of the daemon to its first state at the broker."""
    arrived.clear()
    began_s = time.perf_counter()
    process = subprocess.Popen([POSTUREWATCH, "run", "--config", str(path)], stderr=subprocess.DEVNULL)
    is_there = arrived.wait(DEADLINE_S)
    took_s = time.perf_counter() - began_s
    process.send_signal(signal.SIGTERM)
    process.wait()
    if not is_there:
        raise SystemExit(f"no state within {DEADLINE_S:g} s")
    return took_s


def tell_times(what: str, times_s: list[float], bare_s: list[float]) -> None:
    """One line of the table."""
    least, median = min(times_s), statistics.median(times_s)
    ratios = f"{least / min(bare_s):6.1f} {median / statistics.median(bare_s):6.1f}"
    print(f"{what:24} {1000 * least:7.0f} {1000 * median:7.0f}   {ratios}")


def tell_imports(command: list[str]) -> None:
    """How many modules, and where the time of importing goes, by package."""
    words = [sys.executable, "-X", "importtime", "-m", "posturewatch", *command]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stderr
    own_us: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for line in said.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and fields[0].strip().isdecimal():
            package = fields[2].strip().split(".")[0]
            own_us[package] += int(fields[0])
            count[package] += 1
    total = f"{sum(count.values())} modules, {sum(own_us.values()) / 1000:.0f} ms, {measure_memory_mb(command):.0f} MB"
    print(f"\nimports of `{' '.join(command[:2])}`: {total}")
    for package, spent_us in own_us.most_common(HEAVIEST):
        print(f"  {package:22} {spent_us / 1000:6.1f} ms  {count[package]:4} modules")


def main() -> None:
    """Measure in turns, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="posturewatch-start-") as name, contextlib.ExitStack() as scopes:
        folder = Path(name)
        port = scopes.enter_context(broker(folder)) if MOSQUITTO else 1883
        path = configuration(folder, port)
        commands = {
            BARE: [sys.executable, "-c", ""],
            "import numpy": [sys.executable, "-c", "import numpy"],
            "posturewatch --help": [POSTUREWATCH, "--help"],
            "run --check": [POSTUREWATCH, "run", "--check", "--config", str(path)],
        }
        arrived = scopes.enter_context(listener(port)) if MOSQUITTO else None
        times: dict[str, list[float]] = {what: [] for what in commands}
        first: list[float] = []
        for _ in range(runs):
            for what, command in commands.items():
                times[what].append(measure_process(command))
            if arrived is not None:
                first.append(measure_first_state(path, arrived))
        print(f"{'':24} {'least':>7} {'median':>7}   {'ratio to bare':>13}")
        for what, taken in times.items():
            tell_times(what, taken, times[BARE])
        if first:
            tell_times("run, to the first state", first, times[BARE])
        else:
            print("the first state was not measured: mosquitto is not installed")
        tell_imports(["--help"])
        tell_imports(["run", "--check", "--config", str(path)])


if __name__ == "__main__":
    main()
