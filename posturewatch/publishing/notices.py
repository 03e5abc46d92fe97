"""Two quiet notices, each once a day at most: the battery is low, the sensor is not worn when it usually is.

Pure: time comes as numbers.  What it remembers is small and goes into the wearer's snapshot.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from posturewatch.core.reminding.budgets import offset_at
from posturewatch.types import NS_PER_S, Happened

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_S, MIN_S = 86_400, 60
LOW_PCT = 15
KEPT_DAYS = 28
ALIKE_DAYS = 7  # the last working days, or days of weekends, that say what is usual
LEAST_WORN = 5  # of them
LATE_MIN = 120  # after the usual time
SATURDAY = 5


class Notices:
    """Of one wearer."""

    def __init__(self, saved: object = None) -> None:
        """Goes on from what `dump` made; anything else is forgotten."""
        kept: dict[str, Any] = saved if isinstance(saved, dict) else {}
        self._first_worn = _read_days(kept.get("first_worn"))  # local day -> minute of the day
        self._battery_day = _read_day(kept.get("battery_day"))
        self._absent_day = _read_day(kept.get("absent_day"))
        self._looked_min = 0

    def dump(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "first_worn": [[day, minute] for day, minute in self._first_worn.items()],
            "battery_day": self._battery_day,
            "absent_day": self._absent_day,
        }

    def update(
        self,
        now_ns: int,
        utc_offsets: Iterable[tuple[int, int]],
        *,
        is_worn: bool,
        is_silent: bool,
        battery_pct: float | None,
    ) -> list[Happened]:
        """What to say now; looks once a minute.  Nobody is missed in a silence, such as a holiday."""
        now_s = now_ns // NS_PER_S
        if now_s // MIN_S == self._looked_min:
            return []
        self._looked_min = now_s // MIN_S
        local_s = now_s + offset_at(utc_offsets, now_ns)[0]
        day, minute = local_s // DAY_S, local_s % DAY_S // MIN_S
        said = []
        if battery_pct is not None and battery_pct <= LOW_PCT and self._battery_day != day:
            self._battery_day = day
            said.append(Happened(now_ns, "battery_low", None, {"battery_pct": round(battery_pct)}))
        if is_worn:
            self._note_worn(day, minute)
        elif (
            not is_silent and self._absent_day != day and (usual_min := self._is_missed_since(day, minute)) is not None
        ):
            self._absent_day = day
            usual = f"{usual_min // 60:02}:{usual_min % 60:02}"
            said.append(Happened(now_ns, "not_worn", None, {"usually_worn_from": usual}))
        return said

    def _note_worn(self, day: int, minute: int) -> None:
        if day not in self._first_worn:
            self._first_worn[day] = minute
            for old in [d for d in self._first_worn if not day - KEPT_DAYS < d <= day]:
                del self._first_worn[old]

    def _is_missed_since(self, day: int, minute: int) -> int | None:
        """The minute of the day from which it is worn on such days, if it should be worn by now and was not today."""
        if day in self._first_worn:
            return None
        alike = [d for d in range(day - 1, day - KEPT_DAYS, -1) if _is_weekend(d) is _is_weekend(day)][:ALIKE_DAYS]
        worn = [self._first_worn[d] for d in alike if d in self._first_worn]
        if len(worn) < LEAST_WORN:
            return None
        usual_min = round(median(worn))
        return usual_min if minute >= usual_min + LATE_MIN else None


def _is_weekend(day: int) -> bool:
    return (day + 3) % 7 >= SATURDAY  # day 0, the first of 1970, was a Thursday


def _read_days(saved: object) -> dict[int, int]:
    pairs = saved if isinstance(saved, list) else []
    return {
        pair[0]: pair[1]
        for pair in pairs[-KEPT_DAYS:]
        if isinstance(pair, list) and len(pair) == 2 and all(type(x) is int for x in pair)  # noqa: PLR2004  a pair
    }


def _read_day(saved: object) -> int:
    return saved if type(saved) is int else -1
