"""The samples of one sensor, some at a time: from the daemon that holds it, or from the sensor itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from posturewatch.calibrating.capturing import Capture, Captured
from posturewatch.clock import WallClock
from posturewatch.errors import CommandError, SourceError
from posturewatch.requests.control_socket import ask
from posturewatch.sources.assembly import SourceContext, build_sources
from posturewatch.types import RawSamples, SampleBatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from posturewatch.config import LoadedConfig
    from posturewatch.types import Incoming

FIRST_S = 30.0  # to find it, connect and start
NEXT_S = 15.0
ANSWER_S = 35.0  # the daemon's own patience, and some


class Silent(SourceError):
    """A sensor of which nothing comes."""


class Stream(Protocol):
    """One sensor's samples."""

    async def glimpse(self, seconds: float) -> Captured:
        """The samples from now on, for about so long; `SourceError` if none come."""


class DaemonStream:
    """Through the control socket: the daemon keeps the sensor."""

    def __init__(self, door: Path, wearer: str | None, sensor: str) -> None:
        """`wearer` None: the only one."""
        self._door, self._about = door, {"wearer": wearer, "sensor": sensor}

    async def glimpse(self, seconds: float) -> Captured:
        """As the protocol says."""
        answer = await ask(self._door, "glimpse", ANSWER_S, seconds=seconds, **self._about)
        if answer.get("error"):
            raise CommandError(str(answer["error"]))
        acc_10ug = np.array(answer["acc_10ug"], dtype=np.int32).reshape(-1, 3)
        if not len(acc_10ug):
            raise Silent(f"sensor {self._about['sensor']}: nothing comes; is it worn and near?  posturewatch status")
        return Captured(acc_10ug, float(answer["seconds"]))


class OwnStream:
    """The sensor itself, held while `open_sensor` runs."""

    def __init__(self, sensor: str) -> None:
        """Nothing came yet."""
        self._sensor = sensor
        self._patience_s = FIRST_S
        self._capture: Capture | None = None
        self._captured: asyncio.Future[Captured] | None = None

    def put(self, incoming: Incoming) -> None:
        """What the source brings."""
        if (
            self._capture is not None
            and isinstance(incoming, RawSamples | SampleBatch)
            and self._capture.take(incoming)
        ):
            capture, self._capture = self._capture, None
            capture.conclude()

    async def glimpse(self, seconds: float) -> Captured:
        """As the protocol says."""
        captured: asyncio.Future[Captured] = asyncio.get_running_loop().create_future()
        self._capture = Capture(self._sensor, 0, seconds=seconds, least=1, tell=captured.set_result)
        try:
            async with asyncio.timeout(self._patience_s + seconds):
                taken = await captured
        except TimeoutError:
            raise Silent(
                f"sensor {self._sensor}: nothing comes within {self._patience_s + seconds:g} s; is it on, worn and "
                "near, and not connected to a phone?"
            ) from None
        finally:
            self._capture = None
        self._patience_s = NEXT_S
        return taken


@contextlib.asynccontextmanager
async def open_sensor(loaded: LoadedConfig, name: str) -> AsyncIterator[OwnStream]:
    """Hold one sensor of a configuration while the block runs."""
    sensor = next(sensor for wearer in loaded.config.wearer for sensor in wearer.sensor if sensor.id == name)
    stream = OwnStream(name)
    around = SourceContext(WallClock(), loaded.to_mqtt(), loaded.bind_sensors(), loaded.config.bluetooth)
    sources = build_sources([(sensor, stream.put)], around)
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(source.run()) for source in sources.by_name.values()]
    try:
        yield stream
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
