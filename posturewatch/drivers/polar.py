"""Polar H10, Verity Sense and OH1: the measurement service PMD.

Source: Polar BLE SDK, `technical_documentation/online_measurement.pdf` (2024-08).  The sensors keep streaming after a
lost client, so a stream is always stopped, and one that is found running is stopped first.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from posturewatch.drivers import (
    BATTERY,
    LIKELY,
    NO,
    SURE,
    Ask,
    Capabilities,
    Characteristic,
    Packet,
    Read,
    Subscribe,
    Unsubscribe,
    ask_battery,
    decode_battery,
    read_battery,
)
from posturewatch.drivers.polar_control import (
    ALREADY,
    GET_SETTINGS,
    INVALID_STATE,
    OK,
    RATE,
    SDK_MODE,
    START,
    STOP,
    UNSUPPORTED,
    Reply,
    choose,
    factor_of,
    offers_acceleration,
    parse_settings,
    refuse,
    says_stopped,
    start_command,
)
from posturewatch.drivers.polar_frames import ACC, decode_frame, measurement_of
from posturewatch.errors import CharacteristicMissing, SensorRefused, SourceError, StreamEnded

if TYPE_CHECKING:
    from collections.abc import Generator

    from posturewatch.drivers import Advert, Offered, Options, Request, Steps

_SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL = Characteristic(_SERVICE, "fb005c81-02e7-f387-1cad-8acd2d8df0c8")
DATA = Characteristic(_SERVICE, "fb005c82-02e7-f387-1cad-8acd2d8df0c8")
_COMPANY = 0x006B
_HEART_RATE = "0000180d-0000-1000-8000-00805f9b34fb"
_NAME = re.compile(r"Polar (?:H10|OH1|Sense|Verity Sense)\b")
_SERIAL = re.compile(r"Polar .*\b([0-9A-F]{8})")
_DEFAULT_RATE_HZ, _DEFAULT_RANGE_G = 25.0, 2.0
_STOP_TIMEOUT_S = 1.5


class PolarDriver:
    """One connection to a Polar sensor."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._rate_hz = options.rate_hz or _DEFAULT_RATE_HZ
        self._factor: float | None = None
        self._battery_pct: int | None = None  # read at the start, told with the first samples
        self._has_battery = self._is_listening = False

    def start(self, offered: Offered) -> Steps:
        """Listen, ask what it can, start the lowest rate and range that are enough."""
        if not (offered.has(CONTROL) and offered.has(DATA)):
            raise CharacteristicMissing(
                "this Polar sensor has no measurement service (PMD): only H10, OH1 and Verity Sense do"
            )
        self._has_battery = offered.has(BATTERY)
        self._battery_pct = yield from read_battery(offered)
        self._is_listening = True
        yield Subscribe(CONTROL)
        yield Subscribe(DATA)
        if not offers_acceleration((yield Read(CONTROL))):
            raise SensorRefused("this Polar sensor streams no acceleration; update its firmware with Polar's own app")
        if self._options.is_clipped:
            yield from self._enter_sdk_mode()
        settings = yield from _ask(GET_SETTINGS, ACC)
        if settings.status != OK:
            raise refuse("to tell its settings", settings.status)
        chosen = choose(
            parse_settings(bytes(settings.content)), self._rate_hz, self._options.range_g or _DEFAULT_RANGE_G
        )
        yield from self._start_acceleration(chosen)

    def _enter_sdk_mode(self) -> Steps:
        """More rates, and no power-off for want of a heart rate: what a sensor clipped to cloth needs."""
        reply = yield from _ask(START, SDK_MODE)
        if reply.status == INVALID_STATE:  # it does not change its mode in a stream
            yield from _ask(STOP, ACC)
            reply = yield from _ask(START, SDK_MODE)
        if reply.status in UNSUPPORTED:
            raise SensorRefused(
                "this Polar sensor has no SDK mode, so it turns itself off when clipped to cloth: "
                "update its firmware (Verity Sense 1.1.5 or newer), or wear it on the skin and set clipped = false"
            )
        if reply.status not in (OK, ALREADY):
            raise refuse("its SDK mode", reply.status)

    def _start_acceleration(self, chosen: dict[int, int]) -> Steps:
        reply = yield from _ask(START, ACC, start_command(chosen))
        if reply.status == ALREADY:  # left running by a client that died
            yield from _ask(STOP, ACC)
            reply = yield from _ask(START, ACC, start_command(chosen))
        if reply.status != OK:
            raise refuse("to stream acceleration", reply.status)
        self._factor = factor_of(parse_settings(bytes(reply.content)))
        self._rate_hz = float(chosen.get(RATE) or self._rate_hz)

    def stop(self) -> Steps:
        """End the stream, which else goes on until the battery is empty, and the SDK mode."""
        if not self._is_listening:
            return
        with suppress(SourceError):  # an answer that never comes must not keep the rest from being said
            yield from _ask(STOP, ACC, timeout_s=_STOP_TIMEOUT_S)
        if self._options.is_clipped:
            with suppress(SourceError):
                yield from _ask(STOP, SDK_MODE, timeout_s=_STOP_TIMEOUT_S)
        yield Unsubscribe(DATA)
        yield Unsubscribe(CONTROL)

    def keep_alive(self) -> Steps:
        """Ask for the battery."""
        if self._has_battery:
            self._has_battery = yield from ask_battery()

    def decode(self, char: Characteristic, payload: bytes) -> Packet | None:
        """One frame; `StreamEnded` when the sensor says that it stopped by itself; other traffic says nothing."""
        if char == BATTERY:
            return Packet.without_samples(self._rate_hz, decode_battery(payload))
        if char == CONTROL:
            if says_stopped(payload):
                raise StreamEnded("the Polar sensor ended its stream by itself")
            return None
        if char != DATA or measurement_of(payload) not in (ACC, -1):
            return None
        acc_10ug, invalid, device_ns = decode_frame(payload, self._factor)
        battery_pct, self._battery_pct = self._battery_pct, None
        return Packet(acc_10ug, self._rate_hz, device_ns=device_ns, invalid=invalid, battery_pct=battery_pct)


