"""`posturewatch score`: what a detector said, against the truth of a simulation; the exit code is for CI."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.errors import UsageError

if TYPE_CHECKING:
    from posturewatch_sim.captures import Capture

    Events = list[dict[str, Any]]

FILE = click.Path(path_type=Path, allow_dash=True)
TIMES = ("start_s", "end_s", "t_s")
NEEDED = {"reminder": ("t_s",), "wear": TIMES[:2], "break": TIMES[:2], "static": TIMES[:2], "sedentary": TIMES[:2]}


@click.command("score")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="[TRUTH] EVENTS")
@click.option("--rules", metavar="RULES", help="Comma separated.  [default: static,sedentary,sedentary_firm]")
@click.option("--wearer", metavar="ID", help="Of several in messages: whose.")
@click.option("--sensor", metavar="ID", help="Of several simulated sensors in messages: whose truth.")
@click.option(
    "--start",
    metavar="TIME",
    help="When the simulation began, where the messages have no truth: 2026-03-02T08:00:00Z, or nanoseconds.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def command(
    files: tuple[Path, ...], rules: str | None, wearer: str | None, sensor: str | None, start: str | None, as_json: bool
) -> None:
    """Compare EVENTS (JSON Lines of `replay`, - for a pipe) with TRUTH (of `simulate --truth`).

    EVENTS can be MQTT messages as well, as `demo --json` or `mosquitto_sub -v` print them.  Where the truth is among
    them (on simulator/ID/truth) they need no TRUTH.

    Exit code 1 says that something was missed, false, late or lost.
    """
    from posturewatch_sim.captures import CaptureError  # noqa: PLC0415  keeps `--help` quick
    from posturewatch_sim.score import RULES, exit_code, score  # noqa: PLC0415
    from posturewatch_sim.truth import LIMITS  # noqa: PLC0415

    from posturewatch.cli._score_table import table  # noqa: PLC0415

    asked = tuple(r.strip() for r in rules.split(",")) if rules else RULES
    known = (*LIMITS, "hold_dose")
    for rule in asked:
        if rule not in known:
            raise UsageError(f"--rules: no rule {rule!r}; there are {', '.join(known)}")
    if len(files) > 2:  # noqa: PLR2004  # TRUTH and EVENTS
        raise UsageError(f"{len(files)} files are too many: one of TRUTH and one of EVENTS")
    try:
        true, said, delivered = _compared(files, wearer, sensor, start)
    except CaptureError as wrong:
        raise UsageError(f"{files[-1]}: {wrong}") from None
    figures = score(true, said, rules=asked, delivered=delivered)
    if as_json:
        click.echo(json.dumps(figures))
    else:
        for line in table(figures):
            click.echo(line)
    sys.exit(exit_code(figures))


def _compared(
    files: tuple[Path, ...], wearer: str | None, sensor: str | None, start: str | None
) -> tuple[Events, Events, bool | None]:
    """What is true, what was said, and whether that is prompts as delivered (nothing: the events tell)."""
    from posturewatch_sim.captures import clipped  # noqa: PLC0415

    said, capture = _read(files[-1])
    if capture is None:
        if len(files) == 1:
            raise UsageError(f"{files[0]} holds no MQTT messages: give the truth first, of `simulate --truth`")
        for option, value in (("--wearer", wearer), ("--sensor", sensor), ("--start", start)):
            if value is not None:
                raise UsageError(f"{option} belongs to MQTT messages, and {files[-1]} holds none")
        return _events(files[0]), said, None
    if len(files) == 1 and start is not None:
        raise UsageError("--start belongs to a file of TRUTH: the truth among messages says when it began")
    if start is None and not capture.truths:
        raise UsageError(f"{files[-1]} has no truth in it: give TRUTH, and with --start when the simulation began")
    true, start_s = capture.truth(sensor) if start is None else ([], _start_s(start))
    if len(files) > 1:
        true = _events(files[0])
    said, until_s = capture.said(wearer, start_s)
    return clipped(true, until_s), said, True


def _start_s(text: str) -> float:
    """A moment as ISO 8601, or as virtual sensors say it: nanoseconds of UTC."""
    if text.isdecimal():
        return int(text) / 1e9
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start {text!r} cannot be read; write it like 2026-03-02T08:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _events(path: Path) -> Events:
    events, capture = _read(path)
    if capture is not None:
        raise UsageError(f"{path} holds MQTT messages, and stands where the truth belongs: give it last, or alone")
    return events


def _read(path: Path) -> tuple[Events, Capture | None]:
    """The events of a JSON Lines file, or the messages of a capture; what is neither is named with its line."""
    from posturewatch_sim.captures import Capture, message_of  # noqa: PLC0415

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise UsageError(f"{path} cannot be read ({wrong}); give a file of JSON Lines") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise UsageError(f"{path} has no events; give what replay, simulate or demo printed")
    if not _is_event_line(lines[0][1]):
        messages = [message_of(line, f"line {number}") for number, line in lines]
        capture = Capture.of(message for message in messages if message is not None)
        if capture.truths or capture.wearers:
            return [], capture
    events = []
    for number, line in lines:
        event = _event_of(line)
        if event is None or not _is_timed(event):
            raise UsageError(f"{path}, line {number}: not an event of JSON Lines; give what replay or simulate printed")
        events.append(event)
    return events, None


def _event_of(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _is_event_line(line: str) -> bool:
    event = _event_of(line)
    return event is not None and "type" in event


def _is_timed(event: dict[str, Any]) -> bool:
    needed = NEEDED.get(str(event.get("type")), ())
    return all(isinstance(event.get(k), int | float) and not isinstance(event.get(k), bool) for k in needed)
