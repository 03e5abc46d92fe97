"""Questions and answers of multicast DNS, as bytes: what finding a service needs, and no more.

The layout is that of RFC 1035 section 4; services are named as in RFC 6763, and asked for as in RFC 6762 section 5.1.
Pure: whatever the bytes are, the outcome is records or a `DnsError`.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.errors import PosturewatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

PTR, TXT, SRV, A = 12, 16, 33, 1
MOST_BYTES = 9000  # RFC 6762 section 17
MOST_RECORDS = 500
MOST_LABEL, MOST_NAME = 63, 255  # RFC 1035 section 2.3.4
HEADER = struct.Struct("!6H")  # id, flags, questions, answers, authorities, additionals
QUESTION = struct.Struct("!2H")  # type, class
RECORD = struct.Struct("!2HIH")  # type, class, seconds to live, length of the data
SERVICE = struct.Struct("!3H")  # priority, weight, port
INTERNET, CLASS_BITS = 1, 0x7FFF  # the highest bit says: forget what you knew
IS_ANSWER = 0x8000
POINTER = 0xC0
ODD = "surrogateescape"  # a name with bytes that are no text can still be asked for
Name = tuple[str, ...]


class DnsError(PosturewatchError):
    """Bytes that are no message of DNS."""


@dataclass(frozen=True, slots=True)
class Record:
    """One answer of a kind that we know; of the fields only those of its kind are filled."""

    name: Name
    kind: int
    target: Name = ()  # PTR: the instance; SRV: the machine
    port: int = 0  # SRV
    address: str = ""  # A
    text: tuple[str, ...] = ()  # TXT: key=value each


def name_of(text: str) -> Name:
    """`_mqtt._tcp.local` as its labels, in the form in which names are compared."""
    return tuple(label.lower() for label in text.split("."))


def question(wanted: Iterable[tuple[Name, int]], number: int) -> bytes:
    """Ask for records by name and kind; `number` comes back with the answers."""
    asked = [_packed(name) + QUESTION.pack(kind, INTERNET) for name, kind in wanted]
    return HEADER.pack(number, 0, len(asked), 0, 0, 0) + b"".join(asked)


def answers(packet: bytes, number: int) -> list[Record]:
    """The records of an answer to question `number`; none if it answers something else."""
    if len(packet) > MOST_BYTES:
        raise DnsError(f"a message of {len(packet)} bytes is longer than multicast DNS allows")
    try:
        told, flags, questions, *records = HEADER.unpack_from(packet)
        if not flags & IS_ANSWER or told not in (number, 0):
            return []
        if questions + sum(records) > MOST_RECORDS:
            raise DnsError(f"{questions + sum(records)} entries in one message are too many")
        at = HEADER.size
        for _ in range(questions):
            _, at = _read_name(packet, at)
            at += QUESTION.size
        found: list[Record] = []
        for _ in range(sum(records)):
            record, at = _read_record(packet, at)
            found += [] if record is None else [record]
    except (struct.error, IndexError):
        raise DnsError("the message ends too early") from None
    return found


def _packed(name: Name) -> bytes:
    labels = [label.encode("utf-8", ODD) for label in name]
    if any(not 0 < len(label) <= MOST_LABEL for label in labels) or sum(map(len, labels)) + len(labels) >= MOST_NAME:
        raise DnsError(f"{'.'.join(name)!r} is too long for a name")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def _read_name(packet: bytes, at: int) -> tuple[Name, int]:
    """A name, and where to read on.  A pointer leads to before where the name began, so there is an end."""
    labels: list[str] = []
    length, after, begin = 0, None, at
    while size := packet[at]:
        if size & POINTER == POINTER:
            target = (size & ~POINTER) << 8 | packet[at + 1]
            after = at + 2 if after is None else after
            if target >= begin:
                raise DnsError("a name points forward")
            at = begin = target
            continue
        label = packet[at + 1 : at + 1 + size]
        length += size + 1
        if size > MOST_LABEL or len(label) != size or length > MOST_NAME:
            raise DnsError("a name is too long")
        labels.append(label.decode("utf-8", ODD))
        at += 1 + size
    return tuple(labels), at + 1 if after is None else after


def _read_record(packet: bytes, at: int) -> tuple[Record | None, int]:
    name, at = _read_name(packet, at)
    kind, group, _, length = RECORD.unpack_from(packet, at)
    at += RECORD.size
    after = at + length
    if after > len(packet):
        raise DnsError("the message ends too early")
    record = _read_data(packet, at, after, name, kind) if group & CLASS_BITS == INTERNET else None
    return record, after


def _read_data(packet: bytes, at: int, after: int, name: Name, kind: int) -> Record | None:
    if kind == PTR:
        return Record(name, kind, target=_read_name(packet, at)[0])
    if kind == SRV:
        _, _, port = SERVICE.unpack_from(packet, at)
        return Record(name, kind, target=_read_name(packet, at + SERVICE.size)[0], port=port)
    if kind == A and after - at == 4:  # noqa: PLR2004  # bytes of an address
        return Record(name, kind, address=str(ipaddress.IPv4Address(packet[at:after])))
    if kind == TXT:
        return Record(name, kind, text=tuple(_texts(packet[at:after])))
    return None


def _texts(data: bytes) -> Iterable[str]:
    at = 0
    while at < len(data):
        yield data[at + 1 : at + 1 + data[at]].decode("utf-8", "replace")
        at += 1 + data[at]
