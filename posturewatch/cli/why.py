"""Explain the last decision: why the wearer was asked to move, or why not."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import click


@click.command("why")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Of the daemon to ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def command(path: Path | None, as_json: bool) -> None:
    """Ask the running daemon for its last decision, to speak or to be silent."""
    from posturewatch.config import find_file, load  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.control import ask, socket_path  # noqa: PLC0415

    folder = load(path or find_file(os.environ), os.environ).state_folder()
    answer = asyncio.run(ask(socket_path(folder, os.environ), "why"))
    if as_json:
        click.echo(json.dumps({"wearers": answer["wearers"]}))
        return
    for told in answer["wearers"]:
        moment = f" ({told['time']})" if told["time"] else ""
        click.echo(f"{told['wearer']}: {told['decision']}{moment}; now {told['reminder']}, load {told['load_pct']} %")
