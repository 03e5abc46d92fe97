"""Fixtures for the tests of others: simulated samples with their truth, virtual sensors, and a running posturewatch.

Nothing is loaded unasked: write `pytest_plugins = ["posturewatch_sim.pytest_plugin"]` into your top `conftest.py`, or
call pytest with `-p posturewatch_sim.pytest_plugin`.  posturewatch runs as a process, so the tests of another project
share no event loop, logging or signals with it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch_sim.running import RunningPosturewatch, VirtualRadio, start_daemon, start_demo, start_radio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SimulatedSamples:
    """What one sensor measures in a scenario, and what is true meanwhile."""

    t_s: NDArray[np.float64]  # [n] seconds since the start
    acc_g: NDArray[np.float64]  # [n, 3] x, y, z with gravity
    truth: list[dict[str, Any]]  # as the JSON Lines of `posturewatch simulate --truth`


@pytest.fixture
def posturewatch_samples() -> Callable[..., SimulatedSamples]:
    """`posturewatch_samples("office-day", seed=7)`; further: wearer, sensor_model, duration_s."""
    return _simulate


@pytest.fixture
def posturewatch_radio() -> Iterator[Callable[..., VirtualRadio]]:
    """`posturewatch_radio("polar_h10", "ruuvi,placement=thigh", scenario="still-upright", seed=7)`; needs `[sim]`."""
    with _stopped_at_the_end(start_radio) as start:
        yield start


@pytest.fixture
def posturewatch_demo() -> Iterator[Callable[..., RunningPosturewatch]]:
    """`posturewatch_demo("desk-freeze", speed=300)`: a day on a fast clock, on a broker of its own or `broker=`."""
    with _stopped_at_the_end(start_demo) as start:
        yield start


@pytest.fixture
def posturewatch_daemon() -> Iterator[Callable[..., RunningPosturewatch]]:
    """`posturewatch_daemon(toml)`: the daemon with this configuration, on a broker of its own or `broker=`."""
    with _stopped_at_the_end(start_daemon) as start:
        yield start


def _simulate(
    scenario: str | Path,
    *,
    seed: int = 1,
    wearer: str | None = None,
    sensor_model: str | None = None,
    duration_s: float | None = None,
) -> SimulatedSamples:
    import numpy as np  # noqa: PLC0415  quick to collect tests that do not ask for it

    from posturewatch_sim import scenarios, stream, truth  # noqa: PLC0415

    scene = scenarios.load(scenario)
    said: dict[str, Any] = {"seed": seed, "wearer": wearer, "duration_s": duration_s}
    if duration_s is None and scene.duration_s is None and scene.wearer(wearer).endless:
        raise ValueError(f"{scene.name} has no end: say duration_s")
    chunks = list(stream.samples(scene, start_ns=0, sensor_model=sensor_model, **said))
    return SimulatedSamples(
        np.concatenate([chunk.t_ns for chunk in chunks]) / 1e9,
        np.concatenate([chunk.acc_10ug for chunk in chunks]) / 1e5,
        truth.truth(scene, **said),
    )


@contextlib.contextmanager
def _stopped_at_the_end(start: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """What is started by a test ends with it; folders with names short enough for sockets."""
    with contextlib.ExitStack() as scopes:

        def begin(*words: Any, **named: Any) -> Any:
            folder = Path(tempfile.mkdtemp(prefix="pw-"))
            scopes.callback(shutil.rmtree, folder, ignore_errors=True)
            running = start(folder, *words, **named)
            scopes.callback(running.stop)
            return running

        yield begin
