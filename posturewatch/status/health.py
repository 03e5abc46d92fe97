"""How a sensor does: what `status` and the broker tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RATE_WINDOW_NS = 10 * NS_PER_S


@dataclass(slots=True)
class SensorHealth:
    """Counts since the start of the daemon, and the last that was heard."""

    sensor: str
    is_connected: bool = False  # or, of one that only advertises: heard lately
    is_resting: bool = False  # laid aside: its stream is stopped until it is worn
    battery_pct: int | None = None
    battery_mv: int | None = None
    rssi_dbm: int | None = None
    rate_hz: float | None = None  # as measured
    packets: int = 0
    samples: int = 0
    lost: int = 0  # packets that the sensor's own counter says are missing
    repeated: int = 0  # packets that came twice or too late
    undecodable: int = 0
    invalid: int = 0  # samples that the sensor itself called invalid
    gaps: int = 0  # how often it was lost
    reconnects: int = 0
    fault: str | None = None  # why its samples are not used
    heard_ns: int = 0
    _counted: int = field(default=0, repr=False)
    _since_ns: int = field(default=0, repr=False)

    def figures(self) -> dict[str, object]:
        """What may be told of it: numbers and words, no address."""
        return {
            "connected": self.is_connected,
            "resting": self.is_resting,
            "battery_pct": self.battery_pct,
            "battery_mv": self.battery_mv,
            "rssi_dbm": self.rssi_dbm,
            "rate_hz": self.rate_hz,
            "packets": self.packets,
            "samples": self.samples,
            "lost": self.lost,
            "repeated": self.repeated,
            "undecodable": self.undecodable,
            "invalid": self.invalid,
            "gaps": self.gaps,
            "reconnects": self.reconnects,
            "fault": self.fault,
        }

    def count(self, samples: int, at_ns: int) -> None:
        """So many samples came."""
        self.samples += samples
        age_ns = at_ns - self._since_ns
        if not 0 <= age_ns < 2 * RATE_WINDOW_NS:  # for the first time, after a gap, or the clock was set
            self._since_ns, self._counted = at_ns, 0
            return
        self._counted += samples
        if age_ns >= RATE_WINDOW_NS:
            self.rate_hz = round(self._counted * NS_PER_S / age_ns, 2)
            self._since_ns, self._counted = at_ns, 0


def lowest_battery_pct(health: Mapping[str, SensorHealth], sensors: Iterable[str]) -> int | None:
    """The battery that will be empty first; None where no sensor tells."""
    told = (health[name].battery_pct for name in sensors if name in health)
    return min((pct for pct in told if pct is not None), default=None)
