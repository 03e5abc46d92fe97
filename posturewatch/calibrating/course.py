"""A calibration from the command line: which sensor, through whom, and where the result is kept."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from posturewatch.calibrating.capturing import choose_sensor
from posturewatch.calibrating.guide import Guide
from posturewatch.calibrating.streams import DaemonStream, open_sensor
from posturewatch.clock import read_wall_ns
from posturewatch.config import kept_path, write_calibration
from posturewatch.errors import CommandError, ConfigError, UsageError
from posturewatch.requests.control_socket import ANSWER_S, NoDaemon, ask, socket_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from posturewatch.calibrating.judging import Outcome
    from posturewatch.config import LoadedConfig, Sensor, Wearer
    from posturewatch.core.settings import Calibration
    from posturewatch.terminal.dialogue import Dialogue


def find_sensor(loaded: LoadedConfig, wearer: str | None, sensor: str | None) -> tuple[Wearer, Sensor]:
    """Those that are named, or the only ones; `UsageError` says which there are."""
    wearers = [each for each in loaded.config.wearer if wearer in (None, each.id)]
    if sensor is not None and len(wearers) > 1:
        wearers = [each for each in wearers if sensor in (s.id for s in each.sensor)]
    if len(wearers) != 1:
        known = ", ".join(each.id for each in loaded.config.wearer)
        raise UsageError(
            f"whom?  name one with --wearer: {known}" if known else "nobody is configured: posturewatch setup"
        )
    owner = wearers[0]
    settings = loaded.to_core(owner, read_wall_ns())
    try:
        name = choose_sensor(settings.sensors, sensor)
    except CommandError as error:
        raise UsageError(f"{owner.id}: {error}") from None
    found = next(each for each in owner.sensor if each.id == name)
    if found.calibration_file is not None:
        raise ConfigError(f"sensor {name} has a calibration_file in the configuration: remove that line first")
    return owner, found


async def calibrate_sensor(  # noqa: PLR0913  # whom, what, and where
    talk: Dialogue,
    loaded: LoadedConfig,
    owner: Wearer,
    sensor: Sensor,
    environ: Mapping[str, str],
    *,
    bend: bool | None = None,
) -> Outcome:
    """Guide the wearer, and keep what comes of it: by the daemon if one runs, else in its state folder."""
    folder = loaded.state_folder()
    door = socket_path(folder, environ)
    runs = False
    with contextlib.suppress(NoDaemon):
        await ask(door, "status")
        runs = True
    if runs:
        guide = Guide(talk, DaemonStream(door, owner.id, sensor.id), sensor.placement)
        outcome = await guide.lead(bend=bend)
    else:
        if sensor.source == "mqtt" and loaded.config.broker.is_embedded:
            raise NoDaemon(f"sensor {sensor.id} comes through the daemon's own broker: start `posturewatch run` first")
        async with open_sensor(loaded, sensor.id) as stream:
            outcome = await Guide(talk, stream, sensor.placement).lead(bend=bend)
    if outcome.calibration is not None and runs:
        await _tell(door, owner.id, sensor.id, outcome.calibration)
    elif outcome.calibration is not None:
        _keep(folder, sensor.id, outcome.calibration)
    return outcome


async def _tell(door: Path, wearer: str, sensor: str, found: Calibration) -> None:
    about = {"up": found.up, "forward": found.forward, "grade": found.grade, "wearer": wearer, "sensor": sensor}
    answer = await ask(door, "keep_calibration", ANSWER_S, **about)
    if answer.get("error"):
        raise CommandError(str(answer["error"]))


def _keep(folder: Path, sensor: str, calibration: Calibration) -> None:
    path = kept_path(folder, sensor)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_calibration(path, calibration)
    except OSError as error:
        raise ConfigError(f"{path}: the calibration cannot be kept ({error.strerror}): set storage.folder") from error
