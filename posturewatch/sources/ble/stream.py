"""From a sensor's packets to samples on the clock: what is new, when it was, whether it can be true, how it goes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.drivers import Silence
from posturewatch.drivers.device_clock import DeviceClock
from posturewatch.drivers.packet_order import PacketOrder
from posturewatch.drivers.plausibility import Plausibility
from posturewatch.drivers.sparse import BRIDGED_HZ, bridge, settle
from posturewatch.recording.sent_packets import SentPacket, blank
from posturewatch.status.health import SensorHealth
from posturewatch.types import NS_PER_S, LinkChanged, RawSamples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from posturewatch.drivers import Capabilities, Packet
    from posturewatch.errors import DecodeError
    from posturewatch.types import Int32Array

log = logging.getLogger(__name__)

COMPLAINT_NS = 60 * NS_PER_S
HELD_FROM_PERIODS = 1.5  # a silence this long is filled with the value that did not change
MOST_HELD = 3000


class SensorStream:
    """One sensor, over all its connections."""

    def __init__(
        self,
        sensor: str,
        capabilities: Capabilities,
        put: Callable[[RawSamples | LinkChanged], None],
        now_ns: Callable[[], int],
        keep_sent: Callable[[SentPacket], None] | None = None,
    ) -> None:
        """`put` must not wait, nor `keep_sent`, which takes what the sensor sent byte for byte."""
        self.sensor = sensor
        self.health = SensorHealth(sensor)
        self._capabilities = capabilities
        self._put = put
        self._now_ns = now_ns
        self._keep_sent = keep_sent
        self._clock = DeviceClock()
        self._order = PacketOrder()
        self._plausibility = Plausibility(capabilities.range_g)
        self._is_up = False
        self._last: Int32Array | None = None  # the newest sample, as it was used
        self._last_ns = 0
        self._complained_ns: dict[str, int] = {}

    def begin(self) -> None:
        """A new connection: the device's clock and counter may have begun anew."""
        self._clock = DeviceClock()
        self._order.restart()
        self._last = None

    def keep(
        self, parts: Iterable[tuple[str, bytes]], at_ns: int, names: Iterable[str | None], *, is_bad: bool
    ) -> None:
        """What came, before decoding, for who wants it; `names` is what must not be left in it."""
        if self._keep_sent is None:
            return
        known = tuple(names)
        for part, payload in parts:
            self._keep_sent(SentPacket(self.sensor, at_ns, part, blank(payload, known), is_bad))

    def take(self, packet: Packet, arrived_ns: int) -> None:
        """One decoded packet."""
        health = self.health
        health.packets += 1
        health.invalid += packet.invalid
        health.heard_ns = arrived_ns
        if packet.battery_pct is not None:
            health.battery_pct = packet.battery_pct
        if packet.battery_mv is not None:
            health.battery_mv = packet.battery_mv
        acc = packet.acc_10ug
        if not len(acc):
            return
        seq = None
        if packet.seq is not None:
            seq = self._order.follow(packet.seq, packet.seq_modulus)
            if seq is None:
                health.repeated += 1
                return
            health.lost = self._order.lost
        last_ns = None
        if packet.device_ns is not None:
            last_ns = self._clock.to_utc_ns(packet.device_ns, arrived_ns)
            if last_ns is None:
                health.repeated += 1
                return
        self._accept(packet, arrived_ns, last_ns, seq)

    def _accept(self, packet: Packet, arrived_ns: int, last_ns: int | None, seq: int | None) -> None:
        acc = packet.acc_10ug
        self.health.count(len(acc), arrived_ns)
        self._plausibility.look(acc, arrived_ns)
        if self._plausibility.fault is not None:
            self.fail(self._plausibility.fault)
            self._last, self._last_ns = acc[-1:], arrived_ns
            return
        self._rise(arrived_ns)
        rate_hz, last = packet.rate_hz, self._last
        if self._capabilities.silence is Silence.SPARSE and last is not None:
            acc = settle(acc, last, self._capabilities.step_mg)
            bridged = bridge(acc, last, arrived_ns - self._last_ns)
            filled, rate_hz = (acc, rate_hz) if bridged is None else (bridged, BRIDGED_HZ)
        else:
            filled = self._hold(acc, rate_hz, arrived_ns)
        self._last, self._last_ns = acc[-1:], arrived_ns
        self._put(RawSamples(self.sensor, arrived_ns, filled, rate_hz, last_ns=last_ns, seq=seq))

    def _hold(self, acc: Int32Array, rate_hz: float, arrived_ns: int) -> Int32Array:
        """With what a sensor that speaks on change only left out: its last value, once something proves it alive."""
        if self._capabilities.silence is not Silence.HOLD or self._last is None or not rate_hz > 0.0:
            return acc
        periods = (arrived_ns - self._last_ns) / NS_PER_S * rate_hz - (len(acc) - 1)
        if periods < HELD_FROM_PERIODS:
            return acc
        held = np.repeat(self._last, min(round(periods) - 1, MOST_HELD), axis=0)
        return np.concatenate((held, acc))

    def fail(self, fault: str) -> None:
        """The sensor itself is at fault: nothing may be told from what it says."""
        self.complain("fault", f"{fault}; its samples are not used")
        self.health.fault = fault
        self._fall(f"device fault: {fault}")

    def lose(self, reason: str) -> None:
        """The sensor is out of reach."""
        self.health.is_connected = False
        self._fall(reason)

    def rest(self) -> None:
        """The sensor lies somewhere, and nothing is wanted of it until it is worn."""
        self.lose("laid aside: its stream is stopped to spare its battery, until it is worn")
        self.health.is_resting = True

    def undecodable(self, error: DecodeError) -> None:
        """A packet that is not what the protocol says: counted, and told now and then."""
        self.health.undecodable += 1
        self.complain("packets", f"{error} ({self.health.undecodable} packets so far)")

    def complain(self, kind: str, text: str) -> None:
        """At most once a minute for each kind of trouble."""
        now_ns, last_ns = self._now_ns(), self._complained_ns.get(kind)
        if last_ns is None or not 0 <= now_ns - last_ns < COMPLAINT_NS:
            self._complained_ns[kind] = now_ns
            log.warning("sensor %s: %s", self.sensor, text)

    def _rise(self, at_ns: int) -> None:
        self.health.fault, self.health.is_connected, self.health.is_resting = None, True, False
        if not self._is_up:
            self._is_up = True
            self._put(LinkChanged(self.sensor, at_ns, up=True))

    def _fall(self, reason: str) -> None:
        if self._is_up:
            self._is_up = False
            self.health.gaps += 1
            self._put(LinkChanged(self.sensor, self._now_ns(), up=False, reason=reason))
