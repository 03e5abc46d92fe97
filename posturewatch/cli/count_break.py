"""Count what you just did as a break."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("count-break")
@request()
def command() -> Asks:
    """Count a break that the sensor did not see."""
    return "do/count_break", {}
