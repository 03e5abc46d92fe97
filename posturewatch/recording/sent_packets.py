"""What a sensor sent, byte for byte, for who looks into one that decodes wrongly; without what names the sensor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LEAST_BYTES = 4  # shorter words are in a packet by chance
_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){4,}")
_APPLE = 0x004C
_EDDYSTONE = "0000feaa-0000-1000-8000-00805f9b34fb"
_NAMING_FRAMES = (0x00, 0x10, 0x30)  # Eddystone's UID, URL and EID; others use its UUID for samples


@dataclass(frozen=True, slots=True)
class SentPacket:
    """One notification, answer of a read, or part of an advertisement."""

    sensor: str
    at_ns: int
    part: str  # a characteristic, `company 0499`, or `service_data` and its UUID
    payload: bytes
    is_bad: bool  # the driver could not decode it


def blank(payload: bytes, names: Iterable[str | None]) -> bytes:
    """`payload` with zeros where an address (either byte order) or a name of the sensor stands."""
    for name in names:
        for mark in _marks(name or ""):
            payload = re.sub(re.escape(mark), bytes(len(mark)), payload, flags=re.IGNORECASE)
    return payload


def _marks(name: str) -> Iterator[bytes]:
    if len(name) >= LEAST_BYTES:
        yield name.encode()
    if _ADDRESS.fullmatch(name):
        digits = re.sub("[:-]", "", name)
        yield digits.encode()
        yield bytes.fromhex(digits)
        yield bytes.fromhex(digits)[::-1]


def advertised_parts(
    manufacturer: Mapping[int, bytes], service_data: Mapping[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    """What an advertisement carries, apart from beacon frames whose only purpose is to name the sensor."""
    for company, payload in manufacturer.items():
        if company != _APPLE:  # iBeacon
            yield f"company {company:04x}", payload
    for uuid, payload in service_data.items():
        if not (uuid == _EDDYSTONE and payload[:1] and payload[0] in _NAMING_FRAMES):
            yield f"service_data {uuid}", payload
