"""Sensors that speak Bluetooth Low Energy: finds them, connects, and keeps them streaming for weeks.

    adapter   the radio and its lock: one find or connect at a time
    ears      one scanner for everybody
    connection   one connection, from connect to disconnect; carries out a driver's steps
    supervisor   keeps one connected sensor streaming
    listener  follows one sensor that only advertises
    stream    from packets to samples on the clock, what was lost, and whether it can be true
    errors    what the Bluetooth stack says, as one line each

Everything goes through the public interface of bleak, so the same code runs on BlueZ and on a virtual radio.
"""

from posturewatch.sources.ble.source import BleSource

__all__ = ["BleSource"]
