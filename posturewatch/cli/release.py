"""End a hold before its time."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("release")
@request()
def command() -> Asks:
    """End the hold."""
    return "do/release", {}
