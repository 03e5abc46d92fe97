"""A recording through the same core that runs live: flat out or paced, with the exposure summary at the end.

A sensor whose mounting is not known gets a first pass that finds upright from walking.  Its seconds are
kept in a temporary file, so that the recording is read once and memory does not grow with its length.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from posturewatch.core import pipeline
from posturewatch.core.calibration import WalkingReference
from posturewatch.core.exposure import MOTIONS, POSTURES, ExposureAccumulator, ExposureRows, add_angles
from posturewatch.core.features import Band, Columns, FeatureState, columns_of
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
from posturewatch.recording.packet_log import RecordingReader
from posturewatch.recording.timeline import Timeline
from posturewatch.rules import discover
from posturewatch.types import (
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

    from posturewatch.recording.timeline import Spans
    from posturewatch.sources.sample_files import Samples
    from posturewatch.types import Event, Incoming

    Steps = tuple[NDArray[np.int64], NDArray[np.int8]]

Line = dict[str, Any]
PIECES = 32  # of a recording, summed up together


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
            with tempfile.TemporaryFile(prefix="posturewatch-seconds-") as kept:
                self.calibration = _calibrate(_seconds(found, self._tell(found, "calibrating")), kept)
                yield from self._run(_kept_seconds(kept), replace(sensor, calibration=self.calibration))
        else:
            yield from self._run(_seconds(found, self._tell(found, "replaying")), sensor)

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

    def _run(self, items: Iterable[Incoming | Columns], *sensors: SensorSettings) -> Iterator[Line]:
        settings = self._settings(sensors)
        state = pipeline.initial(settings)
        pace = _Pace(self._options.speed)
        for item in items:
            for part in pace.cut(item):
                if isinstance(part, Columns):
                    self._epochs.append(part.epoch)
                    self._up.append(part.up.astype(np.float32))
                    state, events = pipeline.advance_columns(state, part, settings)
                else:
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
        for at in range(0, len(self._epochs), PIECES):  # some at a time: memory must not grow
            epoch = np.concatenate(self._epochs[at : at + PIECES])
            up = np.concatenate(self._up[at : at + PIECES])
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


def _calibrate(seconds: Iterator[Columns], kept: BinaryIO) -> Calibration | None:
    """Find upright from walking; keep the seconds for the pass that counts."""
    reference = WalkingReference()
    for part in seconds:
        _keep(kept, part)
        walking = (part.sd_mg > Detection().moving_sd_mg) & (part.gait >= GAIT_MIN)
        if walking.any():
            reference.add(part.up, walking)
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

    def cut(self, item: Incoming | Columns) -> Iterator[Incoming | Columns]:
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


def _seconds_of(item: Incoming | Columns) -> Iterator[Incoming | Columns]:
    if not isinstance(item, Columns):
        yield item
        return
    for i in range(len(item.epoch)):
        bands = {0: item.bands[i]} if i in item.bands else {}
        one: dict[str, Any] = {name: getattr(item, name)[i : i + 1] for name in _COLUMNS}
        yield Columns(**one, bands=bands)


def _moment(item: Incoming | Columns) -> int:
    if isinstance(item, Frames | Columns):
        return (int(item.epoch[0]) + 1) * NS_PER_S
    if isinstance(item, SampleBatch):
        return int(item.t_ns[0]) if len(item.t_ns) else 0
    if isinstance(item, Tick):
        return item.now_ns
    if isinstance(item, RawSamples):
        return item.arrived_ns
    return item.t_ns


def _seconds(found: Samples, tell: Callable[[], None]) -> Iterator[Columns]:
    """The features of each second of a recording."""
    framing, features = FramingState(), FeatureState()
    for batch in found.batches():
        for frames in frame(framing, batch):
            yield columns_of(features, frames)
        tell()
    for frames in close_second(framing, "recording"):
        yield columns_of(features, frames)


_COLUMNS = {"epoch": 1, "mean_g": 3, "norm_g": 1, "up": 3, "sd_mg": 1, "gait": 1}  # numbers in a row
_BAND = np.dtype([("at", "<i8"), ("known", "<i8"), ("rms_mg", "<f8"), ("noise_mg", "<f8"), ("peak", "<f8")])


def _keep(kept: BinaryIO, part: Columns) -> None:
    """Raw bytes, column by column, after the numbers of rows and bands: much cheaper than a format with headers."""
    known = [(at, 0, 0.0, 0.0, 0.0) if band is None else (at, 1, *band) for at, band in part.bands.items()]
    kept.write(len(part.epoch).to_bytes(8, "little") + len(known).to_bytes(8, "little"))
    kept.writelines(np.ascontiguousarray(getattr(part, name)).tobytes() for name in _COLUMNS)
    kept.write(np.array(known, _BAND).tobytes())


def _kept_seconds(kept: BinaryIO) -> Iterator[Columns]:
    kept.seek(0)
    while head := kept.read(16):
        rows, bands = int.from_bytes(head[:8], "little"), int.from_bytes(head[8:], "little")
        columns: dict[str, Any] = {}
        for name, width in _COLUMNS.items():
            flat = np.frombuffer(kept.read(8 * rows * width), "<i8" if name == "epoch" else "<f8")
            columns[name] = flat.reshape(rows, width) if width > 1 else flat
        found = np.frombuffer(kept.read(bands * _BAND.itemsize), _BAND).tolist()
        yield Columns(**columns, bands={at: Band(*numbers) if known else None for at, known, *numbers in found})
