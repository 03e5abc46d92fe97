"""Writes what the sensors of one wearer send into a recording, as it comes, until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from posturewatch.app import Stop
from posturewatch.errors import PosturewatchError
from posturewatch.recording.packet_log import Header, RecordedSensor, RecordingWriter
from posturewatch.sources.assembly import build_sources
from posturewatch.sources.packet_queue import PacketQueue
from posturewatch.types import RawSamples, SampleBatch, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from posturewatch.config import Sensor
    from posturewatch.recording.sent_packets import SentPacket
    from posturewatch.signals import Signals
    from posturewatch.sources.assembly import SourceContext

SILENCE_S = 2.0  # after this time without samples, time itself is recorded once a second


@dataclass(slots=True)
class RecordingCounts:
    """What was written so far."""

    samples: int = 0
    seconds: int = 0
    packets: int = 0  # byte for byte


class Recorder:
    """One recording."""

    def __init__(
        self,
        sensors: Sequence[Sensor],
        around: SourceContext,
        told: Callable[[RecordingCounts], None],
        *,
        raw: bool = False,
    ) -> None:
        """`told` is called once a second; `raw`: also keep what Bluetooth sensors send, byte for byte."""
        self._sensors = sensors
        beside = replace(around.hear, client_id=f"posturewatch-record-{secrets.token_hex(4)}")  # the daemon
        self._around = replace(around, hear=beside)
        self._clock = clock = around.clock
        self._told = told
        self._raw = raw
        self._queue = PacketQueue("recording", clock.now_ns)
        self._heard_ns = clock.now_ns()
        self.counts = RecordingCounts()

    async def run(self, path: Path, signals: Signals, duration_s: float | None) -> None:
        """Record to `path` until stopped, or for `duration_s`."""
        sensors = tuple(RecordedSensor(s.id, s.placement, s.rate_hz) for s in self._sensors)
        with RecordingWriter(path, Header(self._clock.now_ns(), sensors)) as writer:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_end(signals, duration_s), name="stop")
                    group.create_task(self._keep(writer), name="recording")
                    group.create_task(self._mark_time(writer), name="ticks")
                    self._start_sources(group, writer)
            except* Stop:
                pass  # the way to end a task group
            while (item := self._queue.take()) is not None:
                self._write(writer, item)

    def _start_sources(self, group: asyncio.TaskGroup, writer: RecordingWriter) -> None:
        def keep_sent(packet: SentPacket) -> None:
            self.counts.packets += 1
            with _disk_errors(writer.path):
                writer.write_sent(packet)

        sensors = [(sensor, self._queue.put) for sensor in self._sensors]
        around = replace(self._around, keep_sent=keep_sent) if self._raw else self._around
        for name, source in build_sources(sensors, around).by_name.items():
            group.create_task(source.run(), name=name)

    async def _keep(self, writer: RecordingWriter) -> None:
        async for item in self._queue:
            self._write(writer, item)

    async def _mark_time(self, writer: RecordingWriter) -> None:
        while True:
            await self._clock.sleep(1.0)
            self._clock.check()
            now_ns = self._clock.now_ns()
            if now_ns - self._heard_ns > SILENCE_S * 1e9:
                self._write(writer, Tick(now_ns))
            self.counts.seconds += 1
            with _disk_errors(writer.path):
                writer.flush()
            self._told(self.counts)

    def _write(self, writer: RecordingWriter, item: Any) -> None:
        if isinstance(item, RawSamples | SampleBatch):
            self.counts.samples += len(item.acc_10ug)
            self._heard_ns = self._clock.now_ns()
        with _disk_errors(writer.path):
            writer.write(item)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Any:
    try:
        yield
    except OSError as error:
        raise PosturewatchError(f"{path}: the recording ends here ({error.strerror}); free some space") from error


async def _end(signals: Signals, duration_s: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            await signals.stop.wait()
    raise Stop
