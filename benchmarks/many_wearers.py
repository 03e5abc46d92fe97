"""1 to 1,000 wearers in one daemon, fed over MQTT: CPU and delay as a curve, its knee, and where the time goes.

python benchmarks/many_wearers.py [--seconds 20] [--wearers 1,10,100,300,500,1000] [--profile 300]

Needs mosquitto.  Each sensor sends 50 samples once a second and leans by 20 degrees every other four seconds: each
change is a small movement and then stillness, and both are published.  The delay runs from the packet that closes a
second to its state message at the broker.  The knee is the last number whose delay stays below 100 ms (p99).  The
profile runs the daemon once more under cProfile, which slows Python down more than numpy: shares are a rough guide.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pstats
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from bisect import bisect_left
from datetime import datetime
from pathlib import Path

import aiomqtt
import numpy as np

RATE_HZ = 50
WARM_UP_S = 6.0
LIMIT_MS = 100.0
START = "start-up"  # not part of the shares
ROOMS = {  # what the time is spent on, by a part of the path; the first that fits
    "copies of the state": ("core/state",),
    START: (
        "importlib",
        "posturewatch/config/",
        "zoneinfo",
        "tomllib",
        "dataclasses",
        "inspect",
        "typing",
        "enum",
    ),
    "MQTT client, both ways": ("paho/", "aiomqtt/", "posturewatch/mqtt/", "posturewatch/sources/mqtt.py"),
    "samples: decoding": ("posturewatch/drivers/", "json/"),
    "snapshots": ("posturewatch/store", "core/snapshot"),
    "stage 1: frames, features": ("core/framing", "core/features", "core/timebase", "core/motion", "numpy/"),
    "stage 2: states, reminders": ("posturewatch/core/", "posturewatch/rules/"),
    "messages, outbox, sink": (
        "posturewatch/publishing/messages",
        "posturewatch/publishing/payloads",
        "posturewatch/sinks/",
        "pydantic",
    ),
    "watch, queue, pacing": ("posturewatch/",),
    "event loop": ("asyncio/", "selectors"),
}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def payloads() -> list[bytes]:
    """Four seconds upright, then four leaning."""
    rng = np.random.default_rng(1)
    result = []
    for lean in np.radians([0.0] * 4 + [20.0] * 4):
        acc = rng.normal(0, 0.004, (RATE_HZ, 3)) + np.array([np.sin(lean), 0.0, np.cos(lean)])
        content = {"rate_hz": RATE_HZ, "unit": "g", "acc": np.round(acc, 4).tolist()}
        result.append(json.dumps(content, separators=(",", ":")).encode())
    return result


async def send(client: aiomqtt.Client, wearers: int, sent: list[list[float]], until_s: float) -> None:
    """One packet a second and sensor, spread over the second."""
    packets, at = payloads(), time.time() // 1 + 1.3  # leans lie inside a second, also of a single wearer
    second = 0
    while time.time() < until_s:
        for i in range(wearers):
            due = at + second + i / wearers
            if (wait_s := due - time.time()) > 0:
                await asyncio.sleep(wait_s)
            sent[i].append(time.time())
            await client.publish(f"posturewatch/sensor/s{i}/samples", packets[second % len(packets)], qos=0)
        second += 1


async def listen(client: aiomqtt.Client, sent: list[list[float]], delays_ms: list[float], from_s: float) -> None:
    """Match each state message with the packet that closed its second."""
    async for message in client.messages:
        now_s = time.time()
        if message.retain or now_s < from_s:
            continue
        wearer = int(message.topic.value.split("/")[2][1:])
        closed_s = datetime.fromisoformat(json.loads(bytes(message.payload))["time"]).timestamp()
        index = bisect_left(sent[wearer], closed_s)
        if index < len(sent[wearer]):
            delays_ms.append((now_s - sent[wearer][index]) * 1000)


def connected(port: int) -> aiomqtt.Client:
    """A client whose packets do not wait for each other: gateways have a connection each."""
    return aiomqtt.Client("127.0.0.1", port, socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])


async def watch(wearers: int, seconds: float, port: int, pid: int) -> tuple[float, list[float]]:
    """CPU in percent of a core, and the delays."""
    sent: list[list[float]] = [[] for _ in range(wearers)]
    delays_ms: list[float] = []
    async with connected(port) as sender, connected(port) as ears:
        await ears.subscribe("posturewatch/wearer/+/state")
        began = time.time()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(ears, sent, delays_ms, began + WARM_UP_S))
            sending = group.create_task(send(sender, wearers, sent, began + WARM_UP_S + seconds))
            await asyncio.sleep(WARM_UP_S)
            cpu_before, at = cpu_s(pid), time.time()
            await sending
            cpu = (cpu_s(pid) - cpu_before) / (time.time() - at) * 100
            listening.cancel()
    return cpu, delays_ms


def measure(wearers: int, seconds: float, folder: Path, profile: Path | None = None) -> tuple[str, float]:
    """One row of the table, and the delay that 99 of 100 messages stay below, in ms."""
    port = free_port()
    (folder / "broker.conf").write_text(
        f"listener {port} 127.0.0.1\nset_tcp_nodelay true\nallow_anonymous true\n"
        "max_queued_messages 0\npersistence false\n"
    )
    config = configure(folder, port, wearers)
    mosquitto = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if mosquitto is None:
        raise SystemExit("mosquitto is needed: apt-get install mosquitto")
    program: list[str | Path] = [Path(sysconfig.get_path("scripts")) / "posturewatch"]
    if profile is not None:
        program = [sys.executable, "-m", "cProfile", "-o", profile, "-m", "posturewatch"]
    broker = subprocess.Popen([mosquitto, "-c", folder / "broker.conf"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    daemon = subprocess.Popen([*program, "run", "--config", config], stderr=subprocess.DEVNULL)
    try:
        time.sleep(2.0 + wearers / 300)
        cpu, delays_ms = asyncio.run(watch(wearers, seconds, port, daemon.pid))
        p50, p99 = np.percentile(delays_ms, [50, 99]) if delays_ms else (float("nan"), float("nan"))
        costs = f"{wearers:8} {cpu:7.1f} {cpu / wearers:11.3f} {memory_mb(daemon.pid):7.0f}"
        return f"{costs} {p50:9.1f} {p99:9.1f} {len(delays_ms):7}", float(p99)
    finally:
        for process in (daemon, broker):
            process.terminate()
            process.wait(20)


def configure(folder: Path, port: int, wearers: int) -> Path:
    """The daemon's configuration."""
    blocks = [
        f'[[wearer]]\nid = "w{i}"\nreminding = {{ quiet_hours = [] }}\n'
        f'[[wearer.sensor]]\nid = "s{i}"\nplacement = "chest"\nsource = "mqtt"\n'
        for i in range(wearers)
    ]
    head = f'[broker]\nhost = "127.0.0.1"\nport = {port}\n[storage]\nfolder = "{folder}/state-{port}"\n'
    config = folder / f"{wearers}.toml"
    config.write_text(head + "".join(blocks))
    return config


