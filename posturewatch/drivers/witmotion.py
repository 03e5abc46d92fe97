"""WitMotion WT901BLE and its relatives: a stream of 20-byte packets without checksum, time or counter.

Layout: WitMotion BLE 5.0 protocol manual: 55 61 and nine numbers of 16 bits (acceleration, turn rate, angles), or
55 71 register(2) and eight numbers.  Settings are changed for the moment only: nothing is ever saved in the device.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from posturewatch.drivers import (
    LIKELY,
    NO,
    SURE,
    Ask,
    Capabilities,
    Characteristic,
    Packet,
    Pause,
    Subscribe,
    Unsubscribe,
    Write,
)
from posturewatch.drivers.units import MAX_PACKET_BYTES, NO_SAMPLES, convert
from posturewatch.errors import CharacteristicMissing, DecodeError, SourceError

if TYPE_CHECKING:
    from posturewatch.drivers import Advert, Offered, Options, Steps

_TAILS = ("-0000-1000-8000-00805f9a34fb", "-0000-1000-8000-00805f9b34fb")  # the vendor's own, and that of clones
_SERVICE, _NOTIFY, _WRITE = "0000ffe5", "0000ffe4", "0000ffe9"
_PACKET_BYTES, _MARK, _DATA, _REGISTER = 20, 0x55, 0x61, 0x71
_G_PER_DIGIT = 16.0 / 32768.0
_RATE_REGISTER, _BATTERY_REGISTER = 0x03, 0x64
_RATE_CODES = {0.2: 0x01, 0.5: 0x02, 1.0: 0x03, 2.0: 0x04, 5.0: 0x05, 10.0: 0x06, 20.0: 0x07, 50.0: 0x08, 100.0: 0x09,
               200.0: 0x0B}  # fmt: skip
_RATES_HZ = {code: rate_hz for rate_hz, code in _RATE_CODES.items()}
_UNLOCK = bytes.fromhex("ffaa6988b5")
_USUAL_RATE_HZ = 10.0
_ANSWER_S = 0.3
_REGISTER_S = 2.0  # the answer waits for the next packet of samples
_VOLTS_TO_PCT = ((3.96, 100), (3.93, 90), (3.87, 75), (3.82, 60), (3.79, 50), (3.77, 40), (3.73, 30), (3.70, 20),
                 (3.68, 15), (3.50, 10), (3.40, 5))  # fmt: skip
_LEAST_CENTIVOLTS, _MOST_CENTIVOLTS = 250, 500  # of a lithium cell; the rest is no voltage


class PacketReader:
    """Finds packets in a stream of bytes that may be cut anywhere; keeps less than one packet."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The packets that `piece` completes."""
        stream = self._rest + piece
        packets = []
        at = 0
        while at + _PACKET_BYTES <= len(stream):
            if self._begins_packet(stream, at):
                packets.append(stream[at : at + _PACKET_BYTES])
                at += _PACKET_BYTES
            else:
                at += 1
        self._rest = stream[at:]
        return packets

    @staticmethod
    def _begins_packet(stream: bytes, at: int) -> bool:
        """A header, and another one after the packet: numbers can look like a header, twice is no chance."""
        follows = at + _PACKET_BYTES
        is_followed = follows >= len(stream) or stream[follows] == _MARK
        return stream[at] == _MARK and stream[at + 1] in (_DATA, _REGISTER) and is_followed


def to_percent(centivolts: int) -> int | None:
    """The vendor's steps of the cell's voltage; None for what is no voltage."""
    if not _LEAST_CENTIVOLTS <= centivolts <= _MOST_CENTIVOLTS:
        return None
    return next((pct for volts, pct in _VOLTS_TO_PCT if centivolts >= round(volts * 100)), 0)


def read_command(register: int) -> bytes:
    """Ask for eight registers from this one on; the answer comes in the stream."""
    return bytes([0xFF, 0xAA, 0x27, register, 0x00])


def _decode_packets(packets: list[bytes], rate_hz: float, registers: dict[int, int]) -> Packet:
    axes = [struct.unpack_from("<3h", packet, 2) for packet in packets if packet[1] == _DATA]
    acc_10ug, invalid = convert(axes, _G_PER_DIGIT) if axes else (NO_SAMPLES, 0)
    level = to_percent(registers[_BATTERY_REGISTER]) if _BATTERY_REGISTER in registers else None
    return Packet(acc_10ug, rate_hz, invalid=invalid, battery_pct=level)


def _read_registers(packets: list[bytes]) -> dict[int, int]:
    """The first value of each answer, by register."""
    answers = (struct.unpack_from("<HH", packet, 2) for packet in packets if packet[1] == _REGISTER)
    return {register & 0xFF: value for register, value in answers}


