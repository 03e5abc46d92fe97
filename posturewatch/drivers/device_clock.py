"""A sensor's own clock, which counts from anywhere and may start again, mapped to ours."""

from __future__ import annotations

from collections import deque

from posturewatch.types import NS_PER_S

WINDOW_NS = 60 * NS_PER_S
BUCKET_NS = 5 * NS_PER_S
JUMP_NS = 5 * NS_PER_S  # further off than this, the device began to count anew


class DeviceClock:
    """The device's time plus the least delay of the last minute: a packet can be late, never early."""

    def __init__(self) -> None:
        """Nothing known yet; make a new one for each connection."""
        self._least: deque[tuple[int, int]] = deque()  # (when the bucket began, the least offset seen in it)
        self._last_ns: int | None = None
        self.jumps = 0

    def to_utc_ns(self, device_ns: int, arrived_ns: int) -> int | None:
        """When it was for us; None for a packet that is not newer than the one before."""
        last_ns, self._last_ns = self._last_ns, device_ns
        offset_ns = arrived_ns - device_ns
        if last_ns is not None:
            if self._is_jump(offset_ns):
                self._least.clear()
                self.jumps += 1
            elif device_ns <= last_ns:
                self._last_ns = last_ns
                return None
        self._note(offset_ns, arrived_ns)
        return device_ns + min(offset for _, offset in self._least)

    def _is_jump(self, offset_ns: int) -> bool:
        return abs(offset_ns - min(offset for _, offset in self._least)) > JUMP_NS

    def _note(self, offset_ns: int, arrived_ns: int) -> None:
        least = self._least
        while least and not 0 <= arrived_ns - least[0][0] <= WINDOW_NS:
            least.popleft()
        if least and arrived_ns - least[-1][0] < BUCKET_NS:
            began_ns, before = least[-1]
            least[-1] = (began_ns, min(before, offset_ns))
        else:
            least.append((arrived_ns, offset_ns))
