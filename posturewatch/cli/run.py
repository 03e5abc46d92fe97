"""Watch over the configured wearers and publish reminders, until stopped."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from posturewatch.config import LoadedConfig
    from posturewatch.signals import Signals


LOADED_S = 5.0  # by then everything is imported that ever will be


@click.command("run")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to read instead of the usual one.",
)
@click.option("--check", is_flag=True, help="Only find out whether everything is right.")
def command(path: Path | None, check: bool) -> int:
    """Run the daemon: sensors in, reminders out over MQTT.  SIGTERM stops it, SIGHUP reads the configuration again."""
    import asyncio  # noqa: PLC0415  keeps `--help` quick

    gc.disable()  # what is loaded now stays for good: nothing to look for
    from posturewatch.app import Given, run  # noqa: PLC0415
    from posturewatch.clock import WallClock, read_wall_ns  # noqa: PLC0415
    from posturewatch.signals import until_stopped  # noqa: PLC0415
    from posturewatch.sinks.assembly import check_local_sinks  # noqa: PLC0415
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415

    loaded = _load(path)
    loaded.to_mqtt()
    check_local_sinks(loaded.config)
    for wearer in loaded.config.wearer:
        loaded.to_core(wearer, read_wall_ns())
    if check:
        click.echo(f"{loaded.path or 'the environment'}: right; wearers: {len(loaded.config.wearer)}")
        return 0

    async def serve(signals: Signals) -> None:
        asyncio.get_running_loop().call_later(LOADED_S, _collect_garbage)
        await run(Given(loaded, WallClock(), signals, os.environ))

    with logging_to_stderr(loaded.config.log.level, loaded.config.log.format):
        return until_stopped(serve)


def _collect_garbage() -> None:
    """From now on, and only in what is made from now on."""
    gc.freeze()
    gc.enable()


def _load(path: Path | None) -> LoadedConfig:
    """The configuration to run with; says what to do where there is none."""
    import platformdirs  # noqa: PLC0415

    from posturewatch.config import find_file, load  # noqa: PLC0415

    loaded = load(path or find_file(os.environ), os.environ)
    if loaded.config.wearer:
        return loaded
    usual = platformdirs.user_config_path("posturewatch", appauthor=False) / "posturewatch.toml"
    if loaded.path is not None:
        raise ConfigError(f"{loaded.path}: nobody to watch over: add [[wearer]] with a [[wearer.sensor]]")
    raise ConfigError(
        f"no configuration in {usual}: make one with `posturewatch setup`, or name one with --config; "
        "to look around without a sensor: posturewatch demo"
    )
