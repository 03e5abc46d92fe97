"""Set a limit, the level, the quiet hours or the loudness, from now on."""

from __future__ import annotations

import re

import click

from posturewatch.cli._request_options import Asks, request
from posturewatch.errors import UsageError


@click.command("set")
@click.argument("key")
@click.argument("value", nargs=-1, required=True)
@request()
def command(key: str, value: tuple[str, ...]) -> Asks:
    """Set KEY to VALUE: static_limit_min, sedentary_limit_min, level, top_rung, quiet_hours or reminders."""
    if not re.fullmatch(r"\w{1,40}", key):
        raise UsageError(f"{key!r} cannot be set; give a name like static_limit_min")
    return f"set/{key}", {"value": " ".join(value)}
