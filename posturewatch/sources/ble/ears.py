"""One scanner for everybody: sensors that only advertise are heard with it, connected ones are found with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bleak import BleakScanner

from posturewatch.drivers import Advert
from posturewatch.sources.ble.errors import FOREIGN, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from posturewatch.errors import SourceError
    from posturewatch.sources.ble.adapter import Adapter

log = logging.getLogger(__name__)

START_S = 10.0
STOP_S = 5.0
DEAF_S = 90.0  # no advertisement at all in this time: the scan is dead, though nobody says so
DOUBTED_DEAF_S = 4.0  # the same when a sensor is missed as well; twice as long after each scan that heard nobody
LOOK_S = 1.0
LINGER_S = 1.0  # who listens again at once finds the scan still running
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 2.0  # an adapter that is back shall be used within seconds


@dataclass(frozen=True, slots=True)
class Heard:
    """One advertisement, and what to connect to."""

    advert: Advert
    device: BLEDevice


class Ears:
    """Scans while anybody listens."""

    def __init__(self, adapter: Adapter, *, active: bool = True) -> None:
        """`active`: ask for scan responses, which hold the names."""
        self._adapter = adapter
        self._mode: Literal["active", "passive"] = "active" if active else "passive"
        self._listeners: list[Callable[[Heard], None]] = []
        self._changed = asyncio.Event()
        self._heard_s = 0.0
        self._is_doubted = False
        self._missing = 0  # listeners that miss their sensor
        self._in_vain = 0  # scans in a row that heard nobody
        self._said = ""
        self._deaf_since = -1  # `heard`, when the silence around was told
        self.trouble: SourceError | None = None  # why there is no scan, if one is wanted
        self.heard = 0
        self.rebuilt = 0

    @contextlib.contextmanager
    def listening(self, hear: Callable[[Heard], None], *, is_missing: bool = False) -> Iterator[None]:
        """Call `hear` with each advertisement while the block runs; it must not wait.

        `is_missing`: for a sensor that should be there, so that a scan that hears nobody at all is doubted sooner.
        """
        self._listeners.append(hear)
        self._missing += is_missing
        self._changed.set()
        try:
            yield
        finally:
            self._listeners.remove(hear)
            self._missing -= is_missing
            self._changed.set()

    def doubt(self) -> None:
        """A sensor is missed: look sooner whether anything is heard at all."""
        self._is_doubted = True
        self._changed.set()

    async def run(self) -> None:
        """Scan when wanted, until cancelled; a scan that fails is tried again for ever."""
        delay_s = FIRST_RETRY_S
        while True:
            while not self._listeners:
                self._changed.clear()
                await self._changed.wait()
            began = self.heard
            try:
                await self._scan()
            except FOREIGN as error:
                self.trouble = translate(error)
                self._say(logging.WARNING, f"{self.trouble}; trying again")
                if self.heard > began:
                    delay_s = FIRST_RETRY_S
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, LONGEST_RETRY_S)
            else:
                delay_s = FIRST_RETRY_S

    async def _scan(self) -> None:
        """One scan, from start to stop; ends when nobody listens, or when it seems dead.

        BlueZ says nothing to a scan whose adapter is pulled or switched off, so that is looked for.
        """
        scanner = BleakScanner(self._hear, scanning_mode=self._mode, **self._adapter.radio.scanner_arguments)
        try:
            async with self._adapter.lock, asyncio.timeout(START_S):
                await scanner.start()
            self.trouble = None
            self._say(logging.INFO, "scanning for sensors")
            await self._until_needless()
        finally:
            await self._stop(scanner)

    async def _until_needless(self) -> None:
        loop = asyncio.get_running_loop()
        self._heard_s, self._is_doubted = loop.time(), False
        idle_s: float | None = None
        while True:
            now_s = loop.time()
            if now_s - self._heard_s >= self._deaf_s():
                self.rebuilt += 1
                self._in_vain += 1
                self._say_deaf(now_s - self._heard_s)
                return
            idle_s = None if self._listeners else (now_s if idle_s is None else idle_s)
            if idle_s is not None and now_s - idle_s >= LINGER_S:
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S if idle_s is not None else LOOK_S):
                    await self._changed.wait()
            await self._adapter.check()

    def _deaf_s(self) -> float:
        """How long nobody at all may be heard."""
        if not (self._is_doubted or self._missing):
            return DEAF_S
        return min(DOUBTED_DEAF_S * 2.0**self._in_vain, DEAF_S)

    async def _stop(self, scanner: BleakScanner) -> None:
        """A scan that the system ended already is no trouble."""
        try:
            async with asyncio.timeout(STOP_S):
                await scanner.stop()
        except FOREIGN as error:
            log.debug("scan: %r", error)

    def _hear(self, device: BLEDevice, data: AdvertisementData) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self._is_doubted, self._in_vain = False, 0
        self.heard += 1
        advert = Advert(
            address=device.address,
            name=data.local_name or device.name,
            rssi_dbm=data.rssi,
            manufacturer=data.manufacturer_data,
            service_data={uuid.lower(): content for uuid, content in data.service_data.items()},
            service_uuids=frozenset(uuid.lower() for uuid in data.service_uuids),
        )
        heard = Heard(advert, device)
        for hear in tuple(self._listeners):
            hear(heard)

    def _say_deaf(self, silent_s: float) -> None:
        """Once for each silence: a sensor may be away for days, and nobody else be near."""
        level = logging.DEBUG if self._deaf_since == self.heard else logging.WARNING
        self._deaf_since = self.heard
        log.log(level, "no advertisement of anybody in %.0f s: starting the scan anew", silent_s)

    def _say(self, level: int, text: str) -> None:
        """Log on change only."""
        if text != self._said:
            self._said = text
            log.log(level if level > logging.INFO else logging.DEBUG, "bluetooth: %s", text)
