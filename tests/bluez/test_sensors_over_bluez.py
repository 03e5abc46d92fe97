"""Virtual sensors through bleak, bluetoothd and the kernel: found, streamed, and kept, whatever happens to them."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.asyncio


@pytest.mark.usefixtures("simulator")
async def test_every_packet_arrives_once_and_in_order(listen, counted):
    async with listen(counted) as heard:
        await heard.more("counted", 50)
        health = heard.source.health["counted"]
    numbers = [batch.seq for batch in heard.batches("counted")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert (health.lost, health.repeated, health.undecodable, health.gaps) == (0, 0, 0, 0)
    assert all(len(batch.acc_10ug) == 5 for batch in heard.batches("counted"))


async def test_nothing_is_heard_twice_after_the_sensor_hung_up(simulator, listen, counted):
    async with listen(counted) as heard:
        await heard.more("counted", 10)
        for _ in range(2):
            simulator.obey("kick counted")
            await heard.until(lambda: not heard.links("counted")[-1])
            await heard.more("counted", 10)
        health = heard.source.health["counted"]
    assert (health.repeated, health.reconnects) == (0, 2)
    assert heard.links("counted") == [True, False, True, False, True]
