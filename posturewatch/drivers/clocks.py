"""Clocks of sensors that begin anew when their counter is full."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from posturewatch.drivers import Packet

_NEAR_NS = 600 * NS_PER_S  # a step back that is not from near the end to near the start is a sensor that was restarted


class WrappingClock:
    """Lets the time go on when the counter wraps.  0: it does not."""

    def __init__(self, wraps_after_ns: int) -> None:
        self._wraps_after_ns = wraps_after_ns
        self._near_ns = min(_NEAR_NS, wraps_after_ns // 4)
        self._last_ns = 0
        self._ahead_ns = 0

    def correct(self, packet: Packet) -> Packet:
        """The packet with the time that has gone on."""
        if packet.device_ns is None or not self._wraps_after_ns:
            return packet
        is_wrapped = packet.device_ns < self._near_ns and self._last_ns > self._wraps_after_ns - self._near_ns
        self._ahead_ns += self._wraps_after_ns if is_wrapped else 0
        self._last_ns = packet.device_ns
        return replace(packet, device_ns=packet.device_ns + self._ahead_ns)
