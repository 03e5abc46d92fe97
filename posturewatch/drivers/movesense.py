"""Movesense with the GATT SensorData Protocol (GSP), version 1.

Layout: movesense.com, documentation, GATT SensorData protocol.  A command is op(1) ref(1) data; a notification is
kind(1) ref(1) data.  Acceleration: time in ms (4), then x, y, z as floats in m/s², as often as they fit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.drivers import (
    NO,
    SURE,
    Ask,
    Capabilities,
    Characteristic,
    Packet,
    Subscribe,
    Unsubscribe,
    Write,
)
from posturewatch.drivers.clocks import WrappingClock
from posturewatch.drivers.units import MAX_PACKET_BYTES, STANDARD_GRAVITY, convert
from posturewatch.errors import CharacteristicMissing, DecodeError, SensorRefused
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Generator

    from posturewatch.drivers import Advert, Offered, Options, Request, Steps
    from posturewatch.types import Int32Array

_SERVICE = "34802252-7185-4d5d-b431-630e7050e8f0"
WRITE = Characteristic(_SERVICE, "34800001-7185-4d5d-b431-630e7050e8f0")
NOTIFY = Characteristic(_SERVICE, "34800002-7185-4d5d-b431-630e7050e8f0")
_HELLO, _SUBSCRIBE, _UNSUBSCRIBE, _GET = 0, 1, 2, 4
_RESPONSE, _DATA, _MORE_DATA = 1, 2, 3
_HELLO_REF, _ACC_REF, _BATTERY_REF = 0x01, 0x63, 0x64
_OK, _FULL_PCT = 200, 100
_HEAD_BYTES, _TIME_BYTES, _SAMPLE_BYTES, _STATUS_END = 2, 4, 12, 4
_RATES_HZ = (13.0, 26.0, 52.0, 104.0, 208.0, 416.0, 833.0, 1666.0)
_WRAPS_AFTER_NS = (1 << 32) * 1_000_000
_SERIAL = re.compile(r"Movesense (\d{6,12})$")
_BATTERY_COMMAND = bytes([_GET, _BATTERY_REF]) + b"/System/Energy/Level"


class MovesenseDriver:
    """One connection."""

    def __init__(self, options: Options) -> None:
        wanted_hz = options.rate_hz or _RATES_HZ[0]
        self._rate_hz = next((rate for rate in _RATES_HZ if rate >= wanted_hz), _RATES_HZ[-1])
        self._clock = WrappingClock(_WRAPS_AFTER_NS)
        self._time_ms: int | None = None  # of the packet whose parts are coming; None: its head was not heard
        self._told = 0  # samples of its later parts
        self._rest = b""  # a sample that is cut by the end of a part
        self._is_listening = False

    def start(self, offered: Offered) -> Steps:
        """Say hello, subscribe to acceleration, ask for the battery."""
        if not (offered.has(WRITE) and offered.has(NOTIFY)):
            raise CharacteristicMissing(
                "this Movesense has no GATT SensorData service: put the firmware gatt_sensordata_app on it "
                "with the Movesense Showcase app"
            )
        self._is_listening = True
        yield Subscribe(NOTIFY)
        yield Ask(WRITE, bytes([_HELLO, _HELLO_REF]), NOTIFY, lambda said: _answers(said, _HELLO_REF))
        status = yield from self._subscribe()
        if status != _OK:  # of a client that died on this connection
            yield Ask(WRITE, bytes([_UNSUBSCRIBE, _ACC_REF]), NOTIFY, lambda said: _answers(said, _ACC_REF))
            status = yield from self._subscribe()
        if status != _OK:
            raise SensorRefused(
                f"the Movesense refuses acceleration at {self._rate_hz:g} Hz ({status=}): disconnect other apps, "
                "or take its battery out and put it in again"
            )
        yield Write(WRITE, _BATTERY_COMMAND)

    def _subscribe(self) -> Generator[Request, bytes, int]:
        """Ask for acceleration; the status of the answer."""
        path = f"/Meas/Acc/{self._rate_hz:.0f}".encode()
        command = bytes([_SUBSCRIBE, _ACC_REF]) + path
        said = yield Ask(WRITE, command, NOTIFY, lambda said: _answers(said, _ACC_REF))
        return int.from_bytes(said[_HEAD_BYTES:_STATUS_END], "little")

    def stop(self) -> Steps:
        """End the subscription, listen no more."""
        if self._is_listening:
            yield Write(WRITE, bytes([_UNSUBSCRIBE, _ACC_REF]))
            yield Unsubscribe(NOTIFY)

    def keep_alive(self) -> Steps:
        """Ask for the battery; the answer comes as a notification."""
        if self._is_listening:
            yield Write(WRITE, _BATTERY_COMMAND)

    def decode(self, char: Characteristic, payload: bytes) -> Packet | None:
        """One notification: a packet of acceleration or the rest of one, or the battery."""
        if char != NOTIFY:
            return None
        _check_length(payload)
        kind, ref, data = payload[0], payload[1], payload[_HEAD_BYTES:]
        if (kind, ref) == (_RESPONSE, _BATTERY_REF):
            return self._read_battery(data)
        if ref != _ACC_REF or kind not in (_DATA, _MORE_DATA):
            return None
        return self._begin(data) if kind == _DATA else self._go_on(data)

    def _read_battery(self, data: bytes) -> Packet | None:
        """Status (2), then percent."""
        is_level = int.from_bytes(data[:2], "little") == _OK and data[2:3] != b"" and data[2] <= _FULL_PCT
        return Packet.without_samples(self._rate_hz, data[2]) if is_level else None

    def _begin(self, data: bytes) -> Packet:
        lost = int(bool(self._rest))  # its second half never came
        self._rest, self._time_ms = b"", None
        if len(data) < _TIME_BYTES:
            raise DecodeError(f"Movesense packet of {len(data)} bytes: the time alone has {_TIME_BYTES}")
        self._time_ms, self._told = int.from_bytes(data[:_TIME_BYTES], "little"), 0
        whole, self._rest = _cut(data[_TIME_BYTES:])
        return self._to_packet(whole, self._time_ms * 1_000_000, lost)

    def _go_on(self, data: bytes) -> Packet | None:
        if self._time_ms is None:
            return None
        whole, self._rest = _cut(self._rest + data)
        self._told += len(whole) // _SAMPLE_BYTES
        return self._to_packet(whole, self._time_ms * 1_000_000 + round(self._told * NS_PER_S / self._rate_hz), 0)

    def _to_packet(self, whole: bytes, device_ns: int, lost: int) -> Packet:
        acc_10ug, invalid = _to_samples(whole)
        return self._clock.correct(Packet(acc_10ug, self._rate_hz, device_ns=device_ns, invalid=invalid + lost))


def _answers(notification: bytes, ref: int) -> bool:
    return notification[:_HEAD_BYTES] == bytes([_RESPONSE, ref])


def _check_length(payload: bytes) -> None:
    if not _HEAD_BYTES <= len(payload) <= MAX_PACKET_BYTES:
        raise DecodeError(f"Movesense packet of {len(payload)} bytes: {_HEAD_BYTES} to {MAX_PACKET_BYTES} are possible")


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """Whole samples, and the beginning of the next one."""
    whole = len(data) // _SAMPLE_BYTES * _SAMPLE_BYTES
    return data[:whole], data[whole:]


def _to_samples(whole: bytes) -> tuple[Int32Array, int]:
    return convert(np.frombuffer(whole, dtype="<f4"), 1.0 / STANDARD_GRAVITY)


class MovesenseFamily:
    """Movesense sensors with the firmware for any client."""

    id = "movesense"
    title = "Movesense"
    capabilities = Capabilities(
        is_advertised=False,
        rate_hz=_RATES_HZ[0],
        rates_hz=_RATES_HZ,
        expected_every_s=0.6,
        read_every_s=600.0,
        min_mtu=57,
    )

    def match(self, advert: Advert) -> int:
        """By the name: its service is not advertised."""
        return SURE if (advert.name or "").startswith("Movesense") else NO

    def identity(self, advert: Advert) -> str:
        """The serial number in the name."""
        found = _SERIAL.match(advert.name or "")
        return found[1] if found else advert.address

    def create(self, options: Options) -> MovesenseDriver:
        """The driver of one connection."""
        return MovesenseDriver(options)

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:  # noqa: ARG002  the scale is fixed
        """One packet of acceleration, with its two bytes of head or without."""
        _check_length(payload)
        data = payload[_HEAD_BYTES:] if payload[0] == _DATA and len(payload) % _SAMPLE_BYTES == 6 else payload  # noqa: PLR2004  head and time
        if len(data) < _TIME_BYTES + _SAMPLE_BYTES or (len(data) - _TIME_BYTES) % _SAMPLE_BYTES:
            raise DecodeError(f"Movesense packet of {len(payload)} bytes: a time of 4 and samples of 12 are expected")
        acc_10ug, invalid = _to_samples(data[_TIME_BYTES:])
        device_ns = int.from_bytes(data[:_TIME_BYTES], "little") * 1_000_000
        return Packet(acc_10ug, self.capabilities.rate_hz, device_ns=device_ns, invalid=invalid)


FAMILIES = (MovesenseFamily(),)
