"""How long a sensor that failed is left alone: longer each time, soon again after a success, never two at one pace."""

from __future__ import annotations

import asyncio

import pytest

from posturewatch.errors import RadioUnavailable, SensorRefused
from posturewatch.sources.ble.errors import OutOfSlots, SensorLost
from posturewatch.sources.ble.patience import FIRST_S, LONGEST_S, STABLE_S, Patience
from posturewatch.sources.ble.supervisor import CONNECTIONS_FULL_S, REFUSED_S, least_pause_s


async def paused_s(patience: Patience, least_s: float = 0.0) -> float:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await patience.pause(least_s)
    return loop.time() - began_s


def test_pauses_grow_up_to_a_bound_and_are_never_quite_the_same(fast_forward):
    async def fail() -> list[float]:
        patience = Patience()
        return [await paused_s(patience) for _ in range(12)]

    pauses = fast_forward(fail())
    for number, pause_s in enumerate(pauses):
        usual_s = min(FIRST_S * 2.0**number, LONGEST_S)
        assert 0.74 * usual_s < pause_s < 1.26 * usual_s
    assert len({round(pause_s / min(FIRST_S * 2.0**n, LONGEST_S), 6) for n, pause_s in enumerate(pauses)}) > 6


@pytest.mark.parametrize(("lasted_s", "is_soon"), [(STABLE_S + 1.0, True), (1.0, False)])
def test_a_connection_that_lasted_makes_the_next_attempt_soon(fast_forward, lasted_s, is_soon):
    async def fail() -> float:
        patience = Patience()
        for _ in range(8):
            await patience.pause()
        patience.start()
        await asyncio.sleep(lasted_s)
        return await paused_s(patience)

    assert (fast_forward(fail()) < 1.0) is is_soon


@pytest.mark.parametrize(
    ("error", "least_s"),
    [
        (OutOfSlots("full"), CONNECTIONS_FULL_S),  # a slot is not free at once
        (SensorRefused("in its charger"), REFUSED_S),
        (RadioUnavailable("pulled"), 0.5),
        (SensorLost("out of range"), 0.0),
    ],
)
def test_what_failed_says_how_long_to_wait_at_least(fast_forward, error, least_s):
    async def fail() -> float:
        return await paused_s(Patience(), least_pause_s(error))

    assert least_pause_s(error) == least_s
    assert fast_forward(fail()) > 0.74 * least_s
