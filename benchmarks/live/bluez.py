"""A stand-in for BlueZ with one Polar H10 on a private system bus, so that real bleak can be measured without a radio.

Only what bleak asks of it: the object tree, discovery, connect, read, write and notify.  The sensor answers as in
Polar's `online_measurement.pdf` (2024-08) and sends raw frames: 50 samples a second, ten a packet, 0.1 s after each
fifth of a wall-clock second, so that it is always plain which packet closes a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import shutil
import struct
import subprocess
import time
from typing import TYPE_CHECKING, Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

ADDRESS = "A0:9E:1A:00:00:01"
ADAPTER = "/org/bluez/hci0"
DEVICE = f"{ADAPTER}/dev_{ADDRESS.replace(':', '_')}"
SERVICE, CONTROL, DATA = f"{DEVICE}/service0010", f"{DEVICE}/service0010/char0011", f"{DEVICE}/service0010/char0014"
UUIDS = dict(
    zip((SERVICE, CONTROL, DATA), (f"fb005c{n}-02e7-f387-1cad-8acd2d8df0c8" for n in (80, 81, 82)), strict=True)
)
DEVICE1, CHAR1 = "org.bluez.Device1", "org.bluez.GattCharacteristic1"
FEATURES = bytes([0x0F, 0x05])  # heart and acceleration
SETTINGS = bytes.fromhex("00 04 1900 3200 6400 c800  01 01 1000  02 03 0200 0400 0800")  # rates, bits, ranges
GET_SETTINGS, START, ACC = 1, 2, 2
PACKET_NS, OFFSET_NS, SAMPLES = 200_000_000, 100_000_000, 10
SINCE_2000_NS = 946_684_800 * 1_000_000_000
ADVERT_S, RESOLVE_S = 0.1, 0.05
NOISE_MG = 3.0
SWAY_DEG, SWAY_S = 20.0, 8.0
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context="default">
<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy></busconfig>"""


class Bluez:
    """The service, its one adapter and its one sensor."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._objects = build_objects()
        self._notifying: set[str] = set()
        self._is_discovering = self._is_started = False
        self._rng = random.Random(1)
        self.sways = False
        self.streaming_s: float | None = None  # when the last client had its stream, of `perf_counter`
        self.sent_ns: list[int] = []  # when each packet went out

    def reset(self) -> None:
        """Whoever was connected is not any more."""
        self._is_discovering = self._is_started = False
        self._notifying.clear()
        self._change_device(Connected=False, ServicesResolved=False)
        self.streaming_s = None
        self.sent_ns.clear()

    async def run(self) -> None:
        """Advertise while somebody scans, send while somebody listens, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._advertise())
            group.create_task(self._stream())

    async def _advertise(self) -> None:
        while True:
            await asyncio.sleep(ADVERT_S)
            if self._is_discovering:
                self._change(DEVICE, DEVICE1, {"RSSI": Variant("n", self._rng.randint(-70, -50))})

    async def _stream(self) -> None:
        while True:
            now_ns = time.time_ns()
            due_ns = (now_ns - OFFSET_NS) // PACKET_NS * PACKET_NS + PACKET_NS + OFFSET_NS
            await asyncio.sleep((due_ns - now_ns) / 1e9)
            if self._is_started and DATA in self._notifying:
                frame = self._frame(due_ns)
                self.sent_ns.append(time.time_ns())
                self._change(DATA, CHAR1, {"Value": Variant("ay", frame)})

    def _frame(self, last_ns: int) -> bytes:
        """Ten samples, the last one at `last_ns`; a swaying wearer leans over and back, each lean a small movement."""
        leans = self.sways and last_ns / 1e9 % SWAY_S < SWAY_S / 2
        tilt = math.radians(SWAY_DEG) if leans else 0.0
        level = (1000 * math.sin(tilt), 0.0, 1000 * math.cos(tilt))
        triples = (round(axis + self._rng.gauss(0.0, NOISE_MG)) for _ in range(SAMPLES) for axis in level)
        return struct.pack(f"<BQB{3 * SAMPLES}h", ACC, last_ns - SINCE_2000_NS, 1, *triples)

    # ------------------------------------------------------------ D-Bus

    def answer(self, call: Message) -> Message | None:
        """One method call; what is not known here is left to the library to refuse."""
        if call.message_type is not MessageType.METHOD_CALL or call.path is None:
            return None
        match call.member:
            case "GetManagedObjects":
                return Message.new_method_return(call, "a{oa{sa{sv}}}", [self._objects])
            case "StartDiscovery" | "StopDiscovery":
                self._is_discovering = call.member == "StartDiscovery"
            case "Connect":
                self._change_device(Connected=True)
                asyncio.get_running_loop().call_later(RESOLVE_S, lambda: self._change_device(ServicesResolved=True))
            case "Disconnect":
                self.reset()
            case "StartNotify":
                self._notifying.add(call.path)
            case "StopNotify":
                self._notifying.discard(call.path)
            case "ReadValue":
                return Message.new_method_return(call, "ay", [FEATURES])
            case "WriteValue":
                self._control(bytes(call.body[0]))
            case "SetDiscoveryFilter":
                pass
            case _:
                return None
        return Message.new_method_return(call)

    def _control(self, request: bytes) -> None:
        """Polar's control point: every request is granted."""
        op, content = request[0], SETTINGS if request[0] == GET_SETTINGS else b""
        self._is_started = self._is_started if op == GET_SETTINGS else op == START
        if op == START:
            self.streaming_s = time.perf_counter()
        self._change(CONTROL, CHAR1, {"Value": Variant("ay", bytes([0xF0, *request[:2], 0, 0]) + content)})

    def _change_device(self, **properties: bool) -> None:
        values = {name: Variant("b", value) for name, value in properties.items()}
        self._objects[DEVICE][DEVICE1].update(values)
        self._change(DEVICE, DEVICE1, values)

    def _change(self, path: str, interface: str, values: dict[str, Variant]) -> None:
        self._bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface="org.freedesktop.DBus.Properties",
                member="PropertiesChanged",
                signature="sa{sv}as",
                body=[interface, values, []],
            )
        )


