"""What the command line says of scenarios: their names, a list, and one of them as a picture of plain characters."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from posturewatch_sim.plan import Piece, Plan

MOST, SOME, DUE = "#", "-", "^"
LABELS = 16  # columns before the picture
GRID_S = (60, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400)
LEAST_GRID = 8  # columns between two times, so that they can be read apart


def complete_scenario(_context: object, _parameter: object, begun: str) -> list[str]:
    """The names that a shell may complete."""
    from posturewatch_sim.scenarios import available  # noqa: PLC0415  keeps `--help` quick

    return [name for name in available() if name.startswith(begun)]


def describe_scenarios() -> list[dict[str, Any]]:
    """What there is to choose from, as plain values."""
    from posturewatch_sim.scenarios import available, load  # noqa: PLC0415  keeps `--help` quick

    found = []
    for name in available():
        scene = load(name)
        wearers = [{"id": w.id, "placement": w.placement, "sensor": w.sensor} for w in scene.wearers]
        found.append({"name": name, "title": scene.title, "about": scene.about, "wearers": wearers})
    return found


def describe_sensors() -> list[dict[str, str]]:
    """The virtual Bluetooth sensors, as plain values; none without the extra `sim`."""
    try:
        from posturewatch_sim.peripherals import discover  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        return []
    return [{"device": kind.kind, "about": kind.about} for kind in discover().values()]


def describe_plan(plan: Plan, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One wearer's activities and true reminders, as plain values in seconds since the start."""
    activities = [
        {"do": do, "start_s": round(start_s, 1), "end_s": round(end_s, 1)} for do, start_s, end_s in steps(plan, events)
    ]
    scene, wearer = plan.scenario, plan.wearer
    return {
        "name": scene.name,
        "title": scene.title,
        "about": scene.about,
        "seed": plan.seed,
        "wearer": wearer.id,
        "placement": wearer.placement,
        "sensor": wearer.sensor,
        "activities": activities,
        "reminders": [
            {"rule": e["rule"], "t_s": e["t_s"], "optional": "optional" in e} for e in events if e["type"] == "reminder"
        ],
    }


def steps(plan: Plan, events: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float, float]]:
    """Each activity with its start and end, until the truth ends; shifts within one do not cut it."""
    end_s = max((e["end_s"] for e in events if "end_s" in e), default=0.0)
    pieces: Iterable[Piece] = (p for p in plan.until(end_s) if p.start_s < end_s)
    for do, together in groupby(pieces, key=lambda piece: piece.do):
        same = list(together)
        yield do, same[0].start_s, min(same[-1].end_s, end_s)


def draw(plan: Plan, events: Sequence[dict[str, Any]], columns: int) -> Iterator[str]:
    """The lines of the picture: a row for each activity and each rule, time from left to right."""
    told = describe_plan(plan, events)
    end_s = max((step["end_s"] for step in told["activities"]), default=0.0)
    width = max(columns - LABELS, 20)
    yield f"{told['title']}: {told['about']}"
    yield f"{told['placement']}, {told['sensor']}, {clock(end_s)} long"
    others = [wearer.id for wearer in plan.scenario.wearers if wearer.id != plan.wearer.id]
    if others:
        yield f"wearer {plan.wearer.id}; --wearer shows {', '.join(others)}"
    if not end_s:
        return
    yield ""
    yield _axis(end_s, width)
    for do in dict.fromkeys(step["do"] for step in told["activities"]):
        spans = [(step["start_s"], step["end_s"]) for step in told["activities"] if step["do"] == do]
        yield f"{do:{LABELS}}{_row(spans, end_s, width)}".rstrip()
    for rule in dict.fromkeys(reminder["rule"] for reminder in told["reminders"]):
        at = [reminder["t_s"] for reminder in told["reminders"] if reminder["rule"] == rule]
        yield f"{rule:{LABELS}}{_marks(at, end_s, width)}".rstrip()
    yield ""
    yield f"{MOST} most of the time, {SOME} for a moment, {DUE} a reminder is due:"
    for reminder in told["reminders"]:
        yield f"{clock(reminder['t_s']):>9}  {reminder['rule']}{' (or not)' * reminder['optional']}"
    if not told["reminders"]:
        yield "           none"


def clock(at_s: float) -> str:
    """Hours, minutes and seconds since the start."""
    return f"{int(at_s // 3600)}:{int(at_s // 60 % 60):02}:{int(at_s % 60):02}"


def _axis(end_s: float, width: int) -> str:
    """Round times above the columns at which they are."""
    fitting = [grid for grid in GRID_S if grid / end_s * width >= LEAST_GRID]
    grid_s = fitting[0] if fitting else GRID_S[-1]
    line = [" "] * (LABELS + width)
    for at_s in range(0, int(end_s) + 1, grid_s):
        text = f"{at_s // 3600}:{at_s // 60 % 60:02}"
        first = LABELS + int(at_s / end_s * width)
        if first + len(text) <= len(line):
            line[first : first + len(text)] = text
    return "".join(line).rstrip()


def _row(spans: Iterable[tuple[float, float]], end_s: float, width: int) -> str:
    """How much of each column the spans fill."""
    filled = [0.0] * width
    for start_s, stop_s in spans:
        first, last = start_s / end_s * width, stop_s / end_s * width
        for column in range(int(first), min(int(last), width - 1) + 1):
            filled[column] += max(0.0, min(last, column + 1) - max(first, column))
    return "".join(MOST if part >= 0.5 else SOME if part > 0.0 else " " for part in filled)  # noqa: PLR2004  half


def _marks(moments_s: Iterable[float], end_s: float, width: int) -> str:
    columns = {min(int(at_s / end_s * width), width - 1) for at_s in moments_s}
    return "".join(DUE if column in columns else " " for column in range(width))
