"""Messages recorded at a real broker are scored against the truth that the simulator tells beside them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from posturewatch_sim import scenarios
from posturewatch_sim.faults import Faults
from posturewatch_sim.truth import truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = [sys.executable, "-m", "posturewatch"]
LISTENER = shutil.which("mosquitto_sub")


def score(*words: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "score", *map(str, words)], input=given, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def cycle() -> list[dict[str, Any]]:
    """All messages of one cycle of the demonstration."""
    words = [*PROGRAM, "demo", "--once", "--json", "--speed", "100"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


def test_a_demonstration_is_scored_by_the_truth_among_its_messages(cycle: list[dict[str, Any]]) -> None:
    done = score("-", given=text_of(cycle))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"reminders  2 of 2 on time .* 0 missed, 0 of 2 said are false", done.stdout)
    assert "breaks     1 of 1 found" in done.stdout
    assert "all is well" in done.stdout


def test_a_prompt_that_is_lost_or_invented_has_exit_code_1(cycle: list[dict[str, Any]]) -> None:
    silent = [m for m in cycle if not (m["topic"].endswith("/reminder") and m["payload"]["level"] == "break")]
    done = score("-", "--json", given=text_of(silent))
    assert done.returncode == 1
    assert json.loads(done.stdout)["reminders_missed"] == [{"rule": "sedentary", "t_s": 1806.0}]
    first = next(m for m in cycle if m["topic"].endswith("/reminder"))
    state = next(m for m in cycle if m["topic"].endswith("demo/state") and m["payload"]["static_s"] > 600)
    early = {**first, "payload": {**first["payload"], "id": "demo/static/9/9", "time": state["payload"]["time"]}}
    done = score("-", given=text_of([*cycle, early]))
    assert done.returncode == 1
    assert "1 false reminders" in done.stdout


@pytest.mark.skipif(LISTENER is None, reason="mosquitto_sub is not installed: apt-get install mosquitto-clients")
def test_what_mosquitto_sub_prints_is_scored_the_same_in_each_of_its_forms(
    start: Any, start_broker: Any, listen: Any, tmp_path: Path
) -> None:
    broker = start_broker()
    ears = listen(broker.port)
    ears.client.subscribe("posturewatch-demo/#", 1)
    files = {"lines": ["-v"], "json": ["-F", "%j"]}
    listeners = []
    for name, form in files.items():
        words = [str(LISTENER), "-p", str(broker.port), "-t", "posturewatch-demo/#", "-q", "1", *form]
        with (tmp_path / name).open("wb") as out:
            listeners.append(subprocess.Popen(words, stdout=out))
    try:
        words = ["--once", "--speed", "100", "--broker", f"127.0.0.1:{broker.port}"]
        assert start("demo", *words, stdout=subprocess.DEVNULL).wait(60) == 0
        ears.until("bridge/state", lambda word: word == "offline")
    finally:
        for listener in listeners:
            listener.send_signal(signal.SIGTERM)
            listener.wait(10)
    found = [json.loads(score(tmp_path / name, "--json").stdout) for name in files]
    assert found[0] == found[1]
    assert (found[0]["reminders_on_time"], found[0]["breaks_found"], found[0]["failed"]) == (2, 1, [])


def test_a_simulated_gateway_tells_the_truth_of_its_wearer(start: Any, start_broker: Any, listen: Any) -> None:
    broker = start_broker()
    ears = listen(broker.port)
    to = ["--transport", "mqtt", "--broker", f"127.0.0.1:{broker.port}", "--speed", "max", "--sensor", "belt"]
    words = ["walk-at-28", "--seed", "7", "--gap", "90s@5:00", *to]
    assert start("simulate", *words).wait(60) == 0
    ears.client.publish("posturewatch/last", b"word", 1)
    ears.until("posturewatch/last")
    assert {topic for topic, _, retained in ears.heard if retained} == set()
    told = ears.payloads("simulator/belt/truth")
    assert all(t["simulated"] is True and (t["scenario"], t["seed"]) == ("walk-at-28", 7) for t in told)
    own = ("scenario", "seed", "wearer", "simulated", "time")
    events = [{k: v for k, v in t.items() if k not in own and v is not None and v is not False} for t in told]
    assert events == truth(scenarios.load("walk-at-28"), seed=7, faults=Faults(gaps=((300.0, 90.0),)))
    heard = len(ears.heard)
    assert start("simulate", *words, "--no-truth-topic", "--duration", "60s").wait(60) == 0
    ears.client.publish("posturewatch/last", b"word", 1)
    ears.until("posturewatch/last", since=heard)
    assert ears.payloads("/truth", heard) == []
    assert len(ears.payloads("belt/samples", heard)) == 120


def test_a_gateway_that_may_not_tell_the_truth_goes_on_with_its_samples(
    start: Any, start_broker: Any, listen: Callable[..., Any], tmp_path: Path
) -> None:
    access = tmp_path / "access-list"
    access.write_text("topic readwrite posturewatch/sensor/#\n")
    access.chmod(0o644)
    queue = "max_queued_messages 100"  # with none, mosquitto hangs up after a refusal
    broker = start_broker(f"{queue}\nallow_anonymous true\nacl_file {access}")
    ears = listen(broker.port)
    to = ["--transport", "mqtt", "--broker", f"127.0.0.1:{broker.port}", "--speed", "max", "--sensor", "belt"]
    program = start("simulate", "still-upright", "--seed", "1", *to, "--duration", "60s")
    assert program.wait(60) == 0, program.say()
    refusals = [line for line in program.say().splitlines() if "--no-truth-topic" in line]
    assert len(refusals) == 1
    assert "posturewatch/simulator/belt/truth" in refusals[0]
    ears.until("belt/samples", lambda batch: batch["seq"] == 119)


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (("-",), "nonsense\n", "line 1: not an event"),
        (("-",), '{"topic": "a/wearer/me/state", "payload": {"wear": 1}}\n', "line 1: no state of posturewatch"),
        (("-",), '{"type": "wear", "state": "worn", "start_s": 0, "end_s": 9}\n', "give the truth first"),
        (("truth", "-"), '{"topic": "a/wearer/me/bout", "payload": {}}\n', "line 1: no bout"),
        (("truth", "-", "--start", "noon"), "a/simulator/me/truth {}\n", "no truth of posturewatch"),
        (("-", "truth", "--wearer", "me"), '{"type": "wear", "start_s": 0, "end_s": 9}\n', "--wearer belongs to MQTT"),
        (("truth", "truth", "truth"), "", "3 files are too many"),
        (("-",), "", "has no events"),
    ],
)
def test_input_that_cannot_be_scored_is_one_line_and_exit_code_2(
    tmp_path: Path, words: tuple[str, ...], given: str, says: str
) -> None:
    (tmp_path / "truth").write_text('{"type": "wear", "state": "worn", "start_s": 0, "end_s": 9}\n')
    done = score(*(tmp_path / word if word == "truth" else word for word in words), given=given)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) == 1


def test_a_truth_from_a_file_needs_the_moment_when_the_simulation_began(
    cycle: list[dict[str, Any]], tmp_path: Path
) -> None:
    told = [m for m in cycle if m["topic"].endswith("/truth")]
    heard = text_of([m for m in cycle if m not in told])
    file = tmp_path / "truth.jsonl"
    words = ["simulate", "demo-cycle", "--seed", "1", "--truth", str(file)]
    subprocess.run([*PROGRAM, *words], check=True, capture_output=True, timeout=60)
    done = score(file, "-", given=heard)
    assert done.returncode == 2
    assert "--start" in done.stderr
    began = next(t["payload"]["time"] for t in told if t["payload"]["start_s"] == 0.0)
    began_ns = str(round(datetime.fromisoformat(began).timestamp() * 1e9))
    for moment in (began, began_ns):
        done = score(file, "-", "--start", moment, given=heard)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 of 2 on time" in done.stdout
