"""The demonstration: a simulated wearer, real limits on a faster clock, nothing left behind.

On a broker of its own, or on the one that was asked for: there below a base topic of its own, marked as simulated.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from posturewatch.app import Given, run
from posturewatch.clock import ScaledClock, read_wall_ns
from posturewatch.config import (
    Broker,
    Config,
    LoadedConfig,
    RemindingManners,
    Sensor,
    Storage,
    Wearer,
    write_calibration,
)
from posturewatch.errors import BrokerRefused, BrokerUnavailable, PosturewatchError
from posturewatch.home_assistant.discovery import forget
from posturewatch.mqtt.link import connected
from posturewatch.publishing.topics import Topics
from posturewatch.sinks.jsonl import payload_of
from posturewatch.sources.simulated import SimulatedSensor, find_scenario, find_upright
from posturewatch.types import NS_PER_S, Motion, Placement

if TYPE_CHECKING:
    from posturewatch.mqtt.embedded_broker import EmbeddedBroker
    from posturewatch.signals import Signals
    from posturewatch.types import Message
    from posturewatch.watch import Watch

WEARER = "demo"
START_S = 60.0
CYCLE_MIN = 42.0  # of the wearer's time: the scenario `demo-cycle` needs 35
CLEARED = ("ok", "building")
LEAVE_S = 3.0


class CycleMissing(PosturewatchError):
    """`--once` and no full cycle came."""

    exit_code = 1


class View(Protocol):
    """What shows the demonstration to somebody."""

    def show_where(self, lines: list[str]) -> None:
        """Where to look further."""

    def show_watch(self, watch: Watch, clock: ScaledClock) -> None:
        """Whose state to show."""

    def show_message(self, message: Message) -> None:
        """One message went out."""

    async def run(self) -> None:
        """Show until closed, and then what is still to be shown; a screen is left as it was found."""

    def close(self) -> None:
        """Nothing more will come."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    scenario: str = "demo-cycle"
    seed: int = 1
    speed: float = 60.0
    once: bool = False
    broker: Broker = field(default_factory=Broker)  # without a host: one of our own


class Cycle:
    """Follows the messages through one cycle: begun by the first samples, asked, got up, credited, cleared."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.begun, self.done = asyncio.Event(), asyncio.Event()
        self.stage = "no reminder became due"
        self._asked = self._credited = False

    def note(self, message: Message) -> None:
        """One message that went out."""
        payload = payload_of(message)
        if not isinstance(payload, dict):
            return
        if message.topic.endswith("/state") and payload["motion"] != Motion.UNKNOWN:
            self.begun.set()
        if message.topic.endswith("/reminder") and payload["level"] == "break":
            self._asked, self.stage = True, "the wearer did not get up"
        elif self._asked and payload.get("event_type") in ("break_completed", "self_initiated"):
            self._credited, self.stage = True, "the reminder did not clear"
        elif self._credited and message.topic.endswith("/state") and payload["reminder"] in CLEARED:
            self.done.set()


async def show(options: DemoOptions, view: View, signals: Signals) -> None:
    """Run the demonstration until stopped, or for one cycle; `CycleMissing` if that did not come."""
    folder = Path(tempfile.mkdtemp(prefix="posturewatch-demo-"))
    try:
        loaded = configuration(options, folder)
        clock = ScaledClock(options.speed, read_wall_ns() // NS_PER_S * NS_PER_S)
        cycle = Cycle()

        def published(message: Message) -> None:
            view.show_message(message)
            cycle.note(message)

        given = Given(
            loaded,
            clock,
            signals,
            speed=options.speed,
            port=options.broker.port,
            on_broker=lambda broker: view.show_where(where_to_look(broker)),
            on_published=published,
            on_watches=lambda watches: view.show_watch(watches[0], clock),
            withdraw=True,
            has_control=False,
            tells_truth=True,
            broker_deaths=None,
        )
        if not options.broker.is_embedded:
            async with connected(loaded.to_mqtt(), keep_session=False):
                view.show_where(where_else_to_look(loaded))  # or it is refused now, before there is a picture
        await _show(given, view, cycle if options.once else None)
        if not options.broker.is_embedded:
            await _leave(loaded)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def where_to_look(broker: EmbeddedBroker) -> list[str]:
    """How another program can follow the demonstration."""
    login = f"-u {broker.username} -P {broker.password}"
    return [
        f"MQTT broker on 127.0.0.1, port {broker.port} (MQTT 5) and {broker.port_311} (MQTT 3.1.1)",
        f"user {broker.username}, password {broker.password}",
        f"mosquitto_sub -h 127.0.0.1 -p {broker.port_311} {login} -t 'posturewatch/#' -v",
    ]


def where_else_to_look(loaded: LoadedConfig) -> list[str]:
    """The same on a broker of somebody else's."""
    mqtt = loaded.to_mqtt()
    return [
        f"MQTT broker {mqtt.address}, topics {mqtt.base_topic}/#, removed at the end",
        "Home Assistant on this broker shows the device Posturewatch demo, a simulated wearer, while this runs",
    ]


async def _leave(loaded: LoadedConfig) -> None:
    """Let somebody else's broker forget our last word, too."""
    mqtt = loaded.to_mqtt()
    with contextlib.suppress(BrokerUnavailable, BrokerRefused, TimeoutError):
        async with asyncio.timeout(LEAVE_S), connected(mqtt, keep_session=False) as link:
            for message in forget([Topics(mqtt.base_topic).bridge("state")]):
                await link.publish(message)


async def _show(given: Given, view: View, cycle: Cycle | None) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(view.run(), name="view")
        ending = group.create_task(_end_after(cycle, given), name="one cycle") if cycle is not None else None
        try:
            await run(given)
        finally:
            view.close()
            if ending is not None:
                ending.cancel()
    if cycle is not None and not cycle.done.is_set() and not given.signals.received:
        raise CycleMissing(f"no full cycle within {CYCLE_MIN:g} minutes of the wearer's time: {cycle.stage}")


async def _end_after(cycle: Cycle, given: Given) -> None:
    """Stop everything once the cycle is complete, or when it cannot come any more."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):  # a second more of it can be minutes of the wearer's time
            await cycle.begun.wait()
        async with asyncio.timeout(CYCLE_MIN * 60.0 / given.speed):
            await cycle.done.wait()
    given.signals.stop.set()


def configuration(options: DemoOptions, folder: Path) -> LoadedConfig:
    """The same configuration a person would write, with a simulated sensor on one's own broker."""
    simulated = SimulatedSensor(WEARER, options.scenario, options.seed)
    scenario = find_scenario(simulated)
    placement = Placement(scenario.wearers[0].placement)
    calibration = folder / "calibration.json"
    write_calibration(calibration, find_upright(simulated))
    sensor = Sensor(
        id=WEARER,
        placement=placement,
        source="simulated",
        scenario=scenario.name,
        seed=options.seed,
        calibration_file=calibration,
    )
    manners = RemindingManners(quiet_hours=())  # somebody wants to see it now, whatever the hour
    wearer = Wearer(id=WEARER, sensor=(sensor,), reminding=manners)
    config = Config(broker=options.broker, storage=Storage(folder=folder), wearer=(wearer,))
    return LoadedConfig(config)
