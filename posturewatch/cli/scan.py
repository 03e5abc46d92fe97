"""Find Bluetooth sensors, and which one is in your hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from posturewatch.config import LoadedConfig
    from posturewatch.drivers import Family
    from posturewatch.sources.ble.survey import Found, Survey

USUAL_S, JSON_S = 30.0, 10.0
COLUMNS = ("", "name", "family", "address", "signal", "good for")


@click.command("scan")
@click.option("--duration", type=click.FloatRange(1, 3600), metavar="SECONDS", help="How long.  [default: 30]")
@click.option("--radio", help="bluez, bluez:hci1 or hci:TRANSPORT.  [default: as configured]")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Whose radio and presets.")
@click.option("--all", "show_all", is_flag=True, help="Also devices of no known family.")
@click.option("--shake", is_flag=True, help="Also connect to each sensor for some seconds, to feel it.")
@click.option("--pick", metavar="ADDRESS", help="Print the lines for the configuration of this one.")
@click.option("--family", metavar="NAME", help="With --pick: what it is, where a scan cannot tell.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end instead of a table.")
def command(
    *,
    duration: float | None,
    radio: str | None,
    path: Path | None,
    show_all: bool,
    shake: bool,
    pick: str | None,
    family: str | None,
    as_json: bool,
) -> int:
    """Show the sensors in reach, and mark the one that you shake.

    Prints the lines for the configuration of the one that was shaken or picked.  Sensors that a phone or the daemon
    holds are not seen.
    """
    from posturewatch.config import find_file, load  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.drivers.preset_files import families  # noqa: PLC0415
    from posturewatch.sources.ble.survey import Survey  # noqa: PLC0415
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415

    file = path or find_file(os.environ)
    loaded = load(file, os.environ)
    known = families(None if file is None else file.parent)
    _check_family(family, pick, known)
    survey = Survey(known)
    seconds = duration or (JSON_S if as_json else USUAL_S)
    shake = shake and not _is_any_held(loaded)
    with logging_to_stderr("error"):
        code = _run(survey, radio or loaded.config.bluetooth.radio_name, seconds, shake, show_all, live=not as_json)
    chosen = _choose(survey, pick, None if family is None else known[family])
    if as_json:
        click.echo(json.dumps(_content(survey, show_all)))
    else:
        _end(survey, chosen, show_all)
    return code


def _check_family(family: str | None, pick: str | None, known: Mapping[str, Family]) -> None:
    from posturewatch.errors import UsageError  # noqa: PLC0415  keeps `--help` quick

    if family is not None and pick is None:
        raise UsageError("--family says what one device is: name it with --pick ADDRESS")
    if family is not None and family not in known:
        raise UsageError(f"--family {family}: allowed are {', '.join(sorted(known))}")


def _is_any_held(loaded: LoadedConfig) -> bool:
    """Whether the daemon streams a sensor, which a connection of ours would take away; told if so."""
    from posturewatch.requests.control_socket import socket_path  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.status.standing import held_by_daemon  # noqa: PLC0415

    door = socket_path(loaded.state_folder(), os.environ)
    process, held = asyncio.run(held_by_daemon(door, loaded.bind_sensors()))
    if held:
        text = f"the daemon (process {process}) streams {', '.join(held)}"
        click.echo(f"posturewatch: {text}: no sensor is connected to; stop it to use --shake", err=True)
    return bool(held)


def _run(survey: Survey, radio: str, seconds: float, shake: bool, show_all: bool, *, live: bool) -> int:
    """Scan; Ctrl-C ends it early, which is no failure."""
    from posturewatch.signals import until_stopped  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.sources.ble.scan import look_around  # noqa: PLC0415

    async def scan(signals: Any) -> None:
        with _view(survey, show_all, live and sys.stdout.isatty()) as refresh:
            for line in await look_around(survey, radio, seconds, signals.stop, refresh, shake=shake):
                click.echo(f"posturewatch: {line}", err=True)

    return until_stopped(scan)


# ---------------------------------------------------------------- what is shown


@contextlib.contextmanager
def _view(survey: Survey, show_all: bool, live: bool) -> Iterator[Callable[[], None]]:
    """A table that is drawn anew on a terminal, and nothing elsewhere."""
    if not live:
        yield lambda: None
        return
    from rich.live import Live  # noqa: PLC0415  for terminals only

    with Live(auto_refresh=False, transient=True) as screen:
        yield lambda: screen.update(_table(survey, show_all), refresh=True)


def _rows(survey: Survey, show_all: bool) -> list[tuple[str, ...]]:
    from posturewatch.sources.ble.survey import describe_use  # noqa: PLC0415

    shaken = _shaken(survey)
    rows: list[tuple[str, ...]] = []
    for found in [*survey.sensors(), *(survey.others() if show_all else [])]:
        family = found.family
        rows.append(
            (
                "shaken" if found is shaken else "",
                found.name or "(no name)",
                family.id if family else "-",
                found.binding,
                "-" if found.rssi_dbm is None else f"{found.rssi_dbm} dBm",
                describe_use(family.capabilities) if family else "not known",
            )
        )
    return rows


def _table(survey: Survey, show_all: bool) -> Any:
    from rich.table import Table  # noqa: PLC0415  for terminals only
    from rich.text import Text  # noqa: PLC0415

    table = Table(title="Shake the sensor that you want", title_justify="left")
    for column in COLUMNS:
        whole = column in ("address", "family", "signal")  # to be copied, or short anyway
        table.add_column(column, no_wrap=whole, min_width=17 if column == "address" else None)
    for row in _rows(survey, show_all):
        table.add_row(*(Text(_printable(cell)) for cell in row), style="bold green" if row[0] else "")
    return table


def _end(survey: Survey, chosen: Found | None, show_all: bool) -> None:
    rows = _rows(survey, show_all)
    if not rows:
        others = len(survey.others())
        click.echo(f"no sensor of a known family was heard, and {others} other devices (--all shows them)")
        click.echo("is it on, worn, charged and near, and not connected to a phone?")
        click.echo("a board of your own: --pick ADDRESS --family NAME")
        return
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  for terminals only

        Console().print(_table(survey, show_all))
    else:
        for row in rows:
            click.echo("  ".join(_printable(cell) for cell in row if cell))
    if chosen is None:
        click.echo("\nto use one: posturewatch scan --pick ADDRESS, or shake it during a scan (--shake connects, too)")
        return
    click.echo(f"\nfor the configuration, below a [[wearer]]:\n\n{_lines(chosen)}")


def _printable(text: str) -> str:
    """Names come from strangers: nothing in them may move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _lines(found: Found) -> str:
    from posturewatch.sources.ble.survey import propose_placement  # noqa: PLC0415

    family: Family | None = found.family
    return "\n".join(
        (
            "[[wearer.sensor]]",
            f'id = "{family.id if family else "sensor"}"',
            f'placement = "{propose_placement(family.id if family else None)}"  # where you wear it',
            'source = "ble"',
            f'family = "{family.id if family else ""}"',
            f'address = "{found.binding}"',
        )
    )


