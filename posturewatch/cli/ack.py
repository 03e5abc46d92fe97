"""Say that you saw the reminder: silence for ten minutes, then one repeat."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("ack")
@request()
def command() -> Asks:
    """Acknowledge the open reminder."""
    return "do/ack", {}
