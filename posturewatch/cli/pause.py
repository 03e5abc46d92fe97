"""Pause reminders for a time or until morning; nothing is shown as due."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, read_when, request


@click.command("pause")
@click.argument("when", required=False)
@request()
def command(when: str | None) -> Asks:
    """Pause reminders for WHEN: 45 (minutes), 1h30, 14:30, morning; an hour if you do not say."""
    return "do/pause", read_when(when)
