"""Events of one wearer to the lines of a replay: intervals that do not overlap, each said once, when it is final.

Wear looks back (`WearRevised`), so its intervals are final only at the end; everything else is printed as it ends.
Pure: no printing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posturewatch.types import (
    NS_PER_S,
    BreakEnded,
    Motion,
    MotionChanged,
    Posture,
    PostureChanged,
    Prompt,
    RuleDue,
    SedentaryEnded,
    Silenced,
    StaticEnded,
    Wear,
    WearChanged,
    WearRevised,
    Withdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from enum import StrEnum

    from posturewatch.types import Event

Line = dict[str, Any]
Interval = tuple["StrEnum", int, int]  # state, from_ns, to_ns


class Spans:
    """One state after the other, without holes; a later word about the past replaces what was said of it."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._starts: list[tuple[int, StrEnum]] = []

    def say(self, from_ns: int, state: StrEnum) -> None:
        """From here on it is `state`."""
        while self._starts and self._starts[-1][0] >= from_ns:
            self._starts.pop()
        if not self._starts or self._starts[-1][1] is not state:
            self._starts.append((from_ns, state))

    def cover(self, from_ns: int, state: StrEnum) -> None:
        """What nothing was said of, from here to the first word, is `state`."""
        if self._starts and self._starts[0][0] <= from_ns:
            return
        if self._starts and self._starts[0][1] is state:
            del self._starts[0]
        self._starts.insert(0, (from_ns, state))

    def until(self, end_ns: int) -> Iterator[Interval]:
        """The intervals up to the end."""
        if not self._starts:
            return
        ends = [start for start, _ in self._starts[1:]] + [end_ns]
        for (start, state), end in zip(self._starts, ends, strict=True):
            if start < min(end, end_ns):
                yield state, start, min(end, end_ns)


class Timeline:
    """Takes events in their order; gives lines."""

    def __init__(self, clock: Callable[[int], float | str], *, delivered: bool = False) -> None:
        """`clock` words a moment for the reader; `delivered` asks for what the wearer would have got."""
        self._clock = clock
        self._delivered = delivered
        self.wear, self.motion, self.posture = Spans(), Spans(), Spans()

    def use(self, clock: Callable[[int], float | str]) -> None:
        """Word moments with another clock from now on."""
        self._clock = clock

    def take(self, event: Event) -> Line | None:
        """The line of this event, if it has one by itself."""
        if isinstance(event, WearChanged):
            self.wear.say(event.t_ns, event.state)
        elif isinstance(event, WearRevised):
            self.wear.say(event.from_ns, event.state)
        elif isinstance(event, MotionChanged):
            self.motion.say(event.t_ns, event.state)
        elif isinstance(event, PostureChanged):
            self.posture.say(event.t_ns, event.state)
        elif isinstance(event, StaticEnded):
            return self._span("static", event.start_ns, event.end_ns) | {
                "closed_by": event.closed_by,
                "inclination_deg": None if event.inclination_deg is None else round(event.inclination_deg),
                "drift_deg": round(event.drift_deg, 1),
                "fidgets": event.fidgets,
            }
        elif isinstance(event, SedentaryEnded):
            return self._span("sedentary", event.start_ns, event.end_ns) | {"closed_by": event.closed_by}
        elif isinstance(event, BreakEnded):
            return {"type": "break", "kind": event.kind, **self._bounds(event.start_ns, event.end_ns)}
        return self._reminder(event)

    def _reminder(self, event: Event) -> Line | None:
        if isinstance(event, RuleDue) and not self._delivered:
            return self._reminder_line(event)
        if not self._delivered:
            return None
        if isinstance(event, Prompt):
            return self._reminder_line(event) | {"event_type": event.event_type, "repeat": event.repeat}
        if isinstance(event, Silenced):
            return {"type": "silenced", "rule": event.rule, "why": event.why, self._key("t"): self._clock(event.t_ns)}
        if isinstance(event, Withdrawn):
            return {"type": "cleared", "cycle": event.cycle, "why": event.why, self._key("t"): self._clock(event.t_ns)}
        return None

    def _reminder_line(self, event: RuleDue | Prompt) -> Line:
        return {
            "type": "reminder",
            "rule": event.rule,
            "level": event.level,
            self._key("t"): self._clock(event.t_ns),
            "id": event.id,
            "reason": dict(event.reason),
        }

    def finish(self, start_ns: int, end_ns: int) -> Iterator[Line]:
        """The intervals of wear, motion and posture, now that they are final; together they cover the recording."""
        self.wear.cover(start_ns, Wear.UNKNOWN)
        self.motion.cover(start_ns, Motion.UNKNOWN)
        self.posture.cover(start_ns, Posture.UNKNOWN)
        for name, spans in (("wear", self.wear), ("motion", self.motion), ("posture", self.posture)):
            for state, start, end in spans.until(end_ns):
                yield {"type": name, "state": state, **self._bounds(start, end)}

    def _span(self, kind: str, start_ns: int, end_ns: int) -> Line:
        return {"type": kind, **self._bounds(start_ns, end_ns)}

    def _bounds(self, start_ns: int, end_ns: int) -> Line:
        return {self._key("start"): self._clock(start_ns), self._key("end"): self._clock(end_ns)}

    def _key(self, name: str) -> str:
        return f"{name}_s" if isinstance(self._clock(0), float) else name


def since(start_ns: int) -> Callable[[int], float]:
    """A clock that counts seconds from the first sample."""
    return lambda t_ns: round(max(t_ns - start_ns, 0) / NS_PER_S, 3)
