"""Sensors that are connected to: GATT services, notifications, a battery, and packets at their pace."""

from __future__ import annotations

import abc
import asyncio
import copy
import struct
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from bumble.att import ATT_Error, Attribute, AttributeValue
from bumble.core import UUID
from bumble.gatt import Characteristic, CharacteristicDeclaration, Service

from posturewatch_sim.peripherals.virtual import VirtualSensor

if TYPE_CHECKING:
    from bumble.device import Connection

    from posturewatch_sim.air import Air
    from posturewatch_sim.noise import Floats
    from posturewatch_sim.peripherals.virtual import Given

Properties = Characteristic.Properties
READ, WRITE, NOTIFY, INDICATE = Properties.READ, Properties.WRITE, Properties.NOTIFY, Properties.INDICATE
WRITE_WITHOUT_RESPONSE = Properties.WRITE_WITHOUT_RESPONSE
READ_NOT_PERMITTED, WRITE_NOT_PERMITTED = 0x02, 0x03  # ATT errors (Core Specification, vol. 3, part F, 3.4.1.1)
UNLIKELY_ERROR, INVALID_LENGTH = 0x0E, 0x0D
INSUFFICIENT_AUTHENTICATION = 0x05
BATTERY_SERVICE, BATTERY_LEVEL = 0x180F, 0x2A19
DEVICE_INFORMATION, MANUFACTURER_NAME, SERIAL_NUMBER = 0x180A, 0x2A29, 0x2A25
UNITS_PER_G = 100_000.0  # 10 µg
LATE_S = 2.0  # so late, a packet is not made up for


def uuid(value: int | str) -> UUID:
    """Of 16 bits as a number, of 128 as text."""
    return UUID.from_16_bits(value) if isinstance(value, int) else UUID(value)


def characteristic(
    which: int | str,
    properties: Properties,
    *,
    read: Callable[[], bytes] | None = None,
    write: Callable[[bytes], None] | None = None,
) -> Characteristic[bytes]:
    """One that keeps to its properties, which Bumble's server leaves to the values."""

    def on_read(_: Connection) -> bytes:
        if read is None or not properties & READ:
            raise ATT_Error(READ_NOT_PERMITTED)
        return read()

    def on_write(_: Connection, value: bytes) -> None:
        if write is None or not properties & (WRITE | WRITE_WITHOUT_RESPONSE):
            raise ATT_Error(WRITE_NOT_PERMITTED)
        write(bytes(value))

    permissions = Attribute.Permissions.READABLE | Attribute.Permissions.WRITEABLE
    return Characteristic(uuid(which), properties, permissions, AttributeValue(on_read, on_write))


def _as_before(attribute: Attribute[Any]) -> Attribute[Any]:
    """The same at its place, with another UUID if it belongs to a characteristic."""
    if not isinstance(attribute, CharacteristicDeclaration | Characteristic):
        return attribute
    whose = attribute.characteristic if isinstance(attribute, CharacteristicDeclaration) else attribute
    known = whose.uuid.to_pdu_bytes()
    other = bytes((known[0] ^ 0x80,)) + known[1:]
    before = copy.copy(attribute)
    if isinstance(attribute, CharacteristicDeclaration):
        before.value = struct.pack("<BH", whose.properties, attribute.value_handle) + other
    else:
        before.type = UUID.from_bytes(other)
    return before


