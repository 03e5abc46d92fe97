"""Calibration from the command line: through a running daemon, and with the sensor itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posturewatch.calibrating.streams import DaemonStream, open_sensor
from posturewatch.config import load
from posturewatch.errors import CommandError
from posturewatch.requests.control_socket import ask, socket_path

PROGRAM = [sys.executable, "-m", "posturewatch"]


@pytest.fixture
def running(
    start_broker: Callable[..., Any],
    start: Callable[..., Any],
    listen: Callable[..., Any],
    configure: Callable[..., Path],
) -> tuple[Path, Any]:
    """A daemon with a simulated wearer: its door, and who listens at its broker."""
    broker = start_broker()
    path = configure(broker.port, 'source = "simulated"\nscenario = "still-upright"')
    ears = listen(broker.port)
    start("run", "--config", str(path))
    ears.until("me/state", lambda state: state["motion"] != "unknown")
    return socket_path(load(path, {}).state_folder(), {"XDG_RUNTIME_DIR": str(path.parent)}), ears


def test_a_daemon_gives_its_owner_samples_and_keeps_the_result(running: tuple[Path, Any]) -> None:
    door, ears = running
    captured = asyncio.run(DaemonStream(door, None, "chest").glimpse(0.5))
    assert captured.seconds >= 0.5
    assert 0.8 < captured.measure().norm_g < 1.2
    up = captured.measure().direction

    kept = asyncio.run(ask(door, "keep_calibration", sensor="chest", up=up, forward=None, grade="A"))
    assert kept == {"ok": True}
    event = ears.until("me/event", lambda event: event["event_type"] == "calibrated")
    assert event["detail"] == {"sensor": "chest", "grade": "A"}
    state = ears.until("me/state", lambda state: state["inclination_deg"] is not None)
    assert state["inclination_deg"] < 30
    assert not any(b"acc" in payload for topic, payload, _ in ears.heard if "wearer" in topic)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sensor": "nose"}, "no sensor 'nose'"),
    ({"sensor": "chest", "wearer": "you"}, "no such wearer"),
    ({"sensor": "chest", "up": [0, 0, 0]}, "three numbers that are not all zero"),
    ({"sensor": "chest", "up": [0, 0, float("inf")]}, "three numbers that are not all zero"),
    ({"sensor": "chest", "up": "up"}, "three numbers that are not all zero"),
    ({"sensor": "chest", "up": [0, 0, 1], "grade": "Z"}, "one of A, B, C"),
]


def test_what_cannot_be_kept_or_shown_is_refused(running: tuple[Path, Any]) -> None:
    door, _ = running
    for asked, told in REFUSED:
        answer = asyncio.run(ask(door, "keep_calibration", **{"grade": "A", **asked}))
        assert told in answer["error"]
        if "up" not in asked:
            with pytest.raises(CommandError, match=told):
                asyncio.run(DaemonStream(door, asked.get("wearer"), asked["sensor"]).glimpse(0.5))


def test_without_a_daemon_the_sensor_is_asked_itself(configure: Callable[..., Path]) -> None:
    loaded = load(configure(1883, 'source = "simulated"'), {})

    async def look() -> float:
        async with open_sensor(loaded, "chest") as stream:
            await stream.glimpse(0.4)
            return (await stream.glimpse(0.4)).measure().norm_g

    assert 0.8 < asyncio.run(look()) < 1.2


def test_what_cannot_be_calibrated_is_said_in_one_line(configure: Callable[..., Path]) -> None:
    def calibrate(path: Path, *words: str) -> tuple[int, str]:
        environ = {**os.environ, "XDG_RUNTIME_DIR": str(path.parent)}
        done = subprocess.run(
            [*PROGRAM, "calibrate", "--config", str(path), *words],
            env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    code, told = calibrate(configure(1883), "nose", "--yes")
    assert (code, told) == (2, "posturewatch: me: no sensor 'nose'; known are chest\n")
    gateway = configure(1883, 'source = "mqtt"')
    gateway.write_text(gateway.read_text().replace('host = "127.0.0.1"\n', ""))
    code, told = calibrate(gateway, "--yes")
    assert code == 3
    assert "start `posturewatch run` first" in told
    mine = configure(1883, 'source = "simulated"\ncalibration_file = "mine.json"')
    mine.with_name("mine.json").write_text(json.dumps({"up": [0, 0, 1]}))
    code, told = calibrate(mine, "--yes")
    assert code == 2
    assert "remove that line first" in told
