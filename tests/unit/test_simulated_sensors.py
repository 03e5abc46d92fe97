"""Simulated sensors show the noise, the steps and the faults of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from posturewatch_sim import scenarios, stream
from posturewatch_sim.faults import FaultError, Faults, moment_s
from posturewatch_sim.likeness import band_mg
from posturewatch_sim.sensor import MODELS


def scene(do: str, seconds: float, sensor: str = "lis2dh12", placement: str = "chest") -> scenarios.Scenario:
    step = scenarios.Step(do, (seconds, seconds))
    return scenarios.Scenario(do, do, "", (scenarios.Wearer("w", placement, sensor, (step,)),))


def taken(scenario: scenarios.Scenario, seed: int = 5, faults: Faults | None = None) -> stream.Chunk:
    chunks = list(stream.samples(scenario, seed=seed, start_ns=0, faults=faults))
    return stream.Chunk(np.concatenate([c.t_ns for c in chunks]), np.concatenate([c.acc_10ug for c in chunks]))


def desk_floor_mg(sensor: str, seeds: Sequence[int] = (1, 2, 3, 4, 5)) -> float:
    floors = []
    for seed in seeds:
        acc_g = taken(scene("on_desk", 960.0, sensor), seed).acc_10ug / 1e5
        rate = MODELS[sensor].rate_hz
        minute = int(60 * rate)
        floors += [band_mg(acc_g[k : k + minute], rate) for k in range(0, len(acc_g) - minute, minute)]
    return float(np.median(floors))


@pytest.mark.parametrize(("sensor", "low", "high"), [("lis2dh12", 0.30, 0.34), ("adxl330", 0.53, 0.57)])
def test_the_noise_floor_on_a_desk_is_that_of_the_density(sensor: str, low: float, high: float) -> None:
    assert low <= desk_floor_mg(sensor) <= high


def test_a_coarse_sensor_on_a_desk_shows_few_digits_and_no_turning() -> None:
    acc = taken(scene("on_desk", 300.0, "empatica_e4")).acc_10ug
    assert max(len(np.unique(acc[:, axis])) for axis in range(3)) <= 3
    tens = acc[: len(acc) // 320 * 320].reshape(-1, 320, 3).mean(axis=1)
    tens /= np.linalg.norm(tens, axis=1)[:, None]
    assert np.degrees(np.arccos(np.clip(tens @ tens[0], -1.0, 1.0))).max() < 0.2


@pytest.mark.parametrize("sensor", sorted(MODELS))
def test_readings_are_whole_digits_within_the_range_at_the_promised_rate(sensor: str) -> None:
    model = MODELS[sensor]
    chunk = taken(scene("walk", 60.0, sensor, "thigh"))
    step = model.step_mg * 100.0
    assert np.abs(chunk.acc_10ug / step - np.rint(chunk.acc_10ug / step)).max() * step <= 0.501
    assert np.abs(chunk.acc_10ug).max() <= model.range_g * 100_000
    assert len(chunk.t_ns) / 60.0 == pytest.approx(model.rate_hz, rel=2.5 * model.rate_error_frac + 0.01)
    assert (np.diff(chunk.t_ns) > 0).all()


def test_a_sensor_at_rest_reads_about_one_g() -> None:
    for placement in ("chest", "thigh", "wrist"):
        acc_g = taken(scene("sit", 120.0, "polar_h10", placement)).acc_10ug / 1e5
        assert np.linalg.norm(acc_g.mean(axis=0)) == pytest.approx(1.0, abs=0.06)


def test_sitting_and_standing_are_far_apart_at_the_thigh_and_near_at_the_chest() -> None:
    def angle_deg(placement: str) -> float:
        a, b = (taken(scene(do, 120.0, "polar_h10", placement)).acc_10ug.mean(axis=0) for do in ("sit", "stand"))
        return float(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))

    assert angle_deg("thigh") > 75.0
    assert angle_deg("chest") < 7.0


def test_a_gap_a_kick_and_drops_lose_samples_and_nothing_else() -> None:
    day = scene("sit", 600.0)
    whole = taken(day)
    faults = Faults.parse({"gap": ["30s@2:00"], "kick": "5:00", "drop": "10%"})
    torn = taken(day, faults=faults)
    kept = np.isin(whole.t_ns, torn.t_ns)
    assert np.array_equal(whole.acc_10ug[kept], torn.acc_10ug)
    assert not ((torn.t_ns >= 120e9) & (torn.t_ns < 150e9)).any()
    assert 3.0 < np.diff(torn.t_ns[torn.t_ns > 290e9]).max() / 1e9 < 12.0
    outside = (whole.t_ns < 120e9) | (whole.t_ns > 310e9)
    assert (~kept[outside]).mean() == pytest.approx(0.10, abs=0.03)


def test_axes_stick_and_flip_from_their_moment_on() -> None:
    day = scene("walk", 120.0)
    whole = taken(day)
    late = whole.t_ns >= 60e9
    stuck = taken(day, faults=Faults.parse({"stuck_axis": "x@1:00"})).acc_10ug
    assert len(np.unique(stuck[late, 0])) == 1
    assert np.array_equal(stuck[~late], whole.acc_10ug[~late])
    assert np.array_equal(stuck[:, 1:], whole.acc_10ug[:, 1:])
    flipped = taken(day, faults=Faults.parse({"flip_axis": "z@1:00"})).acc_10ug
    assert np.array_equal(flipped[late, 2], -whole.acc_10ug[late, 2])


def test_drift_moves_readings_and_a_wrong_clock_moves_stamps() -> None:
    day = scene("on_desk", 600.0)
    whole = taken(day)
    drifted = taken(day, faults=Faults(drift_mg_per_h=60.0)).acc_10ug - whole.acc_10ug
    assert drifted[-100:].mean() / 100.0 == pytest.approx(10.0, abs=0.5)
    skewed = taken(day, faults=Faults.parse({"clock_skew": "200ppm", "clock_jump": "-1h@5:00"})).t_ns - whole.t_ns
    assert skewed[100] == pytest.approx(whole.t_ns[100] * 200e-6, abs=1)
    assert skewed[-1] == pytest.approx(whole.t_ns[-1] * 200e-6 - 3600e9, abs=1)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"gap": "90s"}, "90s@14:00"),
        ({"gap": "90x@1:00"}, "90s@14:00"),
        ({"drop": "120%"}, "0 to 100"),
        ({"drop": "lots"}, "5%"),
        ({"stuck_axis": "w@1:00"}, "x@10:00"),
        ({"clock_skew": "nan"}, "ppm"),
        ({"kick": "-3"}, "12:00"),
        ({"flipaxis": "x"}, "flip_axis"),
        ({"drift": ["1mg/h", "2mg/h"]}, "once"),
    ],
)
def test_a_fault_that_cannot_be_read_says_how_to_write_it(given: dict[str, object], named: str) -> None:
    with pytest.raises(FaultError, match=named):
        Faults.parse(given)


def test_moments_are_read_as_people_write_them() -> None:
    assert [moment_s(t) for t in ("90", "90s", "1.5h", "14:00", "1:30:00")] == [90.0, 90.0, 5400.0, 840.0, 5400.0]


def test_faults_of_a_scenario_and_of_the_command_line_add_up() -> None:
    day = replace(scene("sit", 300.0), faults=Faults.parse({"gap": "10s@1:00"}))
    t_s = taken(day, faults=Faults.parse({"gap": "10s@2:00"})).t_ns / 1e9
    assert not ((t_s > 60.0) & (t_s < 70.0)).any()
    assert not ((t_s > 120.0) & (t_s < 130.0)).any()