def build_objects() -> dict[str, dict[str, dict[str, Variant]]]:
    """The tree as bluetoothd shows it, as far as bleak reads it."""
    adapter = {"Address": "00:00:00:00:00:01", "Name": "bench", "Powered": True, "Discovering": False}
    name = "Polar H10 12345678"
    device = {"Address": ADDRESS, "AddressType": "public", "Name": name, "Alias": name}
    flags = dict.fromkeys(("Connected", "ServicesResolved", "Paired", "Bonded", "Trusted", "Blocked"), False)
    uuids = [UUIDS[SERVICE], "0000180d-0000-1000-8000-00805f9b34fb"]
    objects = {
        ADAPTER: {"org.bluez.Adapter1": _variants(adapter | {"Roles": ["central"]})},
        DEVICE: {DEVICE1: _variants(device | flags | {"UUIDs": uuids}) | {"Adapter": Variant("o", ADAPTER)}},
        SERVICE: {
            "org.bluez.GattService1": _variants({"UUID": UUIDS[SERVICE], "Primary": True})
            | {"Device": Variant("o", DEVICE), "Includes": Variant("ao", [])}
        },
    }
    for path, able in ((CONTROL, ["read", "write", "indicate"]), (DATA, ["notify"])):
        objects[path] = {
            CHAR1: _variants({"UUID": UUIDS[path], "Flags": able, "Notifying": False})
            | {"Service": Variant("o", SERVICE), "Value": Variant("ay", b""), "MTU": Variant("q", 247)}
        }
    return objects


def _variants(values: dict[str, Any]) -> dict[str, Variant]:
    signatures = {str: "s", bool: "b", list: "as"}
    return {name: Variant(signatures[type(value)], value) for name, value in values.items()}


@contextlib.contextmanager
def private_bus(folder: Path) -> Iterator[str]:
    """A message bus of our own; its address, for `DBUS_SYSTEM_BUS_ADDRESS`."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        raise SystemExit("dbus-daemon is needed: apt-get install dbus")
    (folder / "bus.conf").write_text(BUS.format(folder / "bus"))
    command = [daemon, f"--config-file={folder / 'bus.conf'}", "--nofork", "--nopidfile", "--print-address=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextlib.asynccontextmanager
async def bluez_on(address: str) -> AsyncIterator[Bluez]:
    """The service, on that bus."""
    bus = await MessageBus(bus_address=address).connect()
    bluez = Bluez(bus)
    bus.add_message_handler(bluez.answer)
    await bus.request_name("org.bluez")
    running = asyncio.create_task(bluez.run())
    try:
        yield bluez
    finally:
        running.cancel()
        bus.disconnect()
