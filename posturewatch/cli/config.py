"""`posturewatch config`: what counts, where it comes from, and whether a file is right."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posturewatch.config import LoadedConfig

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("config", short_help="show, check and describe the configuration")
def command() -> None:
    """Show, check and describe the configuration."""


@command.command()
@click.option("--config", "path", type=FILE, help="The file to read instead of the usual one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def show(path: Path | None, as_json: bool) -> None:
    """Print the effective value of each key and where it comes from; secrets are masked."""
    from posturewatch.config import find_file, load  # noqa: PLC0415  keeps `--help` quick

    rows = list(_walk(load(path or find_file(os.environ), os.environ)))
    if as_json:
        click.echo(json.dumps([{"key": key, "value": value, "origin": origin} for key, value, origin in rows]))
        return
    for key, value, origin in rows:
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {origin}")


@command.command()
@click.argument("file", type=FILE, required=False)
def check(file: Path | None) -> None:
    """Check FILE (or the usual one), the sensor presets beside it and the environment: a line for each mistake."""
    from posturewatch.clock import read_wall_ns  # noqa: PLC0415
    from posturewatch.config import find_file, find_folder, load  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.drivers import USER_FOLDER  # noqa: PLC0415
    from posturewatch.drivers.preset_files import families, load_presets  # noqa: PLC0415

    loaded = load(file or find_file(os.environ), os.environ)
    loaded.to_mqtt()
    for wearer in loaded.config.wearer:
        loaded.to_core(wearer, read_wall_ns())
    folder = find_folder(os.environ, loaded.path)
    families(folder)  # names taken twice are mistakes too
    sensors = sum(len(wearer.sensor) for wearer in loaded.config.wearer)
    presets = len(load_presets(folder / USER_FOLDER))
    own = f", sensor presets: {presets}" if presets else ""
    source = loaded.path or "the defaults"
    click.echo(f"{source}: right; wearers: {len(loaded.config.wearer)}, sensors: {sensors}{own}")


@command.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    from posturewatch.config.generation import render_schema  # noqa: PLC0415  keeps `--help` quick

    click.echo(render_schema(), nl=False)


def _walk(loaded: LoadedConfig) -> Iterator[tuple[str, Any, str]]:
    """Each key with its value as JSON and its origin, in the order of the file."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), loaded.config.model_dump(mode="json"))]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            stack += [((*path, key), member) for key, member in reversed(node.items())]
        elif isinstance(node, list) and node and isinstance(node[0], dict):
            stack += [((*path, at), member) for at, member in reversed(list(enumerate(node)))]
        else:
            key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
            yield key, node, loaded.origin(path)
