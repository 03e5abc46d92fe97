"""The detector against the simulator: every scenario's reminders, breaks and wear, judged by the scenario's truth."""

from __future__ import annotations

from typing import Any

import pytest
from posturewatch_sim import scenarios, stream, truth
from posturewatch_sim.body import Body
from posturewatch_sim.plan import Plan
from posturewatch_sim.score import score
from posturewatch_sim.sensor import MODELS

from posturewatch import types
from posturewatch.core import pipeline
from posturewatch.core.settings import Calibration, Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.rules import discover

START_NS = 1_772_438_400 * 10**9
CASES = [(name, w.id) for name in scenarios.available() for w in scenarios.load(name).wearers]


def watched(scenario: scenarios.Scenario, wearer: str, seed: int) -> list[types.Event]:
    """All events of a calibrated detector, fed minute by minute."""
    who = scenario.wearer(wearer)
    up_x, up_y, up_z = (float(v) for v in Body(Plan(scenario, seed, wearer)).mount @ (0.0, 0.0, 1.0))
    sensor = SensorSettings(
        "s",
        types.Placement(who.placement),
        SensorTraits(step_10ug=max(1, round(MODELS[who.sensor].step_mg * 100))),
        Calibration((up_x, up_y, up_z)),
    )
    settings = Settings("w", (sensor,), discover(), reminding=Reminding(as_due=True))
    state, events = pipeline.initial(settings), list[types.Event]()
    for chunk in stream.samples(scenario, seed=seed, start_ns=START_NS, wearer=wearer):
        if len(chunk.t_ns):
            state, new = pipeline.advance(state, types.SampleBatch("s", chunk.t_ns, chunk.acc_10ug), settings)
            events += new
        state, new = pipeline.advance(state, types.Tick(START_NS + int(chunk.until_s * 1e9)), settings)
        events += new
    return events + pipeline.close(state, settings)[1]


def as_lines(events: list[types.Event], end_s: float) -> list[dict[str, Any]]:
    """The events as far as the scorer reads them, in the form of a replay."""
    lines: list[dict[str, Any]] = []
    wear: list[tuple[float, str]] = []
    for event in events:
        if isinstance(event, types.RuleDue):
            lines.append({"type": "reminder", "rule": event.rule, "t_s": since(event.t_ns)})
        elif isinstance(event, types.BreakEnded):
            span = {"start_s": since(event.start_ns), "end_s": since(event.end_ns)}
            lines.append({"type": "break", "kind": str(event.kind), **span})
        elif isinstance(event, types.WearChanged):
            wear.append((since(event.t_ns), str(event.state)))
        elif isinstance(event, types.WearRevised):
            from_s = since(event.from_ns)
            wear = [w for w in wear if w[0] < from_s] + [(from_s, str(event.state))]
    for (start_s, state), (to_s, _) in zip(wear, [*wear[1:], (end_s, "")], strict=True):
        lines.append({"type": "wear", "state": state, "start_s": start_s, "end_s": to_s})
    return lines


def since(t_ns: int) -> float:
    return (t_ns - START_NS) / 1e9


@pytest.mark.parametrize(("name", "wearer"), CASES)
def test_the_detector_says_what_the_scenario_knows(name: str, wearer: str) -> None:
    scenario = scenarios.load(name)
    true = truth.truth(scenario, seed=6, wearer=wearer)
    end_s = max(e["end_s"] for e in true if e["type"] == "wear")
    figures = score(true, as_lines(watched(scenario, wearer, 6), end_s))
    assert figures["failed"] == []
