"""A recording through the same core that runs live: flat out or paced, with the exposure summary at the end.

A sensor whose mounting is not known gets a first pass that finds upright from walking.  Its frames are
kept in a temporary file, so that the recording is read once and memory does not grow with its length.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from posturewatch.core import pipeline
from posturewatch.core.calibration import WalkingReference
from posturewatch.core.exposure import MOTIONS, POSTURES, ExposureAccumulator, ExposureRows, add_angles
from posturewatch.core.features import FeatureState, columns_of
from posturewatch.core.framing import FramingState, close_second, frame
from posturewatch.core.motion import GAIT_MIN
from posturewatch.core.posture import POSTURAL
from posturewatch.core.settings import (
    Calibration,
    Detection,
    Limits,
    Reminding,
    SensorSettings,
    SensorTraits,
    Settings,
)
from posturewatch.recording import RecordingReader
from posturewatch.rules import discover
from posturewatch.timeline import Timeline
from posturewatch.types import (
    BLOCKS_PER_FRAME,
    NS_PER_S,
    BreakEnded,
    Frames,
    Motion,
    Placement,
    RawSamples,
    SampleBatch,
    SedentaryEnded,
    Tick,
    Wear,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

    from posturewatch.sources.recordings import Samples
    from posturewatch.timeline import Spans
    from posturewatch.types import Event, Incoming

    Steps = tuple[NDArray[np.int64], NDArray[np.int8]]

Line = dict[str, Any]
_FRAME_FIELDS = ("epoch", "n", "block_n", "block_sum", "sumsq", "norm_sum", "norm_sumsq", "clipped")
_FRAME_SHAPES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("<i8", ()),
    ("<i4", ()),
    ("<i4", (BLOCKS_PER_FRAME,)),
    ("<i8", (BLOCKS_PER_FRAME, 3)),
    ("<i8", (3,)),
    ("<i8", ()),
    ("<i8", ()),
    ("<i4", ()),
)


class Progress(Protocol):
    """Told how far a pass is: its name, and the share done (None: not known)."""

    def __call__(self, what: str, done_frac: float | None) -> None:
        """Take note."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What a person asked for."""

    placement: Placement = Placement.UNKNOWN
    calibration: Calibration | None = None
    find_calibration: bool = True
    limits: Limits = field(default_factory=Limits)
    delivered: bool = False  # with quiet hours, budgets, grace and back-off
    speed: float | None = None  # None: flat out; else so many times real time
    wearer: str = "wearer"


