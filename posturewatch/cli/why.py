"""Explain the last decision: why the wearer was asked to move, or why not."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import Any

import click

from posturewatch.cli._broker_options import broker_options, read_broker
from posturewatch.errors import UsageError

S_PER_MIN = 60


@click.command("why")
@click.option("--wearer", metavar="ID", help="Only this one.")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Of the daemon to ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@broker_options
def command(*, wearer: str | None, path: Path | None, as_json: bool, broker: str | None, **access: Any) -> None:
    """Tell the last decision, to speak or to be silent.

    Asks the daemon of this configuration; if none runs, tells what it decided last and how old that is.  With --broker
    tells what was published there.
    """
    from posturewatch.status.explaining import word_responses  # noqa: PLC0415

    found = asyncio.run(_find(path, broker, access))
    if wearer is not None:
        found["wearers"] = _choose(found["wearers"], wearer)
    if as_json:
        click.echo(json.dumps(found))
        return
    for told in found["wearers"]:
        moment = f" ({told['time']})" if told["time"] else ""
        age = f"; saved {told['age_s'] // S_PER_MIN} min ago, no daemon runs now" if "age_s" in told else ""
        now = f"now {told['reminder']}, load {told['load_pct']} %"
        click.echo(f"{told['wearer']}: {told['decision']}{moment}; {now}{age}")
        if told["responses"]:
            click.echo(f"  answered in seven days: {word_responses(told['responses'])}")


def _choose(told: list[dict[str, Any]], wearer: str) -> list[dict[str, Any]]:
    chosen = [each for each in told if each["wearer"] == wearer]
    if not chosen:
        raise UsageError(
            f"no wearer {wearer!r} is known there; known are {', '.join(sorted(each['wearer'] for each in told))}"
        )
    return chosen


async def _find(path: Path | None, broker: str | None, access: dict[str, Any]) -> dict[str, Any]:
    from posturewatch.clock import read_wall_ns  # noqa: PLC0415
    from posturewatch.config import find_file, load  # noqa: PLC0415
    from posturewatch.requests.control_socket import socket_path  # noqa: PLC0415
    from posturewatch.status import standing  # noqa: PLC0415
    from posturewatch.status.explaining import explain_published  # noqa: PLC0415

    if broker is not None:
        found = await standing.from_broker(read_broker(broker, **access), f"posturewatch-{secrets.token_hex(4)}")
        return {"from": "broker", "wearers": [explain_published(state) for state in found["wearers"]]}
    folder = load(path or find_file(os.environ), os.environ).state_folder()
    return await standing.explained_by_daemon(socket_path(folder, os.environ)) or standing.explained_by_snapshots(
        folder, read_wall_ns()
    )
