"""Which seconds add to the loads, which take away, and which leave them alone."""

from __future__ import annotations

import math

import pytest

from posturewatch.core.fatigue import Joint, fatigue_after, fatigue_after_rest
from posturewatch.core.holding import HEAD_LINE, TRUNK_LINE, HoldingLine
from posturewatch.core.loads import MAX_DOSE_FRAC, LoadState, accumulate, build_params
from posturewatch.core.settings import Detection
from posturewatch.types import Placement

NO_DOSE = (Placement.LOW_BACK, Placement.WAIST, Placement.THIGH, Placement.WRIST, Placement.UNKNOWN)


def cos_deg(angle: float) -> float:
    return math.cos(math.radians(angle))


@pytest.mark.parametrize(
    ("placement", "line"),
    [
        (Placement.CHEST, TRUNK_LINE),
        (Placement.TORSO, TRUNK_LINE),
        (Placement.UPPER_BACK, TRUNK_LINE),
        (Placement.NECK, TRUNK_LINE),
        (Placement.HEAD, HEAD_LINE),
        *((placement, None) for placement in NO_DOSE),
    ],
)
def test_the_placement_decides_the_line(placement: Placement, line: HoldingLine | None) -> None:
    assert build_params(placement, Detection()).line is line


@pytest.mark.parametrize("placement", NO_DOSE)
def test_no_load_is_made_up_where_the_sensor_cannot_see_it(placement: Placement) -> None:
    load = LoadState()
    accumulate(load, cos_deg(50), False, build_params(placement, Detection(fatigue_index=True)))
    assert load == LoadState()


@pytest.mark.parametrize("cos_inclination", [None, math.nan])
def test_an_unknown_inclination_changes_nothing(cos_inclination: float | None) -> None:
    load = LoadState(0.5, 0.2, 0.25)
    accumulate(load, cos_inclination, False, build_params(Placement.CHEST, Detection(fatigue_index=True)))
    assert load == LoadState(0.5, 0.2, 0.25)


def test_a_break_recovers_even_when_the_inclination_is_unknown() -> None:
    load = LoadState(hold_dose_frac=1.0)
    accumulate(load, None, True, build_params(Placement.CHEST, Detection()))
    assert load.hold_dose_frac == pytest.approx(math.exp(-1 / 89))


def test_a_bend_in_a_break_costs_nothing() -> None:
    load = LoadState(hold_dose_frac=0.5)
    accumulate(load, cos_deg(70), True, build_params(Placement.CHEST, Detection()))
    assert load.hold_dose_frac < 0.5


def test_twenty_degrees_are_neutral_for_the_trunk_and_25_for_the_head() -> None:
    for placement, neutral_deg in ((Placement.CHEST, 20.0), (Placement.HEAD, 25.0)):
        params = build_params(placement, Detection())
        at, beyond = LoadState(hold_dose_frac=0.5), LoadState(hold_dose_frac=0.5)
        accumulate(at, cos_deg(neutral_deg), False, params)
        accumulate(beyond, cos_deg(neutral_deg + 0.1), False, params)
        assert at.hold_dose_frac < 0.5 < beyond.hold_dose_frac


def test_beyond_the_line_four_seconds_use_up_all_of_it() -> None:
    load = LoadState()
    for _ in range(4):
        accumulate(load, cos_deg(61), False, build_params(Placement.CHEST, Detection()))
    assert load.hold_dose_frac == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("placement", "lying_deg"), [(Placement.CHEST, 66), (Placement.CHEST, 90), (Placement.HEAD, 86)]
)
def test_lying_down_is_neither_load_nor_rest(placement: Placement, lying_deg: float) -> None:
    load = LoadState(hold_dose_frac=0.5)
    for _ in range(600):
        accumulate(load, cos_deg(lying_deg), False, build_params(placement, Detection(fatigue_index=True)))
    assert load == LoadState(hold_dose_frac=0.5)


def test_a_dose_stops_growing_where_it_says_nothing_new() -> None:
    load = LoadState()
    for _ in range(100):
        accumulate(load, cos_deg(61), False, build_params(Placement.CHEST, Detection()))
    assert load.hold_dose_frac == MAX_DOSE_FRAC


def test_full_support_is_rest_at_any_inclination() -> None:
    load = LoadState(hold_dose_frac=0.5)
    accumulate(load, cos_deg(50), False, build_params(Placement.CHEST, Detection(supported=True)))
    assert load.hold_dose_frac == pytest.approx(0.5 * math.exp(-1 / 300))


def test_the_decay_times_come_from_the_settings() -> None:
    params = build_params(Placement.CHEST, Detection(tau_neutral_s=10.0, tau_break_s=5.0))
    neutral, resting = LoadState(hold_dose_frac=1.0), LoadState(hold_dose_frac=1.0)
    accumulate(neutral, 1.0, False, params)
    accumulate(resting, 1.0, True, params)
    assert (neutral.hold_dose_frac, resting.hold_dose_frac) == pytest.approx((math.exp(-0.1), math.exp(-0.2)))


def test_only_a_break_recovers_fast_not_a_small_load() -> None:
    params = build_params(Placement.CHEST, Detection(fatigue_index=True))
    upright, resting = LoadState(fatigued_frac=0.4), LoadState(fatigued_frac=0.4)
    accumulate(upright, 1.0, False, params)
    accumulate(resting, 1.0, True, params)
    assert upright.fatigued_frac == pytest.approx(fatigue_after(0.4, 0.03, 1.0, Joint.TRUNK))
    assert resting.fatigued_frac == pytest.approx(fatigue_after_rest(0.4, 1.0, Joint.TRUNK))


def test_the_index_waits_where_the_muscles_fall_silent() -> None:
    load = LoadState(fatigued_frac=0.4, fatigue_index_frac=0.5)
    accumulate(load, cos_deg(75), False, build_params(Placement.CHEST, Detection(fatigue_index=True)))
    assert (load.fatigued_frac, load.fatigue_index_frac) == (0.4, 0.5)


def test_the_index_is_off_by_default() -> None:
    load = LoadState()
    for _ in range(60):
        accumulate(load, cos_deg(40), False, build_params(Placement.CHEST, Detection()))
    assert load.fatigue_index_frac == 0.0
