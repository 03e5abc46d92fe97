"""A packet log goes through `posturewatch replay` and says what the daemon's core said while it was recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from posturewatch_sim import scenarios, stream

from posturewatch.core.pipeline import advance, close, initial
from posturewatch.core.settings import Reminding, SensorSettings, SensorTraits, Settings
from posturewatch.recording.packet_log import Header, RecordedSensor, RecordingWriter
from posturewatch.recording.timeline import Timeline, since
from posturewatch.rules import discover
from posturewatch.types import NS_PER_S, Event, Incoming, Placement, RawSamples, Tick

START_NS = 1_790_000_000 * NS_PER_S
RATE_HZ = 50.0
LENGTH_S = 40 * 60
MODULUS = 65_536


def live() -> list[Incoming]:
    """Packets of one second as they arrive, each a little late, and a tick a second."""
    items: list[Incoming] = []
    chunks = stream.samples(
        scenarios.load("demo-cycle"), seed=9, start_ns=START_NS, chunk_s=1.0, duration_s=float(LENGTH_S)
    )
    for at, chunk in enumerate(chunks):
        if len(chunk.t_ns):
            late_ns = (at * 37 % 90) * 1_000_000
            arrived_ns = int(chunk.t_ns[-1]) + late_ns
            items.append(RawSamples("band", arrived_ns, chunk.acc_10ug, RATE_HZ, seq=at % MODULUS, seq_modulus=MODULUS))
        items.append(Tick(START_NS + (at + 1) * NS_PER_S + 100_000_000))
    return items


def lines_of(items: list[Incoming]) -> list[dict[str, Any]]:
    """What the core says while the items come in, in the words of a replay."""
    sensor = SensorSettings("band", Placement.CHEST, SensorTraits(rate_hz=RATE_HZ))
    settings = Settings("wearer", (sensor,), discover(), reminding=Reminding(as_due=True))
    state, events = initial(settings), list[Event]()
    for item in items:
        state, new = advance(state, item, settings)
        events += new
    state, new = close(state, settings)
    first = items[0]
    assert isinstance(first, RawSamples)
    timeline = Timeline(since(first.arrived_ns))
    lines = [line for line in map(timeline.take, events + new) if line is not None]
    lines += timeline.finish(first.arrived_ns, (state.last_epoch + 1) * NS_PER_S)
    return [json.loads(json.dumps(line)) for line in lines]


@pytest.mark.parametrize("name", ["packets.jsonl", "packets.jsonl.gz"])
def test_a_packet_log_replays_to_the_lines_of_the_live_run(tmp_path: Path, name: str) -> None:
    items, path = live(), tmp_path / name
    about = RecordedSensor("band", Placement.CHEST, RATE_HZ)
    with RecordingWriter(path, Header(START_NS, (about,))) as writer:
        assert all(writer.write(item) for item in items)
    done = subprocess.run(
        [sys.executable, "-m", "posturewatch", "replay", path, "--calibration", "none", "--format", "jsonl"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = lines_of(items)
    kinds = {line["type"] for line in expected}
    assert kinds == {"wear", "motion", "posture", "static", "sedentary", "break", "reminder"}
    assert found[:-1] == expected
    assert found[-1]["type"] == "summary"


def test_a_packet_log_cut_short_is_used_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "packets.jsonl"
    with RecordingWriter(path, Header(START_NS, (RecordedSensor("band", Placement.CHEST, RATE_HZ),))) as writer:
        for item in live()[:600]:
            writer.write(item)
    path.write_bytes(path.read_bytes()[:-20])
    done = subprocess.run(
        [sys.executable, "-m", "posturewatch", "replay", path, "--format", "jsonl"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "cut short here" in done.stderr
    assert any(json.loads(line)["type"] == "wear" for line in done.stdout.splitlines())


def test_a_damaged_packet_log_gets_one_line_that_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "packets.jsonl"
    with RecordingWriter(path, Header(START_NS, (RecordedSensor("band"),))) as writer:
        writer.write(Tick(START_NS))
    with path.open("a") as file:
        file.write('{"s": "sensor-1", "acc": 7}\n')
    done = subprocess.run(
        [sys.executable, "-m", "posturewatch", "replay", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "packets.jsonl:3: the line is damaged" in done.stderr
