"""The sources that a configuration asks for; each kind is imported only where it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from posturewatch.clock import Clock
    from posturewatch.config import Bluetooth, Sensor
    from posturewatch.drivers.bound import BoundSensor
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.recording.sent_packets import SentPacket
    from posturewatch.sources import Source
    from posturewatch.status.health import SensorHealth
    from posturewatch.types import Incoming


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What sources need besides their sensors."""

    clock: Clock
    hear: MqttSettings  # the broker that gateways publish to
    bound: Mapping[str, BoundSensor] = field(default_factory=dict)  # the Bluetooth sensors
    bluetooth: Bluetooth | None = None
    speed: float = 1.0  # of the clock
    keep_sent: Callable[[SentPacket], None] | None = None  # what Bluetooth sensors send, byte for byte
    is_off_body: Callable[[str], bool] = lambda _: False  # a sensor, as its wearer's detector sees it
    tell_truth: Callable[[str, Mapping[str, Any], int], None] | None = None  # of simulated sensors: whose, what, since


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources by name, and how the sensors do, by id, where a source can tell."""

    by_name: dict[str, Source]
    health: Mapping[str, SensorHealth]


def build_sources(sensors: Iterable[tuple[Sensor, Callable[[Incoming], None]]], around: SourceContext) -> Sources:
    """One source for all sensors at the broker, one for all on Bluetooth, one for each simulated sensor.

    Each sensor comes with where its samples go.
    """
    puts: dict[str, dict[str, Callable[[Incoming], None]]] = {"mqtt": {}, "ble": {}}
    by_name: dict[str, Source] = {}
    health: Mapping[str, SensorHealth] = {}
    for sensor, put in sensors:
        if sensor.source == "simulated":
            by_name[f"simulated {sensor.id}"] = _simulated(sensor, put, around)
        else:
            puts[sensor.source][sensor.id] = put
    if remote := puts["mqtt"]:
        from posturewatch.sources.mqtt import MqttSource  # noqa: PLC0415  not everybody has such sensors

        by_name["samples"] = MqttSource(around.hear, remote, _spread(remote), around.clock.now_ns)
    if (near := puts["ble"]) and around.bluetooth is not None:
        from posturewatch.sources.ble import BleSource  # noqa: PLC0415  nor such a radio

        ble = BleSource(
            around.bluetooth.radio_name,
            [around.bound[name] for name in near],
            _spread(near),
            around.clock.now_ns,
            active_scan=around.bluetooth.active_scan,
            acquire_notify=around.bluetooth.acquire_notify,
            keep_sent=around.keep_sent,
            is_off_body=around.is_off_body,
        )
        by_name["bluetooth"], health = ble, ble.health
    return Sources(by_name, health)


def _spread(puts: Mapping[str, Callable[[Incoming], None]]) -> Callable[[Any], None]:
    def put(item: Any) -> None:
        puts[item.sensor](item)

    return put


def _simulated(sensor: Sensor, put: Callable[[Incoming], None], around: SourceContext) -> Source:
    from posturewatch.sources.simulated import SimulatedSensor, SimulatedSource  # noqa: PLC0415  only for who wants it

    about = SimulatedSensor(sensor.id, sensor.scenario, sensor.seed, sensor.placement, sensor.device)
    tell = None if around.tell_truth is None else partial(around.tell_truth, sensor.id)
    return SimulatedSource(about, put, around.clock, around.speed, tell)
