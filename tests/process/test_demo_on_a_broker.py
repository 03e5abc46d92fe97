"""The demonstration on somebody else's broker: only when asked, marked, beside a daemon, and gone at the end."""

from __future__ import annotations

import json
import signal
import subprocess

FAST = ("--speed", "300")


def everything(listen, port: int):
    """An ear for all topics of a broker."""
    ears = listen(port)
    ears.client.subscribe("#", 1)
    return ears


def test_it_shows_a_device_that_is_marked_and_takes_everything_back(start, start_broker, listen):
    broker = start_broker()
    ears = everything(listen, broker.port)
    program = start("demo", *FAST, "--broker", f"127.0.0.1:{broker.port}", stdout=subprocess.DEVNULL)
    assert ears.until("posturewatch-demo/wearer/demo/state", lambda p: isinstance(p, dict))["simulated"] is True
    device = ears.until("/config", lambda p: isinstance(p, dict) and "Simulated" in p["device"].get("model", ""))
    assert device["device"]["model"] == "Simulated wearer"
    assert {topic.split("/")[0] for topic, _, _ in ears.heard} == {"posturewatch-demo", "homeassistant"}
    assert program.end(signal.SIGTERM) == 0
    late = everything(listen, broker.port)
    late.client.publish("last", b"word", 1)
    late.until("last")
    assert [topic for topic, _, retained in late.heard if retained] == []


def test_it_stands_beside_what_another_daemon_said(start, start_broker, listen):
    broker = start_broker()
    ears = everything(listen, broker.port)
    ears.client.publish("posturewatch/bridge/state", b"online", 1, retain=True).wait_for_publish(5)
    program = start("demo", *FAST, "--json", "--broker", f"127.0.0.1:{broker.port}", stdout=subprocess.PIPE, text=True)
    ears.until("/state", lambda p: isinstance(p, dict))
    program.process.send_signal(signal.SIGTERM)
    said, _ = program.process.communicate(timeout=20)
    assert {json.loads(line)["topic"].split("/")[0] for line in said.splitlines()} == {
        "posturewatch-demo",
        "homeassistant",
    }
    late = everything(listen, broker.port)
    assert late.until("posturewatch/bridge/state") == "online"


def test_without_being_asked_it_says_nothing_to_a_broker_that_is_there(start, start_broker, listen):
    broker = start_broker()
    ears = everything(listen, broker.port)
    program = start("demo", "--speed", "600", "--json", stdout=subprocess.PIPE, text=True)
    assert program.process.stdout is not None
    assert next(iter(program.process.stdout))
    assert ears.heard == []
    program.end(signal.SIGTERM)


def test_a_broker_that_is_not_there_or_not_meant_is_one_line(start):
    program = start("demo", "--broker", "127.0.0.1:1")
    assert program.wait() == 3
    assert program.say().count("\n") == 1
    assert "127.0.0.1:1" in program.say()
    program = start("demo", "--broker", "192.0.2.7:1883")
    assert program.wait() == 2
    assert "TLS" in program.say()
    program = start("demo", "--broker", "127.0.0.1:1883", "--port", "1999")
    assert program.wait() == 2
    assert "--port" in program.say()


def test_what_a_killed_one_left_behind_goes_with_the_next(start, start_broker, listen):
    broker = start_broker()
    ears = everything(listen, broker.port)
    words = ("demo", *FAST, "--broker", f"127.0.0.1:{broker.port}")
    killed = start(*words, stdout=subprocess.DEVNULL)
    ears.until("posturewatch-demo/wearer/demo/state", lambda p: isinstance(p, dict))
    killed.process.kill()
    killed.process.wait()
    again = start(*words, stdout=subprocess.DEVNULL)
    ears.until("posturewatch-demo/bridge/state", lambda p: p == "online", since=len(ears.heard))
    ears.until("posturewatch-demo/wearer/demo/state", lambda p: isinstance(p, dict), since=len(ears.heard))
    assert again.end(signal.SIGTERM) == 0
    late = everything(listen, broker.port)
    late.client.publish("last", b"word", 1)
    late.until("last")
    assert [topic for topic, _, retained in late.heard if retained] == []
