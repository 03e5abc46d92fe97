"""The only reader of time.  Everything else is told what time it is.

Arrival stamps must not run backwards when the system time is corrected by a little, and must follow when it is set
or when the machine slept.  So the wall clock is read once and carried on by the monotonic clock; `check` compares
the two and follows.  Both clocks run on the event loop's time, so that tests can fast-forward it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_NS = 5 * NS_PER_S  # less is a correction, to be absorbed; more is a new time, to be followed


def read_wall_ns() -> int:
    """The system's UTC time, for programs too short to need a clock."""
    return time.time_ns()


def _read_suspended_s() -> float:
    """Seconds this machine has slept since it was started; 0 where the platform cannot say."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boottime is None else time.clock_gettime(boottime) - time.clock_gettime(time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class ClockStep:
    """Time jumped, for a reason outside."""

    by_s: float  # forward is positive
    reason: str  # suspend | set


class Clock(Protocol):
    """What the shell knows of time; `sleep` is in seconds of this clock."""

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of this clock's own time."""
        ...

    def check(self) -> ClockStep | None:
        """Follow the system's time; tell if it jumped.  Called about once a second."""
        ...


class WallClock:
    """Real time that never runs backwards, except when somebody set the system's clock back by more than 5 s."""

    def __init__(
        self,
        read_wall: Callable[[], int] = read_wall_ns,
        read_monotonic: Callable[[], float] | None = None,
        read_suspended: Callable[[], float] = _read_suspended_s,
    ) -> None:
        """Without `read_monotonic` the running event loop's time is used."""
        self._read_wall = read_wall
        self._read_monotonic = read_monotonic or asyncio.get_running_loop().time
        self._read_suspended = read_suspended
        self._latest_ns = 0
        self._anchor()

    def _anchor(self) -> None:
        self._wall_ns = self._read_wall()
        self._monotonic_s = self._read_monotonic()
        self._suspended_s = self._read_suspended()

    def _carry_on_ns(self) -> int:
        return self._wall_ns + round((self._read_monotonic() - self._monotonic_s) * NS_PER_S)

    def now_ns(self) -> int:
        """UTC nanoseconds, never less than before."""
        self._latest_ns = max(self._latest_ns, self._carry_on_ns())
        return self._latest_ns

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def check(self) -> ClockStep | None:
        """Anchor again on the system's time; a jump of more than 5 s is told.

        After a small correction backwards the clock stands still until the system's time has caught up.
        """
        by_ns = self._read_wall() - self._carry_on_ns()
        slept_ns = round((self._read_suspended() - self._suspended_s) * NS_PER_S)
        self._anchor()
        if abs(by_ns) < STEP_NS:
            return None
        self._latest_ns = self._wall_ns
        return ClockStep(by_s=by_ns / NS_PER_S, reason="suspend" if abs(by_ns - slept_ns) < STEP_NS else "set")


class ScaledClock:
    """Time that starts at `start_ns` and runs `speed` times as fast as the event loop's; for demonstrations."""

    def __init__(self, speed: float, start_ns: int, read_monotonic: Callable[[], float] | None = None) -> None:
        """Starts to run now."""
        if not speed > 0:
            raise ValueError(f"a clock's speed must be above 0, not {speed}")
        self.speed = speed
        self._start_ns = start_ns
        self._read_monotonic = read_monotonic or asyncio.get_running_loop().time
        self._start_s = self._read_monotonic()

    def now_ns(self) -> int:
        """UTC nanoseconds of the scaled time."""
        return self._start_ns + round((self._read_monotonic() - self._start_s) * self.speed * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of the scaled time."""
        await asyncio.sleep(seconds / self.speed)

    def check(self) -> ClockStep | None:
        """Never jumps: it does not depend on the system's time."""
        return None
