"""Topics of other devices at a real broker, from the configuration to the published state."""

from __future__ import annotations

from typing import Any

CONDITIONS = """
[[wearer.condition]]
topic = "home/camera"
pointer = "/state"
reason = "in a meeting"
settle_s = 1.0
[[wearer.condition]]
topic = "home/desk"
effect = "only_when"
on = ["present"]
reason = "not at the desk"
settle_s = 0.0
"""


def test_a_camera_and_a_desk_hold_prompts_also_after_a_restart(
    start: Any, configure: Any, start_broker: Any, listen: Any
) -> None:
    port = start_broker().port
    ears, config = listen(port), configure(port, more=CONDITIONS)
    program = start("run", "--config", str(config))
    ears.until("me/state")

    def say(topic: str, payload: bytes, retain: bool = True) -> int:
        since = len(ears.heard)
        ears.client.publish(topic, payload, 1, retain)
        return since

    def held_for(reason: str | None, since: int) -> Any:
        return ears.until("me/state", lambda state: state["hold_reason"] == reason, since=since)

    since = say("home/camera", b'{"state": "ON"}')
    assert held_for("in a meeting", since)["hold_until"] is not None
    say("home/camera", b"no JSON", retain=False)
    since = say("home/camera", b'{"state": "off"}')
    held_for(None, since)
    since = say("home/desk", b"away")
    held_for("not at the desk", since)
    assert program.end(15) == 0
    assert program.say().count("home/camera: no value is found") == 1
    since = len(ears.heard)
    start("run", "--config", str(config))
    held_for("not at the desk", since)
    since = say("home/desk", b"present")
    held_for(None, since)


def test_a_condition_on_a_pattern_of_topics_is_refused_with_its_line(start: Any, configure: Any) -> None:
    config = configure(1, more='[[wearer.condition]]\ntopic = "home/+/camera"\n')
    program = start("run", "--config", str(config))
    assert program.wait() == 2
    (line,) = program.say().strip().splitlines()
    assert "wearer[0].condition[0].topic" in line
    assert f"{config}:" in line
