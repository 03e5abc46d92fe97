"""Record what the sensors send, for replays and bug reports; no names in it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.cli._broker_options import broker_options, read_broker
from posturewatch.errors import PosturewatchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.config import LoadedConfig, Sensor
    from posturewatch.drivers.bound import BoundSensor
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.recording.recorder import RecordingCounts
    from posturewatch.signals import Signals
    from posturewatch.sources.assembly import SourceContext

FILE = click.Path(dir_okay=False, path_type=Path)
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


@click.command("record")
@click.option("-o", "--out", type=FILE, required=True, metavar="FILE.jsonl[.gz]", help="A new file.")
@click.option("--config", "path", type=FILE, help="Whose sensors to record.")
@click.option("--wearer", help="Which wearer of the configuration, if there are several.")
@click.option("--sensor", "names", multiple=True, metavar="ID[:PLACEMENT]", help="With --broker: which sensor.")
@click.option("--duration", metavar="TIME", help="End by itself: 90s, 40m, 8h.")
@click.option("--raw", is_flag=True, help="Also each packet of Bluetooth sensors, as hex digits, without addresses.")
@broker_options
def command(
    *,
    out: Path,
    path: Path | None,
    wearer: str | None,
    names: tuple[str, ...],
    duration: str | None,
    raw: bool,
    broker: str | None,
    **access: Any,
) -> int:
    """Write a packet log of the configured sensors, or of --sensor at --broker.  Ctrl-C ends it.

    `posturewatch replay FILE` reads it.  Sensors are numbered in it; addresses and free text are left out.
    """
    from posturewatch.clock import WallClock  # noqa: PLC0415
    from posturewatch.recording.recorder import Recorder  # noqa: PLC0415
    from posturewatch.signals import until_stopped  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.sources.assembly import SourceContext  # noqa: PLC0415
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415

    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"--out {out}: name it .jsonl, or .jsonl.gz to compress it")
    if raw and broker is not None:
        raise UsageError("--raw is for Bluetooth sensors: leave --broker out, or --raw")
    duration_s = _duration_s(duration)
    if broker is not None:
        surround, sensors = partial(SourceContext, hear=read_broker(broker, **access)), _named_sensors(names)
    else:
        surround, sensors = _configured(path, wearer)

    async def record(signals: Signals) -> None:
        recorder = Recorder(sensors, surround(WallClock()), _progress, raw=raw)
        await recorder.run(out, signals, duration_s)
        _end_progress(out, recorder.counts)

    with logging_to_stderr("warning"):
        return until_stopped(record)


def _duration_s(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or not float(found[1]) > 0:
        raise UsageError(f"--duration {text!r} cannot be read; write it like 90s, 40m or 8h")
    return float(found[1]) * UNITS_S[found[2]]


def _named_sensors(names: tuple[str, ...]) -> list[Sensor]:
    from pydantic import ValidationError  # noqa: PLC0415  keeps `--help` quick

    from posturewatch.config import Sensor  # noqa: PLC0415
    from posturewatch.types import Placement  # noqa: PLC0415

    if not names:
        raise UsageError("--broker needs at least one --sensor ID[:PLACEMENT]")
    sensors = []
    for name in names:
        sensor, _, placement = name.partition(":")
        try:
            sensors.append(Sensor(id=sensor, placement=Placement(placement or "unknown")))
        except (ValidationError, ValueError):
            places = ", ".join(Placement)
            raise UsageError(f"--sensor {name!r}: an id of a-z 0-9 _ - and one of {places}") from None
    return sensors


def _configured(path: Path | None, wearer: str | None) -> tuple[partial[SourceContext], list[Sensor]]:
    from posturewatch.config import find_file, load  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.sources.assembly import SourceContext  # noqa: PLC0415

    loaded = load(path or find_file(os.environ), os.environ)
    known = {each.id: each for each in loaded.config.wearer}
    if not known:
        raise UsageError("no sensor is configured: name a file with --config, or a --broker and a --sensor")
    if wearer is None and len(known) > 1:
        raise UsageError(f"several wearers are configured: choose with --wearer one of {', '.join(known)}")
    chosen = wearer if wearer is not None else next(iter(known))
    if chosen not in known:
        raise UsageError(f"--wearer {chosen!r}: known are {', '.join(known)}")
    bound, bluetooth = loaded.bind_sensors(), loaded.config.bluetooth
    _refuse_held(loaded, {each.id: bound[each.id] for each in known[chosen].sensor if each.id in bound})
    surround = partial(SourceContext, hear=_broker_of(loaded), bound=bound, bluetooth=bluetooth)
    return surround, list(known[chosen].sensor)


def _refuse_held(loaded: LoadedConfig, bound: Mapping[str, BoundSensor]) -> None:
    """A second central would take a sensor from the daemon, or wait for it in vain."""
    from posturewatch.requests.control_socket import socket_path  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.status.standing import held_by_daemon  # noqa: PLC0415

    process, held = asyncio.run(held_by_daemon(socket_path(loaded.state_folder(), os.environ), bound))
    if held:
        raise PosturewatchError(
            f"the daemon (process {process}) streams {', '.join(held)}: stop it for the time of the recording, with "
            "Ctrl-C or `systemctl --user stop posturewatch`"
        )


def _broker_of(loaded: LoadedConfig) -> MqttSettings:
    """The configured broker; of the embedded one the daemon's, if it runs."""
    from dataclasses import replace  # noqa: PLC0415

    from posturewatch.mqtt.embedded_broker import USERNAME, installation_password  # noqa: PLC0415

    mqtt = loaded.to_mqtt()
    if not loaded.config.broker.is_embedded:
        return mqtt
    return replace(mqtt, username=USERNAME, password=installation_password(loaded.state_folder()))


def _progress(counts: RecordingCounts) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{counts.seconds // 60}:{counts.seconds % 60:02}  {counts.samples} samples ", nl=False, err=True)


def _end_progress(out: Path, counts: RecordingCounts) -> None:
    start = "\r" if sys.stderr.isatty() else ""
    packets = f", {counts.packets} packets" if counts.packets else ""
    click.echo(f"{start}{out}: {counts.samples} samples{packets}", err=True)
