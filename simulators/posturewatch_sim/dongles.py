"""Where hosts reach the virtual radio: a socket, on which a connection is a dongle plugged in, or the kernel's vhci."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bumble.transport import open_transport
from bumble.transport.common import StreamPacketSink, StreamPacketSource

from posturewatch_sim.air import Air, VirtualController

if TYPE_CHECKING:
    from bumble.transport.common import Transport

Say = Callable[..., None]
VHCI = "/dev/vhci"


class DongleError(Exception):
    """A transport that cannot be offered: which, why, what helps."""


class _Dongle(StreamPacketSource):
    """One connection."""

    def __init__(self, port: SocketPort) -> None:
        super().__init__()
        self._port = port
        self._radio: VirtualController | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._port.is_pulled:
            transport.abort()
            return
        self._radio = self._port.plug_in(self, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the signature is asyncio's
        self.on_transport_lost()
        if self._radio is not None:
            self._port.pull_out(self, self._radio)


class SocketPort:
    """Dongles on a unix socket, of its owner only."""

    def __init__(self, air: Air, path: Path, say: Say) -> None:
        self.air = air
        self.path = path
        self.is_pulled = False
        self._say = say
        self._count = 0
        self._dongles: dict[_Dongle, int] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; a socket that somebody left behind is replaced, nothing else is."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self.path.stat().st_mode):
                raise DongleError(f"--transport unix:{self.path}: there is something else; name another path")
            self.path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Dongle(self), str(self.path))
        except OSError as error:
            raise DongleError(f"--transport unix:{self.path}: {error.strerror or error}; name another path") from None
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Pull all dongles and go."""
        if self._server is not None:
            self._server.close()
        await self.pull()
        self.path.unlink(missing_ok=True)

    async def pull(self) -> None:
        """Pull all dongles; new ones are refused until `plug`."""
        self.is_pulled = True
        for dongle in list(self._dongles):
            if dongle.transport is not None:
                dongle.transport.abort()
        await asyncio.sleep(0)

    async def plug(self) -> None:
        """Let dongles be plugged in again."""
        self.is_pulled = False

    def plug_in(self, dongle: _Dongle, transport: asyncio.Transport) -> VirtualController:
        """A connection came."""
        self._count += 1
        self._dongles[dongle] = self._count
        self._say("dongle", number=self._count)
        return VirtualController(
            f"dongle {self._count}",
            self.air,
            f"00:5E:AA:00:{self._count >> 8 & 0xFF:02X}:{self._count & 0xFF:02X}",
            host_source=dongle,
            host_sink=StreamPacketSink(transport),
        )

    def pull_out(self, dongle: _Dongle, radio: VirtualController) -> None:
        """A connection went."""
        radio.set_packet_sink(None)
        self.air.remove(radio)
        self._say("undongle", number=self._dongles.pop(dongle, 0))


class VhciPort:
    """One dongle for the Linux kernel, which shows it as hci0 or the next free one."""

    def __init__(self, air: Air, say: Say) -> None:
        self.air = air
        self._say = say
        self._transport: Transport | None = None
        self._radio: VirtualController | None = None

    async def open(self) -> None:
        """Plug it in."""
        try:
            self._transport = await open_transport("vhci")
        except OSError as error:
            raise DongleError(
                f"--transport vhci: {VHCI}: {error.strerror or error}; load the kernel module hci_vhci and be root"
            ) from None
        ends: dict[str, Any] = {"host_source": self._transport.source, "host_sink": self._transport.sink}
        self._radio = VirtualController("vhci", self.air, "00:5E:AA:FF:00:01", **ends)
        self._say("dongle", number=0)

    async def close(self) -> None:
        """Pull it."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._radio is not None:
            self._radio.set_packet_sink(None)
            self.air.remove(self._radio)
        await transport.close()
        self._say("undongle", number=0)

    async def pull(self) -> None:
        """Pull it."""
        await self.close()

    async def plug(self) -> None:
        """Plug it in again."""
        if self._transport is None:
            await self.open()


Port = SocketPort | VhciPort


def port_of(transport: str, air: Air, say: Say) -> Port:
    """`unix:PATH` or `vhci`."""
    kind, _, where = transport.partition(":")
    if kind == "vhci" and not where:
        return VhciPort(air, say)
    if kind == "unix" and where:
        return SocketPort(air, Path(where), say)
    raise DongleError(f"--transport {transport!r} is not known; allowed are unix:PATH and vhci")