class Replay:
    """One run over one recording.  `lines()` may be called once; `frames` and `summary` are there afterwards."""

    def __init__(self, options: ReplayOptions, clock: Callable[[int], float | str], progress: Progress) -> None:
        """`clock` words moments in the lines."""
        self._options = options
        self._progress = progress
        self.timeline = Timeline(clock, delivered=options.delivered)
        self.reminders: list[tuple[int, str]] = []  # moment, rule: for the picture
        self.sedentary: list[tuple[int, int]] = []
        self.breaks: list[tuple[str, int, int]] = []
        self.dated = False
        self.calibration = options.calibration
        self._exposure = ExposureAccumulator(options.placement)
        self._epochs: list[NDArray[np.int64]] = []
        self._up: list[NDArray[np.float32]] = []
        self.start_ns = self.end_ns = 0

    def samples(self, found: Samples) -> Iterator[Line]:
        """The lines of a file of samples."""
        traits = SensorTraits(found.step_10ug, None, found.rate_hz)
        sensor = SensorSettings("recording", self._options.placement, traits, self._options.calibration)
        self.start_ns, self.dated = found.start_ns, found.dated
        if self._options.find_calibration and self._options.calibration is None and sensor.placement in POSTURAL:
            with tempfile.TemporaryFile(prefix="posturewatch-frames-") as kept:
                self.calibration = _calibrate(_framed(found, self._tell(found, "calibrating")), kept)
                kept.seek(0)
                yield from self._run(_kept_frames(kept), replace(sensor, calibration=self.calibration))
        else:
            yield from self._run(_framed(found, self._tell(found, "replaying")), sensor)

    def packets(self, reader: RecordingReader) -> Iterator[Line]:
        """The lines of a packet log: exactly what the daemon saw goes in again."""
        header = reader.header
        sensors = tuple(
            SensorSettings(
                s.sensor,
                self._options.placement if self._options.placement is not Placement.UNKNOWN else s.placement,
                SensorTraits(rate_hz=s.rate_hz),
                self._options.calibration,
            )
            for s in header.sensors
        )
        yield from self._run(self._started(reader), *sensors)

    def _started(self, items: Iterable[Incoming]) -> Iterator[Incoming]:
        for item in items:
            if not self.start_ns:
                self.start_ns = _moment(item)
            yield item

    def _tell(self, found: Samples, what: str) -> Callable[[], None]:
        return lambda: self._progress(what, found.done_rows / found.rows if found.rows else None)

    def _settings(self, sensors: tuple[SensorSettings, ...]) -> Settings:
        return Settings(
            wearer=self._options.wearer,
            sensors=sensors,
            rules=discover(),
            limits=self._options.limits,
            reminding=Reminding(as_due=not self._options.delivered),
        )

    def _run(self, items: Iterable[Incoming], *sensors: SensorSettings) -> Iterator[Line]:
        settings = self._settings(sensors)
        state = pipeline.initial(settings)
        pace = _Pace(self._options.speed)
        for item in items:
            for part in pace.cut(item):
                if isinstance(part, Frames):
                    self._remember(part)
                state, events = pipeline.advance(state, part, settings)
                yield from self._lines(events)
        state, events = pipeline.close(state, settings)
        yield from self._lines(events)
        self.end_ns = max(state.body.now_ns, self.start_ns)
        if state.last_epoch:
            self.end_ns = (state.last_epoch + 1) * NS_PER_S
        yield from self.timeline.finish(self.start_ns, self.end_ns)
        yield self._summary()

    def _lines(self, events: list[Event]) -> Iterator[Line]:
        for event in events:
            self._exposure.note(event)
            if isinstance(event, SedentaryEnded):
                self.sedentary.append((event.start_ns, event.end_ns))
            elif isinstance(event, BreakEnded):
                self.breaks.append((str(event.kind), event.start_ns, event.end_ns))
            line = self.timeline.take(event)
            if line is not None:
                if line["type"] == "reminder":
                    self.reminders.append((event.t_ns, line["rule"]))
                yield line

    def _remember(self, frames: Frames) -> None:
        total = frames.block_sum.sum(axis=1).astype(np.float32)
        length = np.sqrt((total**2).sum(axis=1))
        self._epochs.append(frames.epoch)
        self._up.append(total / np.maximum(length, 1e-6)[:, None])

    def seconds(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every second seen, and the direction of up in it."""
        if not self._epochs:
            return np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
        return np.concatenate(self._epochs), np.concatenate(self._up)

    def _summary(self) -> Line:
        wear = self._steps(self.timeline.wear, tuple(Wear))
        motion = self._steps(self.timeline.motion, MOTIONS)
        posture = self._steps(self.timeline.posture, POSTURES)
        quiet = [MOTIONS.index(Motion.STILL), MOTIONS.index(Motion.MICRO)]
        for epoch, up in zip(self._epochs, self._up, strict=True):  # piece by piece: memory must not grow
            moves = _look_up(motion, epoch)
            rows = ExposureRows(
                epoch,
                _look_up(wear, epoch) == tuple(Wear).index(Wear.WORN),
                up=np.where(np.isin(moves, quiet)[:, None], up, np.nan),  # while moving it is no inclination
                posture=_look_up(posture, epoch),
                motion=moves,
            )
            self._exposure.add(rows if self.calibration is None else add_angles(rows, self.calibration))
        source = self.calibration.source if self.calibration else None
        return {"type": "summary", "calibration": source, **self._exposure.summary()}

    def _steps(self, said: Spans, names: tuple[Any, ...]) -> Steps:
        """When each state began (UTC seconds), and its index in `names`."""
        spans = list(said.until(self.end_ns))
        starts = np.array([start for _, start, _ in spans], np.int64) // NS_PER_S
        return starts, np.array([names.index(state) for state, _, _ in spans], np.int8)


def _calibrate(frames: Iterator[Frames], kept: BinaryIO) -> Calibration | None:
    """Find upright from walking; keep the frames for the pass that counts."""
    reference, features = WalkingReference(), FeatureState()
    for part in frames:
        _keep(kept, part)
        if len(part.epoch):
            seen = columns_of(features, part, with_bands=False)
            walking = (seen.sd_mg > Detection().moving_sd_mg) & (seen.gait >= GAIT_MIN)
            if walking.any():
                reference.add(seen.up, walking)
    return reference.calibrate()


def _look_up(steps: Steps, epoch: NDArray[np.int64]) -> NDArray[np.int8]:
    """The state of each second; 0 where nothing was said."""
    starts, codes = steps
    if not len(codes):
        return np.zeros(len(epoch), np.int8)
    found: NDArray[np.int8] = codes[np.maximum(np.searchsorted(starts, epoch, side="right") - 1, 0)]
    return found


class _Pace:
    """Hold a replay back to so many times real time; without a speed, let it run."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._began_s: float | None = None
        self._began_ns = 0

    def cut(self, item: Incoming) -> Iterator[Incoming]:
        if self._speed is None:
            yield item
            return
        for part in _seconds_of(item):
            at_ns = _moment(part)
            if self._began_s is None:
                self._began_s, self._began_ns = time.monotonic(), at_ns
            wait_s = self._began_s + (at_ns - self._began_ns) / NS_PER_S / self._speed - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            yield part


def _seconds_of(item: Incoming) -> Iterator[Incoming]:
    if not isinstance(item, Frames):
        yield item
        return
    for i in range(len(item.epoch)):
        yield Frames(item.sensor, *(getattr(item, name)[i : i + 1] for name in _FRAME_FIELDS))


def _moment(item: Incoming) -> int:
    if isinstance(item, Frames):
        return (int(item.epoch[0]) + 1) * NS_PER_S
    if isinstance(item, SampleBatch):
        return int(item.t_ns[0]) if len(item.t_ns) else 0
    if isinstance(item, Tick):
        return item.now_ns
    if isinstance(item, RawSamples):
        return item.arrived_ns
    return item.t_ns


def _framed(found: Samples, tell: Callable[[], None]) -> Iterator[Frames]:
    state = FramingState()
    for batch in found.batches():
        yield from frame(state, batch)
        tell()
    yield from close_second(state, "recording")


def _keep(kept: BinaryIO, frames: Frames) -> None:
    """Raw bytes, field by field, after the number of rows: much cheaper than a format with headers."""
    kept.write(len(frames.epoch).to_bytes(8, "little"))
    kept.writelines(np.ascontiguousarray(getattr(frames, name)).tobytes() for name in _FRAME_FIELDS)


def _kept_frames(kept: BinaryIO) -> Iterator[Frames]:
    kept.seek(0)
    while head := kept.read(8):
        rows = int.from_bytes(head, "little")
        fields = []
        for dtype, shape in _FRAME_SHAPES:
            size = rows * math.prod(shape) * np.dtype(dtype).itemsize
            fields.append(np.frombuffer(kept.read(size), dtype).reshape(rows, *shape))
        yield Frames("recording", *fields)
