"""Brokers that tell of themselves in the local network: one question by multicast DNS, and who answers.

Nothing listens before or after, and nothing is announced.  Whoever answers is believed no further than an address on a
slip of paper: the person chooses, TLS and login come after.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import secrets
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.mqtt.dns_messages import PTR, SRV, TXT, A, DnsError, Name, Record, answers, name_of, question

if TYPE_CHECKING:
    from collections.abc import Iterable

MULTICAST = ("224.0.0.251", 5353)
PLAIN, SECURE, HOME_ASSISTANT = map(
    name_of, ("_mqtt._tcp.local", "_secure-mqtt._tcp.local", "_home-assistant._tcp.local")
)
USUAL_PORT = 1883
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
ASK_AGAIN_S = 0.8
LISTEN_S = 2.0
FOLLOW_UPS = 2  # first where it is, then at which address
FOLLOW_S = 0.7
RESOLVE_S = 1.5
MOST_PACKETS = 300
MOST_FOUND = 20
HOPS = 255  # RFC 6762 section 11: a question from this network


@dataclass(frozen=True, slots=True)
class FoundBroker:
    """A broker, or a machine that may have one; texts are fit to be shown."""

    name: str
    host: str  # what this machine can connect to
    port: int
    tls: bool = False
    is_guess: bool = False  # Home Assistant told of itself, and may have a broker beside it


@dataclass(slots=True)
class _Heard:
    """All records that came."""

    records: set[Record] = field(default_factory=set)

    def of(self, name: Name, kind: int) -> Record | None:
        wanted = _compared(name)
        found = [record for record in self.records if record.kind == kind and _compared(record.name) == wanted]
        return min(found, key=str, default=None)

    def instances(self) -> Iterable[tuple[Name, Name]]:
        """(service, instance) of everything that was offered, in a steady order."""
        pairs = {(_compared(r.name), r.target) for r in self.records if r.kind == PTR}
        services = (PLAIN, SECURE, HOME_ASSISTANT)
        return sorted((p for p in pairs if p[0] in services), key=lambda p: (services.index(p[0]), p[1]))[:MOST_FOUND]

    def missing(self) -> set[tuple[Name, int]]:
        """What an answer should have brought along, and did not."""
        wanted: set[tuple[Name, int]] = set()
        for _, instance in self.instances():
            where = self.of(instance, SRV)
            if where is None:
                wanted |= {(instance, SRV), (instance, TXT)}
            elif where.target and self.of(where.target, A) is None:
                wanted.add((where.target, A))
        return wanted


class _Ears(asyncio.DatagramProtocol):
    """Keeps what answers our question."""

    def __init__(self, number: int) -> None:
        self.heard = _Heard()
        self._number = number
        self._packets = 0

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  # from anywhere
        """Anybody may say anything; so much of it is enough."""
        self._packets += 1
        if self._packets <= MOST_PACKETS:
            with contextlib.suppress(DnsError):
                self.heard.records.update(answers(data, self._number))

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: then nobody answers."""


async def find_brokers(target: tuple[str, int] = MULTICAST, listen_s: float = LISTEN_S) -> list[FoundBroker]:
    """Ask everybody in the local network, or one machine, and wait for answers; none where the network has no way."""
    number = 1 + secrets.randbelow(0xFFFF)
    try:
        heard = await _ask(target, number, listen_s)
    except OSError:
        return []
    found = [await _broker_of(heard, service, instance) for service, instance in heard.instances()]
    return list({(one.host, one.port): one for one in reversed(found) if one is not None}.values())[::-1]


async def _ask(target: tuple[str, int], number: int, listen_s: float) -> _Heard:
    is_multicast = ipaddress.ip_address(target[0]).is_multicast
    ours = "127.0.0.1" if ipaddress.ip_address(target[0]).is_loopback else "0.0.0.0"
    loop = asyncio.get_running_loop()
    transport, ears = await loop.create_datagram_endpoint(lambda: _Ears(number), local_addr=(ours, 0))
    try:
        wanted = [(service, PTR) for service in (PLAIN, SECURE, HOME_ASSISTANT)]
        for pause_s in (min(ASK_AGAIN_S, listen_s / 2), max(listen_s - ASK_AGAIN_S, listen_s / 2)):
            _send(transport, question(wanted, number), target, everywhere=is_multicast)
            await asyncio.sleep(pause_s)
        for _ in range(FOLLOW_UPS):
            if more := ears.heard.missing():
                _send(transport, question(sorted(more), number), target, everywhere=is_multicast)
                await asyncio.sleep(min(FOLLOW_S, listen_s))
    finally:
        transport.close()
    return ears.heard


def _send(transport: asyncio.DatagramTransport, packet: bytes, target: tuple[str, int], *, everywhere: bool) -> None:
    """To one machine, or once on each network interface."""
    if not everywhere:
        transport.sendto(packet, target)
        return
    plug: socket.socket = transport.get_extra_info("socket")
    plug.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
    for index, _ in socket.if_nameindex():
        with contextlib.suppress(OSError):  # an interface that is down, or has no multicast
            plug.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"", b"", index))
            transport.sendto(packet, target)


async def _broker_of(heard: _Heard, service: Name, instance: Name) -> FoundBroker | None:
    where = heard.of(instance, SRV)
    if where is None or not where.target:  # the root says that the service is closed
        return None
    address = heard.of(where.target, A)
    host = await _reachable(".".join(where.target), None if address is None else address.address)
    if host is None:
        return None
    name = _shown(instance[0] if instance else host)
    if service == HOME_ASSISTANT:
        return FoundBroker(name, host, USUAL_PORT, is_guess=True)
    return FoundBroker(name, host, where.port, tls=service == SECURE) if where.port else None


async def _reachable(host: str, address: str | None) -> str | None:
    """The name if this machine can find it, since an address may change; else the address."""
    if HOST.fullmatch(host):
        with contextlib.suppress(OSError):
            async with asyncio.timeout(RESOLVE_S):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
            if address is None or address in {where[0] for *_, where in found}:
                return host
    is_usable = address is not None and not _is_for_many(ipaddress.ip_address(address))
    return address if is_usable else None


def _is_for_many(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255"


def _compared(name: Name) -> Name:
    return tuple(label.lower() for label in name)


def _shown(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c for c in text if c.isprintable())[:60]
