"""Let the broker and Home Assistant forget the daemon and its wearers, before it is removed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import broker_options, read_broker

if TYPE_CHECKING:
    from posturewatch.config import LoadedConfig


@click.command("withdraw")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="Of the daemon to forget.")
@click.option(
    "--prefix", default="homeassistant", show_default=True, help="With --broker: where devices are described."
)
@click.option("--dry-run", is_flag=True, help="Only name the topics.")
@broker_options
def command(*, path: Path | None, prefix: str, dry_run: bool, broker: str | None, **access: Any) -> None:
    """Empty every retained topic of a daemon that is stopped, and take its devices out of Home Assistant.

    At the broker of the configuration, or at that of --broker below --base-topic.
    """
    from posturewatch.config import find_file, load  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.mqtt.withdrawing import withdraw  # noqa: PLC0415

    if broker is None:
        _withdraw_configured(load(path or find_file(os.environ), os.environ), dry_run)
        return
    settings = read_broker(broker, **access)
    _tell(settings.address, asyncio.run(withdraw(settings, prefix, dry_run=dry_run)), dry_run)


def _withdraw_configured(loaded: LoadedConfig, dry_run: bool) -> None:
    from posturewatch.mqtt.announcing import FILE, read_announced  # noqa: PLC0415
    from posturewatch.mqtt.withdrawing import withdraw  # noqa: PLC0415
    from posturewatch.store import lock_folder  # noqa: PLC0415

    if loaded.config.broker.is_embedded:
        click.echo("the embedded broker forgets by itself when the daemon stops: nothing to do")
        return
    settings, folder = loaded.to_mqtt(), loaded.state_folder()
    with lock_folder(folder):
        known = read_announced(folder / FILE)
        done = withdraw(settings, loaded.config.home_assistant.prefix, known, dry_run=dry_run)
        _tell(settings.address, asyncio.run(done), dry_run)
        if not dry_run:
            (folder / FILE).unlink(missing_ok=True)


def _tell(address: str, topics: list[str], dry_run: bool) -> None:
    for topic in topics:
        click.echo(topic)
    click.echo(f"broker {address}: {len(topics)} topics {'would be' if dry_run else 'are'} emptied")
