"""Whether reminders are answered, by the channel that showed them, over a week; and one quiet suggestion if few are.

An answer by a request that names its channel counts for that channel alone.  One by moving, or by a request that names
none, counts for every channel that showed the reminder, since nobody can tell which of them was noticed; so does a
missed reminder.  Pure: time comes as numbers.  What it remembers goes into the wearer's snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from posturewatch.core.reminding.budgets import offset_at
from posturewatch.types import NS_PER_S, Channel, Concluded, Happened, Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from posturewatch.types import Event

DAY_S, MIN_S = 86_400, 60
WEEK_DAYS = 7
FEW_PCT = 30
LEAST_REMINDERS = 10  # in a week: below that a rate says nothing
PUSH_RUNG, SPEAKER_RUNG = 1, 3
ALL = "all"


@dataclass(frozen=True, slots=True)
class LocalChannels:
    """What shows a wearer's reminders on this machine, beside what goes to the broker."""

    desktop_from_rung: int | None = None  # none: not on the desktop
    hooked: frozenset[str] = frozenset()  # event types of prompts on which a program is started

    def showing(self, prompt: Prompt) -> frozenset[Channel]:
        """All channels on which a prompt is shown, as far as can be known here."""
        shown = {Channel.PUSH if prompt.rung >= PUSH_RUNG else Channel.DASHBOARD}
        if prompt.rung >= SPEAKER_RUNG:
            shown.add(Channel.SPEAKER)
        if self.desktop_from_rung is not None and prompt.rung >= self.desktop_from_rung:
            shown.add(Channel.DESKTOP)
        if prompt.event_type in self.hooked:
            shown.add(Channel.HOOK)
        return frozenset(shown)


class Count(NamedTuple):
    """Of one channel."""

    reminders: int = 0
    answered: int = 0

    @property
    def rate_pct(self) -> int | None:
        """Whole percent; nothing if nobody was asked."""
        return round(100 * self.answered / self.reminders) if self.reminders else None


class Responses:
    """Of one wearer."""

    def __init__(self, channels: LocalChannels | None = None, saved: object = None) -> None:
        """Goes on from what `dump` made; anything else is forgotten."""
        kept: dict[str, Any] = saved if isinstance(saved, dict) else {}
        self._channels = channels or LocalChannels()
        self._days = _read_days(kept.get("days"))  # local day -> channel, or all -> count
        self._since_day = _read_day(kept.get("since_day"))
        self._told_day = _read_day(kept.get("told_day"))
        self._cycle, self._shown = _read_open(kept.get("open"))
        self._looked_min = 0

    def dump(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "days": [
                [day, [[name, *count] for name, count in sorted(counts.items())]] for day, counts in self._days.items()
            ],
            "since_day": self._since_day,
            "told_day": self._told_day,
            "open": [self._cycle, sorted(self._shown)],
        }

    def follow(self, event: Event, utc_offsets: Iterable[tuple[int, int]]) -> None:
        """Note on which channels a reminder was shown, and what became of it."""
        if isinstance(event, Prompt) and not event.test:
            before = self._shown if event.cycle == self._cycle else frozenset()
            self._cycle, self._shown = event.cycle, before | self._channels.showing(event)
        elif isinstance(event, Concluded):
            shown = self._shown if event.cycle == self._cycle else frozenset()
            named = event.is_answered and event.channel is not None
            counted = {str(event.channel)} if named else set(map(str, shown))
            self._count(_find_day(event.t_ns, utc_offsets), {ALL, *counted}, int(event.is_answered))

    def _count(self, day: int, names: Iterable[str], answered: int) -> None:
        counts = self._days.setdefault(day, {})
        for name in names:
            before = counts.get(name, Count())
            counts[name] = Count(before.reminders + 1, before.answered + answered)
        if self._since_day is None:
            self._since_day = day
        self._forget_old(day)

    def _forget_old(self, today: int) -> None:
        for old in [day for day in self._days if not today - WEEK_DAYS < day <= today]:
            del self._days[old]

    def week(self) -> dict[str, Count]:
        """The last seven days by channel, and together as `all`."""
        total: dict[str, Count] = {}
        for counts in self._days.values():
            for name, count in counts.items():
                before = total.get(name, Count())
                total[name] = Count(before.reminders + count.reminders, before.answered + count.answered)
        return dict(sorted(total.items()))

    def suggest(
        self, now_ns: int, utc_offsets: Iterable[tuple[int, int]], *, is_worn: bool, is_silent: bool
    ) -> list[Happened]:
        """Once a week at most, a channel on which few are answered; looks once a minute.

        The dashboard asks nobody, so it is never the one.
        """
        now_min = now_ns // (MIN_S * NS_PER_S)
        if now_min == self._looked_min:
            return []
        self._looked_min = now_min
        today = _find_day(now_ns, utc_offsets)
        self._forget_old(today)
        if not is_worn or is_silent or not _is_week_ago(self._since_day, today):
            return []
        if self._told_day is not None and not _is_week_ago(self._told_day, today):
            return []
        few = [
            (count.answered / count.reminders, name, count)
            for name, count in self.week().items()
            if name not in (ALL, Channel.DASHBOARD) and count.reminders >= LEAST_REMINDERS
        ]
        share_frac, name, worst = min(few, default=(1.0, "", Count()))
        if 100 * share_frac >= FEW_PCT:
            return []
        self._told_day = today
        detail: Mapping[str, float | str | bool] = {"channel": name, **worst._asdict()}
        return [Happened(now_ns, "few_answers", None, detail)]


def _find_day(t_ns: int, utc_offsets: Iterable[tuple[int, int]]) -> int:
    return (t_ns // NS_PER_S + offset_at(utc_offsets, t_ns)[0]) // DAY_S


def _is_week_ago(day: int | None, today: int) -> bool:
    """A day of the future, after a clock was set back, is long ago."""
    return day is not None and not 0 <= today - day < WEEK_DAYS


def _read_days(saved: object) -> dict[int, dict[str, Count]]:
    days: dict[int, dict[str, Count]] = {}
    for entry in saved if isinstance(saved, list) else []:
        if isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and isinstance(entry[1], list):  # noqa: PLR2004  a pair
            days[entry[0]] = {one[0]: Count(*one[1:]) for one in entry[1] if _is_count(one)}
    return days


def _is_count(one: object) -> bool:
    known = (ALL, *Channel)
    return isinstance(one, list) and len(one) == 3 and one[0] in known and all(type(x) is int for x in one[1:])  # noqa: PLR2004


def _read_day(saved: object) -> int | None:
    return saved if type(saved) is int else None


def _read_open(saved: object) -> tuple[str | None, frozenset[Channel]]:
    if isinstance(saved, list) and len(saved) == 2 and isinstance(saved[0], str) and isinstance(saved[1], list):  # noqa: PLR2004
        return saved[0], frozenset(Channel(name) for name in saved[1] if name in list(Channel))
    return None, frozenset()
