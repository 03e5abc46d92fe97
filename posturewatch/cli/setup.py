"""Set everything up: sensor, placement, calibration, broker, service; asks, tests, writes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("setup")
@click.option("--yes", is_flag=True, help="Ask nothing: the usual answers, and those given here.")
@click.option("--config", "path", type=FILE, help="The file to write.  [default: the usual one]")
@click.option("--simulated", is_flag=True, help="A simulated wearer instead of a sensor.")
@click.option("--scenario", default="office-day", show_default=True, help="What the simulated wearer does.")
@click.option("--gateway", is_flag=True, help="A gateway publishes the sensor's samples over MQTT.")
@click.option("--sensor", metavar="ADDRESS", help="This Bluetooth sensor, as `posturewatch scan` shows it.")
@click.option("--radio", help="bluez, bluez:hci1 or hci:TRANSPORT.  [default: as configured]")
@click.option("--wearer", default="me", show_default=True, metavar="ID", help="Who wears it.")
@click.option("--placement", metavar="PLACE", help="Where: chest, upper_back, neck, head, waist, thigh, wrist ...")
@click.option("--add", is_flag=True, help="Keep the wearer's other sensors, too.")
@click.option("--calibrate/--no-calibrate", default=None, help="Calibrate the sensor now, or later.")
@click.option(
    "--broker", metavar="HOST:PORT", help="Your MQTT broker, `embedded`: one of our own, or `find`: ask the network."
)
@click.option("--username", help="At the broker.")
@click.option("--password-file", type=FILE, help="A file whose first line is the password; it is used from there on.")
@click.option("--base-topic", help="First part of every topic.  [default: posturewatch]")
@click.option("--tls", is_flag=True, help="Encrypt, and check the broker's certificate.")
@click.option("--tls-cafile", type=FILE, help="Certificates to trust instead of the system's.")
@click.option("--insecure", is_flag=True, help="Allow a broker on another machine without TLS.")
@click.option("--desktop/--no-desktop", default=None, help="Show reminders on the desktop of this machine, or not.")
@click.option("--service/--no-service", default=None, help="Start at every login, or not.")
@click.option("--test-reminder/--no-test-reminder", default=None, help="Show a test reminder at the end.")
def command(*, yes: bool, path: Path | None, **given: Any) -> None:
    """Set everything up, step by step: find the sensor, calibrate it, test the broker, write the configuration, start.

    Every step can be repeated later: run it again, and keep what is right.  A former configuration is kept beside the
    new one.  Ctrl-C leaves everything as it was, up to the moment when the files are written.

    Without anybody to ask: posturewatch setup --simulated --yes
    """
    from posturewatch.config import find_file, find_folder  # noqa: PLC0415  keeps `--help` quick
    from posturewatch.errors import UsageError  # noqa: PLC0415
    from posturewatch.publishing.topics import ID_PATTERN  # noqa: PLC0415
    from posturewatch.setting_up.draft import Answers  # noqa: PLC0415
    from posturewatch.setting_up.steps import set_up  # noqa: PLC0415
    from posturewatch.terminal.dialogue import Dialogue  # noqa: PLC0415
    from posturewatch.terminal.log_output import logging_to_stderr  # noqa: PLC0415

    if sum(map(bool, (given["simulated"], given["gateway"], given["sensor"]))) > 1:
        raise UsageError("--simulated, --gateway and --sensor: only one of them")
    if given["tls_cafile"] is not None and not given["tls"]:
        raise UsageError("--tls-cafile needs --tls")
    if not ID_PATTERN.fullmatch(given["wearer"]):
        raise UsageError(f"--wearer {given['wearer']}: 1 to 32 of the characters a-z 0-9 _ -")
    file = path or find_file(os.environ) or find_folder(os.environ) / "posturewatch.toml"
    with logging_to_stderr("error"):
        asyncio.run(set_up(Dialogue(unattended=yes), Answers(**given), file.absolute(), os.environ))
