"""A client for the Bluetooth library on an HCI controller."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble.att import ATT_Error
from bumble.core import BaseBumbleError
from bumble.device import Peer
from bumble.hci import Address, HCI_LE_Create_Connection_Cancel_Command

from posturewatch.radio.cancelling import heeded
from posturewatch.radio.hci_scanner import uuid_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bleak.args import SizedBuffer
    from bleak.backends.client import NotifyCallback
    from bumble.device import Advertisement, Connection
    from bumble.gatt_client import CharacteristicProxy

    from posturewatch.radio.hci_adapter import HciAdapter

T = TypeVar("T")

MTU = 517  # the largest that makes sense (Core Specification, vol. 3, part F, 3.2.9)
MIN_MTU = 23
CANCEL_S = 2.0
DISCONNECT_S = 5.0
# Bits of the characteristic's properties (Core Specification, vol. 3, part G, 3.3.1.1), as the library names them.
PROPERTIES = {
    0x01: "broadcast",
    0x02: "read",
    0x04: "write-without-response",
    0x08: "write",
    0x10: "notify",
    0x20: "indicate",
    0x40: "authenticated-signed-writes",
    0x80: "extended-properties",
}


class _Finder:
    """Waits for one address, with the scanner's interface."""

    is_active = False

    def __init__(self, address: str) -> None:
        self.address = address.upper()
        self.found: asyncio.Future[Address] = asyncio.get_running_loop().create_future()

    def hear(self, advertisement: Advertisement) -> None:
        if advertisement.address.to_string(False) == self.address and not self.found.done():
            self.found.set_result(advertisement.address)


