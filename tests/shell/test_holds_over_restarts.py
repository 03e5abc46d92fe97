"""Holds, pauses and snoozes of a real watch: over restarts, a clock that is set, and the nights of summer time."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from posturewatch_sim.scenarios import load
from posturewatch_sim.stream import samples

from posturewatch.config.core_settings import tabulate_utc_offsets
from posturewatch.config.quiet import find_quiet_periods
from posturewatch.core.settings import Reminding, SensorSettings, Settings
from posturewatch.publishing.topics import Topics
from posturewatch.rules import discover
from posturewatch.sinks.outbox import Outbox
from posturewatch.types import NS_PER_S, Command, CommandResult, Placement, SampleBatch, Surroundings, Tick, Verb
from posturewatch.watch import Watch

START_NS = 1_790_000_000 * NS_PER_S
CHUNK_S = 10
MIN_NS = 60 * NS_PER_S


@cache
def frozen_hours() -> list[tuple[Any, Any]]:
    """Somebody who sits still at a desk, from moment 0."""
    chunks = samples(load("desk-freeze"), seed=3, start_ns=START_NS, chunk_s=CHUNK_S, duration_s=7200.0)
    return [(chunk.t_ns[::5] - START_NS, chunk.acc_10ug[::5]) for chunk in chunks]


class Sitting:
    """A watch over that somebody; it can be stopped, started again, and have its clock set."""

    def __init__(self, start_ns: int = START_NS, **manners: Any) -> None:
        self.settings = Settings(
            "me", (SensorSettings("s", Placement.CHEST),), discover(), reminding=Reminding(**manners)
        )
        self.offset_ns = start_ns
        self.outbox = Outbox(self.now_ns, max_history=10_000)
        self.at = 0  # chunks so far
        self.watch = Watch(self.settings, Topics(), self.outbox, simulated=True)
        self.said: list[tuple[float, str, dict[str, Any]]] = []  # minutes since the start, leaf, payload

    def now_ns(self) -> int:
        return self.offset_ns + self.at * CHUNK_S * NS_PER_S

    def sit(self, minutes: float) -> Sitting:
        for _ in range(round(minutes * 60 / CHUNK_S)):
            t_ns, acc = frozen_hours()[self.at]
            self.watch.take(SampleBatch("s", t_ns + self.offset_ns, acc))
            self.at += 1
            self.watch.take(Tick(self.now_ns()))
            while (message := self.outbox.peek()) is not None:
                self.outbox.done(message)
                if message.payload.startswith(b"{"):
                    leaf = message.topic.split("/")[-1]
                    self.said.append((self.at * CHUNK_S / 60, leaf, json.loads(message.payload)))
        return self

    def be_off(self, minutes: float) -> Sitting:
        """The daemon is stopped meanwhile."""
        self.restart()
        self.at += round(minutes * 60 / CHUNK_S)
        return self

    def restart(self) -> Sitting:
        saved = json.loads(json.dumps(self.watch.dump()))
        self.watch = Watch(self.settings, Topics(), self.outbox, simulated=True, saved=saved)
        return self

    def set_clock(self, by_s: float) -> Sitting:
        self.offset_ns += round(by_s * NS_PER_S)
        return self

    def say(self, verb: Verb, **about: Any) -> CommandResult:
        return self.watch.ask(Command(self.now_ns(), verb, **about))

    def prompts(self, repeats: bool = False) -> list[float]:
        return [at for at, leaf, told in self.said if leaf == "reminder" and (repeats or not told["repeat"])]

    def last(self, leaf: str) -> dict[str, Any]:
        return [content for _, kind, content in self.said if kind == leaf][-1]


def test_the_wearer_is_asked_without_a_hold():
    assert Sitting().sit(25).prompts() == [pytest.approx(20, abs=0.5)]


@pytest.mark.parametrize("verb", [Verb.HOLD, Verb.PAUSE])
def test_a_hold_or_pause_survives_restarts_and_ends_by_itself_with_one_prompt(verb):
    sitting = Sitting().sit(10)
    assert sitting.say(verb, minutes=60, reason="meeting" if verb is Verb.HOLD else None).ok
    sitting.sit(15).restart().sit(20).be_off(0.5).sit(24)
    assert sitting.prompts() == []
    state = sitting.last("state")
    assert state["reminder"] == ("held" if verb is Verb.HOLD else "off")
    assert state["hold_reason"] == ("meeting" if verb is Verb.HOLD else "paused")
    assert 100 < state["load_pct"] <= 150
    sitting.sit(12)
    assert sitting.prompts() == [pytest.approx(72, abs=0.5)]
    asked = next(told for _, leaf, told in sitting.said if leaf == "reminder")
    assert asked["reason"]["after"] == state["hold_reason"]
    assert sitting.last("state")["hold_reason"] is None
    released = next(e for _, leaf, e in sitting.said if leaf == "event" and e["event_type"] == "released")
    assert released["detail"]["static"] >= 1


def test_a_hold_that_ended_while_the_daemon_was_off_is_over_when_it_returns():
    sitting = Sitting().sit(10)
    sitting.say(Verb.HOLD, minutes=5)
    sitting.be_off(20).sit(1)
    assert sitting.last("state")["hold_reason"] is None
    assert sitting.watch.state.reminding.wearer_hold is None


def test_what_other_devices_say_holds_prompts_over_a_restart_and_is_no_hold_of_the_wearer():
    sitting = Sitting().sit(10)
    sitting.watch.take(Surroundings(sitting.now_ns(), "in a meeting", sitting.now_ns() + 60 * MIN_NS))
    sitting.sit(5).restart().sit(15)
    assert sitting.prompts() == []
    assert sitting.last("state")["hold_reason"] == "in a meeting"
    assert sitting.say(Verb.RELEASE).value is False
    assert sitting.sit(1).last("state")["hold_reason"] == "in a meeting"
    sitting.watch.take(Surroundings(sitting.now_ns(), None, 0))
    sitting.sit(4)
    assert sitting.prompts() == [pytest.approx(33, abs=0.5)]


def test_a_hold_of_the_wearer_goes_on_when_the_camera_is_off():
    sitting = Sitting().sit(10)
    sitting.say(Verb.HOLD, minutes=30, reason="reading")
    sitting.watch.take(Surroundings(sitting.now_ns(), "in a meeting", sitting.now_ns() + 60 * MIN_NS))
    sitting.watch.take(Surroundings(sitting.now_ns(), None, 0))
    assert sitting.sit(25).prompts() == []


def test_set_values_survive_a_restart_and_are_told():
    sitting = Sitting().sit(5)
    assert sitting.say(Verb.SET, key="static_limit_min", value="10").ok
    assert sitting.restart().sit(7).prompts() == [pytest.approx(10, abs=0.5)]
    assert sitting.last("settings")["static_limit_min"] == 10.0


@pytest.mark.parametrize("by_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_during_a_snooze_makes_it_neither_long_nor_a_storm(by_s):
    sitting = Sitting().sit(21)
    assert sitting.say(Verb.SNOOZE, minutes=10).ok
    sitting.sit(2).set_clock(by_s).sit(20)
    again = sitting.prompts(repeats=True)[1:]
    assert len(again) <= 2
    if by_s < 0:
        assert again[0] == pytest.approx(31, abs=1)


def berlin_ns(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * NS_PER_S


@pytest.mark.parametrize(
    ("start", "minutes"), [("2026-03-28T02:30", 45), ("2026-03-29T01:50", 25), ("2026-10-25T02:30", 105)]
)
def test_quiet_hours_end_by_the_clock_on_the_wall_when_it_changes(start, minutes):
    """Until a quarter past three, in an ordinary night, in a short one and in a long one."""
    start_ns = berlin_ns(start)
    quiet = find_quiet_periods(("20:00-03:15",), "Europe/Berlin", start_ns)
    offsets = tabulate_utc_offsets("Europe/Berlin", start_ns)
    sitting = Sitting(start_ns, quiet=quiet, utc_offsets=offsets, max_escalations=0).sit(minutes + 5)
    assert sitting.prompts() == [pytest.approx(minutes + 2, abs=0.5)]