class PolarFamily:
    """Sensors of Polar that stream acceleration."""

    id = "polar"
    title = "Polar H10, Verity Sense, OH1"
    capabilities = Capabilities(
        is_advertised=False,
        rate_hz=_DEFAULT_RATE_HZ,
        rates_hz=(25.0, 26.0, 50.0, 52.0, 100.0, 104.0, 200.0, 208.0, 416.0),
        range_g=_DEFAULT_RANGE_G,
        step_mg=1.0,
        expected_every_s=2.0,
        read_every_s=600.0,
        min_mtu=70,
        switches_off_unworn=True,
    )

    def match(self, advert: Advert) -> int:
        """By name; other sensors of Polar are told by the maker and the heart rate."""
        name = advert.name or ""
        if _NAME.match(name):
            return SURE
        is_polar = name.startswith("Polar ") or (
            _COMPANY in advert.manufacturer and _HEART_RATE in advert.service_uuids
        )
        return LIKELY if is_polar else NO

    def identity(self, advert: Advert) -> str:
        """The serial number in the name."""
        found = _SERIAL.match(advert.name or "")
        return found[1] if found else advert.address

    def create(self, options: Options) -> PolarDriver:
        """The driver of one connection."""
        return PolarDriver(options)

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:
        """One notification of the data characteristic."""
        acc_10ug, invalid, device_ns = decode_frame(payload, factor)
        return Packet(acc_10ug, self.capabilities.rate_hz, device_ns=device_ns, invalid=invalid)


def _ask(
    op: int, measurement: int, command: bytes | None = None, timeout_s: float = 5.0
) -> Generator[Request, bytes, Reply]:
    """One request and its whole reply."""
    reply = Reply(op, measurement)
    yield Ask(CONTROL, command or bytes([op, measurement]), CONTROL, reply, timeout_s=timeout_s)
    return reply


FAMILIES = (PolarFamily(),)
