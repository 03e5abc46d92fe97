"""`posturewatch simulate` as a radio of its own process: dongles on a socket, commands, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakError
from posturewatch_sim.peripherals import boards

from posturewatch.cli.simulate import command
from posturewatch.errors import PosturewatchError
from posturewatch.radio import hci_adapter, hci_client, open_radio

PROGRAM = [sys.executable, "-m", "posturewatch", "simulate"]
PATIENCE_S = 20.0
NO_VHCI = pytest.mark.skipif(Path("/dev/vhci").exists(), reason="this machine has /dev/vhci")

HOLD = """
import asyncio, sys
from bleak import BleakClient, BleakScanner
from posturewatch.cli.simulate import command
from posturewatch.errors import PosturewatchError
from posturewatch.radio import open_radio
async def main():
    async with open_radio(sys.argv[1]) as radio:
        device = await BleakScanner.find_device_by_address(sys.argv[2], **radio.scanner_arguments)
        async with BleakClient(device, **radio.client_arguments):
            print("connected", flush=True)
            await asyncio.sleep(60)
asyncio.run(main())
"""


class Simulator:
    """The process, what it says, and its control socket."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.radio = f"hci:unix:{folder}/air"
        self.folder = folder

    async def said(self, event: str) -> dict[str, Any]:
        """The next line with this event."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                if told["event"] == event:
                    return told
        raise AssertionError(f"the simulator ended without {event!r}")

    async def ask(self, command: str) -> dict[str, Any]:
        """Over the control socket."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "control"))
        writer.write(command.encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        return answer


@pytest.fixture
def simulator(short_path: Path) -> Any:
    """`async with simulator("--device", "sig") as sim:`."""

    @contextlib.asynccontextmanager
    async def begin(*words: str) -> AsyncIterator[Simulator]:
        where = ("--transport", f"unix:{short_path}/air", "--control", f"{short_path}/control")
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "still-upright", *where, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            sim = Simulator(process, short_path)
            await sim.said("ready")
            yield sim
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return begin


@pytest.mark.asyncio
async def test_a_stream_crosses_processes_whole_and_ends_when_the_simulator_dies(simulator):
    async with simulator("--seed", "7", "--device", "counted") as sim, open_radio(sim.radio) as radio:
        heard: list[int] = []
        ended = asyncio.Event()
        (device,) = await BleakScanner.discover(timeout=0.5, **radio.scanner_arguments)
        client = BleakClient(device, disconnected_callback=lambda _: ended.set(), **radio.client_arguments)
        await client.connect()
        await client.start_notify(boards.COUNTED_DATA, lambda _, data: heard.append(int.from_bytes(data[:2], "little")))
        await asyncio.sleep(2.0)
        told = await sim.ask("stats")
        assert heard == list(range(len(heard)))
        assert told["devices"]["counted"]["packets"] - len(heard) in (0, 1)
        assert len(heard) >= 15
        sim.process.kill()
        async with asyncio.timeout(1.0):
            await ended.wait()


@pytest.mark.asyncio
async def test_a_sensor_is_free_again_soon_after_its_client_was_killed(simulator):
    async with simulator("--device", "sig") as sim:
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLD, sim.radio, "C0:5E:00:00:00:01", stdout=asyncio.subprocess.PIPE
        )
        assert holder.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await holder.stdout.readline() == b"connected\n"
        async with open_radio(sim.radio) as radio:
            assert await BleakScanner.discover(timeout=0.3, **radio.scanner_arguments) == []
            holder.kill()
            await holder.wait()
            found = await BleakScanner.find_device_by_address("C0:5E:00:00:00:01", 2.0, **radio.scanner_arguments)
            assert found is not None


