"""What every rule owes, whichever rules lie in the folder."""

from __future__ import annotations

import dataclasses
import math

import pytest

from posturewatch.core.body import Body
from posturewatch.core.settings import Limits
from posturewatch.rules import Rule, discover
from posturewatch.types import Level

RULES = discover()
EVENT_TYPES = {Level.SHIFT: {"shift_due"}, Level.BREAK: {"break_due", "break_due_firm"}}
EXTREMES = [0.0, -1.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
CLOCKS = ["static_s", "sedentary_s", "hold_dose_frac"]

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def body_with(value: float) -> Body:
    return Body(
        static_s=value, sedentary_s=value, hold_dose_frac=value, cos_inclination=value, static_since_ns=5,
        sedentary_since_ns=7,
    )  # fmt: skip


def test_rules_are_found_and_named_once():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert {"static", "sedentary", "sedentary_firm", "hold_dose"} <= set(names)
    priorities = [rule.priority for rule in RULES]
    assert priorities == sorted(set(priorities), reverse=True)


def test_breaks_outrank_shifts():
    assert min(r.priority for r in RULES if r.level is Level.BREAK) > max(
        r.priority for r in RULES if r.level is Level.SHIFT
    )


@each_rule
def test_rule_is_well_formed(rule: Rule):
    assert rule.event_type in EVENT_TYPES[rule.level]
    assert rule.repeat_s(Limits()) > 0


@each_rule
@pytest.mark.parametrize("value", EXTREMES)
def test_rule_takes_any_body_and_leaves_it_alone(rule: Rule, value: float):
    body, limits = body_with(value), Limits()
    before = repr(body)
    load = rule.load_frac(body, limits)
    assert load is None or isinstance(load, float)
    assert isinstance(rule.since_ns(body), int)
    if load is not None and load >= 1.0:
        reason = rule.reason(body, limits)
        assert reason["text"]
        assert all(isinstance(v, str) or math.isfinite(v) for v in reason.values())
    assert repr(body) == before
    assert limits == Limits()


@each_rule
def test_load_grows_with_its_clock_and_is_one_at_the_limit(rule: Rule):
    moving = [
        clock
        for clock in CLOCKS
        if rule.load_frac(dataclasses.replace(body_with(0.0), **{clock: 1.0}), Limits()) != 0.0
    ]
    assert len(moving) == 1, "a rule reads one clock"
    loads = [
        rule.load_frac(dataclasses.replace(body_with(0.0), **{moving[0]: value}), Limits())
        for value in (0.0, 0.3, 0.8, 1.0, 600.0, 1200.0, 3600.0, 7200.0)
    ]
    assert loads == sorted(loads)
    assert len(set(loads)) == len(loads)


@pytest.mark.parametrize(
    ("name", "clock", "at_limit"),
    [("static", "static_s", 1200.0), ("sedentary", "sedentary_s", 1800.0), ("sedentary_firm", "sedentary_s", 3600.0),
     ("hold_dose", "hold_dose_frac", 1.0)],
)  # fmt: skip
def test_default_limits(name: str, clock: str, at_limit: float):
    rule = next(rule for rule in RULES if rule.name == name)
    body = Body()
    setattr(body, clock, at_limit)
    assert rule.load_frac(body, Limits()) == 1.0


def test_dose_that_cannot_be_known_is_no_load():
    rule = next(rule for rule in RULES if rule.name == "hold_dose")
    assert rule.load_frac(Body(hold_dose_frac=None), Limits()) is None
