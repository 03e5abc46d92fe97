"""The calibration file of one sensor: where up and forward point in its own axes, as JSON."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any

from posturewatch.core.settings import Calibration
from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.core.settings import Vector

log = logging.getLogger(__name__)

GRADES = ("A", "B", "C")
_AXES = 3


def read_calibration(path: Path) -> Calibration:
    """Read `{"up": [x, y, z], "forward": [x, y, z] | null}`; vectors of any length, made unit vectors."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the calibration cannot be read ({error.strerror}); calibrate again") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a calibration ({error}); calibrate again") from error
    if not isinstance(content, dict) or "up" not in content:
        raise ConfigError(f'{path}: not a calibration: "up" is missing; calibrate again')
    forward = content.get("forward")
    return Calibration(
        up=_to_unit(path, "up", content["up"]),
        forward=None if forward is None else _to_unit(path, "forward", forward),
        source="auto" if content.get("source") == "auto" else "file",
        grade=grade if (grade := content.get("grade")) in GRADES else "C",
    )


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write what `read_calibration` reads."""
    path.write_text(render_calibration(calibration), "utf-8")


def render_calibration(calibration: Calibration) -> str:
    """The content of the file."""
    names = ("up", "forward", "grade", "source")
    return json.dumps({name: getattr(calibration, name) for name in names}) + "\n"


def kept_path(state_folder: Path, sensor: str) -> Path:
    """Where the calibration that was made by command is kept."""
    return state_folder / f"{sensor}.calibration.json"


def read_kept(state_folder: Path, sensor: str) -> Calibration | None:
    """The calibration that was made by command; nothing if there was none, or it cannot be used any more."""
    path = kept_path(state_folder, sensor)
    if not path.exists():
        return None
    try:
        return read_calibration(path)
    except ConfigError as error:
        log.warning("%s", error)
        return None


def _to_unit(path: Path, name: str, vector: Any) -> Vector:
    numbers = [float(x) for x in vector if isinstance(x, int | float)] if isinstance(vector, list) else []
    length = math.hypot(*numbers)
    if len(numbers) != _AXES or not math.isfinite(length) or length == 0:
        raise ConfigError(f'{path}: "{name}" must be three numbers that are not all zero; calibrate again')
    return (numbers[0] / length, numbers[1] / length, numbers[2] / length)
