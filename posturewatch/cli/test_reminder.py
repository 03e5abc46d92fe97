"""Send a prompt marked as a test, to see where it arrives."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("test-reminder")
@click.option("--rung", type=click.IntRange(0, 3), help="How loud, up to top_rung.  [default: 2, with buttons]")
@request()
def command(rung: int | None) -> Asks:
    """Send a test reminder."""
    return "do/test_reminder", {"rung": rung}
