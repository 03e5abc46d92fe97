"""What a daemon left at a broker, and at Home Assistant, is taken away by one command."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOREIGN = {"posturewatch2/wearer/me/state": b"{}", "homeassistant/device/lamp/config": b'{"state_topic": "lamp"}'}


def kept_at(listen: Callable[..., Any], port: int) -> dict[str, bytes]:
    """What a client gets that comes now."""
    ears = listen(port)
    ears.client.subscribe("#", 1)
    ears.client.publish("end/of/retained", b"1", qos=1)
    ears.until("end/of/retained")
    return {topic: payload for topic, payload, retain in ears.heard if retain and payload}


@pytest.fixture
def left(daemon: Any) -> Any:
    """A broker with what a daemon left there when it stopped, and what others did."""
    for topic, payload in FOREIGN.items():
        daemon.ears.client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)
    return daemon


def run(start: Callable[..., Any], *words: str) -> tuple[int, str, str]:
    program = start("withdraw", *words, stdout=subprocess.PIPE)
    output, _ = program.process.communicate(timeout=30)
    return program.process.returncode, output.decode(), program.say().strip()


@pytest.mark.parametrize("at_broker", [False, True], ids=["configured", "named"])
def test_everything_of_ours_is_forgotten_and_nothing_of_others(
    left: Any, start: Callable[..., Any], listen: Callable[..., Any], at_broker: bool
) -> None:
    left.end(signal.SIGTERM)
    ours = kept_at(listen, left.port).keys() - FOREIGN.keys()
    assert {"posturewatch/bridge/state", "homeassistant/device/posturewatch_wearer_me/config"} <= ours
    where = ("--broker", f"127.0.0.1:{left.port}") if at_broker else ("--config", str(left.config))
    code, output, _ = run(start, *where, "--dry-run")
    assert code == 0
    assert set(output.splitlines()[:-1]) == ours
    assert kept_at(listen, left.port).keys() == ours | FOREIGN.keys()
    assert run(start, *where)[0] == 0
    assert kept_at(listen, left.port) == FOREIGN


def test_topics_of_a_former_prefix_are_remembered(
    left: Any, start: Callable[..., Any], listen: Callable[..., Any], tmp_path: Path
) -> None:
    left.end(signal.SIGTERM)
    (noted,) = tmp_path.rglob("announced.json")
    content = json.loads(noted.read_text())
    content["topics"]["former/device/posturewatch_bridge/config"] = {}
    noted.write_text(json.dumps(content))
    left.ears.client.publish("former/device/posturewatch_bridge/config", b"{}", 1, retain=True).wait_for_publish(5)
    assert run(start, "--config", str(left.config))[0] == 0
    assert kept_at(listen, left.port) == FOREIGN
    assert not noted.exists()


@pytest.mark.parametrize("at_broker", [False, True], ids=["configured", "named"])
def test_a_daemon_that_runs_has_to_be_stopped_first(left: Any, start: Callable[..., Any], at_broker: bool) -> None:
    where = ("--broker", f"127.0.0.1:{left.port}") if at_broker else ("--config", str(left.config))
    code, output, errors = run(start, *where)
    assert code != 0
    assert output == ""
    assert "stop" in errors
    assert len(errors.splitlines()) == 1


def test_the_embedded_broker_needs_nothing(start: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(f'[storage]\nfolder = "{tmp_path}/own"\n')
    code, output, _ = run(start, "--config", str(config))
    assert (code, output) == (0, "the embedded broker forgets by itself when the daemon stops: nothing to do\n")