def _content(survey: Survey, show_all: bool) -> dict[str, Any]:
    from posturewatch.sources.ble.survey import describe_use  # noqa: PLC0415

    shaken = _shaken(survey)
    listed = [*survey.sensors(), *(survey.others() if show_all else [])]
    return {
        "sensors": [
            {
                "name": found.name,
                "family": found.family.id if found.family else None,
                "title": found.family.title if found.family else None,
                "address": found.binding,
                "rssi_dbm": found.rssi_dbm,
                "use": describe_use(found.family.capabilities) if found.family else None,
                "shaken": found is shaken,
            }
            for found in listed
        ],
        "other_devices": len(survey.others()),
    }


def _shaken(survey: Survey) -> Found | None:
    import time  # noqa: PLC0415

    return survey.find_shaken(time.monotonic())  # the loop's own clock


def _choose(survey: Survey, pick: str | None, family: Family | None) -> Found | None:
    """The picked one, which is of `family` if that is given, else the shaken one, else the only one."""
    from posturewatch.errors import UsageError  # noqa: PLC0415

    sensors = survey.sensors()
    if pick is not None:
        for found in [*sensors, *survey.others()]:
            if pick.upper() in (found.binding.upper(), found.heard.advert.address.upper()):
                found.family = family or found.family
                if found.family is None:
                    raise UsageError(f"--pick {pick}: it is of no known family: say with --family NAME what it is")
                return found
        raise UsageError(f"--pick {pick}: nobody was heard at this address: is it on, near and not connected?")
    return _shaken(survey) or (sensors[0] if len(sensors) == 1 else None)
