"""Be asked again later: in 5, 10 or 15 minutes."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("snooze")
@click.argument("minutes", type=float, required=False)
@request()
def command(minutes: float | None) -> Asks:
    """Put the open reminder off for MINUTES: 5, 10 or 15, unless configured otherwise; 10 if you do not say."""
    return "do/snooze", {"minutes": minutes}
