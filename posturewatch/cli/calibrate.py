"""Calibrate a sensor: sit, stand, walk ten steps, bend; or ten seconds upright with --quick."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import broker_options

if TYPE_CHECKING:
    from posturewatch.calibrating.judging import Outcome
    from posturewatch.config import LoadedConfig

QUICK_ANSWER_S = 35.0


@click.command("calibrate")
@click.argument("sensor", required=False)
@click.option("--wearer", metavar="ID", help="Whom it concerns; not needed if there is one wearer.")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Of the daemon to ask.")
@click.option(
    "--bend/--no-bend", default=None, help="Bend forward once, for grade A, or do not; without either: asked."
)
@click.option("--quick", is_flag=True, help="Ten seconds upright and still, nothing else: grade B.")
@click.option("--yes", is_flag=True, help="Do not wait for Enter: three seconds to get into each pose.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@broker_options
def command(
    *,
    sensor: str | None,
    wearer: str | None,
    path: Path | None,
    bend: bool | None,
    quick: bool,
    yes: bool,
    as_json: bool,
    broker: str | None,
    **access: Any,
) -> None:
    """Learn which way is up for SENSOR, however it is mounted.

    Leads through the poses, shows the tilt meanwhile, and says what the result is worth: A, B, or C, which is better
    repeated.  Works with the running daemon, or with the sensor itself if none runs.  With --broker, which asks the
    daemon of another machine, only the quick way is possible.
    """
    if quick or broker is not None:
        _calibrate_quickly(sensor, wearer, path, as_json, broker, access)
        return
    import json  # noqa: PLC0415  keeps `--help` quick

    from posturewatch.config import find_file, load  # noqa: PLC0415
    from posturewatch.errors import PosturewatchError  # noqa: PLC0415
    from posturewatch.terminal.dialogue import Dialogue  # noqa: PLC0415
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415

    loaded = load(path or find_file(os.environ), os.environ)
    talk = Dialogue(unattended=yes, quiet=as_json)
    with logging_to_stderr("warning"):  # why no samples come
        outcome, name = asyncio.run(_guide(talk, loaded, wearer, sensor, bend))
    if as_json:
        click.echo(json.dumps({"sensor": name, "grade": outcome.grade, "remarks": list(outcome.remarks)}))
    if outcome.calibration is None:
        raise PosturewatchError(f"sensor {name}: nothing was changed; repeat it: posturewatch calibrate {name}")


def _calibrate_quickly(
    sensor: str | None, wearer: str | None, path: Path | None, as_json: bool, broker: str | None, access: dict[str, Any]
) -> None:
    from posturewatch.cli._request_options import ask_and_print  # noqa: PLC0415

    click.echo("stand or sit upright, as usual, and hold still for ten seconds ...", err=True)
    about = {"wearer": wearer, "cycle": None, "path": path, "as_json": as_json, "broker": broker}
    ask_and_print(about, access, ("do/calibrate", {"sensor": sensor}), QUICK_ANSWER_S)


async def _guide(talk: Any, loaded: LoadedConfig, wearer: str | None, sensor: str | None, bend: bool | None) -> Any:
    """The outcome, kept if there is one, and the sensor's name."""
    from posturewatch.calibrating.course import calibrate_sensor, find_sensor  # noqa: PLC0415

    owner, found = find_sensor(loaded, wearer, sensor)
    outcome: Outcome = await calibrate_sensor(talk, loaded, owner, found, os.environ, bend=bend)
    return outcome, found.id