class ConnectedSensor(VirtualSensor):
    """A GATT server that streams."""

    packet_s: ClassVar[float] = 0.1  # how often it looks whether there is something to send
    has_battery_service: ClassVar[bool] = True
    company_name: ClassVar[str] = "posturewatch simulator"

    def __init__(self, given: Given, air: Air) -> None:
        super().__init__(given, air)
        self._jobs: set[asyncio.Task[None]] = set()
        self.period_s = self.packet_s
        self.battery = characteristic(BATTERY_LEVEL, READ | NOTIFY, read=lambda: bytes((self.battery_pct,)))
        services = self.services()
        self._own = {service.uuid for service in services}
        if self.has_battery_service:
            services.append(Service(uuid(BATTERY_SERVICE), [self.battery]))
        services.append(self._information())
        self.device.add_services(services)
        self._attributes = list(self.device.gatt_server.attributes)
        for service in services:
            for char in service.characteristics:
                char.on(char.EVENT_SUBSCRIPTION, self._subscription(char))
        self.device.on(self.device.EVENT_CONNECTION, self._connected)

    # ------------------------------------------------------------ what a kind says

    @abc.abstractmethod
    def services(self) -> list[Service]:
        """Its own services."""

    @property
    @abc.abstractmethod
    def data(self) -> Characteristic[bytes]:
        """Where samples are notified."""

    @property
    def is_streaming(self) -> bool:
        """Whether it measures and sends; most do as soon as somebody listens."""
        return not self.is_stopped and self.has_listener(self.data)

    @abc.abstractmethod
    def payloads(self, t_s: Floats, acc_g: Floats) -> list[bytes]:
        """Packets of the samples since the last call, `[n, 3]`; a kind that fills packets keeps the rest for later."""

    def begin(self) -> None:
        """Streaming starts: nothing is kept from before."""

    # ------------------------------------------------------------ streaming

    async def stream(self) -> None:
        """Samples in, packets out, at absolute moments so that errors do not add up."""
        at_s = told_s = self.clock.now_s()
        was_streaming = False
        while True:
            at_s += self.period_s
            await self.clock.sleep_until(at_s)
            if self.clock.now_s() - at_s > LATE_S * self.clock.speed:
                at_s = self.clock.now_s()
            if not self.is_streaming:
                told_s, was_streaming = at_s, False
                continue
            if not was_streaming:
                self.begin()
                was_streaming = True
            self.worn.prepare(at_s, self.given.number)
            t_s, acc = self.worn.readings(told_s, at_s)
            told_s = at_s
            for payload in self.payloads(t_s, self.measured(np.asarray(acc / UNITS_PER_G))):
                await self.send(payload)

    async def send(self, payload: bytes) -> None:
        """Notify one packet, unless a fault eats it."""
        if self.is_mute or self.is_dropped():
            return
        self.packets += 1
        for arriving in self.disturbed(payload):
            await self.notify(self.data, arriving)

    async def notify(self, char: Characteristic[bytes], value: bytes) -> None:
        """To everybody who subscribed."""
        for connection in list(self.device.connections.values()):
            await self.device.gatt_server.notify_subscriber(connection, char, value)

    def has_listener(self, char: Characteristic[bytes]) -> bool:
        """Whether somebody subscribed."""
        tables = self.device.gatt_server.subscribers.values()
        return any(any(table.get(char.handle, b"")) for table in tables)

    @property
    def room_bytes(self) -> int:
        """What fits into a notification."""
        mtus = [connection.att_mtu for connection in self.device.connections.values()]
        return min(mtus, default=23) - 3

    # ------------------------------------------------------------ what can be done to it

    async def stop(self) -> None:
        """Nothing is finished that was under way."""
        for job in self._jobs:
            job.cancel()
        await super().stop()

    async def flash(self, *, former: bool) -> None:
        """Another firmware: with the former one the characteristics of its own services had other UUIDs.

        Where they lie is the same, so that only who looks at each of them can see it.
        """
        server = self.device.gatt_server
        own = [range(each.handle, each.end_group_handle + 1) for each in server.services if each.uuid in self._own]
        server.attributes = [
            _as_before(each) if former and any(each.handle in handles for handles in own) else each
            for each in self._attributes
        ]
        server.attributes_by_handle.clear()
        await self.reboot()

    async def set_battery(self, pct: int) -> None:
        """Listeners are told."""
        await super().set_battery(pct)
        await self.notify(self.battery, bytes((pct,)))

    def counts(self) -> dict[str, Any]:
        """And whether it streams."""
        return {**super().counts(), "streaming": self.is_streaming}

    # ------------------------------------------------------------ plumbing

    def soon(self, job: Coroutine[Any, Any, None]) -> None:
        """Do it after what is going on now."""
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    def _information(self) -> Service:
        texts = {MANUFACTURER_NAME: self.company_name, SERIAL_NUMBER: self.serial}
        return Service(
            uuid(DEVICE_INFORMATION), [characteristic(which, READ, read=text.encode) for which, text in texts.items()]
        )

    def _subscription(self, char: Characteristic[bytes]) -> Callable[[Any, bool, bool], None]:
        def on_change(_bearer: Any, notifies: bool, indicates: bool) -> None:
            event = "subscribed" if notifies or indicates else "unsubscribed"
            self.given.say(event, device=self.given.id, characteristic=str(char.uuid.to_hex_str("-")).lower())

        return on_change

    def _connected(self, connection: Connection) -> None:
        self.given.say("connected", device=self.given.id)
        connection.on(connection.EVENT_DISCONNECTION, self._disconnected)

    def _disconnected(self, reason: int) -> None:
        self.given.say("disconnected", device=self.given.id, reason=reason)
        if not self.is_held:
            self.soon(self.show())
