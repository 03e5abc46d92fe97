"""The flow runs in a real Node-RED: it shows prompts and states, and its buttons reach the daemon."""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOW = Path(__file__).resolve().parents[2] / "config" / "node-red" / "flow.json"


class NodeRed:
    """A Node-RED with our flow, on the broker of the house."""

    def __init__(self, house: Any, folder: Path) -> None:
        self.port = house.free_port()
        nodes = json.loads(FLOW.read_text())
        next(node for node in nodes if node["type"] == "mqtt-broker")["port"] = str(house.broker.port)
        (folder / "flow.json").write_text(json.dumps(nodes))
        self.log = folder / "node-red.log"
        program = os.environ["POSTUREWATCH_NODE_RED"]
        argv = [program, "--userDir", str(folder), "--port", str(self.port), "-D", "uiHost=127.0.0.1"]
        self.process = house.process([*argv, str(folder / "flow.json")], self.log)

    def until_said(self, *words: str, within_s: float = 30.0) -> None:
        deadline = time.monotonic() + within_s
        while not any(all(word in line for word in words) for line in self.log.read_text().splitlines()):
            assert time.monotonic() < deadline, (words, self.log.read_text()[-2000:])
            time.sleep(0.05)

    def press(self, name: str) -> None:
        """The button of an inject node."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/inject/posturewatch-{name}", b"")
        with urllib.request.urlopen(request, timeout=10):
            pass


@pytest.fixture(scope="module")
def node_red(house: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeRed]:
    house.restart_daemon("me")
    running = NodeRed(house, tmp_path_factory.mktemp("node-red"))
    running.process.start()
    with contextlib.ExitStack() as at_end:
        at_end.callback(running.process.stop)
        running.until_said("Connected to broker", within_s=60.0)
        yield running


def test_the_flow_shows_the_state_of_the_wearer(node_red: NodeRed) -> None:
    node_red.until_said("me: ", ", load ")


def test_its_buttons_reach_the_daemon_and_the_answer_comes_back(node_red: NodeRed, house: Any) -> None:
    node_red.press("hold")
    node_red.until_said("hold: done")
    assert house.ears.until("me/state", lambda state: state["on_hold"])["hold_reason"]
    node_red.press("release")
    node_red.until_said("release: done")
    node_red.press("skip")
    node_red.until_said("skip: nothing is due")


def test_a_prompt_reaches_the_place_for_a_notifier(node_red: NodeRed, house: Any) -> None:
    heard = len(house.ears.heard)
    node_red.press("test")
    prompt = house.ears.until("me/reminder", since=heard)
    node_red.until_said(f"me: {prompt['message'][:20]}")


def test_nothing_loops(node_red: NodeRed, house: Any) -> None:
    heard = len(house.ears.heard)
    node_red.press("release")
    time.sleep(1.5)
    assert sum("/do/" in topic for topic, _ in house.ears.heard[heard:]) == 1


def test_node_red_had_nothing_to_complain_of(node_red: NodeRed) -> None:
    lines = node_red.log.read_text().splitlines()
    assert [line for line in lines if "[error]" in line or "[warn] [" in line] == []  # the latter: a node's own
