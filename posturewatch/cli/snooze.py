"""Be asked again later: in 5, 10 or 15 minutes."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request
from posturewatch.errors import UsageError


@click.command("snooze")
@click.argument("minutes", required=False)
@request()
def command(minutes: str | None) -> Asks:
    """Put the open reminder off for MINUTES: 5, 10 or 15, unless configured otherwise; 10 if you do not say."""
    try:
        return "do/snooze", {"minutes": None if minutes is None else float(minutes)}
    except ValueError:
        raise UsageError(f"snooze takes a number of minutes, such as 10, not {minutes!r}") from None
