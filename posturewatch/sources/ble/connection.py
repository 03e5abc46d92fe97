"""One connection to one sensor, from connect to disconnect.  Callbacks only put away; who follows it takes it out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bleak import BleakClient

from posturewatch.drivers import Ask, Characteristic, Offered, Pause, Read, Subscribe, Unsubscribe, Write
from posturewatch.errors import CharacteristicMissing, SourceError
from posturewatch.sources.ble.errors import FOREIGN, SensorLost, translate
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice

    from posturewatch.drivers import Request, Steps
    from posturewatch.sources.ble.adapter import Adapter

log = logging.getLogger(__name__)

CONNECT_S = 20.0
STEP_S = 6.0  # BlueZ itself gives up on a step after a while; a sensor answers within one second
DISCONNECT_S = 15.0
STOP_S = 4.0  # to tell the sensor goodbye
LEAVE_S = 4.0  # BlueZ takes up to 2.7 s
BEAT_S = 1.1  # how often a silent connection is looked at, and the longest that anything waits to be handed over
GATHER_S = 0.05  # a sensor with a packet for each sample wakes us this often, not each time
LATE_NS = 100_000_000  # a packet that comes this early in a second may hold samples of the second before only
WAITING = 500  # notifications: ten seconds of the busiest sensor


@dataclass(frozen=True, slots=True)
class Notified:
    """One notification, or the answer of a read, with its moment."""

    char: Characteristic
    payload: bytes
    arrived_ns: int


class Connection:
    """Made for one connection and never used again: a used client repeats what it hears."""

    def __init__(self, sensor: str, device: BLEDevice, adapter: Adapter, now_ns: Callable[[], int]) -> None:
        """Nothing happens before `open`."""
        self._sensor = sensor
        self._adapter = adapter
        self._now_ns = now_ns
        self._client = BleakClient(
            device,
            disconnected_callback=self._on_lost,
            timeout=CONNECT_S,
            **adapter.radio.client_arguments,
        )
        self._chars: dict[Characteristic, BleakGATTCharacteristic] = {}
        self._heard: deque[Notified] = deque(maxlen=WAITING)
        self._woken = asyncio.Event()
        self._is_gathering = False
        self._second = -1  # the second whose packets need not be handed over at once
        self._handed_s = 0.0  # when something heard was last handed over, of the loop's clock
        self._notified_s = 0.0
        self.heard_s = 0.0  # when the last of what was handed over was heard, of the loop's clock
        self.is_lost = False

    @property
    def offered(self) -> Offered:
        """What the sensor has."""
        return Offered(frozenset(self._chars))

    @property
    def room_bytes(self) -> int:
        """How long a packet may be, as far as the system tells."""
        return max((char.max_write_without_response_size for char in self._chars.values()), default=0)

    async def open(self) -> None:
        """Connect, one at a time on this adapter, and look what is there."""
        async with self._adapter.lock:
            await self._bounded(self._client.connect(), CONNECT_S + STEP_S)
        for service in self._client.services:
            for char in service.characteristics:
                self._chars.setdefault(Characteristic(service.uuid.lower(), char.uuid.lower()), char)

    async def leave(self, stop: Steps) -> None:
        """Stop the stream, so that the sensor does not run down, and disconnect whatever happened before."""
        try:
            if not self.is_lost:
                async with asyncio.timeout(STOP_S):
                    await self.carry_out(stop, unless_lost=True)
        except (SourceError, TimeoutError) as error:
            log.debug("sensor %s: stop: %s", self._sensor, error)
        finally:
            await self.close()

    async def close(self) -> None:
        """Disconnect, also from what is lost already: the library keeps listening else.  Bounded, never fails."""
        task = asyncio.current_task()
        is_leaving = task is not None and task.cancelling() > 0  # the daemon ends: nobody waits that long for it
        try:
            async with asyncio.timeout(LEAVE_S if is_leaving else DISCONNECT_S):
                await self._client.disconnect()
        except FOREIGN as error:
            log.debug("sensor %s: disconnect: %r", self._sensor, error)
        self._heard.clear()

    async def forget(self) -> None:
        """Let the system forget what it remembers of the sensor; this ends the connection."""
        await self._bounded(self._client.unpair())

    async def carry_out(self, steps: Steps, *, unless_lost: bool = False) -> list[Notified]:
        """Do what a driver asks for, one step after the other; gives what its reads were answered."""
        read: list[Notified] = []
        request = next(steps, None)
        while request is not None and not (unless_lost and self.is_lost):
            try:
                answer = await self._perform(request)
                if isinstance(request, Read):
                    read.append(Notified(request.char, answer, self._now_ns()))
                request = steps.send(answer)
            except StopIteration:
                break
            except SourceError as error:
                request = _fail(steps, error)
        steps.close()
        return read

    async def wait(self) -> None:
        """Until something was heard, the connection was lost, or a beat passed."""
        beat = asyncio.get_running_loop().call_later(BEAT_S, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            beat.cancel()
        self._woken.clear()

    async def hear(self) -> list[Notified]:
        """What was heard, as soon as it may close a second; nothing now and then.

        Samples are used second by second, and to be woken costs more than to decode: so what belongs to a second that
        goes on waits for the first packet after it.  Packets that come in quick succession are taken together.
        """
        if not self.is_lost and not any(self._is_due(item.arrived_ns) for item in self._heard):
            self._woken.clear()
            self._is_gathering = True
            try:
                await self.wait()
            finally:
                self._is_gathering = False
        loop = asyncio.get_running_loop()
        if self._heard and not self.is_lost and (early_s := self._handed_s + GATHER_S - loop.time()) > 0.0:
            await asyncio.sleep(early_s)
        self._woken.clear()
        if self._heard:
            self._handed_s, self.heard_s = loop.time(), self._notified_s
            self._second = (self._heard[-1].arrived_ns - LATE_NS) // NS_PER_S
        return self.take()

    def _is_due(self, arrived_ns: int) -> bool:
        """Whether a packet that arrived then may be the one that closes a second."""
        return arrived_ns // NS_PER_S != self._second

    def take(self) -> list[Notified]:
        """All that was heard since the last time."""
        heard = list(self._heard)
        self._heard.clear()
        return heard

    # ------------------------------------------------------------ steps

    async def _perform(self, request: Request) -> bytes:
        client = self._client
        match request:
            case Read(char):
                return bytes(await self._bounded(client.read_gatt_char(self._find(char))))
            case Write(char, data, response):
                await self._bounded(client.write_gatt_char(self._find(char), data, response=response))
            case Subscribe(char):
                hear = partial(self._on_notified, char)
                arguments = self._adapter.radio.notify_arguments
                await self._bounded(client.start_notify(self._find(char), hear, **arguments))
            case Unsubscribe(char):
                await self._bounded(client.stop_notify(self._find(char)))
            case Ask():
                return await self._ask(request)
            case Pause(seconds):
                await asyncio.sleep(seconds)
        return b""

    async def _ask(self, request: Ask) -> bytes:
        """Write, and wait for the answer; what else comes meanwhile is kept."""
        kept = self.take()
        char = self._find(request.write_to)
        await self._bounded(self._client.write_gatt_char(char, request.data, response=request.response))
        try:
            async with asyncio.timeout(request.timeout_s):
                while True:
                    found: bytes | None = None
                    for item in self.take():
                        if found is None and item.char == request.answer_on and request.is_answer(item.payload):
                            found = item.payload
                            if not request.is_decoded:
                                continue
                        kept.append(item)
                    if found is not None:
                        return found
                    if self.is_lost:
                        raise SensorLost(f"sensor {self._sensor}: the connection was lost")
                    await self.wait()
        except TimeoutError:
            raise SensorLost(f"sensor {self._sensor}: no answer within {request.timeout_s:g} s") from None
        finally:
            self._heard.extendleft(reversed(kept))

    def _find(self, char: Characteristic) -> BleakGATTCharacteristic:
        found = self._chars.get(char)
        if found is None:
            raise CharacteristicMissing(
                f"sensor {self._sensor}: it has no characteristic {char.uuid}: is it the right family, and its "
                "firmware new?"
            )
        return found

    async def _bounded(self, step: Awaitable[Any], limit_s: float = STEP_S) -> Any:
        try:
            async with asyncio.timeout(limit_s):
                return await step
        except FOREIGN as error:
            if self.is_lost:
                raise SensorLost(f"sensor {self._sensor}: the connection was lost") from error
            raise translate(error, self._sensor) from error

    # ------------------------------------------------------------ callbacks

    def _on_notified(self, char: Characteristic, _: BleakGATTCharacteristic, payload: bytearray) -> None:
        arrived_ns = self._now_ns()
        self._heard.append(Notified(char, bytes(payload), arrived_ns))
        self._notified_s = asyncio.get_running_loop().time()
        if not self._is_gathering or self._is_due(arrived_ns):
            self._woken.set()

    def _on_lost(self, _: BleakClient) -> None:
        self.is_lost = True
        self._woken.set()


def _fail(steps: Steps, error: SourceError) -> Request | None:
    """Tell the driver; it may live with a step that failed, else the error goes on to who asked for the steps."""
    try:
        return steps.throw(error)
    except StopIteration:
        return None
