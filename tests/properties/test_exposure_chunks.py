"""The exposure summary does not depend on how a recording was cut, and agrees with a row-by-row count."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posturewatch.core.calibration import WalkingReference, calibrate_walking
from posturewatch.core.exposure import POSTURES, ExposureAccumulator, ExposureRows, add_angles
from posturewatch.core.exposure_angles import EVA_EDGES_S
from posturewatch.core.settings import Calibration
from posturewatch.types import Placement, Posture

BODY = Calibration((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))


@dataclass(frozen=True)
class Stretch:
    """Some seconds of one kind."""

    length_s: int
    flexion_deg: float
    lateral_deg: float
    worn: bool
    known: bool
    posture: int
    gap_s: int


stretches = st.builds(
    Stretch,
    st.sampled_from([1, 2, 3, 9, 10, 11, 30, 31, 61]),
    st.sampled_from([-30.0, -3.5, -2.0, 0.0, 5.0, 16.9, 18.0, 20.0, 20.1, 43.0, 50.0, 58.0, 61.0]),
    st.sampled_from([0.0, -9.0, 10.0, 15.0, -25.0]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([True, True, True, False]),
    st.integers(0, len(POSTURES) - 1),
    st.sampled_from([0, 0, 0, 1, 59, 60, 400]),
)
courses = st.lists(stretches, min_size=1, max_size=25)


def build_rows(course: list[Stretch], noise_seed: int) -> ExposureRows:
    """Rows of a course, with a little noise so that velocities differ."""
    lengths = [s.length_s for s in course]
    gaps = np.repeat([s.gap_s for s in course], lengths)
    gaps[np.setdiff1d(np.arange(len(gaps)), np.cumsum([0, *lengths[:-1]]))] = 0
    noise = np.random.default_rng(noise_seed).normal(0.0, 0.3, len(gaps))
    flexion = np.radians(np.repeat([s.flexion_deg for s in course], lengths) + noise)
    lateral = np.radians(np.repeat([s.lateral_deg for s in course], lengths))
    up = np.stack([-np.tan(flexion), np.tan(lateral), np.ones(len(gaps))], axis=1)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    up[~np.repeat([s.known for s in course], lengths)] = np.nan
    return ExposureRows(
        epoch=1_700_000_000 + np.cumsum(1 + gaps),
        worn=np.repeat([s.worn for s in course], lengths),
        up=up,
        posture=np.repeat([s.posture for s in course], lengths).astype(np.int8),
    )


def cut_rows(rows: ExposureRows, start: int, end: int) -> ExposureRows:
    """Rows `start` to `end`."""
    assert rows.up is not None
    assert rows.posture is not None
    part = slice(start, end)
    return ExposureRows(rows.epoch[part], rows.worn[part], up=rows.up[part], posture=rows.posture[part])


@settings(max_examples=120, deadline=None)
@given(courses, st.integers(0, 9), st.lists(st.floats(0.0, 1.0), max_size=12), st.booleans())
def test_any_cutting_gives_the_same_summary(course: list[Stretch], seed: int, cuts: list[float], signed: bool) -> None:
    rows = build_rows(course, seed)
    calibration = BODY if signed else Calibration(BODY.up)
    whole, pieces = ExposureAccumulator(Placement.CHEST), ExposureAccumulator(Placement.CHEST)
    whole.add(add_angles(rows, calibration))
    edges = sorted({0, len(rows.epoch), *(int(cut * len(rows.epoch)) for cut in cuts)})
    for start, end in pairwise(edges):
        pieces.add(add_angles(cut_rows(rows, start, end), calibration))
        pieces.summary()  # asking changes nothing
    assert json.dumps(pieces.summary()) == json.dumps(whole.summary())


@settings(max_examples=80, deadline=None)
@given(courses, st.integers(0, 9))
def test_summary_agrees_with_counting_row_by_row(course: list[Stretch], seed: int) -> None:
    rows = add_angles(build_rows(course, seed), BODY)
    accumulator = ExposureAccumulator(Placement.CHEST)
    accumulator.add(rows)
    summary = accumulator.summary()
    table, bends, rises = count_slowly(rows)
    angle_s = sum(map(sum, table))
    assert summary["angle_s"] == angle_s
    if angle_s:
        found = list(summary["eva"]["rows_pct"].values())
        assert found == [[pytest.approx(100 * s / angle_s, abs=6e-4) for s in row] for row in table]
        assert summary["bent_over_45_deg_count"] == bends
        assert sum(summary["band_pct"].values()) == pytest.approx(100, abs=0.01)
    if summary["sit_to_stand_per_h"] is not None:
        assert summary["sit_to_stand_per_h"] == pytest.approx(3600 * rises / summary["worn_s"], abs=0.006)
    else:
        assert rises == 0


def count_slowly(rows: ExposureRows) -> tuple[list[list[int]], int, int]:
    """EVA table, bends and rises, one second at a time."""
    assert rows.flexion_deg is not None
    assert rows.posture is not None
    table = [[0] * (len(EVA_EDGES_S) + 1) for _ in range(4)]
    band, stay_s, bent, bends, rises, last, last_epoch = -1, 0, False, 0, 0, None, None
    for epoch, worn, angle, code in zip(rows.epoch, rows.worn, rows.flexion_deg, rows.posture, strict=True):
        posture, deg = POSTURES[code], round(angle * 10) / 10 if math.isfinite(angle) else None
        after_cut = last_epoch is not None and epoch != last_epoch + 1
        new_band = -1 if deg is None or not worn else find_band(deg, -1 if after_cut else band)
        if new_band != band or after_cut:
            enter(table, band, stay_s)
            stay_s = 0
        band, stay_s = new_band, stay_s + 1
        if worn and deg is not None:
            now_bent = deg > 45 or (bent and deg >= 42)
            bends, bent = bends + (now_bent and not bent), now_bent
        if not worn or (last_epoch is not None and epoch - last_epoch > 60):
            last = None
        if worn and posture in (Posture.SITTING, Posture.STANDING, Posture.LYING):
            rises += last is Posture.SITTING and posture is Posture.STANDING
            last = posture
        last_epoch = epoch
    enter(table, band, stay_s)
    return table, bends, rises


def find_band(deg: float, band: int) -> int:
    """The band of an angle, held for three degrees toward neutral when it was in the outer one before."""
    if deg < 0 or (band == 0 and deg <= 3):
        return 0
    if deg > 60 or (band == 3 and deg >= 57):
        return 3
    return 2 if deg > 20 or (band >= 2 and deg >= 17) else 1


def enter(table: list[list[int]], band: int, stay_s: int) -> None:
    """Put one finished stay into the table."""
    if band >= 0:
        table[band][sum(stay_s > edge for edge in EVA_EDGES_S)] += stay_s


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-0.3, 0.3)] * 2), min_size=20, max_size=200), st.integers(0, 200))
def test_walking_reference_is_the_median_direction_however_it_was_gathered(
    sways: list[tuple[float, float]], cut: int
) -> None:
    up = np.array([(x, y, 1.0) for x, y in sways])
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    walking = np.ones(len(up), dtype=bool)
    reference = WalkingReference()
    reference.add(up[:cut], walking[:cut])
    reference.add(up[cut:], walking[cut:])
    found = reference.calibrate()
    assert found == calibrate_walking(up, walking)
    assert found is not None
    median = np.median(up, axis=0)
    median /= np.linalg.norm(median)
    assert found.up == pytest.approx(tuple(median), abs=5e-4)
