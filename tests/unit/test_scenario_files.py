"""Scenario files: every built-in one can be read, and a mistake is answered with file, key and what is allowed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from posturewatch_sim import scenarios
from posturewatch_sim.plan import Plan

STEP = "script = [{ do = 'sit', minutes = 5 }]\n"


@pytest.mark.parametrize("name", scenarios.available())
def test_built_in_scenarios_can_be_read_and_planned(name: str) -> None:
    scenario = scenarios.load(name)
    assert scenario.title
    assert scenario.about
    for wearer in scenario.wearers:
        pieces = Plan(scenario, 1, wearer.id).until(600.0)
        assert pieces[0].start_s == 0.0
        for before, after in pairwise(pieces):
            assert after.start_s == pytest.approx(before.end_s)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("placment = 'chest'\n" + STEP, "unknown key 'placment'; did you mean 'placement'"),
        ("placement = 'knee'\n" + STEP, "top.placement: 'knee' is not known; allowed: chest"),
        ("sensor = 'abacus'\n" + STEP, "top.sensor: 'abacus' is not known; allowed: polar_h10"),
        ("script = [{ do = 'fly', minutes = 5 }]", r"script\[0\].do: 'fly' is not known; allowed: sit"),
        ("script = [{ do = 'sit' }]", r"script\[0\]: needs exactly one of seconds, minutes, hours"),
        ("script = [{ do = 'sit', minutes = 5, hours = 1 }]", "needs exactly one of"),
        ("script = [{ do = 'sit', minutes = [5, 2] }]", r"script\[0\].minutes: \[5, 2\] is not within"),
        ("script = [{ do = 'sit', minutes = 'long' }]", "neither a number nor a range"),
        ("script = [{ do = 'sit', minutes = nan }]", "is not within"),
        ("script = [{ do = 'sit', seconds = 0 }]", "at least one second"),
        ("script = [{ do = 'sit', minutes = 5, sway = 99 }]", r"script\[0\].sway: 99 is not within 0 to 5"),
        ("script = [{ do = 'on_desk', minutes = 5, face = 'sideways' }]", "allowed: down, up, edge"),
        ("script = [{ times = 2, steps = [] }]", r"script\[0\].steps: must be a list of steps"),
        ("script = 'sit'", "must be a list of steps"),
        ("title = 'x'", "has no script"),
        ("script = [", "not TOML"),
        (STEP + "usual = { loud = 1 }", "unknown key 'loud'"),
        (STEP + "faults = { gap = '90s' }", "faults: gap '90s' cannot be read"),
        (STEP + "duration_h = -1", "duration_h"),
        ("[[wearers]]\nid = 'a'\n" + STEP + "[[wearers]]\nid = 'a'\n" + STEP, "two wearers have one id"),
        ("wearers = 3", "must be a list of tables"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "day.toml"
    file.write_text(text)
    with pytest.raises(scenarios.ScenarioError, match=says) as caught:
        scenarios.load(file)
    assert str(caught.value).startswith("day.toml: ")
    assert "\n" not in str(caught.value).removesuffix("\n")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(scenarios.ScenarioError, match="office-day"):
        scenarios.load("office-days")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "day.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(scenarios.ScenarioError, match="not TOML"):
        scenarios.load(file)


def test_groups_repeat_their_steps(tmp_path: Path) -> None:
    file = tmp_path / "day.toml"
    file.write_text("script = [{ times = 3, steps = [{ do = 'sit', minutes = 1 }, { do = 'walk', minutes = 1 }] }]")
    assert [p.do for p in Plan(scenarios.load(file), 1).until(1e9)] == ["sit", "walk"] * 3
