"""`simulate --transport mqtt` is a gateway like any other: real processes, a real broker, the daemon's own source."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from posturewatch_sim import scenarios, stream

from posturewatch.clock import read_wall_ns
from posturewatch.sources.mqtt import MqttSource
from posturewatch.types import LinkChanged, RawSamples

if TYPE_CHECKING:
    from posturewatch.mqtt.settings import MqttSettings

RUN = "import sys; from posturewatch.cli.simulate import command; command(sys.argv[1:])"


def words(settings: MqttSettings, *more: str) -> list[str]:
    to = ["--transport", "mqtt", "--broker", settings.address, "--base-topic", settings.base_topic]
    return [sys.executable, "-c", RUN, "still-upright", "--seed", "4", "--speed", "max", *to, *more]


@pytest.mark.asyncio
async def test_the_samples_that_arrive_are_those_of_the_scenario(fresh_mosquitto: object) -> None:
    settings: MqttSettings = fresh_mosquitto.settings()  # type: ignore[attr-defined]  # the class lives in conftest
    heard: list[RawSamples | LinkChanged] = []
    source = MqttSource(settings, ["belt"], heard.append, read_wall_ns)
    task = asyncio.create_task(source.run())
    await source.ready.wait()
    sender = await asyncio.create_subprocess_exec(*words(settings, "--sensor", "belt", "--duration", "60s"))
    assert await asyncio.wait_for(sender.wait(), 20.0) == 0
    for _ in range(200):
        if source.counts.batches >= 120:
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    batches = [h for h in heard if isinstance(h, RawSamples)]
    chunks = stream.samples(scenarios.load("still-upright"), seed=4, start_ns=0, duration_s=60.0)
    sent = np.concatenate([chunk.acc_10ug for chunk in chunks])
    assert np.array_equal(np.concatenate([b.acc_10ug for b in batches]), sent)
    assert [b.seq for b in batches] == list(range(120))
    assert batches[-1].last_ns is not None
    assert source.counts.undecodable == 0


def test_no_broker_is_one_clear_line() -> None:
    run = RUN.replace("command(sys", "command.main(sys").replace("argv[1:])", "argv[1:], standalone_mode=False)")
    done = subprocess.run(
        [sys.executable, "-c", run, "still-upright", "--transport", "mqtt", "--broker", "127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode != 0
    assert "broker 127.0.0.1:9 cannot be reached" in done.stderr.splitlines()[-1]
