"""Simulated days against the lines that were found right once and kept.

`pytest tests/golden --update-golden` writes the lines anew; whoever does that reads the difference.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from posturewatch_sim import scenarios, stream
from posturewatch_sim.body import Body
from posturewatch_sim.plan import Plan
from posturewatch_sim.sensor import MODELS

from posturewatch.core.pipeline import advance, close, initial
from posturewatch.core.settings import Calibration, Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.recording.timeline import Timeline, since
from posturewatch.rules import discover
from posturewatch.types import NS_PER_S, Event, Placement, SampleBatch, StaticEnded

FOLDER = Path(__file__).parent / "days"
DAYS = ["demo-cycle", "gap-90s", "left-on-desk", "office-day", "standing-freeze", "walk-break"]
SEED = 20
START_NS = 1_772_438_400 * NS_PER_S
LONGEST_S = 8 * 3600.0
NEAR_S = 1.0  # one second is one step of the detector


def settings_of(scenario: scenarios.Scenario) -> Settings:
    """A sensor whose mounting is known."""
    who = scenario.wearers[0]
    up_x, up_y, up_z = (float(v) for v in Body(Plan(scenario, SEED, who.id)).mount @ (0.0, 0.0, 1.0))
    traits = SensorTraits(step_10ug=max(1, round(MODELS[who.sensor].step_mg * 100)))
    sensor = SensorSettings("s", Placement(who.placement), traits, Calibration((up_x, up_y, up_z)))
    return Settings("me", (sensor,), discover(), reminding=Reminding(as_due=True))


def happened(name: str, chunk_s: float, restarts: int = 0) -> list[Event]:
    """All events of a day, given in pieces, with that many restarts at places drawn by chance."""
    scenario = scenarios.load(name)
    settings, who = settings_of(scenario), scenario.wearers[0]
    end_s = min(Plan(scenario, SEED, who.id).end_s(LONGEST_S), LONGEST_S)
    places = random.Random(SEED).sample(range(int(end_s // chunk_s)), restarts)
    state, events = initial(settings), list[Event]()
    pieces = stream.samples(
        scenario, seed=SEED, start_ns=START_NS, wearer=who.id, chunk_s=chunk_s, duration_s=LONGEST_S
    )
    for at, chunk in enumerate(pieces):
        if at in places:
            state = load_state(json.loads(json.dumps(dump_state(state))))
        state, new = advance(state, SampleBatch("s", chunk.t_ns, chunk.acc_10ug), settings)
        events += new
    return events + close(state, settings)[1]


def lines_of(events: list[Event]) -> list[dict[str, Any]]:
    """What a replay prints of them; reminders without the wording of their reasons."""
    timeline = Timeline(since(START_NS))
    lines = [line for line in map(timeline.take, events) if line is not None]
    lines += timeline.finish(START_NS, max(e.end_ns if isinstance(e, StaticEnded) else e.t_ns for e in events))
    plain = [{key: value for key, value in line.items() if key not in ("reason", "id")} for line in lines]
    return json.loads(json.dumps(plain))  # type: ignore[no-any-return]  # json.loads gives Any


def differs(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    if found.keys() != expected.keys():
        return True
    for key, value in expected.items():
        near = NEAR_S if key.endswith(("_s", "_deg", "fidgets")) else 0.0
        if isinstance(value, float | int) and isinstance(found[key], float | int):
            if abs(found[key] - value) > near:
                return True
        elif found[key] != value:
            return True
    return False


@pytest.mark.parametrize("name", DAYS)
def test_a_simulated_day_gives_the_lines_that_were_found_right(name: str, request: pytest.FixtureRequest) -> None:
    path = FOLDER / f"{name}.jsonl"
    found = lines_of(happened(name, 600.0))
    if request.config.getoption("--update-golden"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")
    expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    wrong = [(f, e) for f, e in zip(found, expected, strict=False) if differs(f, e)]
    assert wrong == []
    assert len(found) == len(expected)


@pytest.mark.parametrize("chunk_s", [1.7, 61.0])
def test_pieces_and_restarts_change_nothing_of_a_day(chunk_s: float) -> None:
    assert happened("walk-break", chunk_s, restarts=6) == happened("walk-break", 600.0)
