"""Keeps one connected sensor streaming: finds it, connects, listens, notices its silence, and begins again."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, NoReturn, cast

from posturewatch.drivers import BATTERY, Advert, GattDriver, Silence
from posturewatch.errors import CharacteristicMissing, DecodeError, RadioUnavailable, SensorRefused, SourceError
from posturewatch.sources.ble.adapter import is_paired
from posturewatch.sources.ble.connection import Connection, Notified
from posturewatch.sources.ble.errors import OutOfSlots, SensorLost, SensorNotFound, hint_at_cache
from posturewatch.sources.ble.patience import Patience
from posturewatch.sources.ble.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bleak.backends.device import BLEDevice

    from posturewatch.drivers.bound import BoundSensor
    from posturewatch.sources.ble.adapter import Adapter
    from posturewatch.sources.ble.ears import Ears, Heard
    from posturewatch.sources.ble.stream import SensorStream

log = logging.getLogger(__name__)

SEARCH_S = 20.0  # so long unheard, it is told as missing, and looked for among what is connected
NAMESAKES_S = 1.0  # so long a second sensor of the same name is waited for
FIRST_PACKET_S = 10.0  # some need a moment to begin
SILENT_LEAST_S = 3.0
SILENT_PACKETS = 5.0  # so many are missing before it counts as silence
SILENT_READS = 2.0
ATT_HEADER_BYTES = 3  # of a notification
REFUSED_S = 15.0  # who refuses once will again for a while
CONNECTIONS_FULL_S = 4.0  # a slot is not free at once after a disconnect


class Supervisor:
    """One sensor."""

    def __init__(  # noqa: PLR0913  # all that it works with
        self,
        sensor: BoundSensor,
        adapter: Adapter,
        ears: Ears,
        stream: SensorStream,
        now_ns: Callable[[], int],
        is_off_body: Callable[[], bool],
    ) -> None:
        """`stream` takes what is heard; `is_off_body` is what the detector makes of it."""
        self._sensor = sensor
        self._adapter = adapter
        self._ears = ears
        self._stream = stream
        self._now_ns = now_ns
        self._patience = Patience()
        self._rest = Rest(is_off_body) if sensor.family.capabilities.switches_off_unworn else None
        self._connections = 0
        self._said = ""
        self._is_seen_anew = False  # the system was made to forget it since it last streamed
        self._device_names: tuple[str | None, ...] = ()

    async def run(self) -> None:
        """Stream until cancelled."""
        while True:
            try:
                await self._stream_once()
            except SourceError as error:
                self._miss(error)
                await self._patience.pause(least_pause_s(error))
            else:
                await self._lie_aside()

    def _miss(self, error: SourceError) -> None:
        self._stream.lose(str(error))
        self._ears.doubt()  # with an adapter that was pulled out a scan dies unheard
        self._say(error)

    async def _lie_aside(self) -> None:
        log.info("sensor %s: laid aside; its stream is stopped to spare its battery, until it is worn", self._sensor.id)
        self._stream.rest()
        if self._rest is not None:
            await self._rest.until_worn(self._ears, self._sensor.is_meant)

    async def _stream_once(self) -> None:
        """One connection, until it is lost, or the sensor was laid aside."""
        device = await self._find()
        self._device_names = (device.address, device.name)
        connection = Connection(self._sensor.id, device, self._adapter, self._now_ns)
        driver = cast("GattDriver", self._sensor.family.create(self._sensor.options))
        try:
            await connection.open()
            self._stream.begin()
            try:
                await connection.carry_out(driver.start(connection.offered))
            except CharacteristicMissing as error:
                await self._doubt_memory(error, connection, device)
            except SensorRefused as error:
                raise self._with_hint(error, connection.room_bytes) from error
            await self._follow(connection, driver)
        finally:
            await connection.leave(driver.stop())

    async def _doubt_memory(self, error: CharacteristicMissing, connection: Connection, device: BLEDevice) -> NoReturn:
        """BlueZ looks at a sensor once and remembers what it saw: what new firmware brings stays unseen.

        So it has to forget the sensor and look anew, once.  Its pairing would be forgotten, too: that is left alone.
        """
        if not self._adapter.radio.is_bluez or self._is_seen_anew:
            raise error
        if is_paired(device):
            raise hint_at_cache(error) from error
        self._is_seen_anew = True
        await connection.forget()
        raise SensorLost(f"{error}; perhaps BlueZ remembers its former firmware: looking anew") from error

    def _with_hint(self, error: SensorRefused, room_bytes: int) -> SensorRefused:
        """Short packets are behind many a strange refusal; what the system says of them may be wrong, though."""
        needed_bytes = self._sensor.family.capabilities.min_mtu - ATT_HEADER_BYTES
        if not 0 < room_bytes < needed_bytes:
            return error
        return SensorRefused(
            f"{error}; perhaps since the link carries packets of {room_bytes} bytes only (a small MTU) and it needs "
            f"{needed_bytes}: try another adapter, or a newer BlueZ"
        )

    # ------------------------------------------------------------ finding

    async def _find(self) -> BLEDevice:
        """The sensor: connected still from before, or heard.

        It is listened for without a pause, so that one that was away for hours is met at its first advertisement.
        """
        while (device := await self._find_connected() or await self._listen()) is None:
            self._miss(self._ears.trouble or self._missing())
            self._patience.renew()
        return device

    async def _find_connected(self) -> BLEDevice | None:
        connected = await self._adapter.find_connected()
        for device in connected:
            if self._sensor.is_meant(Advert(device.address, device.name, None)):
                log.info("sensor %s: taking over its connection, which outlived a daemon", self._sensor.id)
                return device
        return None

    async def _listen(self) -> BLEDevice | None:
        """Who is heard, if it is in time."""
        found: dict[str, Heard] = {}
        first = asyncio.Event()

        def hear(heard: Heard) -> None:
            if self._sensor.is_meant(heard.advert):
                found[heard.device.address] = heard
                first.set()

        with self._ears.listening(hear, is_missing=True):
            try:
                async with asyncio.timeout(SEARCH_S):
                    await first.wait()
            except TimeoutError:
                return None
            if self._sensor.is_named:
                await asyncio.sleep(NAMESAKES_S)
        if len(found) > 1:
            raise SensorRefused(
                f"sensor {self._sensor.id}: {len(found)} sensors here are called {self._sensor.name!r}: "
                f"name one by its address, {' or '.join(sorted(found))}"
            )
        heard = next(iter(found.values()))
        self._stream.health.rssi_dbm = heard.advert.rssi_dbm
        return heard.device

    def _missing(self) -> SensorNotFound:
        held = (
            "; a phone or another program may hold it, then nobody else sees it"
            if self._sensor.family.capabilities.is_exclusive
            else ""
        )
        return SensorNotFound(
            f"sensor {self._sensor.id}: not heard for {SEARCH_S:.0f} s: is it on, worn, charged and near{held}"
        )

    # ------------------------------------------------------------ streaming

    async def _follow(self, connection: Connection, driver: GattDriver) -> None:
        """Hear it out, until it was laid aside; raises when it is lost."""
        loop = asyncio.get_running_loop()
        wanted = self._sensor.family.capabilities
        is_held = wanted.silence is Silence.HOLD
        heard_s, limit_s, has_begun = loop.time(), FIRST_PACKET_S, False
        read_s = -math.inf if is_held else heard_s  # one that lies still says nothing before it is asked
        while not (has_begun and self._rest is not None and self._rest.is_due()):
            items = await connection.hear()
            understood = self._decode(driver, items)
            now_s = loop.time()
            heard_s = max(heard_s, connection.heard_s)
            if connection.is_lost:
                raise SensorLost(f"sensor {self._sensor.id}: the connection was lost")
            if wanted.read_every_s is not None and now_s - read_s >= wanted.read_every_s:
                read_s = now_s
                answers = await connection.carry_out(driver.keep_alive())
                told = self._decode(driver, answers)
                is_held = is_held and any(answer.char != BATTERY for answer in answers)  # else only its stream tells
                if is_held:
                    understood, heard_s = understood or told, loop.time()
                limit_s = self._silent_s(is_held) if has_begun else limit_s
            if understood and not has_begun:
                limit_s, has_begun = self._silent_s(is_held), True
                self._begun()
            if now_s - heard_s > limit_s:
                raise SensorLost(f"sensor {self._sensor.id}: connected, but silent for {now_s - heard_s:.0f} s")

    def _decode(self, driver: GattDriver, items: list[Notified]) -> bool:
        """Whether any of them was a packet of the sensor."""
        understood = False
        for item in items:
            try:
                packet = driver.decode(item.char, item.payload)
            except DecodeError as error:
                self._keep(item, is_bad=True)
                self._stream.undecodable(error)
                continue
            self._keep(item, is_bad=False)
            if packet is not None:
                understood = True
                self._stream.take(packet, item.arrived_ns)
        return understood

    def _keep(self, item: Notified, *, is_bad: bool) -> None:
        names = (self._sensor.address, self._sensor.name, *self._device_names)
        self._stream.keep([(item.char.uuid, item.payload)], item.arrived_ns, names, is_bad=is_bad)

    def _silent_s(self, is_held: bool) -> float:
        """How long silence is normal."""
        wanted = self._sensor.family.capabilities
        if is_held and wanted.read_every_s is not None:
            return SILENT_READS * wanted.read_every_s
        return max(SILENT_LEAST_S, SILENT_PACKETS * wanted.expected_every_s)

    def _begun(self) -> None:
        self._patience.start()
        self._connections += 1
        self._stream.health.reconnects = self._connections - 1
        self._said, self._is_seen_anew = "", False
        log.info("sensor %s: streaming", self._sensor.id)

    def _say(self, error: SourceError) -> None:
        """On change only: a sensor may be away for days."""
        who = f"sensor {self._sensor.id}: "
        text = f"{who}{str(error).removeprefix(who)}"
        if text != self._said:
            self._said = text
            log.warning("%s; trying again", text)


def least_pause_s(error: SourceError) -> float:
    """How long whoever failed so should be left alone at least."""
    if isinstance(error, OutOfSlots):
        return CONNECTIONS_FULL_S
    if isinstance(error, RadioUnavailable):
        return 0.5
    return 0.0 if error.retry else REFUSED_S
