"""Why, and how many reminders were answered: told alike by the daemon, by its snapshot and by what it published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from posturewatch.core.settings import SensorSettings, Settings
from posturewatch.publishing.responses import LocalChannels
from posturewatch.publishing.topics import Topics
from posturewatch.rules import discover
from posturewatch.sinks.outbox import Outbox
from posturewatch.status.explaining import NOTHING, explain_published, word_responses
from posturewatch.status.standing import explained_by_snapshots, from_snapshots
from posturewatch.store import SnapshotStore
from posturewatch.types import Channel, Concluded, Level, Prompt
from posturewatch.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

NOW_NS = 1_772_438_400 * 10**9
SETTINGS = Settings("anna", (SensorSettings("s"),), discover())
WEEK = {
    "desktop": {"reminders": 2, "answered": 1, "rate_pct": 50},
    "push": {"reminders": 1, "answered": 0, "rate_pct": 0},
}


@pytest.fixture
def watch() -> Watch:
    """Two reminders on push and desktop: one answered on the desktop, one missed; silent now."""
    outbox = Outbox(lambda: NOW_NS)
    watch = Watch(SETTINGS, Topics(), outbox, simulated=True, channels=LocalChannels(desktop_from_rung=1))
    for cycle, is_answered in (("a", True), ("b", False)):
        channel = Channel.DESKTOP if is_answered else None
        watch._tell(Prompt(NOW_NS, "break_due", cycle, cycle, "sedentary", Level.BREAK, 2, {}, NOW_NS + 1))
        watch._tell(Concluded(NOW_NS, cycle, is_answered, channel))
    watch.state.reminding.decision, watch.state.reminding.decision_ns = "silent about static: moving", NOW_NS
    return watch


def test_the_published_state_explains_as_much_as_the_daemon(watch: Watch) -> None:
    (state,) = [m for m in watch.announce(NOW_NS) if m.topic.endswith("/state")]
    published = explain_published({"wearer": "anna", **json.loads(state.payload)})
    told = watch.why()
    assert {**published, "today": told["today"]} == told
    assert (told["decision"], told["time"]) == ("silent about static: moving", "2026-03-02T08:00:00.000Z")
    assert told["responses"] == WEEK
    assert word_responses(told["responses"]) == "desktop 1 of 2, push 0 of 1"


def test_a_state_of_a_daemon_that_told_no_decision_yet_says_so() -> None:
    assert explain_published({"wearer": "anna"})["decision"] == NOTHING


def test_the_snapshot_tells_the_same_when_no_daemon_runs(watch: Watch, tmp_path: Path) -> None:
    assert SnapshotStore(tmp_path).save("anna", json.loads(json.dumps(watch.dump())), NOW_NS)
    (why,) = explained_by_snapshots(tmp_path, NOW_NS + 60 * 10**9)["wearers"]
    assert (why["decision"], why["responses"], why["age_s"]) == ("silent about static: moving", WEEK, 60)
    (state,) = from_snapshots(tmp_path, NOW_NS)["wearers"]
    assert (state["response_rate_pct"], state["responses"]) == (50, WEEK)


def test_a_restarted_daemon_goes_on_counting(watch: Watch) -> None:
    saved: dict[str, Any] = json.loads(json.dumps(watch.dump()))
    again = Watch(SETTINGS, Topics(), Outbox(lambda: NOW_NS), simulated=True, saved=saved)
    again._tell(Concluded(NOW_NS, "b", is_answered=True))
    assert again.why()["responses"]["push"] == {"reminders": 2, "answered": 1, "rate_pct": 50}
