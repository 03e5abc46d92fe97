"""Hold prompts back for a time, such as a meeting; the clocks go on."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, read_when, request


@click.command("hold")
@click.argument("when", required=False)
@click.option("--reason", help="Shown while it lasts.")
@request()
def command(when: str | None, reason: str | None) -> Asks:
    """Hold prompts back for WHEN: 45 (minutes), 1h30, 14:30, morning; an hour if you do not say."""
    return "do/hold", {**read_when(when), "reason": reason}
