"""Run a recording through the detector and print what it finds."""

from __future__ import annotations

import gc
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from posturewatch.core.settings import Calibration
    from posturewatch.sources.replay import Replay, ReplayOptions

PLACES = "chest torso upper_back low_back neck head waist thigh wrist"


@click.command(short_help="run a recording through the detector")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--placement", default="unknown", metavar="PLACE", help=f"{PLACES}; any other word: unknown")
@click.option("--format", "form", type=click.Choice(["jsonl", "table"]), help="default: table on a terminal")
@click.option("--unit", type=click.Choice(["g", "mg", "m/s2"]), default="g", show_default=True)
@click.option("--clock", type=click.Choice(["relative", "utc"]), default="relative", show_default=True)
@click.option("--calibration", default="auto", metavar="auto|none|FILE", show_default=True, help="which way is upright")
@click.option("--as-delivered", is_flag=True, help="what the wearer would have got, with what was held and why")
@click.option("--speed", type=click.FloatRange(min=0.01), help="so many times real time; without it: flat out")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="draw the day")
@click.option("--static-limit-min", type=click.FloatRange(5, 60), default=20, show_default=True)
@click.option("--sedentary-limit-min", type=click.FloatRange(15, 120), default=30, show_default=True)
def command(
    *,
    file: Path,
    placement: str,
    form: str | None,
    unit: str,
    clock: str,
    calibration: str,
    as_delivered: bool,
    speed: float | None,
    plot: Path | None,
    static_limit_min: float,
    sedentary_limit_min: float,
) -> None:
    """Run FILE (Parquet, CSV or a packet log) through the detector and print what it finds.

    The columns are t_s (seconds) or a time stamp, and x y z in g with gravity.  One JSON object a line, times in
    seconds since the first sample.  Nobody reacts in a recording: a rule comes due again only after its interval.
    """
    gc.disable()  # it would look for cycles that a replay does not make, and go through all modules as they load
    try:
        from posturewatch.core.settings import Limits  # noqa: PLC0415  --help must not pay for numpy
        from posturewatch.sources.replay import ReplayOptions  # noqa: PLC0415
        from posturewatch.types import Placement  # noqa: PLC0415

        known = placement if placement in set(Placement) else "unknown"
        fixed = None if calibration in ("auto", "none") else _load_calibration(Path(calibration))
        options = ReplayOptions(
            Placement(known),
            fixed,
            calibration == "auto",
            Limits(static_limit_s=static_limit_min * 60, sedentary_limit_s=sedentary_limit_min * 60),
            as_delivered,
            speed,
        )
        form = form or ("table" if sys.stdout.isatty() else "jsonl")
        replay, lines = _open(file, unit, clock, options)
        printer = _print_table if form == "table" else _print_jsonl
        printer(lines)
    finally:
        gc.freeze()  # nor go through all of it again when the process ends
        gc.enable()
    if plot is not None:
        from posturewatch.recording.plot import draw  # noqa: PLC0415

        draw(replay, plot)
        click.echo(f"drawn: {plot}", err=True)


def _open(file: Path, unit: str, clock: str, options: ReplayOptions) -> tuple[Replay, Iterator[dict[str, Any]]]:
    from posturewatch.recording.packet_log import RecordingReader, is_recording  # noqa: PLC0415
    from posturewatch.sources.replay import Replay  # noqa: PLC0415
    from posturewatch.sources.sample_files import open_samples  # noqa: PLC0415

    progress = _Progress(file.name)
    if file.is_file() and is_recording(file):
        reader = RecordingReader(file)
        replay = Replay(options, lambda t_ns: t_ns, progress)
        clocks = _clock(clock, lambda: replay.start_ns)
        replay.timeline.use(clocks)
        return replay, progress.through(replay.packets(reader))
    found = open_samples(file, unit)
    for note in found.notes:
        click.echo(f"posturewatch: {file.name}: {note}", err=True)
    if clock == "utc" and not found.dated:
        click.echo(f"posturewatch: {file.name}: it does not say when it was made; times start at 2000-01-01", err=True)
    replay = Replay(options, _clock(clock, lambda: found.start_ns), progress)

    def finished() -> Iterator[dict[str, Any]]:
        yield from replay.samples(found)
        if found.dropped:
            left_out = f"{found.dropped} samples were no numbers and were left out"
            click.echo(f"posturewatch: {file.name}: {left_out}", err=True)

    return replay, progress.through(finished())


def _clock(name: str, start_ns: Callable[[], int]) -> Callable[[int], float | str]:
    if name == "utc":
        return lambda t_ns: datetime.fromtimestamp(t_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return lambda t_ns: round(max(t_ns - start_ns(), 0) / 1e9, 3)


def _load_calibration(path: Path) -> Calibration:
    from posturewatch.config.calibration import read_calibration  # noqa: PLC0415

    return read_calibration(path)


def _print_jsonl(lines: Iterator[dict[str, Any]]) -> None:
    write = sys.stdout.write
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for line in lines:
        write(encode(line) + "\n")
    sys.stdout.flush()


def _print_table(lines: Iterator[dict[str, Any]]) -> None:
    from posturewatch.cli._replay_table import print_table  # noqa: PLC0415

    print_table(lines)


class _Progress:
    """One line on a terminal that says how far it is; silence in a pipe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = -1
        self._on = sys.stderr.isatty()

    def __call__(self, what: str, done_frac: float | None) -> None:
        percent = -1 if done_frac is None else int(done_frac * 100)
        if self._on and percent != self._shown:
            self._shown = percent
            sys.stderr.write(f"\r\033[K{what} {self._name} {percent} %")
            sys.stderr.flush()

    def through(self, lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Take the line away when the work is done."""
        try:
            yield from lines
        finally:
            if self._on and self._shown >= 0:
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()
