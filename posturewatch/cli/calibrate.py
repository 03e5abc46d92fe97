"""Calibrate a sensor: ten seconds upright and still, while the daemon runs."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("calibrate")
@click.argument("sensor", required=False)
@request(answer_s=35.0)
def command(sensor: str | None) -> Asks:
    """Let the wearer sit or stand upright as usual and hold still for ten seconds: that is upright from now on.

    SENSOR is needed if several sensors of the wearer can be calibrated.  The grade is B; without a calibration by
    command or file there is no inclination.
    """
    click.echo("sit or stand upright, as usual, and hold still for ten seconds ...", err=True)
    return "do/calibrate", {"sensor": sensor}
