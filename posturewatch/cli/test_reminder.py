"""Send a prompt marked as a test, to see where it arrives."""

from __future__ import annotations

import click

from posturewatch.cli._request_options import Asks, request


@click.command("test-reminder")
@request()
def command() -> Asks:
    """Send a test reminder."""
    return "do/test_reminder", {}
