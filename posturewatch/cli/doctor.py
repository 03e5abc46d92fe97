"""Find out what may be wrong: each line ok, warn or fail, with what to do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from posturewatch.checks import Finding, Subject

FILE = click.Path(dir_okay=False, path_type=Path)
REFUSED = 3
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@click.option("--config", "path", type=FILE, help="The configuration to look at.  [default: the usual one]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--bundle", type=FILE, help="Also write a file for a bug report, without passwords, names and addresses.")
def command(*, path: Path | None, as_json: bool, bundle: Path | None) -> int:
    """Look at configuration, state folder, clock, Bluetooth, sensors, broker, and who shows the prompts.

    Changes nothing and is done within seconds.  The exit code is 0 unless something fails, else 3.
    """
    from posturewatch.checks import Grade, to_rows  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415

    with logging_to_stderr("error"):
        subject, found, status = asyncio.run(_examine(path))
    rows = to_rows(found)
    if bundle is not None:
        _write_bundle(bundle, subject, rows, status)
    worst = {row["grade"] for row in rows}
    if as_json:
        click.echo(json.dumps({"healthy": Grade.FAIL not in worst, "findings": rows}))
    else:
        _print(found)
        if bundle is not None:
            click.echo(f"\n{bundle}: for a bug report; look through it before you send it")
    return REFUSED if Grade.FAIL in worst else 0


async def _examine(path: Path | None) -> tuple[Subject, dict[str, list[Finding]], dict[str, Any] | None]:
    from posturewatch.checks import Subject, discover, examine  # noqa: PLC0415
    from posturewatch.config import find_file, load  # noqa: PLC0415
    from posturewatch.errors import ConfigError  # noqa: PLC0415

    subject = Subject(os.environ, path or find_file(os.environ))
    try:
        subject.loaded = load(subject.path, os.environ)
    except ConfigError as error:
        subject.trouble = error
    found = await examine(subject, discover())
    return subject, found, await subject.status()


def _print(found: Mapping[str, Sequence[Finding]]) -> None:
    is_terminal = sys.stdout.isatty()
    for group, findings in found.items():
        for finding in findings:
            grade = f"{finding.grade:4}"
            if is_terminal:
                grade = click.style(grade, fg=COLOURS[finding.grade])
            click.echo(f"{grade}  {group}, {finding.check}: {finding.seen}")
            if finding.fix is not None:
                click.echo(f"      -> {finding.fix}")


def _write_bundle(path: Path, subject: Subject, rows: list[dict[str, Any]], status: dict[str, Any] | None) -> None:
    from posturewatch.errors import PosturewatchError  # noqa: PLC0415
    from posturewatch.status.bug_report import render_report  # noqa: PLC0415
    from posturewatch.store import replace_file  # noqa: PLC0415

    try:
        replace_file(path, render_report(subject.loaded, rows, status).encode())
    except OSError as error:
        raise PosturewatchError(f"{path}: cannot be written ({error.strerror}); name another file") from error
