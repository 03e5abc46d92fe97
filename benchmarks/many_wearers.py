"""1, 10, 100, 1,000 wearers in one daemon, fed over MQTT: CPU and delay as a curve.

python benchmarks/many_wearers.py [--seconds 20] [--wearers 1,10,100,1000]

Needs mosquitto.  Each sensor sends 50 samples once a second and leans by 20 degrees every other four seconds: each
change is a small movement and then stillness, and both are published.  The delay runs from the packet that closes a
second to its state message at the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
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
    packets, at = payloads(), time.time()
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


async def watch(wearers: int, seconds: float, port: int, pid: int) -> tuple[float, list[float]]:
    """CPU in percent of a core, and the delays."""
    sent: list[list[float]] = [[] for _ in range(wearers)]
    delays_ms: list[float] = []
    async with aiomqtt.Client("127.0.0.1", port) as sender, aiomqtt.Client("127.0.0.1", port) as ears:
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


def measure(wearers: int, seconds: float, folder: Path) -> str:
    """One row of the table."""
    port = free_port()
    (folder / "broker.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence false\n"
    )
    blocks = [
        f'[[wearer]]\nid = "w{i}"\n[[wearer.sensor]]\nid = "s{i}"\nplacement = "chest"\nsource = "mqtt"\n'
        for i in range(wearers)
    ]
    head = f'[broker]\nhost = "127.0.0.1"\nport = {port}\n[storage]\nfolder = "{folder}/state-{wearers}"\n'
    config = folder / f"{wearers}.toml"
    config.write_text(head + "".join(blocks))
    mosquitto = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if mosquitto is None:
        raise SystemExit("mosquitto is needed: apt-get install mosquitto")
    broker = subprocess.Popen([mosquitto, "-c", folder / "broker.conf"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    daemon = subprocess.Popen(
        [Path(sysconfig.get_path("scripts")) / "posturewatch", "run", "--config", config], stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(2.0 + wearers / 300)
        cpu, delays_ms = asyncio.run(watch(wearers, seconds, port, daemon.pid))
        p50, p99 = np.percentile(delays_ms, [50, 99]) if delays_ms else (float("nan"), float("nan"))
        costs = f"{wearers:8} {cpu:7.1f} {cpu / wearers:11.3f} {memory_mb(daemon.pid):7.0f}"
        return f"{costs} {p50:9.1f} {p99:9.1f} {len(delays_ms):7}"
    finally:
        for process in (daemon, broker):
            process.terminate()
            process.wait(20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--wearers", default="1,10,100,1000")
    given = parser.parse_args()
    print(" wearers   CPU % CPU % each      MB    p50 ms    p99 ms  delays")
    with tempfile.TemporaryDirectory(prefix="posturewatch-wearers-") as folder:
        for count in map(int, given.wearers.split(",")):
            print(measure(count, given.seconds, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
