"""Upright from walking, while the daemon runs: for a sensor that nobody calibrated, and to notice one that slipped.

Pure: it is handed what comes while the wearer walks.  One minute of walking says where up is, to some degrees; two
minutes that both contradict a calibration by far say that the sensor sits differently now.  The wearer is asked once
for each calibration; one that came from walking in this way is replaced without a question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from posturewatch.core.calibration import angle_deg, calibrate_walking
from posturewatch.core.posture import POSTURAL
from posturewatch.types import NS_PER_S, RawSamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posturewatch.core.settings import Calibration, SensorSettings, Vector
    from posturewatch.types import SampleBatch

WINDOW_S = 60  # of walking
SLIPPED_DEG = 25.0  # walking and standing differ by up to 15
WINDOWS = 2  # one after the other, before anything is said
SAME_DEG = 1.0
MOST_ASKED = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A calibration to use from now on."""

    sensor: str
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Slipped:
    """A sensor that sits differently than when it was calibrated."""

    sensor: str
    off_deg: float


@dataclass(slots=True)
class _Walk:
    """Of one sensor: the second that is open, and the directions of those before."""

    second: int = -1
    sums: list[int] = field(default_factory=lambda: [0, 0, 0])
    rows: list[Vector] = field(default_factory=list)
    contradicted: int = 0  # windows in a row


class Uprights:
    """Of all sensors of one wearer."""

    def __init__(self, saved: object = None) -> None:
        """Goes on from what `dump` made; anything else is forgotten."""
        self._walks: dict[str, _Walk] = {}
        self._asked = _read_asked(saved)

    def dump(self) -> dict[str, Any]:
        """Plain values: the calibrations about which the wearer was asked."""
        return {sensor: list(up) for sensor, up in self._asked.items()}

    def has_slipped(self, sensor: str, known: Calibration) -> bool:
        """Whether the wearer was asked about this calibration."""
        asked = self._asked.get(sensor)
        return asked is not None and angle_deg(asked, known.up) < SAME_DEG

    def take(self, incoming: RawSamples | SampleBatch, sensors: Sequence[SensorSettings]) -> Found | Slipped | None:
        """Some samples of a wearer who walks; what follows from them, seldom anything."""
        sensor = next((each for each in sensors if each.id == incoming.sensor), None)
        if sensor is None or sensor.placement not in POSTURAL or not len(incoming.acc_10ug):
            return None
        walk = self._walks.setdefault(sensor.id, _Walk())
        at_ns = incoming.arrived_ns if isinstance(incoming, RawSamples) else int(incoming.t_ns[-1])
        found = None
        if at_ns // NS_PER_S != walk.second:
            found = self._close_second(walk, sensor)
            walk.second, walk.sums = at_ns // NS_PER_S, [0, 0, 0]
        x, y, z = incoming.acc_10ug.sum(axis=0, dtype=np.int64).tolist()
        walk.sums = [walk.sums[0] + x, walk.sums[1] + y, walk.sums[2] + z]
        return found

    def _close_second(self, walk: _Walk, sensor: SensorSettings) -> Found | Slipped | None:
        x, y, z = walk.sums
        length = math.hypot(x, y, z)
        if length == 0:
            return None
        walk.rows.append((x / length, y / length, z / length))
        if len(walk.rows) < WINDOW_S:
            return None
        seen = calibrate_walking(np.array(walk.rows), np.ones(len(walk.rows), dtype=bool))
        walk.rows = []
        return None if seen is None else self._judge(walk, sensor, seen)

    def _judge(self, walk: _Walk, sensor: SensorSettings, seen: Calibration) -> Found | Slipped | None:
        known = sensor.calibration
        if known is None:
            return Found(sensor.id, seen)
        off_deg = angle_deg(known.up, seen.up)
        walk.contradicted = walk.contradicted + 1 if off_deg > SLIPPED_DEG else 0
        if walk.contradicted < WINDOWS:
            return None
        walk.contradicted = 0
        if known.source == "auto":
            return Found(sensor.id, seen)
        if self.has_slipped(sensor.id, known):
            return None
        self._asked[sensor.id] = known.up
        return Slipped(sensor.id, off_deg)


def _read_asked(saved: object) -> dict[str, Vector]:
    pairs = list(saved.items())[:MOST_ASKED] if isinstance(saved, dict) else []
    return {
        str(sensor): (float(up[0]), float(up[1]), float(up[2]))
        for sensor, up in pairs
        if isinstance(up, list) and len(up) == 3 and all(isinstance(x, int | float) for x in up)  # noqa: PLR2004  axes
    }
