"""The radio seam: what to pass to the Bluetooth library so that it uses the radio of the configuration.

A radio's name is `bluez` (the default), `bluez:hci1` (one of several adapters), or `hci:TRANSPORT`: a controller spoken
to directly, without the operating system, such as `hci:unix:PATH` for the virtual radio of `posturewatch simulate`.
Everything else uses the library's public interface only:

    async with open_radio(name) as radio:
        BleakScanner(callback, **radio.scanner_arguments)
        BleakClient(device, **radio.client_arguments)
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from posturewatch.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BLUEZ = "bluez"
HCI = "hci"
# Those of Bumble that end when the other side does; its UDP and websocket transports never notice.
HCI_TRANSPORTS = ("unix", "tcp-client", "usb", "serial", "hci-socket")


@dataclass(frozen=True, slots=True)
class Radio:
    """One radio, open."""

    name: str
    is_bluez: bool
    scanner_arguments: dict[str, Any] = field(default_factory=dict)  # for BleakScanner
    client_arguments: dict[str, Any] = field(default_factory=dict)  # for BleakClient
    adapter_arguments: dict[str, Any] = field(default_factory=dict)  # for BleakAdapter.get; BlueZ only
    notify_arguments: dict[str, Any] = field(default_factory=dict)  # for start_notify; BlueZ only


def check_name(name: str) -> None:
    """`ConfigError` for a radio that cannot be meant."""
    kind, _, rest = name.partition(":")
    if kind == BLUEZ and (rest or ":" not in name):
        return
    transport, _, where = rest.partition(":")
    if kind == HCI and transport in HCI_TRANSPORTS and where:
        return
    raise ConfigError(
        f"radio {name!r} is not known; allowed are bluez, bluez:hci1 and hci:TRANSPORT, "
        f"with TRANSPORT one of {', '.join(f'{t}:…' for t in HCI_TRANSPORTS)}"
    )


@contextlib.asynccontextmanager
async def open_radio(name: str = BLUEZ, *, acquire_notify: bool = False) -> AsyncIterator[Radio]:
    """The radio while the block runs.  One that is not there yet is waited for by those who use it.

    `acquire_notify`: BlueZ hands packets over through a socket for each characteristic, not as messages on the bus.
    Without a radio a scan raises the library's BleakBluetoothNotAvailableError, as without a Bluetooth adapter.
    """
    check_name(name)
    kind, _, rest = name.partition(":")
    if kind == BLUEZ:
        yield _bluez(name, rest, acquire_notify)
        return
    try:
        from posturewatch.radio.hci_adapter import HciAdapter  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("bumble"):
            raise
        raise MissingExtra(f"radio {name} needs an extra: pip install 'posturewatch[sim]'") from None
    async with contextlib.aclosing(HciAdapter(rest)) as adapter:
        yield hci_radio(name, adapter)


def hci_radio(name: str, adapter: Any) -> Radio:
    """The radio on an `HciAdapter`."""
    from posturewatch.radio.hci_client import client_class  # noqa: PLC0415  an extra
    from posturewatch.radio.hci_scanner import scanner_class  # noqa: PLC0415

    return Radio(name, False, {"backend": scanner_class(adapter)}, {"backend": client_class(adapter)})


def _bluez(name: str, adapter: str, acquire_notify: bool) -> Radio:
    """BlueZ would not repeat an advertisement that did not change: a beacon at rest would look lost."""
    which = {"adapter": adapter} if adapter else {}
    scanner = {**which, "filters": {"DuplicateData": True}}
    notify = {"use_start_notify": not acquire_notify}
    return Radio(name, True, {"bluez": scanner}, {"bluez": which}, {"bluez": which}, {"bluez": notify})
