"""A scanner for the Bluetooth library on an HCI controller."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.uuids import normalize_uuid_16, normalize_uuid_32
from bumble.core import AdvertisingData

if TYPE_CHECKING:
    from bleak.backends.scanner import AdvertisementDataCallback
    from bumble.core import UUID
    from bumble.device import Advertisement

    from posturewatch.radio.hci_adapter import HciAdapter

# The advertising data types of Bluetooth's Assigned Numbers 2.3, by the size of the UUIDs in them.
UUID_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}


def long_uuid(little_endian: bytes) -> str:
    """A UUID of 2, 4 or 16 bytes as the library writes it: 128 bits, lower case."""
    number = int.from_bytes(little_endian, "little")
    if len(little_endian) == 2:  # noqa: PLR2004  # 16 bits
        return normalize_uuid_16(number)
    if len(little_endian) == 4:  # noqa: PLR2004  # 32 bits
        return normalize_uuid_32(number)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def uuid_of(uuid: UUID) -> str:
    """Bumble's UUID as the library writes it."""
    return long_uuid(bytes(uuid.uuid_bytes))


def read_advertisement(data: AdvertisingData, rssi_dbm: int) -> AdvertisementData:
    """The parts of an advertisement (Core Specification Supplement, part A)."""
    name: str | None = None
    tx_power_dbm: int | None = None
    manufacturer: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    uuids: list[str] = []
    for kind, raw in data.ad_structures:
        value = bytes(raw)
        if kind in (AdvertisingData.COMPLETE_LOCAL_NAME, AdvertisingData.SHORTENED_LOCAL_NAME):
            name = value.decode("utf-8", "replace")
        elif kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:  # noqa: PLR2004  # the company
            manufacturer[int.from_bytes(value[:2], "little")] = value[2:]
        elif kind == AdvertisingData.TX_POWER_LEVEL and value:
            (tx_power_dbm,) = struct.unpack("b", value[:1])
        elif kind in UUID_LISTS:
            size = UUID_LISTS[kind]
            uuids += [long_uuid(value[i : i + size]) for i in range(0, len(value) - size + 1, size)]
        elif kind in SERVICE_DATA and len(value) >= SERVICE_DATA[kind]:
            service_data[long_uuid(value[: SERVICE_DATA[kind]])] = value[SERVICE_DATA[kind] :]
    return AdvertisementData(name, manufacturer, service_data, uuids, tx_power_dbm, rssi_dbm, ())


class HciScanner(BaseBleakScanner):
    """Hears what the controller hears."""

    adapter: HciAdapter  # of the class that `scanner_class` makes

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        **_of_other_systems: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self.is_active = scanning_mode != "passive"

    async def start(self) -> None:
        """Scan; BleakBluetoothNotAvailableError where no controller is."""
        self.seen_devices = {}
        await self.adapter.add(self)

    async def stop(self) -> None:
        """Scan no more; does nothing if the controller is gone."""
        await self.adapter.remove(self)

    def hear(self, advertisement: Advertisement) -> None:
        """Tell those who wait for it."""
        found = read_advertisement(advertisement.data, advertisement.rssi)
        if not self.is_allowed_uuid(found.service_uuids):
            return
        address = advertisement.address.to_string(False)
        known = self.seen_devices.get(address)
        name = found.local_name or (known[0].name if known else None)  # a passive scan hears no scan response
        device = self.create_or_update_device(address, address, name, advertisement.address, found)
        self.call_detection_callbacks(device, found)


def scanner_class(adapter: HciAdapter) -> type[BaseBleakScanner]:
    """What to pass to BleakScanner as `backend`."""
    return type("HciScannerOnAdapter", (HciScanner,), {"adapter": adapter})
