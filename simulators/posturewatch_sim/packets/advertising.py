"""Parts of an advertisement (Core Specification Supplement, part A; types as in Assigned Numbers 2.3)."""

from __future__ import annotations

MAX_BYTES = 31  # of a legacy advertisement
GENERAL_DISCOVERABLE_LE_ONLY = 0x06


def _part(kind: int, data: bytes) -> bytes:
    return bytes((len(data) + 1, kind)) + data


def flags() -> bytes:
    """A device that can be found and speaks Low Energy only."""
    return _part(0x01, bytes((GENERAL_DISCOVERABLE_LE_ONLY,)))


def name(text: str) -> bytes:
    """The complete name, or as much of it as fits into a scan response."""
    data = text.encode()
    return _part(0x09, data) if len(data) <= MAX_BYTES - 2 else _part(0x08, data[: MAX_BYTES - 2])


def short_uuids(*uuids: int) -> bytes:
    """A complete list of 16-bit service UUIDs."""
    return _part(0x03, b"".join(uuid.to_bytes(2, "little") for uuid in uuids))


def long_uuid(uuid: str) -> bytes:
    """An incomplete list of one 128-bit service UUID."""
    return _part(0x06, bytes.fromhex(uuid.replace("-", ""))[::-1])


def tx_power(dbm: int) -> bytes:
    """The power it is sent with."""
    return _part(0x0A, dbm.to_bytes(1, "little", signed=True))


def manufacturer(company: int, data: bytes) -> bytes:
    """Data of a company's own."""
    return _part(0xFF, company.to_bytes(2, "little") + data)


def service_data(uuid: int, data: bytes) -> bytes:
    """Data of a service with a 16-bit UUID."""
    return _part(0x16, uuid.to_bytes(2, "little") + data)
