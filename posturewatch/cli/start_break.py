"""Start a break that the sensor cannot see; it counts after two minutes."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("start-break")
@request()
def command() -> Asks:
    """Start a break."""
    return "do/start_break", {}