def shares(profile: Path) -> list[tuple[str, float]]:
    """Where the time goes: each room's share; what a room calls in C counts for the room."""
    spent = dict.fromkeys((*ROOMS, "other"), 0.0)
    waits = "poll"  # of the selector: nothing to do
    for (path, _, name), (_, _, own_s, _, callers) in pstats.Stats(str(profile)).stats.items():  # type: ignore[attr-defined]  # typeshed leaves it out
        if path == "~" and waits in name:
            continue
        if path == "~":
            for (caller, _, _), (_, _, part_s, _) in callers.items():
                spent[room_of(caller)] += part_s
        else:
            spent[room_of(path)] += own_s
    del spent[START]
    total = sum(spent.values())
    return sorted(((room, part / total) for room, part in spent.items()), key=lambda item: -item[1])


def room_of(path: str) -> str:
    """The room a source file belongs to."""
    return next((room for room, parts in ROOMS.items() if any(part in path for part in parts)), "other")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--wearers", default="1,10,100,300,500,1000")
    parser.add_argument("--profile", type=int, default=300, help="so many wearers; 0: none")
    given = parser.parse_args()
    print(f" wearers   CPU % CPU % each      MB    p50 ms    p99 ms  delays   (load {os.getloadavg()[0]:.1f})")
    knee = 0
    with tempfile.TemporaryDirectory(prefix="posturewatch-wearers-") as name:
        folder = Path(name)
        for count in map(int, given.wearers.split(",")):
            row, p99_ms = measure(count, given.seconds, folder)
            knee = max(knee, count) if p99_ms < LIMIT_MS else knee
            print(row, flush=True)
        print(f"\nknee: {knee} wearers (the most of these with p99 below {LIMIT_MS:g} ms)")
        if given.profile:
            measure(given.profile, given.seconds, folder, folder / "profile")
            print(f"\nwhere the time goes at {given.profile} wearers:")
            for room, share in shares(folder / "profile"):
                print(f"{share * 100:5.1f} %  {room}")


if __name__ == "__main__":
    main()
