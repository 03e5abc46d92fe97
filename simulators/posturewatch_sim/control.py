"""What can be done to virtual sensors while they run: one command a line, on standard input or a unix socket.

Each line is answered with one JSON object: `{"ok": true, …}` or `{"ok": false, "error": "…"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posturewatch_sim.dongles import DongleError, Port
from posturewatch_sim.faults import AXES
from posturewatch_sim.peripherals.connected import ConnectedSensor
from posturewatch_sim.peripherals.virtual import PeripheralError, VirtualSensor

if TYPE_CHECKING:
    from posturewatch_sim.simulation import Simulation

MAX_LINE_BYTES = 4096
Answer = dict[str, Any]
Act = Callable[[VirtualSensor, list[str]], Awaitable[None] | None]

HELP = {
    "lose DEVICE [SECONDS]": "carry it out of range; its link ends after the supervision timeout (0)",
    "back DEVICE": "bring it back",
    "kick DEVICE": "it ends the connection",
    "hold DEVICE": "somebody else holds it: no advertisements; release DEVICE ends that",
    "mute DEVICE": "it stays connected and sends nothing; unmute DEVICE ends that",
    "battery DEVICE PERCENT": "fill or empty the battery",
    "doff DEVICE": "lay it on the desk; mount DEVICE puts it on again",
    "rate DEVICE HZ": "take so many samples a second, whatever it was asked for",
    "stick DEVICE AXIS": "freeze x, y or z; stick DEVICE none heals",
    "disturb DEVICE HOW": "what arrives is: repeat (twice), swap (out of order), cut, pad, noise, invalid; none",
    "stop DEVICE": "it stops streaming by itself; go DEVICE lets it stream again",
    "refuse DEVICE STATUS": "answer the next starts with this error (Polar); 0: no more",
    "reboot DEVICE": "it restarts, its clock and counters too",
    "firmware DEVICE former": "it restarts with firmware that lacks what holds its data; firmware DEVICE new heals",
    "unplug": "pull all dongles; plug lets them in again",
    "stats": "what was sent so far",
    "help": "these",
    "quit": "end the simulation",
}


def _number(words: list[str], default: float | None, low: float, high: float) -> float:
    if not words and default is not None:
        return default
    try:
        value = float(words[0])
    except (IndexError, ValueError):
        value = float("nan")
    if not low <= value <= high:
        raise PeripheralError(f"a number from {low:g} to {high:g} is needed")
    return value


def _stick(sensor: VirtualSensor, words: list[str]) -> None:
    if words == ["none"]:
        sensor.worn.stick(None)
    elif len(words) == 1 and len(words[0]) == 1 and words[0] in AXES:
        sensor.worn.stick(AXES.index(words[0]))
    else:
        raise PeripheralError("x, y, z or none is needed")


def _set(name: str, value: Any) -> Act:
    def act(sensor: VirtualSensor, _words: list[str]) -> None:
        if not hasattr(sensor, name):
            raise PeripheralError(f"{sensor.kind} cannot do that")
        setattr(sensor, name, value)

    return act


def _refuse(sensor: VirtualSensor, words: list[str]) -> None:
    if not hasattr(sensor, "refusal"):
        raise PeripheralError(f"{sensor.kind} refuses nothing")
    sensor.refusal = int(_number(words, None, 0, 255))


async def _flash(sensor: VirtualSensor, words: list[str]) -> None:
    if not isinstance(sensor, ConnectedSensor):
        raise PeripheralError(f"{sensor.kind} has no services: nobody connects to it")
    if words not in (["former"], ["new"]):
        raise PeripheralError("former or new is needed")
    await sensor.flash(former=words == ["former"])


ACTS: dict[str, Act] = {
    "lose": lambda sensor, words: sensor.lose(_number(words, 0.0, 0.0, 60.0)),
    "back": lambda sensor, _: sensor.back(),
    "kick": lambda sensor, _: sensor.kick(),
    "hold": lambda sensor, _: sensor.hold(),
    "release": lambda sensor, _: sensor.release(),
    "mute": _set("is_mute", True),
    "unmute": _set("is_mute", False),
    "battery": lambda sensor, words: sensor.set_battery(int(_number(words, None, 0, 100))),
    "doff": lambda sensor, _: sensor.worn.take_off(),
    "mount": lambda sensor, _: sensor.worn.put_on(),
    "rate": lambda sensor, words: sensor.worn.set_rate(_number(words, None, 0.2, 1000.0)),
    "stick": _stick,
    "disturb": lambda sensor, words: sensor.disturb(" ".join(words)),
    "stop": lambda sensor, _: sensor.halt(),
    "go": lambda sensor, _: sensor.resume(),
    "refuse": _refuse,
    "reboot": lambda sensor, _: sensor.reboot(),
    "firmware": _flash,
}


class Control:
    """Obeys."""

    def __init__(self, simulation: Simulation, port: Port | None) -> None:
        self._simulation = simulation
        self._port = port
        self.ended = asyncio.Event()

    async def obey(self, line: str) -> Answer:
        """Carry out one command."""
        verb, *words = line.split() or [""]
        try:
            answer = await self._carry_out(verb, words)
        except (PeripheralError, DongleError) as error:
            return {"ok": False, "command": line.strip(), "error": str(error)}
        return {"ok": True, "command": line.strip(), **answer}

    async def _carry_out(self, verb: str, words: list[str]) -> Answer:
        if verb == "stats":
            return {"devices": self._simulation.counts(), "t_s": round(self._simulation.clock.now_s(), 3)}
        if verb == "help":
            return {"commands": HELP}
        if verb == "quit":
            self.ended.set()
            return {}
        if verb in ("unplug", "plug"):
            if self._port is not None:
                await (self._port.pull() if verb == "unplug" else self._port.plug())
            return {}
        if verb not in ACTS:
            raise PeripheralError(
                f"unknown command {verb!r}; there are {', '.join(ACTS)}, unplug, plug, stats, help, quit"
            )
        if not words:
            raise PeripheralError(f"{verb} needs a device: {', '.join(self._simulation.sensors)}, or all")
        for sensor in self._simulation.named(words[0]):
            done = ACTS[verb](sensor, words[1:])
            if done is not None:
                await done
        return {}

    async def read_stdin(self) -> None:
        """Commands from a pipe or a terminal; anything else has none."""
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()):
            return
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            if line.strip():
                answer = await self.obey(line.decode("utf-8", "replace"))
                self._simulation.say("answer", **answer)

    @contextlib.asynccontextmanager
    async def listening(self, path: Path | None) -> AsyncIterator[None]:
        """Answer on a unix socket of its owner's while the block runs."""
        if path is None:
            yield
            return
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)  # noqa: ASYNC240  one look at a local folder
            server = await asyncio.start_unix_server(self._visit, str(path), limit=MAX_LINE_BYTES)
        except OSError as error:
            raise DongleError(f"--control {path}: {error.strerror or error}; name another path") from None
        finally:
            os.umask(before)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)  # noqa: ASYNC240  as above

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):  # ValueError: a line without end
            while line := await reader.readline():
                answer = await self.obey(line.decode("utf-8", "replace"))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()
