"""End a pause before its time."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("resume")
@request()
def command() -> Asks:
    """End the pause."""
    return "do/resume", {}
