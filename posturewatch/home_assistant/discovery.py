"""How Home Assistant learns of us: one retained message for each device, made from the settings alone.

Device discovery of Home Assistant's MQTT integration (https://www.home-assistant.io/integrations/mqtt/): topic
`<prefix>/device/<device>/config`, shared options on top, one component for each entity.  Keys that it does not know at
the top or in `device` make it refuse the whole device, so everything else goes into the components.  Nothing here is
translated: options are the words of the contract.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from posturewatch import __version__
from posturewatch.core.posture import INCLINED
from posturewatch.home_assistant.entities import (
    BRIDGE,
    COMMANDS,
    EVENTS,
    NEEDS_ANGLE,
    NEEDS_BOUTS,
    NEEDS_HEALTH,
    SENSOR,
    SETTINGS,
    STATES,
)
from posturewatch.types import Channel, Message, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from posturewatch.core.settings import Settings
    from posturewatch.home_assistant.entities import Entity
    from posturewatch.publishing.topics import Topics

MAKER = "posturewatch"
STALE_AFTER_S = 180  # three of the longest intervals between two states


@dataclass(frozen=True, slots=True)
class Subject:
    """What a wearer's device depends on."""

    id: str
    simulated: bool = False
    sees_bouts: bool = True  # the placement shows held postures and shifts
    sees_angle: bool = True  # the placement shows an inclination, once calibrated
    snooze_minutes: tuple[int, ...] = (5, 10, 15)
    sensors: tuple[str, ...] = ()  # that tell how they do


@dataclass(frozen=True, slots=True)
class Home:
    """One Home Assistant, and where our own topics are."""

    topics: Topics
    prefix: str = "homeassistant"
    former: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # topic -> component -> platform, ever told

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant says that it is there."""
        return f"{self.prefix}/status"

    def config_topic(self, device: str) -> str:
        """Where the device with this identifier is described."""
        return f"{self.prefix}/device/{device}/config"

    @property
    def bridge_id(self) -> str:
        """Identifies the daemon's own device; two daemons at one broker differ in their base topic."""
        return f"{slug(self.topics.base)}_bridge"

    def wearer_id(self, wearer: str) -> str:
        """Identifies the device of one wearer."""
        return f"{slug(self.topics.base)}_wearer_{wearer}"


def subject_of(settings: Settings, simulated: bool, telling: Collection[str] = ()) -> Subject:
    """What discovery needs of a wearer's settings; `telling` are the sensors that tell how they do."""
    return Subject(
        settings.wearer,
        simulated=simulated,
        sees_bouts=settings.params.static_bouts,
        sees_angle=any(sensor.placement in INCLINED for sensor in settings.sensors),
        snooze_minutes=settings.reminding.snooze_minutes,
        sensors=tuple(sensor.id for sensor in settings.sensors if sensor.id in telling),
    )


def discovery(home: Home, subjects: Iterable[Subject]) -> list[Message]:
    """The bridge, then every wearer; to be published before their states."""
    return [bridge_device(home), *(wearer_device(home, subject) for subject in subjects)]


def bridge_device(home: Home) -> Message:
    """The daemon itself: whether it is there and how it does."""
    online = _availability(home.topics.bridge("state"))
    shared = {"state_topic": home.topics.bridge("health"), "availability": [online], "availability_mode": "all"}
    device = {"name": "Posturewatch", "model": "Bridge"}
    components = {
        entity.key: _component(home.bridge_id, device["name"], entity, home.topics.bridge) for entity in BRIDGE
    }
    return _message(home, home.bridge_id, device, shared, components)


