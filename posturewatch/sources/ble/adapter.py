"""One Bluetooth adapter: its radio, and the lock without which two connects would disturb each other."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bleak import BleakAdapter

from posturewatch.sources.ble.errors import FOREIGN

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

    from posturewatch.radio import Radio

log = logging.getLogger(__name__)

ASK_S = 5.0


def is_paired(device: BLEDevice) -> bool:
    """Whether BlueZ said, when it was found, that somebody paired it with this computer."""
    details = device.details if isinstance(device.details, dict) else {}
    return bool(details.get("props", {}).get("Paired", False))


class Adapter:
    """What scanner and connections share."""

    def __init__(self, radio: Radio) -> None:
        """On an open radio."""
        self.radio = radio
        self.lock = asyncio.Lock()  # held while a scan starts and while a connection is made

    async def check(self) -> None:
        """Raises what the library says where BlueZ has no adapter that is switched on; others tell by themselves."""
        if self.radio.is_bluez:
            async with asyncio.timeout(ASK_S):
                await BleakAdapter.get(**self.radio.adapter_arguments)

    async def find_connected(self) -> list[BLEDevice]:
        """Sensors whose connection outlived a process that was killed: they do not advertise, so no scan finds them."""
        if not self.radio.is_bluez:
            return []  # a controller of our own loses its connections with us
        try:
            async with asyncio.timeout(ASK_S):
                adapter = await BleakAdapter.get(**self.radio.adapter_arguments)
                return await adapter.get_connected_devices()
        except FOREIGN as error:
            log.debug("connected devices: %r", error)
            return []
