"""Packet counters of sensors, which wrap and start again, as one that only grows."""

from __future__ import annotations

REPEATS = 8  # a counter this little behind is a repeat, more is a sensor that began anew


class PacketOrder:
    """Counts on through wraps, restarts and reconnections."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self.lost = 0  # packets that the counter says are missing
        self._last: int | None = None  # as the sensor counts
        self._count = -1

    def restart(self) -> None:
        """A new connection: what the counter says now tells nothing about what it said before."""
        self._last = None

    def follow(self, seq: int, modulus: int = 0) -> int | None:
        """The count that goes with `seq`; None for a packet that was there before."""
        last = self._last
        if last is None:
            step = 1
        else:
            step = (seq - last) % modulus if modulus > 0 else seq - last
            behind = modulus - step if modulus > 0 and step else -step
            if step == 0 or 0 < behind <= REPEATS:
                return None
            if step < 0 or 0 < modulus < 2 * step:  # more than half of all numbers ahead is behind
                step = 1
            self.lost += step - 1
        self._last = seq
        self._count += step
        return self._count
