"""Watch live what is published about the wearers, from any machine that reaches the broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import broker_options, read_broker

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.config import LoadedConfig
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.signals import Signals
    from posturewatch.types import Message


@click.command("monitor")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Whose broker to use.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each message.")
@broker_options
def command(*, path: Path | None, as_json: bool, broker: str | None, **access: Any) -> int:
    """Show the wearers of a broker until interrupted: the broker of the configuration, or that of --broker."""
    from posturewatch.config import find_file, load  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.signals import until_stopped  # noqa: PLC0415

    if broker is None:
        settings = _of_configuration(load(path or find_file(os.environ), os.environ))
    else:
        settings = read_broker(broker, **access)

    async def watch(signals: Signals) -> None:
        task = asyncio.create_task(_watch(settings, as_json))
        stopped = asyncio.create_task(signals.stop.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return until_stopped(watch)


def _of_configuration(loaded: LoadedConfig) -> MqttSettings:
    """The broker that the daemon of this configuration uses."""
    from posturewatch.mqtt.embedded_broker import settings_from_outside  # noqa: PLC0415  keeps `--help` quick

    own = loaded.config.broker
    if not own.is_embedded:
        return loaded.to_mqtt()
    return replace(settings_from_outside(loaded.state_folder(), own.port), base_topic=own.base_topic)


async def _watch(settings: MqttSettings, as_json: bool) -> None:
    from posturewatch.sinks import console, jsonl  # noqa: PLC0415
    from posturewatch.terminal.monitor_view import MonitorView  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.terminal.monitoring import Picture, follow, printable  # noqa: PLC0415

    picture = Picture(settings.base_topic)
    client_id = f"posturewatch-{secrets.token_hex(4)}"
    if as_json or not sys.stdout.isatty():
        line_of = jsonl.line_of if as_json else (lambda message: printable(console.line_of(message)))
        await follow(settings, client_id, picture, _printer(line_of))
        return
    view = MonitorView(picture, settings.address)
    async with asyncio.TaskGroup() as group:
        drawing = group.create_task(view.run())
        await follow(settings, client_id, picture, view.show)
        drawing.cancel()


def _printer(line_of: Callable[[Message], str]) -> Callable[[Message], None]:
    def show(message: Message) -> None:
        with contextlib.suppress(ValueError):  # a payload that begins like JSON
            click.echo(line_of(message))
            sys.stdout.flush()

    return show
