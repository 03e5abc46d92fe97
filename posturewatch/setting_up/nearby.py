"""Which broker of those that tell of themselves in this network."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from posturewatch.errors import BrokerUnavailable, UsageError
from posturewatch.mqtt.brokers_nearby import MULTICAST, find_brokers
from posturewatch.mqtt.link import listens
from posturewatch.mqtt.settings import MqttSettings

if TYPE_CHECKING:
    from posturewatch.mqtt.brokers_nearby import FoundBroker
    from posturewatch.setting_up.draft import Answers
    from posturewatch.terminal.dialogue import Dialogue

FIND = "find"
ELSEWHERE = "elsewhere"
LOOK_S = 1.0
WAYS_OUT = "name it with --broker HOST:PORT, or take one of our own with --broker embedded"


def is_search(broker: str | None) -> bool:
    """Whether `--broker` asks for a search: `find`, or `find@ADDRESS:PORT` to ask one machine only."""
    return broker is not None and (broker == FIND or broker.startswith(f"{FIND}@"))


async def choose_nearby(talk: Dialogue, answers: Answers) -> Answers | None:
    """The answers with a broker that was found; nothing if there is none, or none that is wanted."""
    target = _target(answers.broker)
    talk.say("asking this network for brokers ..." if target == MULTICAST else f"asking {target[0]} for brokers ...")
    found = await _checked(await find_brokers(target))
    if talk.unattended:
        return _taken(answers, _only(found))
    if not found:
        talk.say("none told of itself; many do not, and some networks keep such questions back")
        return None
    choices = {str(number): _told(one) for number, one in enumerate(found, 1)}
    choice = await talk.choose("which of them?", {**choices, ELSEWHERE: "none of these"}, "1")
    return None if choice == ELSEWHERE else _taken(answers, found[int(choice) - 1])


def _target(broker: str | None) -> tuple[str, int]:
    _, at, where = (broker or FIND).partition("@")
    if not at:
        return MULTICAST
    address, _, port = where.partition(":")
    try:
        host, number = str(IPv4Address(address)), int(port or MULTICAST[1])
    except ValueError:
        host, number = "", 0
    if not 0 < number < 65_536:  # noqa: PLR2004  # ports
        raise UsageError(f"--broker {broker}: write it like {FIND}@192.168.1.5, or {FIND} to ask everybody")
    return host, number


async def _checked(found: list[FoundBroker]) -> list[FoundBroker]:
    """Without guesses that nobody answers for."""
    guesses = [MqttSettings(host=one.host, port=one.port, insecure=True) for one in found if one.is_guess]
    there = await asyncio.gather(*(listens(settings, LOOK_S) for settings in guesses))
    answering = {(s.host, s.port) for s, is_there in zip(guesses, there, strict=True) if is_there}
    return [one for one in found if not one.is_guess or (one.host, one.port) in answering]


def _only(found: list[FoundBroker]) -> FoundBroker:
    """The one that is meant where nobody can be asked; one that told of itself goes before a guess."""
    sure = [one for one in found if not one.is_guess] or found
    if not sure:
        raise BrokerUnavailable(f"no broker in this network told of itself: {WAYS_OUT}")
    if len(sure) > 1:
        names = ", ".join(f"{one.host}:{one.port}" for one in sure)
        raise UsageError(f"more than one broker told of itself: choose with --broker from {names}")
    return sure[0]


def _taken(answers: Answers, one: FoundBroker) -> Answers:
    return replace(answers, broker=f"{one.host}:{one.port}", tls=answers.tls or one.tls)


def _told(one: FoundBroker) -> str:
    where = f"{one.host}:{one.port}"
    if one.is_guess:
        return f"{where}, beside Home Assistant {one.name!r}"
    return f"{where}, {one.name!r}, {'encrypted' if one.tls else 'without encryption'}"
