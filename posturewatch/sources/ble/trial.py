"""A short connection to a sensor that was found, to feel whether it is the one in the hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import numpy as np

from posturewatch.drivers import GattDriver, Options
from posturewatch.errors import DecodeError
from posturewatch.sources.ble.connection import Connection
from posturewatch.types import UNITS_PER_G

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.sources.ble.adapter import Adapter
    from posturewatch.sources.ble.survey import Found

FEEL_S = 4.0


async def feel(found: Found, adapter: Adapter, now_ns: Callable[[], int]) -> None:
    """Put into `found.spread_g` how much it moves; `SourceError` if it cannot be asked."""
    if found.family is None or found.family.capabilities.is_advertised:
        return
    driver = cast("GattDriver", found.family.create(Options()))
    connection = Connection(found.name or found.binding, found.heard.device, adapter, now_ns)
    loop = asyncio.get_running_loop()
    parts = []
    try:
        await connection.open()
        await connection.carry_out(driver.start(connection.offered))
        end_s = loop.time() + FEEL_S
        while loop.time() < end_s and not connection.is_lost:
            await connection.wait()
            for item in connection.take():
                try:
                    packet = driver.decode(item.char, item.payload)
                except DecodeError:
                    continue
                if packet is not None and len(packet.acc_10ug):
                    parts.append(packet.acc_10ug)
    finally:
        await connection.leave(driver.stop())  # also when the scan is broken off
    if parts:
        acc = np.concatenate(parts).astype(np.int64)
        found.spread_g = float((acc.max(axis=0) - acc.min(axis=0)).max()) / UNITS_PER_G
