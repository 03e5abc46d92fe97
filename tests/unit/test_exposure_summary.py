"""What an exposure summary says, and where it stays silent."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from posturewatch.core.exposure import (
    MOTIONS,
    POSTURES,
    ExposureAccumulator,
    ExposureRows,
    add_angles,
    summarise,
)
from posturewatch.core.settings import Calibration
from posturewatch.types import (
    NS_PER_S,
    BreakEnded,
    BreakKind,
    ClosedBy,
    Event,
    Motion,
    MotionChanged,
    Placement,
    Posture,
    SedentaryEnded,
    StaticEnded,
)


def rows(
    flexion_deg: Sequence[float] | NDArray[np.float64] | None, length_s: int = 0, *, worn: bool = True
) -> ExposureRows:
    n = length_s if flexion_deg is None else len(flexion_deg)
    angles = None if flexion_deg is None else np.asarray(flexion_deg, dtype=np.float64)
    return ExposureRows(np.arange(n), np.full(n, worn), flexion_deg=angles)


def static(length_s: int, closed_by: ClosedBy = ClosedBy.SHIFT, fidgets: int = 0) -> StaticEnded:
    return StaticEnded(0, 0, length_s * NS_PER_S, closed_by, None, 0.0, fidgets)


def test_without_an_angle_its_figures_are_null_and_the_keys_stay() -> None:
    unknown = summarise(rows(None, 7200), [], Placement.CHEST)
    known = summarise(rows([5.0] * 7200), [], Placement.CHEST)
    assert unknown.keys() == known.keys()
    for key in ("angle", "angle_p50_deg", "band_pct", "neutral_pct", "eva", "bent_over_45_deg_count", "rest_pct"):
        assert unknown[key] is None, key
    assert (unknown["worn_s"], unknown["angle_s"]) == (7200, 0)
    json.dumps(unknown)


@pytest.mark.parametrize("placement", [Placement.WRIST, Placement.THIGH, Placement.UNKNOWN])
def test_a_placement_that_sees_no_inclination_publishes_none(placement: Placement) -> None:
    summary = summarise(rows([50.0] * 7200), [], placement)
    assert (summary["angle"], summary["eva"], summary["angle_s"]) == (None, None, 0)


def test_bouts_are_null_where_no_posture_is_seen() -> None:
    assert summarise(rows(None, 7200), [], Placement.WRIST)["shifts_per_h"] is None
    assert summarise(rows(None, 7200), [], Placement.CHEST)["shifts_per_h"] == 0.0


def test_distribution_is_suppressed_below_an_hour_and_flagged_below_four() -> None:
    found = [summarise(rows([5.0] * n), [], Placement.CHEST) for n in (3599, 3600, 4 * 3600 - 1, 4 * 3600)]
    records = [summary["apdf_record"] for summary in found]
    assert records == ["suppressed_below_60_min", "short_below_4_h", "short_below_4_h", "full"]
    assert [summary["angle_p50_deg"] for summary in found] == [None, 5.0, 5.0, 5.0]


def test_an_unsigned_inclination_has_no_backward_band() -> None:
    inclined = ExposureRows(np.arange(10), np.ones(10, dtype=bool), inclination_deg=np.full(10, 30.0))
    summary = summarise(inclined, [], Placement.CHEST)
    assert summary["angle"] == "inclination"
    assert summary["band_pct"] == {"below_0_deg": None, "0_to_20_deg": 0, "20_to_60_deg": 100, "over_60_deg": 0}


def test_bands_of_the_head_are_wider() -> None:
    summary = summarise(rows([24.0, 26.0, 86.0, -1.0]), [], Placement.HEAD)
    assert summary["band_pct"] == {"below_0_deg": 25, "0_to_25_deg": 25, "25_to_85_deg": 25, "over_85_deg": 25}


def test_band_edges_belong_to_the_milder_band() -> None:
    summary = summarise(rows([0.0, 20.0, 60.0, 60.1]), [], Placement.CHEST)
    assert summary["band_pct"] == {"below_0_deg": 0, "0_to_20_deg": 50, "20_to_60_deg": 25, "over_60_deg": 25}


def test_neutral_needs_both_flexion_and_side_tilt_to_be_small() -> None:
    seconds = ExposureRows(
        np.arange(4),
        np.ones(4, dtype=bool),
        flexion_deg=np.array([0.0, 19.0, -19.0, 21.0]),
        lateral_deg=np.array([0.0, 11.0, -9.0, 25.0]),
    )
    summary = summarise(seconds, [], Placement.CHEST)
    assert summary["neutral_pct"] == 50
    assert summary["lateral_band_pct"] == {"up_to_10_deg": 50, "10_to_20_deg": 25, "over_20_deg": 25}


def test_only_worn_seconds_count() -> None:
    summary = summarise(rows([50.0] * 10, worn=False), [], Placement.CHEST)
    assert (summary["recorded_s"], summary["worn_s"], summary["angle_s"]) == (10, 0, 0)
    assert summary["shifts_per_h"] is None


def test_trembling_at_an_edge_is_one_stay() -> None:
    summary = summarise(rows([25.0, *[19.0, 21.0] * 20]), [], Placement.CHEST)
    assert summary["eva"]["rows_pct"]["20_to_60_deg"][2] == 100  # one stay of 41 s
    assert sum(summary["eva"]["rows_pct"]["0_to_20_deg"]) == 0


def test_a_second_without_an_angle_ends_a_stay_but_makes_no_second_bend() -> None:
    summary = summarise(rows([50.0] * 20 + [float("nan")] + [50.0] * 20), [], Placement.CHEST)
    assert summary["eva"]["rows_pct"]["20_to_60_deg"][1] == 100  # two stays of 20 s
    assert summary["bent_over_45_deg_count"] == 1
    assert summary["bent_30_to_60_deg_s"] == 40


def test_angular_velocity_is_the_turn_between_successive_seconds() -> None:
    angles = np.radians(np.arange(0.0, 60.0, 2.0))
    up = np.stack([-np.sin(angles), np.zeros(len(angles)), np.cos(angles)], axis=1)
    turning = ExposureRows(np.arange(len(angles)), np.ones(len(angles), dtype=bool), up=up)
    summary = summarise(add_angles(turning, Calibration((0.0, 0.0, 1.0))), [], Placement.CHEST)
    assert summary["angular_velocity_p50_deg_per_s"] == pytest.approx(2.0)
    assert summary["rest_pct"] == pytest.approx(100 * 9 / 30, abs=1e-3)  # 2 to 18 degrees: the first has no velocity


def test_angular_velocity_does_not_reach_across_a_gap() -> None:
    up = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    apart = ExposureRows(np.array([0, 2]), np.ones(2, dtype=bool), up=up)
    assert summarise(apart, [], Placement.CHEST)["angular_velocity_p50_deg_per_s"] is None


def test_figures_of_bouts_and_breaks() -> None:
    events: list[Event] = [
        static(60, fidgets=2),
        static(120, fidgets=1),
        static(1200, ClosedBy.BREAK),
        static(3000, ClosedBy.CENSORED),
        BreakEnded(0, BreakKind.MICRO, 0, 0),
        BreakEnded(0, BreakKind.REAL, 0, 0),
        BreakEnded(0, BreakKind.REAL, 0, 0),
        SedentaryEnded(0, 0, 1500 * NS_PER_S, ClosedBy.BREAK),
        SedentaryEnded(0, 0, 900 * NS_PER_S, ClosedBy.CENSORED),
        MotionChanged(0, Motion.STILL),
    ]
    summary = summarise(rows(None, 7200), events, Placement.CHEST)
    assert summary["static_count"] == 4
    assert summary["static_median_s"] == 660
    assert summary["static_p90_s"] == pytest.approx(np.percentile([60, 120, 1200, 3000], 90))
    assert summary["static_time_weighted_median_s"] == 3000
    assert summary["static_20_min_or_longer_s"] == 4200
    assert (summary["shifts_per_h"], summary["fidgets_per_h"]) == (1.0, 1.5)
    assert (summary["breaks_micro"], summary["breaks_real"], summary["sedentary_longest_s"]) == (1, 2, 1500)


def test_the_time_weighted_median_is_the_bout_in_which_half_the_time_had_passed() -> None:
    summary = summarise(rows(None, 7200), [static(100), static(100), static(100), static(200)], Placement.CHEST)
    assert summary["static_time_weighted_median_s"] == 100


@pytest.mark.parametrize(("still_s", "rest_s"), [(2, 0), (3, 3)])
def test_rest_takes_three_seconds(still_s: int, rest_s: int) -> None:
    # the second in which a turn ends still has its velocity
    turns = np.radians([0.0, 10.0, *[18.0] * (still_s + 1), 8.0])
    up = np.stack([-np.sin(turns), np.zeros(len(turns)), np.cos(turns)], axis=1)
    seconds = ExposureRows(np.arange(len(turns)), np.ones(len(turns), dtype=bool), up=up)
    summary = summarise(add_angles(seconds, Calibration((0.0, 0.0, 1.0))), [], Placement.CHEST)
    assert summary["rest_pct"] == pytest.approx(100 * rest_s / len(turns), abs=1e-3)


def test_a_rise_is_seen_across_chunks() -> None:
    accumulator = ExposureAccumulator(Placement.THIGH)
    for epoch, posture in enumerate((Posture.SITTING, Posture.UNKNOWN, Posture.STANDING, Posture.STANDING)):
        code = np.array([POSTURES.index(posture)], dtype=np.int8)
        accumulator.add(ExposureRows(np.array([epoch]), np.ones(1, dtype=bool), posture=code))
    assert accumulator.summary()["sit_to_stand_per_h"] == pytest.approx(3600 / 4)


def test_times_in_each_state_and_rises_from_the_chair() -> None:
    sit, stand, unknown = (POSTURES.index(p) for p in (Posture.SITTING, Posture.STANDING, Posture.UNKNOWN))
    course = [sit] * 10 + [unknown] * 2 + [stand] * 8 + [sit] * 5
    seconds = ExposureRows(
        np.arange(25),
        np.ones(25, dtype=bool),
        posture=np.array(course, dtype=np.int8),
        motion=np.full(25, MOTIONS.index(Motion.STILL), dtype=np.int8),
    )
    summary = summarise(seconds, [], Placement.THIGH)
    assert (summary["posture_s"]["sitting"], summary["posture_s"]["standing"]) == (15, 8)
    assert summary["motion_s"]["still"] == 25
    assert summary["sit_to_stand_per_h"] == pytest.approx(3600 / 25)


def test_one_summary_refuses_two_kinds_of_angle() -> None:
    accumulator = ExposureAccumulator(Placement.CHEST)
    accumulator.add(rows([5.0]))
    with pytest.raises(ValueError, match="one kind of angle"):
        accumulator.add(ExposureRows(np.array([1]), np.ones(1, dtype=bool), inclination_deg=np.array([5.0])))


def test_nothing_seen_is_a_summary_too() -> None:
    summary = summarise(rows(None, 0), [], Placement.CHEST)
    assert (summary["recorded_s"], summary["worn_s"], summary["shifts_per_h"]) == (0, 0, None)
