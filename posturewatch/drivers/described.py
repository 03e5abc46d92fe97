"""Sensors that a table in a file describes, and no code: boards people program themselves, and simple products.

The tables are read in `preset_files.py`; here is what they mean.  Everything is pure.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.drivers import (
    BATTERY,
    NO,
    SURE,
    Ask,
    Capabilities,
    Characteristic,
    Packet,
    Read,
    Silence,
    Subscribe,
    Unsubscribe,
    Write,
    ask_battery,
    decode_battery,
    read_battery,
)
from posturewatch.drivers.clocks import WrappingClock
from posturewatch.drivers.described_layout import Layout, Number, Scale, decode_first
from posturewatch.drivers.described_match import Match
from posturewatch.drivers.described_text import LineReader, TextLayout, decode_text
from posturewatch.drivers.units import convert
from posturewatch.errors import CharacteristicMissing, DecodeError, SensorRefused, SourceError

if TYPE_CHECKING:
    from collections.abc import Generator

    from posturewatch.drivers import Advert, Offered, Options, Request, Steps

_MAX_PERIOD_MS = 60_000


@dataclass(frozen=True, slots=True)
class SetUp:
    """One write when the stream starts or ends."""

    service: str | None
    char: str
    data: bytes
    response: bool = True
    expect: bytes | None = None  # the characteristic answers with a notification that begins so
    is_read_back: bool = False
    is_period_ms: bool = False  # what is read back is the period that the sensor chose
    is_restored: bool = False  # what was there before is written back at the end


@dataclass(frozen=True, slots=True)
class Preset:
    """One described sensor."""

    id: str
    title: str
    kind: str  # notify | read | manufacturer | service_data | text
    match: Match
    capabilities: Capabilities
    layouts: tuple[Layout, ...] = ()
    text: TextLayout | None = None
    service: str | None = None
    char: str | None = None
    split: tuple[str, str, str] | None = None  # one characteristic for each of x, y, z
    scalar: Number | None = None  # the number in each of them
    scale: Scale | None = None
    on_start: tuple[SetUp, ...] = ()
    on_stop: tuple[SetUp, ...] = ()
    has_battery: bool = False
    max_packet: int = 512

    def check_length(self, payload: bytes) -> None:
        """`DecodeError` for a packet longer than the description allows."""
        if len(payload) > self.max_packet:
            raise DecodeError(f"a packet of {len(payload)} bytes: {self.id} allows {self.max_packet}")


class DescribedAdvertDriver:
    """One sensor that is listened to."""

    def __init__(self, preset: Preset) -> None:
        self._preset = preset
        self._seq: int | None = None

    def decode(self, advert: Advert) -> Packet | None:
        """One advertisement; None for another frame of the same sender, and for a repeated count."""
        payload = find_payload(self._preset, advert)
        if payload is None or not any(layout.fits(payload) for layout in self._preset.layouts):
            return None
        self._preset.check_length(payload)
        packet = decode_first(self._preset.layouts, payload, self._preset.capabilities.rate_hz)
        if packet.seq is not None and packet.seq == self._seq:
            return None
        self._seq = packet.seq
        return packet


class DescribedGattDriver:
    """One connection to a described sensor."""

    def __init__(self, preset: Preset) -> None:
        self._preset = preset
        self._rate_hz = preset.capabilities.rate_hz
        self._chars: tuple[Characteristic, ...] = ()
        self._restore: list[tuple[Characteristic, bytes, bool]] = []
        self._stop: list[tuple[Characteristic, SetUp]] = []
        self._battery_pct: int | None = None  # read at the start, told with the first samples
        self._has_battery = self._is_listening = self._is_unreadable = False
        self._lines = LineReader(preset.text) if preset.text else None
        self._axes: dict[int, float] = {}
        self._clock = WrappingClock(max((layout.wraps_after_ns for layout in preset.layouts), default=0))

    def start(self, offered: Offered) -> Steps:
        """Find the characteristics, write what the description says, listen."""
        preset = self._preset
        uuids = preset.split or ((preset.char,) if preset.char else ())
        self._chars = tuple(self._find(offered, preset.service, uuid) for uuid in uuids)
        set_ups = [(self._find(offered, step.service, step.char), step) for step in preset.on_start]
        self._stop = [(self._find(offered, step.service, step.char), step) for step in preset.on_stop]
        self._has_battery = preset.has_battery and offered.has(BATTERY)
        if self._has_battery:
            self._battery_pct = yield from read_battery(offered)
        for char, step in set_ups:
            yield from self._set_up(char, step)
        self._is_listening = preset.kind != "read"
        for char in self._chars if self._is_listening else ():
            yield Subscribe(char)

    def _find(self, offered: Offered, service: str | None, uuid: str) -> Characteristic:
        found = sorted(
            (char for char in offered.chars if char.uuid == uuid and service in (None, char.service)),
            key=lambda char: char.service,
        )
        if not found:
            where = f" in its service {service}" if service else ""
            raise CharacteristicMissing(
                f"the sensor is not a {self._preset.title}: it has no characteristic {uuid}{where}"
            )
        if len(found) > 1:
            raise SensorRefused(
                f"{len(found)} services of the sensor have the characteristic {uuid}: name one with `service` "
                f"in the preset {self._preset.id}"
            )
        return found[0]

    def _set_up(self, char: Characteristic, step: SetUp) -> Steps:
        if step.is_restored:
            self._restore.append((char, (yield Read(char)), step.response))
        yield from _write(char, step)
        if step.is_read_back:
            period_ms = int.from_bytes((yield Read(char)), "little")
            if step.is_period_ms and 0 < period_ms <= _MAX_PERIOD_MS:
                self._rate_hz = 1000.0 / period_ms

    def stop(self) -> Steps:
        """Listen no more, write what the description says, and what was there before."""
        for char in self._chars if self._is_listening else ():
            yield Unsubscribe(char)
        for char, step in self._stop:
            with suppress(SourceError):  # one that fails must not keep the others from being tried
                yield from _write(char, step)
        for char, data, response in reversed(self._restore):
            with suppress(SourceError):
                yield Write(char, data, response)

    def keep_alive(self) -> Steps:
        """Ask for the value, where nothing is sent without change, and for the battery.

        A board that only notifies refuses the first; its stream goes on, and it is not asked again.
        """
        is_asked = self._preset.capabilities.silence is Silence.HOLD and not self._is_unreadable
        try:
            for char in self._chars if is_asked else ():
                yield Read(char)
        except SensorRefused:
            if not self._is_listening:
                raise
            self._is_unreadable = True
        if self._has_battery:
            self._has_battery = yield from ask_battery()

    def decode(self, char: Characteristic, payload: bytes) -> Packet | None:
        """One notification or answer."""
        if char == BATTERY and char not in self._chars:
            return Packet.without_samples(self._rate_hz, decode_battery(payload))
        if char not in self._chars:
            return None
        self._preset.check_length(payload)
        packet = self._decode_samples(char, payload)
        if packet is None or self._battery_pct is None or packet.battery_pct is not None:
            return packet
        battery_pct, self._battery_pct = self._battery_pct, None
        return replace(packet, battery_pct=battery_pct)

    def _decode_samples(self, char: Characteristic, payload: bytes) -> Packet | None:
        if self._lines is not None:
            return self._lines.feed(payload, self._rate_hz)
        if self._preset.split:
            return self._decode_axis(self._chars.index(char), payload)
        return self._clock.correct(decode_first(self._preset.layouts, payload, self._rate_hz))

    def _decode_axis(self, axis: int, payload: bytes) -> Packet | None:
        """One axis; a sample when all three were heard since the last one."""
        if self._preset.scalar is None or self._preset.scale is None:
            return None
        value = self._preset.scalar.read(payload)
        if value is None:
            self._axes.pop(axis, None)
            return None
        self._axes[axis] = float(value)
        if len(self._axes) < 3:  # noqa: PLR2004  axes
            return None
        raw = np.array([[self._axes[0], self._axes[1], self._axes[2]]])
        self._axes = {}
        acc_10ug, invalid = convert(self._preset.scale.apply(raw), 1.0)
        return Packet(acc_10ug, self._rate_hz, invalid=invalid)


def _write(char: Characteristic, step: SetUp) -> Generator[Request, bytes, None]:
    """One write, and its answer if one is expected."""
    expected = step.expect
    if expected is None:
        yield Write(char, step.data, step.response)
        return
    yield Subscribe(char)
    yield Ask(char, step.data, char, lambda answer: answer.startswith(expected), step.response)
    yield Unsubscribe(char)


def find_payload(preset: Preset, advert: Advert) -> bytes | None:
    """The part of an advertisement that a preset is about."""
    if preset.kind == "manufacturer" and preset.match.company is not None:
        return advert.manufacturer.get(preset.match.company)
    if preset.kind == "service_data" and preset.match.service_data_uuid is not None:
        return advert.service_data.get(preset.match.service_data_uuid)
    return None


class DescribedFamily:
    """The family that one preset makes."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.id = preset.id
        self.title = preset.title
        self.capabilities = preset.capabilities

    def match(self, advert: Advert) -> int:
        """By the preset's conditions; an advertisement that carries the samples must also look like its layout."""
        score = self.preset.match.score(advert)
        if score == NO or not self.capabilities.is_advertised:
            return score
        payload = find_payload(self.preset, advert)
        return SURE if payload is not None and any(layout.fits(payload) for layout in self.preset.layouts) else NO

    def identity(self, advert: Advert) -> str:
        """What the preset says names the sensor, else the address."""
        payload = find_payload(self.preset, advert) or b""
        fitting = next((layout for layout in self.preset.layouts if layout.fits(payload)), None)
        return (fitting and fitting.name_of(payload)) or advert.address

    def create(self, options: Options) -> DescribedGattDriver | DescribedAdvertDriver:  # noqa: ARG002  it is described
        """The driver of one sensor."""
        is_advertised = self.capabilities.is_advertised
        return DescribedAdvertDriver(self.preset) if is_advertised else DescribedGattDriver(self.preset)

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:
        """One packet; of a sensor with one characteristic for each axis, the three values one after the other."""
        preset, rate_hz = self.preset, self.capabilities.rate_hz
        preset.check_length(payload)
        if preset.text is not None:
            return decode_text(preset.text, payload, rate_hz, factor)
        return decode_first(preset.layouts, payload, rate_hz, factor)
