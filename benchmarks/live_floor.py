"""The live daemon beside the least daemon one can write: start, CPU, memory, and the delay of a state message.

python benchmarks/live_floor.py [--seconds 120] [--starts 5] [--delay-seconds 90]

Needs mosquitto and dbus-daemon.  Both daemons use the real Bluetooth library on a stand-in for BlueZ (`live/bluez.py`)
with one sensor, 50 Hz in batches of ten, and a real broker; they take turns, and what counts is the ratio, since
machines differ and are shared.  The delay runs from the packet that closes a second to the message at the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
import numpy as np
from live.bluez import ADDRESS, Bluez, bluez_on, private_bus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HERE = Path(__file__).parent
POSTUREWATCH = Path(sysconfig.get_path("scripts")) / "posturewatch"
FLOOR, OWN = "floor", "posturewatch"
STATES = {"floor/state": FLOOR, "posturewatch/wearer/w/state": OWN}
SETTLE_S = 6.0
DEADLINE_S, LEAVE_S = 40.0, 20.0
HELP_RUNS = 11


@dataclass(frozen=True, slots=True)
class State:
    """One state message."""

    arrived_s: float  # of `perf_counter`
    arrived_ns: int
    content: dict[str, object]

    @property
    def has_samples(self) -> bool:
        """Whether it tells of samples; our first one only says that nothing is known yet."""
        return self.content.get("motion") != "unknown"


@dataclass(slots=True)
class Rig:
    """All that both daemons share."""

    folder: Path
    port: int
    bus: str
    bluez: Bluez
    states: asyncio.Queue[State] = field(default_factory=asyncio.Queue)
    runs: int = 0

    @property
    def environ(self) -> dict[str, str]:
        """For both: our bus, and a folder for compiled modules, since no installed program compiles at each start."""
        own = {"DBUS_SYSTEM_BUS_ADDRESS": self.bus, "PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return inherited | own | {"OPENBLAS_NUM_THREADS": "1"}

    @contextlib.asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[int]:
        """One of the two, new and without any memory, ended politely; its process id."""
        self.runs += 1
        self.bluez.reset()
        command = self._command(name)
        while not self.states.empty():
            self.states.get_nowait()
        with (self.folder / "daemon.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=self.environ)
            try:
                yield process.pid
            finally:
                with contextlib.suppress(ProcessLookupError):  # it ended by itself
                    process.terminate()
                async with asyncio.timeout(LEAVE_S):
                    await process.wait()

    def _command(self, name: str) -> list[str | Path]:
        if name == FLOOR:
            return [sys.executable, HERE / "live/floor_daemon.py", ADDRESS, str(self.port)]
        config = self.folder / "posturewatch.toml"
        config.write_text(
            f'[broker]\nhost = "127.0.0.1"\nport = {self.port}\n[storage]\nfolder = "{self.folder}/state-{self.runs}"\n'
            '[[wearer]]\nid = "w"\nreminding = { quiet_hours = [] }\n'
            '[[wearer.sensor]]\nid = "s"\nplacement = "chest"\nsource = "ble"\n'
            f'family = "polar"\naddress = "{ADDRESS}"\nrate_hz = 50\n'
        )
        return [POSTUREWATCH, "run", "--config", config]

    async def next_state(self) -> State:
        """The next one, or the end of it all with what the daemon said."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self.states.get()
        except TimeoutError:
            raise SystemExit(f"no state in {DEADLINE_S:.0f} s:\n{(self.folder / 'daemon.log').read_text()}") from None


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A mosquitto of our own; its port."""
    mosquitto = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if mosquitto is None:
        raise SystemExit("mosquitto is needed: apt-get install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen([mosquitto, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextlib.asynccontextmanager
async def built(folder: Path) -> AsyncIterator[Rig]:
    """Broker, bus, sensor, and an ear at the states."""

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if not message.retain and message.payload:
                content = json.loads(bytes(message.payload))
                rig.states.put_nowait(State(time.perf_counter(), time.time_ns(), content))

    with broker(folder) as port, private_bus(folder) as bus:
        async with bluez_on(bus) as bluez, aiomqtt.Client("127.0.0.1", port) as client:
            rig = Rig(folder, port, bus, bluez)
            for topic in STATES:
                await client.subscribe(topic)
            listener = asyncio.create_task(listen(client))
            try:
                yield rig
            finally:
                listener.cancel()


def cpu_s(pid: int) -> float:
    """Processor time of all threads so far; finer than the clock ticks of `stat`."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def time_start(rig: Rig, name: str, phase: float) -> tuple[float, ...]:
    """Seconds from the start of the process to its stream, its first state, and its first state of samples.

    The last is the processor time of all that, which others on the machine cannot lengthen much.
    """
    await asyncio.sleep((phase - time.time()) % 1.0)  # both begin at the same part of a second
    began = time.perf_counter()
    async with rig.running(name) as pid:
        first = state = await rig.next_state()
        while not state.has_samples:
            state = await rig.next_state()
        work_s, streaming_s = cpu_s(pid), rig.bluez.streaming_s
    assert streaming_s is not None
    return streaming_s - began, first.arrived_s - began, state.arrived_s - began, work_s


