"""`posturewatch score`: what a detector said, against the truth of a simulation; the exit code is for CI."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from posturewatch.errors import UsageError

FILE = click.Path(dir_okay=False, path_type=Path)
TIMES = ("start_s", "end_s", "t_s")
NEEDED = {"reminder": ("t_s",), "wear": TIMES[:2], "break": TIMES[:2]}


@click.command("score")
@click.argument("truth", type=FILE)
@click.argument("events", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--rules", metavar="RULES", help="Comma separated.  [default: static,sedentary,sedentary_firm]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def command(truth: Path, events: Path, rules: str | None, as_json: bool) -> None:
    """Compare EVENTS (JSON Lines of `replay`, - for a pipe) with TRUTH (of `simulate --truth`)."""
    from posturewatch_sim.score import RULES, exit_code, score  # noqa: PLC0415  keeps `--help` quick
    from posturewatch_sim.truth import LIMITS  # noqa: PLC0415

    asked = tuple(r.strip() for r in rules.split(",")) if rules else RULES
    known = (*LIMITS, "hold_dose")
    for rule in asked:
        if rule not in known:
            raise UsageError(f"--rules: no rule {rule!r}; there are {', '.join(known)}")
    figures = score(_read(truth), _read(events), rules=asked)
    if as_json:
        click.echo(json.dumps(figures))
    else:
        for name, value in figures.items():
            click.echo(f"{name:26} {_shown(value)}")
    sys.exit(exit_code(figures))


def _read(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file; a line that cannot be one is an error that names its place."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise UsageError(f"{path} cannot be read ({wrong}); give a file of JSON Lines") from None
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not _timed(event):
            raise UsageError(f"{path}, line {number}: not an event of JSON Lines; give what replay or simulate printed")
        events.append(event)
    if not events:
        raise UsageError(f"{path} has no events; give what replay or simulate printed")
    return events


def _timed(event: dict[str, Any]) -> bool:
    needed = NEEDED.get(str(event.get("type")), ())
    return all(isinstance(event.get(k), int | float) and not isinstance(event.get(k), bool) for k in needed)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "none" if not value else "; ".join(map(_shown, value))
    if isinstance(value, dict):
        return f"{value['rule']} at {value['t_s']:g} s"
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1.0 else str(value)
