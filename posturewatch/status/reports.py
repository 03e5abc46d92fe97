"""What the daemon says of itself and its sensors: at the broker, and to who asks at its door."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from posturewatch import __version__
from posturewatch.publishing import messages
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from posturewatch.clock import Clock
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.publishing.topics import Topics
    from posturewatch.requests.desk import Desk
    from posturewatch.sinks.mqtt import MqttSink
    from posturewatch.sinks.outbox import Outbox
    from posturewatch.sources.packet_queue import PacketQueue
    from posturewatch.status.health import SensorHealth
    from posturewatch.types import Message
    from posturewatch.watch import Watch

HEALTH_S = 60.0
LOOK_S = 1.0  # how often the sensors are looked at


@dataclass(frozen=True, slots=True)
class Reports:
    """All that there is to tell, and where it is told."""

    topics: Topics
    mqtt: MqttSettings
    clock: Clock
    started_ns: int
    watches: Sequence[Watch]
    queues: Sequence[PacketQueue]
    outbox: Outbox
    sink: MqttSink
    sensors: Mapping[str, SensorHealth]
    desk: Desk

    # ------------------------------------------------------------ at the broker

    def info(self, sources: set[str]) -> Message:
        """Which program this is, and what it listens to."""
        return messages.bridge_info(
            self.topics,
            version=__version__,
            instance=self.mqtt.client_id,
            started_ns=self.started_ns,
            source=" ".join(sorted(sources)),
            simulated=any(watch.simulated for watch in self.watches),
        )

    def healths(self) -> list[Message]:
        """How the daemon does, and each sensor."""
        now_ns = self.clock.now_ns()
        sensors = [messages.sensor_health(self.topics, health, now_ns) for health in self.sensors.values()]
        return [self._health(now_ns), *sensors]

    def _health(self, now_ns: int) -> Message:
        counts = self.outbox.counts
        figures = {
            "uptime_s": max(0, now_ns - self.started_ns) // NS_PER_S,
            "wearers": len(self.watches),
            "wearers_online": sum(watch.online for watch in self.watches),
            "connections": self.sink.connections,
            "messages_published": counts.published,
            "messages_lost": counts.dropped + counts.expired - self.sink.refused,
            "messages_refused": self.sink.refused,
            "samples_lost": sum(queue.dropped for queue in self.queues),
        }
        return messages.bridge_health(self.topics, figures, now_ns)

    async def tell_health(self) -> None:
        """Once a minute, until cancelled."""
        while True:
            await self.clock.sleep(HEALTH_S)
            self.outbox.put_all(self.healths())

    async def follow_sensors(self) -> None:
        """Say at once when a sensor is lost, is back or at fault; its battery goes into its wearer's state."""
        said: dict[str, tuple[bool, str | None, int]] = {}
        while self.sensors:
            for name, health in self.sensors.items():
                stands = (health.is_connected, health.fault, health.reconnects)
                if said.get(name, (False, None, 0)) != stands:
                    said[name] = stands
                    self.outbox.put(messages.sensor_health(self.topics, health, self.clock.now_ns()))
            for watch in self.watches:
                watch.follow_battery(self.sensors)
            await asyncio.sleep(LOOK_S)

    # ------------------------------------------------------------ at the door

    async def status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """How it stands."""
        now_ns, counts = self.clock.now_ns(), self.outbox.counts
        broker = {"address": self.mqtt.address, "connected": self.sink.up, "waiting": len(self.outbox)}
        lost = {"dropped": counts.dropped, "expired": counts.expired, "refused": self.sink.refused}
        return {
            "version": __version__,
            "process": os.getpid(),
            "started": messages.iso(self.started_ns),
            "time": messages.iso(now_ns),
            "broker": {**broker, "published": counts.published, **lost},
            "commands": asdict(self.desk.counts),
            "samples_dropped": sum(queue.dropped for queue in self.queues),
            "wearers": [watch.status(now_ns) for watch in self.watches],
            "sensors": [{"sensor": name, **messages.sensor_status(h)} for name, h in self.sensors.items()],
        }

    async def why(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """The last decision for each wearer."""
        return {"wearers": [watch.why() for watch in self.watches]}
