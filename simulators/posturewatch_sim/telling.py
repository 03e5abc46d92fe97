"""The truth of a simulation, told bit by bit: each event when it begins, with what is known of its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from posturewatch_sim.faults import Faults
from posturewatch_sim.intervals import Event
from posturewatch_sim.scenarios import Scenario
from posturewatch_sim.truth import truth


def begin_s(event: Event) -> float:
    """When an interval begins or a reminder is due, in seconds of the simulation."""
    return float(event["t_s"] if "t_s" in event else event["start_s"])


class Telling:
    """What is still to be told of one wearer."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int,
        wearer: str | None = None,
        faults: Faults | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Works out the truth, which takes a moment: about a second for a day."""
        events = truth(scenario, seed=seed, wearer=wearer, faults=faults, duration_s=duration_s)
        self._events = deque(sorted(events, key=begin_s))
        self._about = {"scenario": scenario.name, "seed": seed, "wearer": scenario.wearer(wearer).id}

    def until(self, until_s: float) -> Iterator[Event]:
        """What began before `until_s` and was not told yet; each says which simulation it is about."""
        while self._events and begin_s(self._events[0]) < until_s:
            yield {**self._events.popleft(), **self._about}
