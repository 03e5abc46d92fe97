"""BTHome version 2: a list of tagged values in service data; three accelerations in a row are x, y and z.

Layout: bthome.io, format: device information(1), then objects of identifier(1) and value, identifiers rising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.drivers import NO, SURE, Capabilities, Packet, Silence
from posturewatch.drivers.units import NO_SAMPLES, STANDARD_GRAVITY, convert
from posturewatch.errors import DecodeError

if TYPE_CHECKING:
    from posturewatch.drivers import Advert, Options

SERVICE_DATA = "0000fcd2-0000-1000-8000-00805f9b34fb"
PACKET_ID, BATTERY_PCT, MAGNITUDE, ACCELERATION = 0x00, 0x01, 0x51, 0x63
_IS_ENCRYPTED, _VERSION_SHIFT, _VERSION = 0x01, 5, 2
_MAX_BYTES = 255
_AXES, _FULL_PCT, _SEQ_MODULUS = 3, 100, 256
_MS2_PER_DIGIT = 1e-6
_TEXT, _RAW = 0x53, 0x54  # begin with their own length
_BYTES = {
    1: [0x00, 0x01, 0x09, *range(0x0F, 0x12), *range(0x15, 0x30), 0x3A, 0x46, 0x57, 0x58, 0x59, 0x60],
    2: [0x02, 0x03, 0x06, 0x07, 0x08, 0x0C, 0x0D, 0x0E, 0x12, 0x13, 0x14, 0x3C, 0x3D, 0x3F, 0x40, 0x41, 0x43, 0x44,
        0x45, 0x47, 0x48, 0x49, 0x4A, 0x51, 0x52, 0x56, 0x5A, 0x5D, 0x5E, 0x5F, 0x61, 0xF0],
    3: [0x04, 0x05, 0x0A, 0x0B, 0x42, 0x4B, 0xF2],
    4: [0x3E, 0x4C, 0x4D, 0x4E, 0x4F, 0x50, 0x55, 0x5B, 0x5C, 0x62, 0x63, 0xF1],
}  # fmt: skip
_SIZE_OF = {identifier: size for size, identifiers in _BYTES.items() for identifier in identifiers}


def read_objects(payload: bytes) -> list[tuple[int, bytes]]:
    """Identifier and value of each object, up to the first unknown one, whose length nobody knows."""
    if not 0 < len(payload) <= _MAX_BYTES:
        raise DecodeError(f"BTHome data of {len(payload)} bytes: 1 to {_MAX_BYTES} are possible")
    if payload[0] >> _VERSION_SHIFT != _VERSION:
        raise DecodeError(f"BTHome version {payload[0] >> _VERSION_SHIFT}: only version {_VERSION} is understood")
    if payload[0] & _IS_ENCRYPTED:
        raise DecodeError("encrypted BTHome data: turn encryption off in the sensor")
    objects = []
    at = 1
    while at < len(payload):
        identifier = payload[at]
        start = at + 1
        size = _SIZE_OF.get(identifier)
        if identifier in (_TEXT, _RAW) and start < len(payload):
            size, start = payload[start], start + 1
        if size is None:
            break
        at = start + size
        if at > len(payload):
            raise DecodeError(f"BTHome object 0x{identifier:02x} is cut: {size} bytes are its length")
        objects.append((identifier, payload[start:at]))
    return objects


def decode_data(payload: bytes, rate_hz: float) -> Packet:
    """One advertisement's service data."""
    objects = read_objects(payload)
    axes = [int.from_bytes(value, "little", signed=True) for kind, value in objects if kind == ACCELERATION]
    seq = next((value[0] for kind, value in objects if kind == PACKET_ID), None)
    level = next((value[0] for kind, value in objects if kind == BATTERY_PCT), None)
    if len(axes) not in (0, _AXES):
        told = ", ".join(f"{axis * _MS2_PER_DIGIT:.6f}" for axis in axes[:_AXES])
        raise DecodeError(f"BTHome data with {len(axes)} accelerations ({told} m/s²): three are needed, x, y and z")
    if not axes and any(kind == MAGNITUDE for kind, _ in objects):
        raise DecodeError(
            "BTHome acceleration 0x51 is a length without direction: let the sensor send 0x63 three times"
        )
    acc_10ug, invalid = convert([axes], _MS2_PER_DIGIT / STANDARD_GRAVITY) if axes else (NO_SAMPLES, 0)
    return Packet(
        acc_10ug,
        rate_hz,
        seq=seq,
        seq_modulus=0 if seq is None else _SEQ_MODULUS,
        invalid=invalid,
        battery_pct=level if level is None or level <= _FULL_PCT else None,
    )


class BthomeDriver:
    """One sensor that is listened to."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._seq: int | None = None

    def decode(self, advert: Advert) -> Packet | None:
        """One advertisement; None for a repeated one, and for one that is about other things only."""
        payload = advert.service_data.get(SERVICE_DATA)
        if payload is None:
            return None
        packet = decode_data(payload, self._rate_hz)
        if packet.seq is not None and packet.seq == self._seq:
            return None
        self._seq = packet.seq
        return packet if len(packet.acc_10ug) or packet.invalid or packet.battery_pct is not None else None


class BthomeFamily:
    """Any board that broadcasts BTHome with three accelerations."""

    id = "bthome"
    title = "board that broadcasts BTHome"
    capabilities = Capabilities(
        is_advertised=True, rate_hz=1.0, silence=Silence.SPARSE, expected_every_s=1.0, is_exclusive=False
    )

    def match(self, advert: Advert) -> int:
        """Only with three accelerations inside: other BTHome sensors are none of ours."""
        try:
            return SURE if len(decode_data(advert.service_data.get(SERVICE_DATA, b""), 1.0).acc_10ug) else NO
        except DecodeError:
            return NO

    def identity(self, advert: Advert) -> str:
        """The address: the data names no sender."""
        return advert.address

    def create(self, options: Options) -> BthomeDriver:
        """The driver of one sensor; the rate is what its program was told."""
        return BthomeDriver(options.rate_hz or self.capabilities.rate_hz)

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:  # noqa: ARG002  the scale is fixed
        """The service data of 0xFCD2."""
        packet = decode_data(payload, self.capabilities.rate_hz)
        if not len(packet.acc_10ug) and not packet.invalid and packet.battery_pct is None:
            raise DecodeError("BTHome data without acceleration (three objects 0x63) or battery")
        return packet


FAMILIES = (BthomeFamily(),)
