"""The files for openHAB, which does not run here, speak of topics, keys and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from posturewatch.publishing import payloads
from posturewatch.requests.commands import LocalTime, read_payload, read_topic, to_command

FOLDER = Path(__file__).resolve().parents[2] / "config" / "openhab"
THINGS = (FOLDER / "posturewatch.things").read_text("utf-8")
CHANNELS = re.findall(r"Type (\w+) : (\w+) \"[^\"]+\" \[ (.+) \]\n", THINGS)
MODELS = {topic.replace("{wearer}", "me"): model for _, model, topic, *_ in payloads.MESSAGES}
WORDS = {topic.replace("{wearer}", "me") for _, topic in payloads.PLAIN_WORDS}
SENT = {"static_limit_min": ["30"], "snooze": ["10"], "hold": ["true", "false"]}


def options_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=\"?([^\",]+)\"?", text))


def test_every_channel_is_read() -> None:
    assert len(CHANNELS) == THINGS.count("Type ") == 20


@pytest.mark.parametrize(("kind", "name", "text"), CHANNELS, ids=lambda part: part[:12])
def test_a_channel_reads_a_key_that_is_published_and_sends_a_command_that_is_understood(
    kind: str, name: str, text: str
) -> None:
    options = options_of(text)
    assert kind in ("string", "number", "switch", "datetime", "trigger"), name
    topic = options.get("stateTopic", "").removeprefix("posturewatch/")
    if "transformationPattern" in options:
        key = options["transformationPattern"].removeprefix("JSONPATH:$.")
        assert key in MODELS[topic].model_fields
    elif topic:
        assert topic in WORDS
        assert (options["on"], options["off"]) == ("online", "offline")
    if "commandTopic" in options:
        address = read_topic("posturewatch", options["commandTopic"])
        assert address is not None
        for payload in SENT.get(address.word, ["ON"]):
            to_command(address, read_payload(payload.encode()), LocalTime(1))
    assert topic or "commandTopic" in options


def test_every_item_shows_a_channel_that_exists() -> None:
    shown = re.findall(r"channel=\"mqtt:topic:house:(\w+):(\w+)\"", (FOLDER / "posturewatch.items").read_text("utf-8"))
    things = re.split(r"^Thing mqtt:topic:house:(\w+)", THINGS, flags=re.MULTILINE)[1:]
    known = {
        (thing, name)
        for thing, text in zip(things[::2], things[1::2], strict=True)
        for name in re.findall(r" : (\w+)", text)
    }
    assert set(shown) <= known
    assert len(shown) == len(set(shown)) >= 15
