"""What must hold for the load models whatever the load, the angle and the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posturewatch.core.fatigue import (
    Joint,
    fatigue_after,
    fatigue_after_rest,
    gravity_load_frac,
    ma_endurance_s,
    power_curve_endurance_s,
    rohmert_endurance_s,
    three_compartment_endurance_s,
)
from posturewatch.core.holding import ARM_LINE, HEAD_LINE, TRUNK_LINE, HoldingLine, dose_rate_per_s, holding_time_s
from posturewatch.core.loads import MAX_DOSE_FRAC, LoadState, accumulate, build_params
from posturewatch.core.settings import Detection
from posturewatch.types import Placement

joints = st.sampled_from(Joint)
loads = st.floats(0.0, 1.0)
durations_s = st.floats(0.0, 20_000.0)
lines = st.sampled_from([TRUNK_LINE, HEAD_LINE, ARM_LINE])
placements = st.sampled_from(Placement)
seconds = st.tuples(st.one_of(st.none(), st.floats()), st.booleans())


@given(joints, loads, st.floats(0.0, 1.0), durations_s, durations_s)
def test_one_long_step_equals_two_short_ones(
    joint: Joint, load: float, start: float, first_s: float, second_s: float
) -> None:
    start = min(start, 1.0 - load)
    split = fatigue_after(fatigue_after(start, load, first_s, joint), load, second_s, joint)
    assert split == pytest.approx(fatigue_after(start, load, first_s + second_s, joint), rel=1e-9, abs=1e-12)


@given(joints, loads, st.floats(0.0, 1.0), durations_s)
def test_fatigued_fraction_stays_inside_what_the_load_leaves(
    joint: Joint, load: float, start: float, duration_s: float
) -> None:
    assert 0.0 <= fatigue_after(start, load, duration_s, joint) <= 1.0 - load
    assert 0.0 <= fatigue_after_rest(start, duration_s, joint) <= start


@given(joints, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_higher_load_is_never_endured_longer(joint: Joint, one: float, other: float) -> None:
    low, high = sorted((one, other))
    for endurance_s in (power_curve_endurance_s, three_compartment_endurance_s):
        assert endurance_s(joint, low) >= endurance_s(joint, high)
    assert ma_endurance_s(low) >= ma_endurance_s(high) - 1e-9
    if low >= 0.2:
        assert rohmert_endurance_s(low) >= rohmert_endurance_s(high) - 1e-9


@given(st.one_of(st.floats(max_value=-1e-9), st.floats(min_value=1.0 + 1e-9), st.just(math.nan)))
def test_a_load_that_is_no_fraction_is_refused(load: float) -> None:
    refusals: tuple[Callable[[], float], ...] = (
        lambda: power_curve_endurance_s(Joint.TRUNK, load),
        lambda: three_compartment_endurance_s(Joint.TRUNK, load),
        lambda: rohmert_endurance_s(load),
        lambda: ma_endurance_s(load),
        lambda: fatigue_after(0.0, load, 1.0, Joint.TRUNK),
    )
    for refuse in refusals:
        with pytest.raises(ValueError, match=r"fraction of maximum strength, 0 to 1 \(percent / 100\)"):
            refuse()


@given(st.floats(-180.0, 180.0), st.floats(0.0, 1.0))
def test_leaning_never_loads_beyond_the_model(angle_deg: float, support: float) -> None:
    assert 0.0 <= gravity_load_frac(angle_deg, support=support) <= 0.95


@given(lines, st.floats(0.0, 180.0), st.floats(0.0, 180.0))
def test_more_inclination_never_slows_the_dose(line: HoldingLine, one_deg: float, other_deg: float) -> None:
    low, high = (dose_rate_per_s(line, math.cos(math.radians(deg))) for deg in sorted((one_deg, other_deg)))
    assert low <= high * (1 + 1e-12)
    assert holding_time_s(line, min(one_deg, other_deg)) >= holding_time_s(line, max(one_deg, other_deg))


@given(lines, st.floats(allow_nan=True, allow_infinity=True))
@example(TRUNK_LINE, math.nan)
def test_dose_rate_is_defined_for_any_number(line: HoldingLine, cos_inclination: float) -> None:
    assert 0.0 <= dose_rate_per_s(line, cos_inclination) <= 0.25


@given(placements, st.booleans(), st.booleans(), st.lists(seconds, max_size=300))
def test_loads_stay_bounded_for_any_seconds(
    placement: Placement, supported: bool, index: bool, course: list[tuple[float | None, bool]]
) -> None:
    params = build_params(placement, Detection(supported=supported, fatigue_index=index))
    load = LoadState()
    for cos_inclination, in_break in course:
        accumulate(load, cos_inclination, in_break, params)
        assert 0.0 <= load.hold_dose_frac <= MAX_DOSE_FRAC
        assert 0.0 <= load.fatigued_frac <= 1.0
        assert 0.0 <= load.fatigue_index_frac <= 1.0 + 1e-12
        assert not supported or load.hold_dose_frac == 0.0
        assert index or load.fatigued_frac == 0.0


@given(st.floats(20.001, 60.0), st.integers(1, 240))
def test_dose_of_a_constant_angle_is_time_over_holding_time(angle_deg: float, held_s: int) -> None:
    params = build_params(Placement.UPPER_BACK, Detection())
    load = LoadState()
    for _ in range(held_s):
        accumulate(load, math.cos(math.radians(angle_deg)), False, params)
    expected = held_s / holding_time_s(TRUNK_LINE, angle_deg)
    assert load.hold_dose_frac == pytest.approx(expected, rel=1e-9)


@given(st.floats(0.51, 1.0), st.floats(0.0, 0.5), st.integers(1, 120))
def test_second_by_second_fatigue_equals_the_closed_form(cos_inclination: float, start: float, held_s: int) -> None:
    params = build_params(Placement.CHEST, Detection(fatigue_index=True))
    load = LoadState(fatigued_frac=start)
    for _ in range(held_s):
        accumulate(load, cos_inclination, False, params)
    load_frac = gravity_load_frac(math.degrees(math.acos(cos_inclination)))
    assert load.fatigued_frac == pytest.approx(fatigue_after(start, load_frac, held_s, Joint.TRUNK), rel=1e-6)
