"""From a command on its topic to its effect at the broker, and to its answer.

python benchmarks/command_latency.py [--commands 400] [--wearers 10]

Needs mosquitto.  One daemon with simulated wearers; holds and releases go to one after another, below the rate at
which commands are refused.  Measured by one client that sends and hears: so twice the way through the broker is in it.
Exit code 1 when an effect or an answer is missing, or the 99th percentile is beyond the limit of 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiomqtt
import numpy as np

WARM_UP_S = 3.0
PER_WEARER_S = 0.25  # four a second
LIMIT_MS = 100.0  # at the 99th percentile, of the effect and of the answer


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def configure(folder: Path, port: int, wearers: int) -> Path:
    """Simulated wearers at a broker on this machine."""
    text = f'[storage]\nfolder = "{folder}/state"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
    for at in range(wearers):
        sensor = f'id = "s{at}"\nplacement = "chest"\nsource = "simulated"\nseed = {at}'
        text += f'[[wearer]]\nid = "w{at}"\nreminding = {{ quiet_hours = [] }}\n[[wearer.sensor]]\n{sensor}\n'
    path = folder / "posturewatch.toml"
    path.write_text(text)
    return path


async def measure(port: int, wearers: int, commands: int) -> tuple[list[float], list[float]]:
    """Seconds to the effect in the state, and to the answer, of each command."""
    effects: list[float] = []
    answers: list[float] = []
    sent: dict[str, tuple[float, str, bool]] = {}  # wearer -> when, transaction, whether a hold

    def hear(message: aiomqtt.Message, now_s: float) -> None:
        _, _, wearer, leaf = str(message.topic).split("/")[:4]
        if wearer not in sent or not message.payload:
            return
        sent_s, transaction, holds = sent[wearer]
        content = json.loads(bytes(message.payload))
        if leaf == "result" and content["transaction"] == transaction:
            answers.append(now_s - sent_s)
        elif leaf == "state" and len(effects) < int(transaction) and (content["hold_reason"] == "bench") is holds:
            effects.append(now_s - sent_s)

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            hear(message, time.perf_counter())

    at_once = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    five = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, protocol=five, socket_options=at_once) as client:
        for leaf in ("state", "result"):
            await client.subscribe(f"posturewatch/wearer/+/{leaf}", qos=1)
        listener = asyncio.create_task(listen(client))
        await asyncio.sleep(WARM_UP_S)
        for number in range(1, commands + 1):
            wearer = f"w{number % wearers}"
            holds = (number - 1) // wearers % 2 == 0
            payload = json.dumps({"transaction": number, **({"reason": "bench"} if holds else {})})
            sent[wearer] = (time.perf_counter(), str(number), holds)
            await client.publish(f"posturewatch/wearer/{wearer}/do/{'hold' if holds else 'release'}", payload, qos=1)
            await asyncio.sleep(PER_WEARER_S / wearers)
        await asyncio.sleep(1.0)
        listener.cancel()
    return effects, answers


def run(mosquitto: str, broker_options: str, wearers: int, commands: int) -> tuple[list[float], list[float]]:
    """One broker, one daemon, one measurement."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{broker_options}\n")
        config = configure(folder, port, wearers)
        broker = subprocess.Popen([mosquitto, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        daemon = subprocess.Popen([sys.executable, "-m", "posturewatch", "run", "--config", str(config)])
        try:
            return asyncio.run(measure(port, wearers, commands))
        finally:
            for process in (daemon, broker):
                process.terminate()
                process.wait()


def judge(what: str, found_s: list[float], commands: int) -> bool:
    """Print one distribution with its verdict; whether it is within the limit, with nothing missing."""
    if not found_s:
        print(f"  {what:20} 0 of {commands}: MISSED")
        return False
    p50, p99, top = (1000 * float(x) for x in np.percentile(found_s, [50, 99, 100]))
    within = p99 < LIMIT_MS and len(found_s) == commands
    figures = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {top:.1f} ms"
    verdict = f"p99 is {p99 / LIMIT_MS:.2f} of {LIMIT_MS:g} ms: {'met' if within else 'MISSED'}"
    print(f"  {what:20} {len(found_s)} of {commands}: {figures}; {verdict}")
    return within


def main() -> int:
    """Print the distributions, with mosquitto as it comes and with `set_tcp_nodelay true`; 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=400)
    parser.add_argument("--wearers", type=int, default=10)
    options = parser.parse_args()
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    met = True
    for broker_options in ("", "set_tcp_nodelay true"):
        print(f"mosquitto {broker_options or 'as it comes'} (load {os.getloadavg()[0]:.1f}):")
        found = run(mosquitto, broker_options, options.wearers, options.commands)
        for what, found_s in zip(("effect in the state", "answer"), found, strict=True):
            met &= judge(what, found_s, options.commands)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
