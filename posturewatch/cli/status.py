"""Show how it stands: the running daemon, a broker, or the last snapshot."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import broker_options, read_broker

if TYPE_CHECKING:
    from collections.abc import Iterator

S_PER_MIN = 60


@click.command("status")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Of the daemon to ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@broker_options
def command(*, path: Path | None, as_json: bool, broker: str | None, **access: Any) -> None:
    """Show how it stands with each wearer.

    Asks the daemon of this configuration; if none runs, shows what it saved last and how old that is.  With --broker
    shows what was published there.
    """
    found = asyncio.run(_ask(path, broker, access))
    if as_json:
        click.echo(json.dumps(found))
        return
    for title, rows in _tables(found):
        _print(title, rows)


async def _ask(path: Path | None, broker: str | None, access: dict[str, Any]) -> dict[str, Any]:
    from posturewatch.clock import read_wall_ns  # noqa: PLC0415
    from posturewatch.config import find_file, load  # noqa: PLC0415
    from posturewatch.requests.control_socket import socket_path  # noqa: PLC0415
    from posturewatch.status import standing  # noqa: PLC0415

    if broker is not None:
        return await standing.from_broker(read_broker(broker, **access), f"posturewatch-{secrets.token_hex(4)}")
    folder = load(path or find_file(os.environ), os.environ).state_folder()
    found = await standing.from_daemon(socket_path(folder, os.environ))
    return found or standing.from_snapshots(folder, read_wall_ns())


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """One table for the daemon, one for each wearer."""
    if found["from"] == "daemon":
        link = found["broker"]
        state = "connected" if link["connected"] else f"not connected, {link['waiting']} messages wait"
        yield (
            f"daemon {found['version']}, process {found['process']}",
            [("since", found["started"]), ("broker", f"{link['address']}, {state}")],
        )
    for sensor in found.get("sensors", ()):
        yield f"sensor {sensor['sensor']}", list(_sensor_rows(sensor))
    for wearer in found["wearers"]:
        rows = list(_rows(wearer))
        if found["from"] == "snapshot":
            rows.insert(0, ("saved", f"{wearer['saved']}, {wearer['age_s'] // S_PER_MIN} min ago; no daemon runs now"))
        yield f"wearer {wearer['wearer']}{' (simulated)' if wearer['simulated'] else ''}", rows


def _rows(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    reason = f": {state['reason']}" if state["reason"] else ""
    yield "reminder", f"{state['reminder']}{reason}"
    yield "sensor", f"{state['wear']}, {state['motion']}, {state['posture']}"
    yield "one posture", f"{(state['static_s'] or 0) // S_PER_MIN} min"
    yield "without a break", f"{(state['sedentary_s'] or 0) // S_PER_MIN} min"
    yield "load", f"{state['load_pct']} %, 100 is due"
    for key in ("next_break", "last_break", "hold_reason", "hold_until"):
        if state[key] is not None:
            yield key.replace("_", " "), str(state[key])
    yield "today", f"{state['breaks_today']} breaks, {state['prompts_left_today']} prompts left"
    if state.get("responses"):
        from posturewatch.status.explaining import word_responses  # noqa: PLC0415

        yield "answered", f"{state['response_rate_pct']} % in seven days: {word_responses(state['responses'])}"
    yield "as of", state["time"]


def _sensor_rows(health: dict[str, Any]) -> Iterator[tuple[str, str]]:
    silent = "laid aside, until it is worn" if health["resting"] else "not heard"
    yield "link", health["fault"] or ("connected" if health["connected"] else silent)
    told = {
        "battery": (health["battery_pct"], "%"),
        "voltage": (health["battery_mv"], "mV"),
        "signal": (health["rssi_dbm"], "dBm"),
        "rate": (health["rate_hz"], "Hz"),
    }
    for name, (value, unit) in told.items():
        if value is not None:
            yield name, f"{value} {unit}"
    yield "packets", f"{health['packets']}, {health['lost']} lost, {health['repeated']} repeated"
    if health["undecodable"] or health["invalid"]:
        yield "not understood", f"{health['undecodable']} packets, {health['invalid']} samples"
    yield "losses", f"{health['gaps']}, reconnected {health['reconnects']} times"
    yield "heard", str(health["heard"] or "never")


def _print(title: str, rows: list[tuple[str, str]]) -> None:
    if not sys.stdout.isatty():
        click.echo(title)
        for name, value in rows:
            click.echo(f"  {name:16} {value}")
        return
    from rich.console import Console  # noqa: PLC0415  for terminals only
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows:
        table.add_row(name, Text(value))
    Console().print(table)
