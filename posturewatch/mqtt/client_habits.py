"""Habits of the MQTT client library that do not suit us, and how its clients are broken of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import aiomqtt

if TYPE_CHECKING:
    from paho.mqtt.client import Client as PahoClient
    from paho.mqtt.client import SocketLike

QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux has it


def cut(client: aiomqtt.Client) -> None:
    """Close what the library leaves open after a failed connection: the socket, its reader and its task."""
    client._client._sock_close()


class EarlyClose(aiomqtt.MqttError):
    """The broker closed the connection instead of answering it."""


def notice_early_close(client: aiomqtt.Client) -> None:
    """Do not wait for an answer from a closed connection, as the library would."""
    disconnected = client._client.on_disconnect
    assert disconnected is not None  # set by the library in its constructor

    def on_disconnect(*told: Any) -> None:
        if not client._connected.done():
            client._connected.set_exception(EarlyClose())
        disconnected(*told)

    client._client.on_disconnect = on_disconnect


def write_soon(client: aiomqtt.Client) -> None:
    """Send at the loop's next turn.  The library asks the system first whether there is room, for each message."""
    paho, loop = client._client, asyncio.get_running_loop()
    wait_for_room = paho.on_socket_register_write
    assert wait_for_room is not None  # set by the library in its constructor

    def write(sock: SocketLike) -> None:
        if paho.socket() is not sock:  # closed meanwhile
            return
        try:
            paho.loop_write()
        except Exception as error:  # noqa: BLE001  # as the library does: whatever it is, the connection is lost
            if not client._disconnected.done():
                client._disconnected.set_exception(error)
            return
        if paho.socket() is sock and paho.want_write():
            wait_for_room(paho, None, sock)

    def register(_client: PahoClient, _userdata: object, sock: SocketLike) -> None:
        loop.call_soon(write, sock)

    paho.on_socket_register_write = register


def hurry(paho: PahoClient) -> None:
    """Confirm to the broker's system what was read.

    Most brokers let a small packet wait until the one before is confirmed, and a system that is left alone does that
    40 ms late.  It has to be asked anew each time.
    """
    sock = paho.socket()
    if isinstance(sock, socket.socket) and QUICK_ACK is not None:
        with contextlib.suppress(OSError):  # it is lost, as the next read will tell
            sock.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)


def heed(disconnected: asyncio.Future[None]) -> None:
    """A loss that nobody waits for is no news for the loop's log."""
    if not disconnected.cancelled():
        disconnected.exception()
