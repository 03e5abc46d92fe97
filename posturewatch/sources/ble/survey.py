"""Who is on the air: what each sensor is, what it could be used for, and which one is being moved."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from posturewatch.drivers import NO, AdvertDriver, Options
from posturewatch.errors import DecodeError
from posturewatch.types import UNITS_PER_G

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.drivers import Capabilities, Family
    from posturewatch.sources.ble.ears import Heard
    from posturewatch.types import Int32Array

SHAKEN_G = 0.15  # an axis changed by this much: more than a table trembles
SHAKEN_S = 12.0  # and not longer ago than this
SHAKES = 2  # so often, since a single one may be chance
WALKING_HZ = 8.0  # fewer samples show no steps
_WORN_AT = {"infinitime": "wrist"}  # by family
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


@dataclass(slots=True)
class Found:
    """One device, and what is known of it."""

    heard: Heard
    name: str | None
    family: Family | None
    seen: int = 0
    seen_s: float = 0.0
    rssi_dbm: int | None = None
    moves_s: deque[float] = field(default_factory=lambda: deque(maxlen=50))  # when it moved
    spread_g: float | None = None  # how much it moved during a short connection
    _driver: AdvertDriver | None = None
    _last: Int32Array | None = None

    @property
    def binding(self) -> str:
        """What the configuration takes as its address: the one on the air, or what its payload calls it."""
        advert = self.heard.advert
        if self.family is None or _MAC.fullmatch(advert.address):
            return advert.address
        return self.family.identity(advert)

    def shakes(self, now_s: float) -> int:
        """How often it moved lately."""
        return sum(now_s - at_s <= SHAKEN_S for at_s in self.moves_s)

    def take(self, heard: Heard, now_s: float) -> None:
        """One more advertisement."""
        self.heard, self.seen_s = heard, now_s
        self.seen += 1
        self.name = heard.advert.name or self.name
        self.rssi_dbm = heard.advert.rssi_dbm
        family = self.family
        if family is None or not family.capabilities.is_advertised:
            return
        if self._driver is None:
            self._driver = cast("AdvertDriver", family.create(Options()))
        try:
            packet = self._driver.decode(heard.advert)
        except DecodeError:
            return
        if packet is None:
            return
        turned = False
        if len(packet.acc_10ug):
            last, self._last = self._last, packet.acc_10ug[-1].astype(np.int64)
            turned = last is not None and int(np.abs(self._last - last).max()) > SHAKEN_G * UNITS_PER_G
        if turned or packet.has_moved:
            self.moves_s.append(now_s)


class Survey:
    """All that was heard."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        """`families` are the kinds that could be used."""
        self._families = families
        self._found: dict[str, Found] = {}

    def take(self, heard: Heard, now_s: float) -> None:
        """One advertisement.  A name or a family may come with a later one."""
        found = self._found.get(heard.advert.address)
        if found is None:
            found = self._found[heard.advert.address] = Found(heard, heard.advert.name, None)
        if found.family is None:
            found.family = recognise(self._families, heard)
        found.take(heard, now_s)

    def sensors(self) -> list[Found]:
        """Those that could be used, the nearest first."""
        return sorted((f for f in self._found.values() if f.family is not None), key=_by_signal)

    def others(self) -> list[Found]:
        """All the rest."""
        return sorted((f for f in self._found.values() if f.family is None), key=_by_signal)

    def find_shaken(self, now_s: float) -> Found | None:
        """The one that is moved more than any other, if one is."""
        felt = [found for found in self.sensors() if found.spread_g is not None and found.spread_g > 2 * SHAKEN_G]
        if felt:
            return max(felt, key=lambda found: found.spread_g or 0.0)
        ranked = sorted(self.sensors(), key=lambda found: -found.shakes(now_s))
        if not ranked or ranked[0].shakes(now_s) < SHAKES:
            return None
        return None if len(ranked) > 1 and ranked[1].shakes(now_s) == ranked[0].shakes(now_s) else ranked[0]


def recognise(families: Mapping[str, Family], heard: Heard) -> Family | None:
    """The family that fits best; one that only might, where none surely does."""
    score, best = max(((family.match(heard.advert), name) for name, family in families.items()), default=(NO, ""))
    return families[best] if score > NO else None


def propose_placement(family: str | None) -> str:
    """Where such a sensor is usually worn."""
    return _WORN_AT.get(family or "", "chest")


def describe_use(capabilities: Capabilities) -> str:
    """What such a sensor is good for, in a few words."""
    rate_hz = capabilities.rate_hz
    how = "listened to" if capabilities.is_advertised else "connected"
    if rate_hz >= WALKING_HZ:
        return f"posture, breaks, walking; {how}, {rate_hz:g} Hz"
    return f"posture and breaks, no walking; {how}, every {1 / rate_hz:.1f} s"


def _by_signal(found: Found) -> int:
    return -(found.rssi_dbm if found.rssi_dbm is not None else -127)
