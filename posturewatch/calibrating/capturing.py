"""One pose of one sensor, captured from the stream: the wearer sits or stands upright and holds still for ten seconds.

Pure: it is handed what comes, and told when time is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.core.calibration import ADVICE, Attempt, Fault, calibrate_poses, measure_pose
from posturewatch.core.posture import INCLINED, POSTURAL
from posturewatch.errors import CommandError
from posturewatch.types import NS_PER_S, UNITS_PER_G, RawSamples

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.core.calibration import Pose
    from posturewatch.core.settings import SensorSettings
    from posturewatch.types import Int32Array, SampleBatch

POSE_S = 10.0
LEAST_SAMPLES = 10
LEAST_RATE_HZ = 0.1
MOST_SAMPLES = 100_000
PATIENCE_NS = 30 * NS_PER_S  # for ten seconds of samples


@dataclass(frozen=True, slots=True)
class Captured:
    """Samples of one sensor, and how many seconds they cover."""

    acc_10ug: Int32Array
    seconds: float

    def measure(self) -> Pose:
        """What it shows as a pose."""
        return measure_pose(self.acc_10ug.astype(np.float64) / UNITS_PER_G, self.seconds)


class Capture:
    """Collects some seconds of one sensor until it has enough or is told that time is up; then tells `done`, once."""

    def __init__(  # noqa: PLR0913  # what to collect, and whom to tell
        self,
        sensor: str,
        now_ns: int,
        done: Callable[[Attempt], None] | None = None,
        *,
        seconds: float = POSE_S,
        least: int = LEAST_SAMPLES,
        tell: Callable[[Captured], None] | None = None,
    ) -> None:
        """Nothing was seen yet.  `done` gets the calibration that it makes, `tell` the samples themselves."""
        self.sensor = sensor
        self.until_ns = now_ns + PATIENCE_NS
        self._seconds, self._least = seconds, least
        self._done, self._tell = done, tell
        self._parts: list[Int32Array] = []
        self._samples = 0
        self._seen_s = 0.0
        self._last_ns: int | None = None

    def take(self, incoming: RawSamples | SampleBatch) -> bool:
        """Some samples, of whichever sensor; whether these are enough."""
        if incoming.sensor == self.sensor and len(incoming.acc_10ug):
            self._parts.append(incoming.acc_10ug)
            self._samples += len(incoming.acc_10ug)
            self._seen_s += self._measure_s(incoming)
        enough = self._seen_s >= self._seconds and self._samples >= self._least
        return enough or self._samples >= MOST_SAMPLES

    def _measure_s(self, incoming: RawSamples | SampleBatch) -> float:
        if isinstance(incoming, RawSamples):
            return len(incoming.acc_10ug) / max(incoming.rate_hz, LEAST_RATE_HZ)
        first_ns, last_ns = int(incoming.t_ns[0]), int(incoming.t_ns[-1])
        since_ns, self._last_ns = self._last_ns, last_ns
        joined = since_ns is not None and 0 <= first_ns - since_ns <= NS_PER_S  # a gap is no time held still
        return (last_ns - (since_ns if joined and since_ns is not None else first_ns)) / NS_PER_S

    def conclude(self) -> None:
        """Make of it what can be made."""
        acc_10ug = np.concatenate(self._parts) if self._parts else np.empty((0, 3), dtype=np.int32)
        captured = Captured(acc_10ug, self._seen_s)
        if self._tell is not None:
            self._tell(captured)
        if self._done is not None:
            self._done(calibrate_poses(captured.measure()) if self._parts else Attempt(None, (Fault.TOO_SHORT,)))


def choose_sensor(sensors: tuple[SensorSettings, ...], wanted: str | None) -> str:
    """The sensor to calibrate: the one that was named, or the only one that shows an inclination.

    A thigh has to be named, since its upright is standing only.
    """
    inclined = [sensor.id for sensor in sensors if sensor.placement in INCLINED]
    if wanted is not None:
        if wanted not in (sensor.id for sensor in sensors):
            raise CommandError(f"no sensor {wanted[:40]!r}; known are {', '.join(s.id for s in sensors)}")
        if wanted not in (sensor.id for sensor in sensors if sensor.placement in POSTURAL):
            raise CommandError(f"sensor {wanted} is worn where no posture is measured: it needs no calibration")
        return wanted
    if len(inclined) != 1:
        raise CommandError(
            f"several sensors can be calibrated: name one of {', '.join(inclined)}"
            if inclined
            else "no sensor of this wearer is worn where an inclination is measured: none needs a calibration"
        )
    return inclined[0]


def explain(attempt: Attempt) -> str:
    """Why there is no calibration, and what to do."""
    if Fault.TOO_SHORT in attempt.faults:
        return "too few samples came within 30 s: is the sensor worn and connected? Then repeat"
    return "; ".join(ADVICE[fault] for fault in attempt.faults)
