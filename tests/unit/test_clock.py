"""Time is read in one place and behaves whatever happens to the system's clock."""

from __future__ import annotations

import asyncio

import pytest

from posturewatch.clock import ClockStep, ScaledClock, WallClock
from posturewatch.types import NS_PER_S

START_NS = 1_790_000_000 * NS_PER_S


class World:
    """A machine whose clocks the test moves: what the system calls would say."""

    def __init__(self) -> None:
        self.wall_ns, self.monotonic_s, self.suspended_s = START_NS, 50.0, 0.0

    def pass_time(self, seconds: float) -> None:
        self.wall_ns += round(seconds * NS_PER_S)
        self.monotonic_s += seconds

    def suspend(self, seconds: float) -> None:
        self.wall_ns += round(seconds * NS_PER_S)
        self.suspended_s += seconds

    def clock(self) -> WallClock:
        return WallClock(lambda: self.wall_ns, lambda: self.monotonic_s, lambda: self.suspended_s)


def test_wall_clock_runs_on_the_monotonic_clock():
    world = World()
    clock = world.clock()
    world.pass_time(12.5)
    world.wall_ns -= NS_PER_S  # the system's time is corrected meanwhile
    assert clock.now_ns() == START_NS + 12_500_000_000


def test_small_correction_backwards_never_turns_time_back():
    world = World()
    clock = world.clock()
    before = clock.now_ns()
    world.wall_ns -= 2 * NS_PER_S
    assert clock.check() is None
    seen = []
    for _ in range(6):
        world.pass_time(0.5)
        seen.append(clock.now_ns())
    assert seen == sorted(seen)
    assert seen[0] == before
    assert seen[-1] == world.wall_ns  # caught up


@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 6.0, -6.0])
def test_system_time_that_was_set_is_followed_and_told(by_s):
    world = World()
    clock = world.clock()
    world.pass_time(1)
    world.wall_ns += round(by_s * NS_PER_S)
    assert clock.check() == ClockStep(by_s=by_s, reason="set")
    assert clock.now_ns() == world.wall_ns
    world.pass_time(1)
    assert clock.check() is None
    assert clock.now_ns() == world.wall_ns


def test_suspend_is_followed_and_told_as_such():
    world = World()
    clock = world.clock()
    world.suspend(3 * 3600)
    assert clock.check() == ClockStep(by_s=3 * 3600, reason="suspend")
    assert clock.now_ns() == world.wall_ns


async def wait_scaled(speed: float) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    clock, begun_s = ScaledClock(speed, START_NS), loop.time()
    await clock.sleep(6.0)
    return (clock.now_ns() - START_NS) / NS_PER_S, loop.time() - begun_s


def test_scaled_clock_runs_sixty_times_as_fast():
    scaled_s, real_s = asyncio.run(wait_scaled(60.0))
    assert 0.1 <= real_s < 1
    assert scaled_s == pytest.approx(real_s * 60, rel=0.1)


def test_scaled_clock_refuses_to_stand_still():
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(0.0, START_NS, lambda: 0.0)


def test_wall_clock_uses_the_running_loop_and_the_real_time():
    async def read() -> tuple[int, int]:
        clock = WallClock()
        first = clock.now_ns()
        await clock.sleep(0.02)
        assert clock.check() is None
        return first, clock.now_ns()

    first, second = asyncio.run(read())
    assert 20_000_000 <= second - first < NS_PER_S
