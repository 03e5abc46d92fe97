"""Ports of this machine."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """A free port below those that outgoing connections get, so that it stays free while its broker is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False