class HciClient(BaseBleakClient):
    """One connection."""

    adapter: HciAdapter  # of the class that `client_class` makes

    def __init__(self, address_or_ble_device: BLEDevice | str, **arguments: Any) -> None:
        wanted = arguments.pop("services", None)
        super().__init__(address_or_ble_device, **arguments)
        self._wanted: set[str] | None = set(wanted) if wanted else None
        known = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._target: Address | None = known.details if known is not None else None
        self._name = known.name if known is not None else None
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._heard: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """As advertised, else the address."""
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """As negotiated."""
        return self._connection.att_mtu if self._connection is not None else MIN_MTU

    @property
    def is_connected(self) -> bool:
        """Whether the link lives."""
        return self._connection is not None

    # ------------------------------------------------------------ connecting

    async def connect(self, pair: bool, **options: Any) -> None:
        """Find, connect, negotiate, discover; a failure leaves nothing behind."""
        if self._connection is not None:
            raise BleakError("already connected")
        target = self._target or await self._find()
        async with asyncio.timeout(options.get("timeout", self._timeout)):
            async with self.adapter.connecting:
                connection = await self._establish(target)
            self._connection, self._peer = connection, Peer(connection)
            connection.on(connection.EVENT_DISCONNECTION, self._ended)
            try:
                await self._get_to_know(self._peer, pair)
            except BaseException:
                await self.disconnect()
                raise

    async def _get_to_know(self, peer: Peer, pair: bool) -> None:
        with contextlib.suppress(BleakGATTProtocolError):  # a server that does not negotiate keeps the least
            await self._carry_out(peer.request_mtu(MTU))
        await self._carry_out(self._discover(peer))
        if pair:
            await self.pair()

    async def _find(self) -> Address:
        finder = _Finder(self.address)
        await self.adapter.add(finder)
        try:
            async with asyncio.timeout(self._timeout):
                return await finder.found
        except TimeoutError:
            raise BleakDeviceNotFoundError(self.address, f"no advertisement of {self.address} was heard") from None
        finally:
            await self.adapter.remove(finder)

    async def _establish(self, target: Address) -> Connection:
        device = await self.adapter.device()
        attempt = asyncio.ensure_future(device.connect(target, timeout=None))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:  # given up: take the attempt back, or the link if it came about meanwhile
            with contextlib.suppress(BaseBumbleError, TimeoutError, asyncio.InvalidStateError):
                async with asyncio.timeout(CANCEL_S):
                    await device.send_sync_command(HCI_LE_Create_Connection_Cancel_Command())
                    await (await attempt).disconnect()
            attempt.cancel()
            raise
        except BaseBumbleError as error:
            raise BleakError(f"connection to {self.address} failed: {error}") from error

    async def _discover(self, peer: Peer) -> None:
        """Characteristics are known by their handles: one UUID may occur in several services."""
        found = BleakGATTServiceCollection()
        for service in await peer.discover_services():
            uuid = uuid_of(service.uuid)
            if self._wanted is not None and uuid not in self._wanted:
                continue
            ours = BleakGATTService(service, service.handle, uuid)
            found.add_service(ours)
            for char in await service.discover_characteristics():
                await self._add_characteristic(found, ours, char)
        self.services = found

    async def _add_characteristic(
        self, found: BleakGATTServiceCollection, service: BleakGATTService, char: CharacteristicProxy[bytes]
    ) -> None:
        names: list[Any] = [name for bit, name in PROPERTIES.items() if char.properties & bit]
        ours = BleakGATTCharacteristic(char, char.handle, uuid_of(char.uuid), names, lambda: self.mtu_size - 3, service)
        found.add_characteristic(ours)
        for descriptor in await char.discover_descriptors():
            found.add_descriptor(BleakGATTDescriptor(descriptor, descriptor.handle, uuid_of(descriptor.type), ours))

    def _ended(self, _reason: int) -> None:
        self._connection = self._peer = self.services = None
        self._heard.clear()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """End the link, if there is one."""
        connection = self._connection
        if connection is None:
            return
        ended = asyncio.Event()
        connection.on(connection.EVENT_DISCONNECTION, lambda _: ended.set())
        try:
            async with asyncio.timeout(DISCONNECT_S):
                with contextlib.suppress(BaseBumbleError):  # it ended meanwhile
                    await connection.disconnect()
                await ended.wait()
        except TimeoutError:
            self.adapter.drop()
            raise BleakError(f"{self.address}: the radio does not answer") from None

    async def pair(self, *_arguments: Any, **_options: Any) -> None:
        """Just works, or not at all: nobody is there to confirm a number."""
        connection = self._live().connection
        await self._carry_out(connection.pair())

    async def unpair(self) -> None:
        """Nothing is kept, so there is nothing to forget."""

    # ------------------------------------------------------------ reading, writing, listening

    def _live(self) -> Peer:
        if self._peer is None:
            raise BleakError("not connected")
        return self._peer

    async def _carry_out(self, request: Awaitable[T]) -> T:
        try:
            with heeded():
                return await request
        except ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except (BaseBumbleError, asyncio.InvalidStateError) as error:
            raise BleakError(f"{self.address}: {error}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._connection is not None or (task is not None and task.cancelling()):
                raise
            raise BleakError(f"{self.address}: disconnected") from None  # Bumble cancels what waits for an answer

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_options: Any) -> bytearray:
        """The value."""
        return bytearray(await self._carry_out(self._live().read_value(characteristic.obj)))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_options: Any) -> bytearray:
        """The value."""
        return bytearray(await self._carry_out(self._live().read_value(descriptor.obj)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write; with a response, an error of the sensor is raised."""
        await self._carry_out(self._live().write_value(characteristic.obj, bytes(data), response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write with a response."""
        await self._carry_out(self._live().write_value(descriptor.obj, bytes(data), True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_options: Any
    ) -> None:
        """Notifications, or indications where there are only those."""
        if not {"notify", "indicate"} & set(characteristic.properties):
            raise BleakError(f"characteristic {characteristic.uuid} can neither notify nor indicate")

        def hear(value: bytes) -> None:
            callback(bytearray(value))

        await self._carry_out(self._live().subscribe(characteristic.obj, hear))
        self._heard[characteristic.handle] = hear

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """No more of them."""
        hear = self._heard.pop(characteristic.handle, None)
        if hear is None:
            raise BleakError(f"notifications of {characteristic.uuid} are not on")
        await self._carry_out(self._live().unsubscribe(characteristic.obj, hear))


def client_class(adapter: HciAdapter) -> type[BaseBleakClient]:
    """What to pass to BleakClient as `backend`."""
    return type("HciClientOnAdapter", (HciClient,), {"adapter": adapter})
