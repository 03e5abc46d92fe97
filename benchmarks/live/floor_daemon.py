"""The least daemon: one Polar sensor over Bluetooth, one state a second over MQTT.

python floor_daemon.py ADDRESS PORT

It checks nothing, survives nothing and remembers nothing.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys

import aiomqtt
import numpy as np
from bleak import BleakClient, BleakScanner

CONTROL, DATA = (f"fb005c{n}-02e7-f387-1cad-8acd2d8df0c8" for n in (81, 82))
START = bytes.fromhex("02 02 00 01 3200 01 01 1000 02 01 0200")  # acceleration, 50 Hz, 16 bits, 2 g
HEAD, SECOND = 10, 300  # bytes


async def watch(address: str, port: int) -> None:
    """From the first advertisement on, until killed."""
    packets: asyncio.Queue[bytes] = asyncio.Queue()
    device = await BleakScanner.find_device_by_address(address)
    if device is None:
        raise SystemExit("no such sensor")
    async with BleakClient(device) as sensor, aiomqtt.Client("127.0.0.1", port) as broker:
        await sensor.start_notify(CONTROL, lambda *_: None)
        await sensor.start_notify(DATA, lambda _, packet: packets.put_nowait(bytes(packet)))
        await sensor.write_gatt_char(CONTROL, START, response=True)
        waiting = b""
        while True:
            waiting += (await packets.get())[HEAD:]
            if len(waiting) >= SECOND:
                acc = np.frombuffer(waiting[:SECOND], "<i2").reshape(-1, 3) / 1000
                waiting = waiting[SECOND:]
                x, y, z = acc.mean(axis=0).tolist()
                tilt, spread = math.acos(z / math.sqrt(x * x + y * y + z * z)), float(acc.std(axis=0).max())
                await broker.publish("floor/state", json.dumps({"tilt": tilt, "spread": spread}), qos=1, retain=True)


asyncio.run(watch(sys.argv[1], int(sys.argv[2])))
