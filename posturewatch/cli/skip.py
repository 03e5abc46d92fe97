"""Skip what is due: a full interval from now, no questions."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("skip")
@request()
def command() -> Asks:
    """Skip the open reminder."""
    return "do/skip", {}