def wearer_device(home: Home, subject: Subject) -> Message:
    """One wearer: what is seen, what happened, what can be asked for.  Named by the pseudonym that is in the topics."""
    device_id = home.wearer_id(subject.id)
    place = partial(home.topics.wearer, subject.id)
    bridge = _availability(home.topics.bridge("state"))
    shared = {
        "state_topic": place("state"),
        "availability": [bridge, _availability(place("availability"))],
        "availability_mode": "all",
    }
    device = {
        "name": f"Posturewatch {subject.id}",
        "model": "Simulated wearer" if subject.simulated else "Wearer",
        "via_device": home.bridge_id,
    }
    components: dict[str, dict[str, Any]] = {}
    for entity in _entities(subject):
        components[entity.key] = component = _component(device_id, device["name"], entity, place)
        if entity.without_sensor:
            component["availability"] = [bridge]
        if entity.attributes:
            component["json_attributes_topic"] = place(entity.leaf or "state")
            component["json_attributes_template"] = entity.attributes
    for sensor in subject.sensors:
        for entity in SENSOR:
            own = replace(entity, key=f"{sensor}_{entity.key}", name=f"{sensor} {entity.name.lower()}")
            components[own.key] = component = _component(device_id, device["name"], own, place)
            component |= {"state_topic": home.topics.health(sensor), "availability": [bridge]}
    return _message(home, device_id, device, shared, components)


def forget(topics: Iterable[str]) -> list[Message]:
    """Empty retained payloads: the broker and Home Assistant forget these."""
    return [Message(topic=topic, payload=b"", retain=True, key=topic) for topic in topics]


def components_of(message: Message) -> dict[str, str]:
    """Which components a discovery message describes, with their platforms."""
    return {key: part["platform"] for key, part in json.loads(message.payload)["components"].items()}


def slug(text: str) -> str:
    """A name as Home Assistant would put it into an entity id."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _entities(subject: Subject) -> Iterator[Entity]:
    for entity in (*STATES, *EVENTS, *SETTINGS, *COMMANDS):
        if entity.key in NEEDS_BOUTS and not subject.sees_bouts:
            continue
        if entity.key in NEEDS_ANGLE and not subject.sees_angle:
            continue
        if entity.key in NEEDS_HEALTH and not subject.sensors:
            continue
        if entity.key == Verb.SNOOZE:
            yield from (_snooze(entity, minutes) for minutes in subject.snooze_minutes)
        else:
            yield entity


def _snooze(entity: Entity, minutes: int) -> Entity:
    pressed = json.dumps({"minutes": minutes, "channel": Channel.DASHBOARD})
    options = {**entity.options, "payload_press": pressed}
    return replace(entity, key=f"snooze_{minutes}", name=f"Snooze {minutes} min", options=options)


def _component(device_id: str, device_name: str, entity: Entity, place: Callable[[str], str]) -> dict[str, Any]:
    """One entity.  Quality of service is not inherited from the top by all releases."""
    component: dict[str, Any] = {
        "platform": entity.platform,
        "unique_id": f"{device_id}_{entity.key}",
        "name": entity.name,
        "default_entity_id": f"{entity.platform}.{slug(f'{device_name} {entity.name}')}",
        "qos": 1,
        **entity.options,
    }
    if entity.leaf:
        component["state_topic"] = place(entity.leaf)
    if entity.command:
        component["command_topic"] = place(entity.command)
    if entity.goes_stale:
        component["expire_after"] = STALE_AFTER_S
    return component


def _message(
    home: Home, device_id: str, device: dict[str, Any], shared: dict[str, Any], components: dict[str, dict[str, Any]]
) -> Message:
    topic = home.config_topic(device_id)
    # a component that is merely left out stays in Home Assistant for ever; one with nothing but its platform goes
    gone = {
        key: {"platform": platform} for key, platform in home.former.get(topic, {}).items() if key not in components
    }
    payload = {
        "device": {"identifiers": [device_id], "manufacturer": MAKER, "sw_version": __version__, **device},
        "origin": {"name": MAKER, "sw_version": __version__},
        **shared,
        "components": {**components, **gone},
    }
    return Message(topic=topic, payload=json.dumps(payload, separators=(",", ":")).encode(), retain=True, key=topic)


def _availability(topic: str) -> dict[str, str]:
    return {"topic": topic, "payload_available": "online", "payload_not_available": "offline"}
