"""One controller on an HCI transport, shared by all scanners and clients: opened when used, and again when lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason
from bumble.core import BaseBumbleError
from bumble.device import Device, DeviceConfiguration
from bumble.transport import open_transport

from posturewatch.radio.cancelling import heeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bumble.device import Advertisement
    from bumble.transport.common import Transport

log = logging.getLogger(__name__)
logging.getLogger("bumble").setLevel(logging.CRITICAL)  # it reports each packet that arrives after a link's end

OPEN_S = 5.0  # a controller answers at once
CLOSE_S = 1.0
RETRY_S = 0.5  # how soon a controller that was pulled is tried again for the scans that wait for it


class Listener(Protocol):
    """A scanner that runs."""

    is_active: bool

    def hear(self, advertisement: Advertisement) -> None:
        """Take one advertisement, with its scan response if there is one."""
        ...


class HciAdapter:
    """Bumble's host on a controller that may come and go."""

    def __init__(self, transport: str, connect: Callable[[], Awaitable[Transport]] | None = None) -> None:
        """`transport` as Bumble writes it; `connect` replaces opening it."""
        self.transport = transport
        self.connecting = asyncio.Lock()  # a controller makes one connection at a time
        self._connect = connect or (lambda: open_transport(transport))
        self._device: Device | None = None
        self._open: Transport | None = None
        self._opening = asyncio.Lock()
        self._listeners: set[Listener] = set()
        self._scan_mode: bool | None = None  # whether it asks for scan responses; None: no scan
        self._scanning = asyncio.Lock()
        self._returning: asyncio.Task[None] | None = None

    async def device(self) -> Device:
        """The host, powered on; BleakBluetoothNotAvailableError where no controller is."""
        async with self._opening:
            if self._device is None:
                self._device = await self._power_on()
            return self._device

    async def aclose(self) -> None:
        """Switch it off."""
        self._listeners.clear()
        if self._returning is not None:
            self._returning.cancel()
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(BaseBumbleError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    for connection in list(device.connections.values()):
                        await connection.disconnect()
                    await device.power_off()
        await self._hang_up()

    # ------------------------------------------------------------ scanning

    async def add(self, listener: Listener) -> None:
        """Scan for this one, too."""
        await self.device()
        self._listeners.add(listener)
        try:
            await self._scan_as_wanted()
        except BaseException:
            self._listeners.discard(listener)
            raise

    async def remove(self, listener: Listener) -> None:
        """Scan for it no more; a controller that is gone does not scan anyway."""
        self._listeners.discard(listener)
        with contextlib.suppress(BleakBluetoothNotAvailableError):
            await self._scan_as_wanted()

    def drop(self) -> None:
        """It does not answer any more: take it for pulled, so that it is opened anew."""
        if self._device is not None:
            self._lost(self._device)

    async def _scan_as_wanted(self) -> None:
        async with self._scanning:
            wanted = any(listener.is_active for listener in self._listeners) if self._listeners else None
            device = self._device
            if device is None or wanted == self._scan_mode:
                return
            try:
                with translated(f"radio {self.transport}"):
                    async with asyncio.timeout(OPEN_S):
                        await self._switch_scan(device, wanted)
            except BleakBluetoothNotAvailableError:
                self.drop()
                raise

    async def _switch_scan(self, device: Device, wanted: bool | None) -> None:
        if self._scan_mode is not None:
            await device.stop_scanning()
        if wanted is not None:
            await device.start_scanning(active=wanted, filter_duplicates=False)
        self._scan_mode = wanted

    def _hear(self, advertisement: Advertisement) -> None:
        for listener in list(self._listeners):
            listener.hear(advertisement)

    # ------------------------------------------------------------ coming and going

    async def _power_on(self) -> Device:
        with translated(f"radio {self.transport}"):
            async with asyncio.timeout(OPEN_S):
                self._open = await self._connect()
                try:
                    device = await self._start(self._open)
                except BaseException:
                    await self._hang_up()
                    raise
        self._open.source.terminated.add_done_callback(lambda _: self._lost(device))
        log.info("radio %s is there", self.transport)
        return device

    async def _start(self, transport: Transport) -> Device:
        """No address is configured: a random one is drawn, so that two of us can share the air."""
        device = Device.from_config_with_hci(
            DeviceConfiguration(name="posturewatch", keystore=None), transport.source, transport.sink
        )
        device.on(Device.EVENT_ADVERTISEMENT, self._hear)
        await device.power_on()
        return device

    def _lost(self, device: Device) -> None:
        """The controller was pulled: its host has told all connections already."""
        if self._device is not device:
            return
        log.warning("radio %s is gone", self.transport)
        self._device, self._scan_mode = None, None
        self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        """Scans that run go on as soon as the controller is back; others open it by themselves."""
        await self._hang_up()
        while self._listeners:
            await asyncio.sleep(RETRY_S)
            with contextlib.suppress(BleakBluetoothNotAvailableError):
                await self.device()
                await self._scan_as_wanted()
                return

    async def _hang_up(self) -> None:
        transport, self._open = self._open, None
        if transport is None:
            return
        with contextlib.suppress(BaseBumbleError, OSError):
            await transport.close()
        stream = getattr(transport.sink, "transport", None)
        if isinstance(stream, asyncio.WriteTransport):
            stream.abort()  # closing would wait for one that does not read


@contextlib.contextmanager
def translated(what: str) -> Any:
    """Every way in which a controller can be absent, as the library says it."""
    try:
        with heeded():
            yield
    except TimeoutError as error:  # an OSError, too
        raise BleakBluetoothNotAvailableError(
            f"{what} does not answer", BleakBluetoothNotAvailableReason.UNKNOWN
        ) from error
    except (OSError, BaseBumbleError, asyncio.InvalidStateError) as error:
        raise BleakBluetoothNotAvailableError(
            f"{what} cannot be reached: {getattr(error, 'strerror', None) or error}",
            BleakBluetoothNotAvailableReason.NO_BLUETOOTH,
        ) from error