async def measure_starts(rig: Rig, starts: int) -> None:
    """Both in turn, after one start of each that does not count: it compiles what it imports."""
    for name in (FLOOR, OWN):
        await time_start(rig, name, 0.0)
    times: dict[str, list[tuple[float, ...]]] = {FLOOR: [], OWN: []}
    for turn in range(starts):
        for name, found in times.items():
            found.append(await time_start(rig, name, turn / starts))
    for at, what in enumerate(("to the stream", "to first state", "to first of samples", "processor time")):
        both = [[each[at] for each in found] for found in times.values()]
        tell_times(f"start {what}", both, 2.0)


async def measure_cpu(rig: Rig, seconds: float) -> None:
    """CPU and memory of both in turn, with a wearer who sits still."""
    share_pct, size_mb = [], []
    for name in (FLOOR, OWN):
        async with rig.running(name) as pid:
            while not (await rig.next_state()).has_samples:
                pass
            await asyncio.sleep(SETTLE_S)
            before_s, began = cpu_s(pid), time.perf_counter()
            await asyncio.sleep(seconds)
            share_pct.append((cpu_s(pid) - before_s) / (time.perf_counter() - began) * 100)
            size_mb.append(memory_mb(pid))
    floor, own = share_pct
    tell(f"CPU over {seconds:.0f} s", share_pct, "%", f"{own / floor / 2:.2f} of 2 x floor, {own / 0.5:.2f} of 0.5 %")
    tell("resident memory", size_mb, "MB", f"{size_mb[1] / 80:.2f} of 80 MB, {size_mb[1] / 60:.2f} of the wished 60")


async def measure_delay(rig: Rig, seconds: float) -> None:
    """Of a wearer who leans over and back: we publish what changed, the floor every fiftieth sample."""
    found: list[list[float]] = []
    rig.bluez.sways = True
    for name, delays_of in ((FLOOR, floor_delays_ms), (OWN, own_delays_ms)):
        async with rig.running(name):
            states = [await rig.next_state()]
            await asyncio.sleep(seconds)
            while not rig.states.empty():
                states.append(rig.states.get_nowait())
            found.append(delays_of(states, rig.bluez.sent_ns))
    rig.bluez.sways = False
    if not all(found):
        raise SystemExit("no state was published: there is no delay to tell")
    for at, what in ((50, "packet to state, median"), (99, "  p99")):
        both = [float(np.percentile(delays_ms, at)) for delays_ms in found]
        tell(what, both, "ms", f"{both[1] / 100:.2f} of 100 ms, n = {len(found[1])}")


def floor_delays_ms(states: list[State], sent_ns: list[int]) -> list[float]:
    """It counts samples, so each fifth packet brings a state."""
    return [(state.arrived_ns - sent) / 1e6 for state, sent in zip(states, sent_ns[4::5], strict=False)]


def own_delays_ms(states: list[State], sent_ns: list[int]) -> list[float]:
    """A state carries the end of its second, and the first packet after that closed it."""
    delays_ms = []
    for state in states:
        closed_ns = round(datetime.fromisoformat(str(state.content["time"])).timestamp() * 1e9)
        at = bisect_left(sent_ns, closed_ns)
        if state.has_samples and at < len(sent_ns):
            delays_ms.append((state.arrived_ns - sent_ns[at]) / 1e6)
    return delays_ms


def measure_help(environ: dict[str, str]) -> None:
    """`posturewatch --help` beside an interpreter that does nothing, in turn; the first of each does not count."""
    commands: list[list[str | Path]] = [[sys.executable, "-c", ""], [POSTUREWATCH, "--help"]]
    times: list[list[float]] = [[], []]
    for _ in range(1 + HELP_RUNS):
        for command, found in zip(commands, times, strict=True):
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environ)
            found.append(time.perf_counter() - began)
    print("The floor below is an interpreter that does nothing.")
    tell_times("posturewatch --help", [found[1:] for found in times], 8.0)


def tell_times(what: str, both: list[list[float]], limit: float) -> None:
    """The median, and the least, which others on the machine disturb less."""
    for name, pick in ((what, statistics.median), ("  least of each", min)):
        floor, own = (pick(found) for found in both)
        tell(name, [floor, own], "s", f"{own / floor / limit:.2f} of {limit:g} x floor")


def tell(what: str, both: list[float], unit: str, limit: str) -> None:
    """One line of the table."""
    floor, own = both
    print(f"{what:25}{floor:9.3f} {unit:2}{own:9.3f} {unit:2}{own / floor:8.2f}   {limit}", flush=True)


async def measure(folder: Path, given: argparse.Namespace) -> dict[str, str]:
    """All that needs the rig; gives the environment for the rest."""
    async with built(folder) as rig:
        await measure_starts(rig, given.starts)
        await measure_cpu(rig, given.seconds)
        await measure_delay(rig, given.delay_seconds)
        return rig.environ


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of CPU, each")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--delay-seconds", type=float, default=90.0)
    given = parser.parse_args()
    print(f"{'':25}{'floor':>12}{'own':>12}{'ratio':>8}   limit   (load {os.getloadavg()[0]:.1f})")
    with tempfile.TemporaryDirectory(prefix="posturewatch-live-") as name:
        environ = asyncio.run(measure(Path(name), given))
        measure_help(environ)


if __name__ == "__main__":
    main()
