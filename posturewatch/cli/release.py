"""End a hold before its time."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("release")
@click.option("--reason", help="Only the hold that has this reason.")
@request()
def command(reason: str | None) -> Asks:
    """End the hold."""
    return "do/release", {"reason": reason}
