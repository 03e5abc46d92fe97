"""The machine itself, without a line of ours: a controller on /dev/vhci, the kernel, bluetoothd, bleak.

If this fails, look at scripts/bluez_vm before you look at anything else.
"""

from __future__ import annotations

import asyncio

import pytest
from bleak import BleakScanner
from bumble.controller import Controller
from bumble.core import AdvertisingData
from bumble.device import Device
from bumble.hci import Address, LeFeatureMask
from bumble.link import LocalLink
from bumble.transport import open_transport


@pytest.mark.asyncio
async def test_adapter_appears_and_a_scan_finds_an_advertiser(adapter_of):
    air = LocalLink()
    async with await open_transport("vhci") as kernel:
        dongle = Controller("dongle", kernel.source, kernel.sink, air, public_address="00:11:22:33:44:55")
        # With either, the kernel waits for an event that this controller never sends.
        dongle.le_features &= ~(LeFeatureMask.LL_PRIVACY | LeFeatureMask.LE_EXTENDED_ADVERTISING)
        radio = Controller("advertiser", link=air)
        advertiser = Device.with_hci("advertiser", Address("C0:00:00:00:00:01"), radio, radio)
        await advertiser.power_on()
        data = bytes(
            AdvertisingData([(AdvertisingData.FLAGS, b"\x06"), (AdvertisingData.COMPLETE_LOCAL_NAME, b"advertiser")])
        )
        await advertiser.start_advertising(advertising_data=data)
        adapter = adapter_of("00:11:22:33:44:55")
        await adapter.switch(on=True)
        async with asyncio.timeout(30), BleakScanner(bluez={"adapter": adapter.name}) as scanner:
            async for device, advertisement in scanner.advertisement_data():
                if device.address == "C0:00:00:00:00:01":
                    assert advertisement.local_name == "advertiser"
                    break
        await advertiser.power_off()
