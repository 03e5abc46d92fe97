"""All Bluetooth sensors of all wearers on one adapter: one scanner, one lock, a task for each sensor."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from posturewatch.radio import open_radio
from posturewatch.sources.ble.adapter import Adapter
from posturewatch.sources.ble.ears import Ears
from posturewatch.sources.ble.listener import Listener
from posturewatch.sources.ble.stream import SensorStream
from posturewatch.sources.ble.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from posturewatch.drivers import Capabilities
    from posturewatch.drivers.bound import BoundSensor
    from posturewatch.recording.sent_packets import SentPacket
    from posturewatch.status.health import SensorHealth
    from posturewatch.types import LinkChanged, RawSamples


class BleSource:
    """Hears the configured sensors until cancelled, and nobody else's."""

    def __init__(  # noqa: PLR0913  # one parameter per wish
        self,
        radio: str,
        sensors: Sequence[BoundSensor],
        put: Callable[[RawSamples | LinkChanged], None],
        now_ns: Callable[[], int],
        *,
        active_scan: bool = True,
        acquire_notify: bool = False,
        is_off_body: Callable[[str], bool] = lambda _: False,
        keep_sent: Callable[[SentPacket], None] | None = None,
    ) -> None:
        """`put` and `keep_sent` must not wait; they are called in the loop's own thread.

        `is_off_body` says of a sensor, by its id, what the detector makes of it.
        """
        self._radio = radio
        self._sensors = tuple(sensors)
        self._now_ns = now_ns
        self._active_scan = active_scan
        self._acquire_notify = acquire_notify
        self._is_off_body = is_off_body
        self._streams = {
            each.id: SensorStream(each.id, _capabilities(each), put, now_ns, keep_sent) for each in sensors
        }

    @property
    def health(self) -> dict[str, SensorHealth]:
        """How each sensor does, by its id."""
        return {name: stream.health for name, stream in self._streams.items()}

    async def run(self) -> None:
        """Stream until cancelled.  What fails outside is tried again for ever."""
        async with open_radio(self._radio, acquire_notify=self._acquire_notify) as radio:
            adapter = Adapter(radio)
            ears = Ears(adapter, active=self._active_scan)
            async with asyncio.TaskGroup() as group:
                group.create_task(ears.run(), name="scan")
                for name, task in self._tasks(adapter, ears):
                    group.create_task(task.run(), name=name)

    def _tasks(self, adapter: Adapter, ears: Ears) -> Iterator[tuple[str, Supervisor | Listener]]:
        for sensor in self._sensors:
            stream = self._streams[sensor.id]
            if sensor.family.capabilities.is_advertised:
                yield f"listener {sensor.id}", Listener(sensor, ears, stream, self._now_ns)
            else:
                is_off_body = partial(self._is_off_body, sensor.id)
                yield (
                    f"supervisor {sensor.id}",
                    Supervisor(sensor, adapter, ears, stream, self._now_ns, is_off_body),
                )


def _capabilities(sensor: BoundSensor) -> Capabilities:
    """What to expect of it; which range it took of those that can be asked for, it does not say."""
    found = sensor.family.capabilities
    return found if sensor.options.range_g is None else replace(found, range_g=None)
