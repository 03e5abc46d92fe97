"""Where up is for each sensor that has an inclination: known, how well, since when; and whether the sensor slipped."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from posturewatch.calibrating.uprights import Uprights
from posturewatch.checks import Finding, Group, ok, warn
from posturewatch.clock import read_wall_ns
from posturewatch.config import kept_path, read_calibration
from posturewatch.core.posture import INCLINED
from posturewatch.errors import ConfigError, SnapshotError
from posturewatch.store import SnapshotStore, read_snapshot
from posturewatch.types import Placement

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.checks import Subject
    from posturewatch.config import LoadedConfig, Sensor

ROUGH = "C"


async def _examine(subject: Subject) -> list[Finding]:
    return [] if subject.loaded is None else await asyncio.to_thread(_examine_all, subject.loaded)


def _examine_all(loaded: LoadedConfig) -> list[Finding]:
    findings = []
    for wearer in loaded.config.wearer:
        uprights = _read_uprights(loaded.state_folder(), wearer.id)
        inclined = [sensor for sensor in wearer.sensor if Placement(sensor.placement) in INCLINED]
        findings += [_examine_sensor(loaded, sensor, uprights) for sensor in inclined]
    return findings


def _read_uprights(folder: Path, wearer: str) -> Uprights:
    """What was noticed while the wearer walked; a daemon keeps it in its snapshot."""
    try:
        return Uprights(read_snapshot(SnapshotStore(folder).path(wearer), wearer, read_wall_ns()).state.get("uprights"))
    except (OSError, SnapshotError):
        return Uprights()


def _examine_sensor(loaded: LoadedConfig, sensor: Sensor, uprights: Uprights) -> Finding:
    check, again = f"sensor {sensor.id}", f"posturewatch calibrate {sensor.id}"
    own = sensor.calibration_file
    path = kept_path(loaded.state_folder(), sensor.id) if own is None else loaded.resolve(own)
    if own is not None:
        again = f"remove its calibration_file, then: {again}"
    try:
        day = datetime.fromtimestamp(path.stat().st_mtime).astimezone().date()
        known = read_calibration(path)
    except FileNotFoundError:
        if sensor.source == "simulated":
            return ok(check, "none; its wearer is simulated")
        return warn(check, "none: no inclination until a minute of walking says, roughly, where upright is", again)
    except (OSError, ConfigError):
        return warn(check, f"{path} is no calibration that can be used", again)
    seen = f"grade {known.grade}, of {day}"
    if uprights.has_slipped(sensor.id, known):
        return warn(check, f"it sits differently now than when it was calibrated ({seen})", again)
    if known.grade == ROUGH:
        origin = (
            "found while walking"
            if known.source == "auto"
            else "from walking only, or from poses that contradict each other"
        )
        return warn(check, f"{seen}: {origin}, so angles are rough", again)
    return ok(check, seen)


GROUP = Group("calibration", 7, _examine)
