"""Follows one sensor that only advertises: some of its advertisements are never heard, and that is no loss yet."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from posturewatch.drivers import AdvertDriver
from posturewatch.errors import DecodeError
from posturewatch.recording.sent_packets import advertised_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.drivers import Advert
    from posturewatch.drivers.bound import BoundSensor
    from posturewatch.sources.ble.ears import Ears, Heard
    from posturewatch.sources.ble.stream import SensorStream

log = logging.getLogger(__name__)

SILENT_LEAST_S = 10.0
SILENT_PACKETS = 6.0  # so many in a row are not missed by chance
SILENT_MOST_S = 60.0  # a sensor that is rarely heard gets so much patience; longer gaps end a held posture anyway
WAITING = 100


class Listener:
    """One sensor."""

    def __init__(self, sensor: BoundSensor, ears: Ears, stream: SensorStream, now_ns: Callable[[], int]) -> None:
        """`stream` takes what is heard."""
        self._sensor = sensor
        self._ears = ears
        self._stream = stream
        self._now_ns = now_ns
        self._driver = cast("AdvertDriver", sensor.family.create(sensor.options))
        self._heard: asyncio.Queue[tuple[Heard, int]] = asyncio.Queue(WAITING)
        self._bound: str | None = None  # the address that the name belongs to

    async def run(self) -> None:
        """Listen until cancelled."""
        limit_s = max(SILENT_LEAST_S, SILENT_PACKETS * self._sensor.family.capabilities.expected_every_s)
        loop = asyncio.get_running_loop()
        heard_s, is_lost = loop.time(), False
        with self._ears.listening(self._hear):
            while True:
                try:
                    async with asyncio.timeout(limit_s):
                        heard, arrived_ns = await self._heard.get()
                except TimeoutError:
                    self._miss(limit_s, is_lost)
                    is_lost = True
                    continue
                away_s, heard_s = loop.time() - heard_s, loop.time()
                if is_lost:
                    is_lost = False
                    if away_s < SILENT_MOST_S:  # it was there all the time, and only advertises more rarely
                        limit_s = min(1.5 * away_s, SILENT_MOST_S)
                    self._stream.begin()
                    self._stream.health.reconnects += 1
                    log.info("sensor %s: heard again", self._sensor.id)
                self._take(heard, arrived_ns)

    def _hear(self, heard: Heard) -> None:
        if self._sensor.is_meant(heard.advert) and not self._heard.full():
            self._heard.put_nowait((heard, self._now_ns()))

    def _miss(self, limit_s: float, is_lost: bool) -> None:
        self._ears.doubt()
        trouble = self._ears.trouble
        reason = str(trouble) if trouble is not None else f"not heard for {limit_s:.0f} s: is it near, and its battery?"
        self._stream.lose(reason)
        if not is_lost:
            log.warning("sensor %s: %s", self._sensor.id, reason)

    def _take(self, heard: Heard, arrived_ns: int) -> None:
        if self._is_namesake(heard):
            return
        health = self._stream.health
        health.rssi_dbm, health.heard_ns = heard.advert.rssi_dbm, arrived_ns
        try:
            packet = self._driver.decode(heard.advert)
        except DecodeError as error:
            self._keep(heard.advert, arrived_ns, is_bad=True)
            self._stream.undecodable(error)
            return
        self._keep(heard.advert, arrived_ns, is_bad=False)
        if packet is not None:
            self._stream.take(packet, arrived_ns)

    def _keep(self, advert: Advert, arrived_ns: int, *, is_bad: bool) -> None:
        sensor = self._sensor
        names = (sensor.address, sensor.name, advert.address, advert.name, sensor.family.identity(advert))
        parts = advertised_parts(advert.manufacturer, advert.service_data)
        self._stream.keep(parts, arrived_ns, names, is_bad=is_bad)

    def _is_namesake(self, heard: Heard) -> bool:
        """Another sensor with the name that was to tell ours: whose is whose, nobody knows."""
        if not self._sensor.is_named:
            return False
        address = heard.device.address
        self._bound = self._bound or address
        if address == self._bound:
            return False
        self._stream.fail(
            f"two sensors here are called {self._sensor.name!r}: name one by its address, {self._bound} or {address}"
        )
        return True