@pytest.mark.asyncio
async def test_a_radio_that_freezes_is_given_up_and_opened_anew(simulator, monkeypatch):
    monkeypatch.setattr(hci_adapter, "OPEN_S", 0.5)
    monkeypatch.setattr(hci_client, "DISCONNECT_S", 0.5)
    async with simulator("--device", "sig") as sim, open_radio(sim.radio) as radio:
        device = await BleakScanner.find_device_by_address("C0:5E:00:00:00:01", 5.0, **radio.scanner_arguments)
        client = BleakClient(device, **radio.client_arguments)
        await client.connect()
        sim.process.send_signal(signal.SIGSTOP)
        with pytest.raises(BleakError, match="does not answer"):
            await client.disconnect()
        await asyncio.sleep(0.1)
        assert not client.is_connected
        for _ in range(2):
            with pytest.raises(BleakBluetoothNotAvailableError, match="does not answer"):
                await BleakScanner.discover(0.1, **radio.scanner_arguments)
        sim.process.send_signal(signal.SIGCONT)
        found = await BleakScanner.find_device_by_address("C0:5E:00:00:00:01", 5.0, **radio.scanner_arguments)
        assert found is not None


@pytest.mark.asyncio
async def test_commands_come_through_standard_input_and_wrong_ones_are_explained(simulator):
    async with simulator("--device", "polar_h10", "--device", "polar_h10,name=Twin") as sim:
        for words, says in (
            (b"battery 2 150", "from 0 to 100"),
            (b"battery polar_h11 50", "polar_h10, polar_h10-2"),
            (b"explode all", "unknown command"),
            (b"lose", "needs a device"),
        ):
            sim.process.stdin.write(words + b"\n")
            told = await sim.said("answer")
            assert not told["ok"]
            assert says in told["error"]
        sim.process.stdin.write(b"battery polar_h10-2 4\nquit\n")
        assert (await sim.said("answer"))["ok"]
        told = await sim.said("ended")
        assert [each["battery_pct"] for each in told["devices"].values()] == [87, 4]
        assert await sim.process.wait() == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
async def test_it_ends_at_once_when_asked_and_leaves_no_socket(simulator, short_path, number, code):
    async with simulator("--device", "sig") as sim:
        sim.process.send_signal(number)
        async with asyncio.timeout(3.0):
            assert await sim.process.wait() == code
    assert list(short_path.iterdir()) == []


def test_a_script_that_ends_ends_the_simulation_and_its_truth_is_written(short_path: Path):
    words = ["walk-at-28", "--seed", "7", "--duration", "5s", "--speed", "10", "--truth", f"{short_path}/truth.jsonl"]
    done = subprocess.run(
        [*PROGRAM, *words, "--transport", f"unix:{short_path}/air"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert "seed 7" in done.stderr
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["advertising", "ready", "ended"]
    assert (short_path / "truth.jsonl").read_text().startswith('{"type"')


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--transport", "unix:/nowhere/air"], 3, "name another path"),
        pytest.param(["--transport", "vhci"], 3, "load the kernel module hci_vhci", marks=NO_VHCI),
        (["--transport", "vhci:1"], 2, "allowed are file, process, mqtt, unix:PATH and vhci"),
        (["--transport", "unix:{}", "--device", "polar_h11"], 2, "there are polar_h10"),
        (["--transport", "unix:{}", "--device", "polar_h10,colour=red"], 2, "'colour=red' is not known"),
        (["--transport", "unix:{}", "--device", "polar_h10,mtu=12"], 2, "from 23 to 517"),
        (["--transport", "unix:{}", "--device", "ruuvi,pace=slow"], 2, "stock, fast, longlife"),
        (["--transport", "unix:{}", "--device", "sig,address=C0"], 2, "C0:5E:00:00:00:01"),
        (["--transport", "unix:{}", "--device", "sig,placement=nose"], 2, "placement is one of"),
        (["--transport", "unix:{}", "--speed", "max"], 2, "--speed max"),
        (["--transport", "process", "--control", "here"], 2, "--control belongs to"),
        (["--transport", "process", "--device", "lsm6dsox", "--device", "lis2dh12"], 2, "once"),
    ],
)
def test_what_cannot_be_meant_is_one_line(short_path: Path, words: list[str], code: int, says: str):
    words = [word.format(short_path / "air") for word in words]
    with pytest.raises(PosturewatchError) as told:
        command.main(["still-upright", *words], standalone_mode=False)
    assert told.value.exit_code == code
    assert says in str(told.value)
    assert "\n" not in str(told.value)
