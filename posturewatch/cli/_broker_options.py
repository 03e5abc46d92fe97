"""The options that name a broker on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posturewatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.mqtt.settings import MqttSettings

_OPTIONS = (
    click.option("--broker", metavar="HOST:PORT", help="Ask this broker."),
    click.option("--username", help="At the broker."),
    click.option(
        "--password-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A file whose first line is the password.",
    ),
    click.option("--base-topic", default="posturewatch", show_default=True, help="First part of every topic."),
    click.option("--tls", is_flag=True, help="Encrypt, and check the broker's certificate."),
    click.option(
        "--tls-cafile",
        type=click.Path(dir_okay=False, path_type=Path),
        help="With --tls: certificates to trust instead of the system's.",
    ),
    click.option(
        "--tls-certfile",
        type=click.Path(dir_okay=False, path_type=Path),
        help="With --tls: our own certificate, if the broker wants one.",
    ),
    click.option(
        "--tls-keyfile",
        type=click.Path(dir_okay=False, path_type=Path),
        help="With --tls-certfile: its key.",
    ),
    click.option(
        "--protocol",
        type=click.Choice(["5", "311"]),
        help="MQTT version; without it 5, and 3.1.1 where the broker does not speak 5.",
    ),
    click.option("--insecure", is_flag=True, help="Allow a broker on another machine without TLS."),
)
ACCESS = (  # what read_broker also wants
    "username",
    "password_file",
    "base_topic",
    "tls",
    "tls_cafile",
    "tls_certfile",
    "tls_keyfile",
    "protocol",
    "insecure",
)


def broker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --broker and what is needed to reach it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_broker(
    broker: str,
    *,
    username: str | None,
    password_file: Path | None,
    base_topic: str,
    tls: bool,
    tls_cafile: Path | None,
    tls_certfile: Path | None,
    tls_keyfile: Path | None,
    protocol: str | None,
    insecure: bool,
) -> MqttSettings:
    """What the options say; `UsageError` for what cannot be meant."""
    from posturewatch.mqtt.settings import MQTT_5, MQTT_311, MqttSettings, TlsSettings, is_loopback  # noqa: PLC0415  keeps `--help` quick

    host, colon, port = broker.rpartition(":")
    if not colon or not port.isdecimal():
        raise UsageError(f"--broker {broker!r} cannot be read; write it like 127.0.0.1:1883")
    try:
        password = password_file.read_text(encoding="utf-8").splitlines()[0] if password_file else None
    except (OSError, IndexError, UnicodeDecodeError):
        raise UsageError(
            f"--password-file {password_file}: no password can be read; give a file with it as its first line"
        ) from None
    files = {"--tls-cafile": tls_cafile, "--tls-certfile": tls_certfile, "--tls-keyfile": tls_keyfile}
    for name, file in files.items():
        if file is not None and not tls:
            raise UsageError(f"{name} needs --tls")
    if (tls_certfile is None) != (tls_keyfile is None):
        raise UsageError("--tls-certfile and --tls-keyfile belong together: give both or none")
    if not (tls or insecure or is_loopback(host.strip("[]"))):
        raise UsageError(f"--broker {broker} is another machine: give --tls for TLS, or --insecure for clear text")
    return MqttSettings(
        host=host.strip("[]"),
        port=int(port),
        username=username,
        password=password,
        base_topic=base_topic,
        protocol=MQTT_311 if protocol == "311" else MQTT_5,
        falls_back=protocol is None,
        tls=TlsSettings(tls_cafile, tls_certfile, tls_keyfile) if tls else None,
        insecure=insecure,
    )
