"""What was heard from a broker, as events that can be compared with the truth of a simulation.

A line is one message: a JSON object with `topic` and `payload`, as `posturewatch demo --json` and `mosquitto_sub -F %j`
print it, or the topic, a blank and the payload, as `mosquitto_sub -v` does.  The truth may be among the messages.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from posturewatch_sim.intervals import Event
from posturewatch_sim.telling import begin_s

WEARER = re.compile(r"(?:.*/)?wearer/(?P<who>[a-z0-9_-]+)/(?P<leaf>state|reminder|event|bout)")
TRUTH = re.compile(r"(?:.*/)?simulator/(?P<who>[a-z0-9_-]+)/truth")
ABOUT = ("scenario", "seed", "wearer", "simulated", "time")  # of a truth; the rest is the event
LOOKS_BACK = {"removed": "off_body", "mounted": "worn"}
SILENT = ("held", "off", "snoozed", "acknowledged")
SHOWN = ("wear", "motion", "posture")
Said = tuple[float, str, dict[str, Any]]  # seconds since the start, last word of the topic, payload
SAME_RUN_S = 0.1  # the moments of one run agree to the millisecond
NEEDED = {
    "state": ("time", "reminder", "prompts_left_today", *SHOWN),
    "reminder": ("time", "id", "level", "repeat"),
    "event": ("time", "event_type", "detail"),
    "bout": ("time", "kind", "start", "end", "break_kind", "closed_by"),
    "truth": ("time", "type"),
}
MOMENTS = ("time", "start", "end")


class CaptureError(ValueError):
    """A capture that does not say what is needed of it, and what would help."""


@dataclass(frozen=True)
class Heard:
    """One message whose payload is a JSON object; `place` names its line."""

    topic: str
    payload: dict[str, Any]
    place: str = ""


@dataclass
class Capture:
    """All messages, by what they are about."""

    truths: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by sensor
    wearers: dict[str, list[tuple[str, dict[str, Any]]]] = field(
        default_factory=dict
    )  # (last word of the topic, payload)

    @classmethod
    def of(cls, messages: Iterable[Heard]) -> Capture:
        """Sort them; what is no concern of a score is left out."""
        capture = cls()
        for heard in messages:
            if told := TRUTH.fullmatch(heard.topic):
                _check(heard, "truth")
                capture.truths.setdefault(told["who"], []).append(heard.payload)
            elif said := WEARER.fullmatch(heard.topic):
                _check(heard, said["leaf"])
                capture.wearers.setdefault(said["who"], []).append((said["leaf"], heard.payload))
        return capture

    def truth(self, sensor: str | None) -> tuple[list[Event], float]:
        """The newest run of a simulation, and when it began, in seconds of UTC."""
        told = self.truths[_choose(self.truths, sensor, "simulated sensor", "--sensor")]
        starts = [_moment_s(payload["time"]) - begin_s(_without_nulls(payload)) for payload in told]
        start_s = max(starts)
        newest = [payload for payload, began_s in zip(told, starts, strict=True) if start_s - began_s < SAME_RUN_S]
        events = [{k: v for k, v in _without_nulls(payload).items() if k not in ABOUT} for payload in newest]
        return events, start_s

    def said(self, wearer: str | None, start_s: float) -> tuple[list[Event], float]:
        """What the daemon said of a wearer, in seconds since `start_s`, and until when it was heard."""
        messages = self.wearers[_choose(self.wearers, wearer, "wearer", "--wearer")]
        timed = [(_moment_s(payload["time"]) - start_s, leaf, payload) for leaf, payload in messages]
        timed.sort(key=lambda row: row[0])
        until_s = timed[-1][0]
        if until_s <= 0.0:
            raise CaptureError("everything was said before the simulation began")
        events = [*_reminders(timed), *_bouts(timed, start_s), *_states(timed, start_s, until_s)]
        return events, until_s


def message_of(line: str, place: str = "") -> Heard | None:
    """The message of one line; nothing for a plain word, a cleared topic, or a line that is no message."""
    try:
        found = json.loads(line)
    except ValueError:
        topic, blank, text = line.partition(" ")
        found = {"topic": topic, "payload": text} if blank and "/" in topic else None
    if not isinstance(found, dict) or not isinstance(found.get("topic"), str):
        return None
    payload = found.get("payload")
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except ValueError:
            payload = None
    return Heard(found["topic"], payload, place) if isinstance(payload, dict) else None


def clipped(events: Iterable[Event], until_s: float) -> list[Event]:
    """Without what began later; intervals end then at the latest."""
    kept = [event for event in events if begin_s(event) < until_s]
    return [{**e, "end_s": min(e["end_s"], until_s)} if "end_s" in e else e for e in kept]


def _check(heard: Heard, leaf: str) -> None:
    """`CaptureError` where a message is none of version 1 of the contract."""
    try:
        moments = [_moment_s(heard.payload[key]) for key in NEEDED[leaf] if key in MOMENTS]
        missing = [key for key in NEEDED[leaf] if key not in heard.payload]
        if leaf == "truth":
            told = _without_nulls(heard.payload)
            moments += [begin_s(told), float(told.get("end_s", 0.0))]
        if leaf == "reminder":
            _, _rule, *_ = str(heard.payload["id"]).split("/")
        if heard.payload.get("event_type") in LOOKS_BACK:
            moments.append(_moment_s(heard.payload["detail"]["at"]))
    except (KeyError, ValueError, TypeError, OverflowError) as wrong:
        missing = [str(wrong)]
    if missing:
        raise CaptureError(f"{heard.place}: no {leaf} of posturewatch on {heard.topic} ({', '.join(missing)})")


def _choose(there: dict[str, Any], name: str | None, what: str, option: str) -> str:
    if name is None and len(there) == 1:
        return next(iter(there))
    if name in there:
        return str(name)
    if not there:
        raise CaptureError(f"no {what} is heard in it; record posturewatch/# with `posturewatch demo --json` or -v")
    wanted = f"no {what} {name!r}" if name is not None else f"more than one {what}"
    raise CaptureError(f"{wanted}: choose with {option} from {', '.join(sorted(there))}")


def _reminders(timed: Iterable[Said]) -> Iterable[Event]:
    """Each prompt once, however often it was delivered; a test reminder is none."""
    seen: set[str] = set()
    for t_s, leaf, payload in timed:
        name = str(payload.get("id"))
        if leaf != "reminder" or t_s < 0.0 or payload.get("test") or name in seen:
            continue
        seen.add(name)
        _, rule, *_ = name.split("/")
        yield {"type": "reminder", "rule": rule, "level": payload["level"], "t_s": t_s, "repeat": payload["repeat"]}


def _bouts(timed: Iterable[Said], start_s: float) -> Iterable[Event]:
    for _, leaf, payload in timed:
        if leaf != "bout":
            continue
        start, end = (_moment_s(payload[key]) - start_s for key in ("start", "end"))
        if end <= 0.0:
            continue
        which = {"kind": payload["break_kind"]} if payload["kind"] == "break" else {"closed_by": payload["closed_by"]}
        yield {"type": payload["kind"], "start_s": max(start, 0.0), "end_s": end, **which}


def _states(timed: Iterable[Said], start_s: float, until_s: float) -> Iterable[Event]:
    """Wear, motion and posture as intervals, and when something kept prompts back."""
    spans = {name: _Spans() for name in (*SHOWN, "kept_back")}
    for t_s, leaf, payload in timed:
        if leaf == "event" and payload.get("event_type") in LOOKS_BACK:
            at_s = _moment_s(payload["detail"]["at"]) - start_s
            spans["wear"].say(max(at_s, 0.0), LOOKS_BACK[payload["event_type"]])
        if leaf != "state":
            continue
        for name in SHOWN:
            spans[name].say(max(t_s, 0.0), payload[name])
        kept_back = payload["reminder"] in SILENT or not payload["prompts_left_today"]
        spans["kept_back"].say(max(t_s, 0.0), "yes" if kept_back else "no")
    for name in SHOWN:
        for state, a, b in spans[name].until(until_s):
            yield {"type": name, "state": state, "start_s": a, "end_s": b}
    for state, a, b in spans["kept_back"].until(until_s):
        if state == "yes":
            yield {"type": "kept_back", "start_s": a, "end_s": b}


class _Spans:
    """One thing that is always in one state; a later word may look back."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._states: list[str] = []

    def say(self, from_s: float, state: str) -> None:
        at = bisect_left(self._starts, from_s)
        del self._starts[at:], self._states[at:]
        if not self._states or self._states[-1] != state:
            self._starts.append(from_s)
            self._states.append(state)

    def until(self, end_s: float) -> Iterable[tuple[str, float, float]]:
        ends = [*self._starts[1:], end_s]
        return [(s, a, b) for s, a, b in zip(self._states, self._starts, ends, strict=True) if a < b]


def _without_nulls(payload: dict[str, Any]) -> Event:
    return {key: value for key, value in payload.items() if value is not None and value is not False}


def _moment_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