class WitmotionDriver:
    """One connection."""

    def __init__(self, options: Options) -> None:
        self._wanted_hz = options.rate_hz
        self._rate_hz = _USUAL_RATE_HZ
        self._found_code: int | None = None  # of the rate, as the device had it
        self._is_changed = False
        self._reader = PacketReader()
        self._in_vain = 0  # bytes since the last packet
        self._notify: Characteristic | None = None
        self._write: Characteristic | None = None

    def start(self, offered: Offered) -> Steps:
        """It streams as soon as somebody listens; the rate is changed only if another one is wanted."""
        self._notify, self._write = _find(offered, _NOTIFY), _find(offered, _WRITE)
        if self._notify is None:
            raise CharacteristicMissing("the sensor has no data of WitMotion (FFE4 in FFE5): is it another maker's?")
        yield Subscribe(self._notify)
        if self._write is None:
            return
        with suppress(SourceError):  # a clone that tells no registers has the usual rate
            yield from self._ask_rate(self._notify, self._write)
        yield Write(self._write, read_command(_BATTERY_REGISTER), response=False)
        yield Pause(_ANSWER_S)
        if self._wanted_hz is not None:
            rate_hz = next((rate for rate in _RATE_CODES if rate >= self._wanted_hz), max(_RATE_CODES))
            if rate_hz != self._rate_hz:
                yield from self._set_rate(_RATE_CODES[rate_hz])
                self._rate_hz, self._is_changed = rate_hz, True

    def _ask_rate(self, notify: Characteristic, write: Characteristic) -> Steps:
        """What the device runs at: known before it is changed, so that it can be given back."""
        reader = PacketReader()  # of its own: these bytes are decoded later, with those of before

        def tells_rate(payload: bytes) -> bool:
            return self._learn_rate(_read_registers(reader.feed(payload[:MAX_PACKET_BYTES])))

        command = read_command(_RATE_REGISTER)
        yield Ask(write, command, notify, tells_rate, response=False, timeout_s=_REGISTER_S, is_decoded=True)

    def _learn_rate(self, registers: dict[int, int]) -> bool:
        """Whether the registers tell the device's own rate."""
        code = registers.get(_RATE_REGISTER)
        if code not in _RATES_HZ:
            return False
        if not self._is_changed:
            self._found_code, self._rate_hz = code, _RATES_HZ[code]
        return True

    def _set_rate(self, code: int) -> Steps:
        """For as long as it is switched on: there is no save behind it."""
        if self._write is not None:
            yield Write(self._write, _UNLOCK, response=False)
            yield Pause(_ANSWER_S)
            yield Write(self._write, bytes([0xFF, 0xAA, _RATE_REGISTER, code, 0x00]), response=False)

    def stop(self) -> Steps:
        """Set the rate back, listen no more."""
        if self._is_changed:
            yield from self._set_rate(self._found_code or _RATE_CODES[_USUAL_RATE_HZ])
        if self._notify is not None:
            yield Unsubscribe(self._notify)

    def keep_alive(self) -> Steps:
        """Ask for the battery; the answer comes in the stream."""
        if self._write is not None:
            yield Write(self._write, read_command(_BATTERY_REGISTER), response=False)

    def decode(self, char: Characteristic, payload: bytes) -> Packet | None:
        """One notification, whatever part of the stream it is."""
        if char != self._notify:
            return None
        _check_length(payload)
        packets = self._reader.feed(payload)
        self._in_vain = 0 if packets else self._in_vain + len(payload)
        if self._in_vain >= 2 * _PACKET_BYTES:  # however the stream is cut, one packet would have been whole
            raise DecodeError(f"{self._in_vain} bytes without a packet of WitMotion (55 61, 20 bytes)")
        if not packets:
            return None
        registers = _read_registers(packets)
        self._learn_rate(registers)
        packet = _decode_packets(packets, self._rate_hz, registers)
        return packet if len(packet.acc_10ug) or packet.battery_pct is not None else None


def _find(offered: Offered, uuid: str) -> Characteristic | None:
    """The characteristic with the vendor's end of the UUID, or with that of clones."""
    spelled = (Characteristic(_SERVICE + tail, uuid + tail) for tail in _TAILS)
    return next((char for char in spelled if offered.has(char)), None)


def _check_length(payload: bytes) -> None:
    if len(payload) > MAX_PACKET_BYTES:
        raise DecodeError(f"{len(payload)} bytes of WitMotion: at most {MAX_PACKET_BYTES} are possible")


class WitmotionFamily:
    """Inertial sensors of WitMotion with Bluetooth 5."""

    id = "witmotion"
    title = "WitMotion WT901BLE, WT9011DCL, BWT901BLE"
    capabilities = Capabilities(
        is_advertised=False,
        rate_hz=_USUAL_RATE_HZ,
        rates_hz=tuple(_RATE_CODES),
        range_g=16.0,
        step_mg=1000.0 * _G_PER_DIGIT,
        expected_every_s=1.0 / _USUAL_RATE_HZ,
        read_every_s=600.0,
    )

    def match(self, advert: Advert) -> int:
        """By the service where it is advertised, else by the name."""
        if any(_SERVICE + tail in advert.service_uuids for tail in _TAILS[:1]):
            return SURE
        name = advert.name or ""
        return LIKELY if "WT" in name else NO

    def identity(self, advert: Advert) -> str:
        """The address: neither name nor data tell one from another."""
        return advert.address

    def create(self, options: Options) -> WitmotionDriver:
        """The driver of one connection."""
        return WitmotionDriver(options)

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:  # noqa: ARG002  the scale is fixed
        """A part of the stream that holds at least one whole packet."""
        _check_length(payload)
        packets = PacketReader().feed(payload)
        if not packets:
            raise DecodeError(f"{len(payload)} bytes without a packet of WitMotion (55 61 or 55 71, 20 bytes)")
        return _decode_packets(packets, self.capabilities.rate_hz, _read_registers(packets))


FAMILIES = (WitmotionFamily(),)
