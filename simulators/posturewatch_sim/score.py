"""Compare what a detector said with the truth of a scenario: reminders, breaks, wear.

Reminders are judged as the moments when rules came due, or, where `said` is what a wearer got, as prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from posturewatch_sim.prompts import ON_TIME_S, judge

MATCH_S = 300.0  # further apart, two reminders are not the same one
WEAR_GRACE_S = 360.0  # "not worn" may take this long to be decided
# A reminder is neither right nor wrong while "not worn" may still be undecided, and while the wearer sleeps.
EDGE_S = 60.0  # forgiven at each change of wear: coarse sensors see it late and look back roughly
SAME_FRAC = 0.5  # two breaks are the same when they overlap by so much
WORN_LOST_MAX_FRAC, OFF_SILENT_MIN_FRAC = 0.01, 0.97
BREAK_RECALL_MIN, BREAK_PRECISION_MIN = 0.95, 0.9
DELIVERED = ("silenced", "cleared", "kept_back")  # what only those who were asked can tell
RULES = ("static", "sedentary", "sedentary_firm")  # the hold dose needs a calibration: only when asked for

Event = Mapping[str, Any]
Span = tuple[float, float]


def score(
    truth_events: Iterable[Event],
    said_events: Iterable[Event],
    *,
    rules: Sequence[str] = RULES,
    delivered: bool | None = None,
) -> dict[str, Any]:
    """Figures, and under `failed` every promise that is not kept (empty: all is well).

    `delivered`: what was said are prompts; without it the events tell.
    """
    true, said = list(truth_events), list(said_events)
    forgiven = _spans(true, "wear", "asleep", True)
    forgiven += [(a, a + WEAR_GRACE_S) for a, _ in _spans(true, "wear", "state", "off_body")]
    reminders = judge if (_are_delivered(said) if delivered is None else delivered) else _reminders
    figures: dict[str, Any] = {
        **reminders(true, said, rules, forgiven),
        **_breaks(true, said),
        **_wear(true, said),
    }
    figures |= _rates(figures, max((float(e.get("end_s", 0.0)) for e in true), default=0.0))
    figures["failed"] = _failures(figures)
    return figures


def _are_delivered(said: list[Event]) -> bool:
    """Whether these are prompts that a wearer got, rather than the moments when a rule came due."""
    return any(e.get("type") in DELIVERED or (e.get("type") == "reminder" and "repeat" in e) for e in said)


def _rates(figures: Mapping[str, Any], length_s: float) -> dict[str, Any]:
    missed, false = len(figures["reminders_missed"]), len(figures["reminders_false"])
    true, said = figures["reminders_true"], figures["reminders_said"]
    return {
        "reminder_recall": (true - missed) / true if true else None,
        "reminder_precision": (said - false) / said if said else None,
        "false_reminders_per_h": round(false / (length_s / 3600.0), 3) if length_s else None,
    }


def exit_code(figures: Mapping[str, Any]) -> int:
    """0 when every promise is kept, else 1."""
    return 1 if figures["failed"] else 0


def _reminders(true: list[Event], said: list[Event], rules: Sequence[str], forgiven: list[Span]) -> dict[str, Any]:
    delays: list[float] = []
    missed: list[dict[str, Any]] = []
    false: list[dict[str, Any]] = []
    for rule in rules:
        free = sorted(float(e["t_s"]) for e in said if _is_reminder(e, rule))
        for wanted in sorted((e for e in true if _is_reminder(e, rule)), key=lambda e: float(e["t_s"])):
            t = float(wanted["t_s"])
            near = min(free, key=lambda x, t=t: abs(x - t), default=None)  # type: ignore[misc]  # mypy: lambda default
            if near is None or abs(near - t) > MATCH_S:
                if not wanted.get("optional"):
                    missed.append({"rule": rule, "t_s": t})
            else:
                free.remove(near)
                delays.append(near - t)
        false += [{"rule": rule, "t_s": t} for t in free if not any(a <= t <= b for a, b in forgiven)]
    worst = max((abs(d), d) for d in delays)[1] if delays else None
    return {
        "reminders_true": len(delays) + len(missed),
        "reminders_on_time": sum(abs(d) <= ON_TIME_S for d in delays),
        "reminder_delay_median_s": round(median(delays), 3) if delays else None,
        "reminder_delay_worst_s": None if worst is None else round(worst, 3),
        "reminders_said": sum(_is_reminder(e, rule) for e in said for rule in rules),
        "reminders_missed": missed,
        "reminders_false": false,
    }


def _breaks(true: list[Event], said: list[Event]) -> dict[str, Any]:
    real_true = _spans(true, "break", "kind", "real")
    real_said = _spans(said, "break", "kind", "real")
    away = _spans(true, "wear", "state", "off_body")  # leaving the sensor is neither a true nor a false break
    hit = sum(_covered(b, real_said) >= SAME_FRAC * (b[1] - b[0]) for b in real_true)
    judged = [b for b in real_said if _covered(b, away) < SAME_FRAC * (b[1] - b[0])]
    good = sum(_covered(b, real_true) >= SAME_FRAC * (b[1] - b[0]) for b in judged)
    return {
        "breaks_true": len(real_true),
        "breaks_found": hit,
        "breaks_said": len(judged),
        "breaks_right": good,
        "break_recall": hit / len(real_true) if real_true else None,
        "break_precision": good / len(judged) if judged else None,
    }


def _wear(true: list[Event], said: list[Event]) -> dict[str, Any]:
    worn = [(a + EDGE_S, b - EDGE_S) for a, b in _spans(true, "wear", "state", "worn") if b - a > 2 * EDGE_S]
    still = [e for e in true if e.get("type") == "wear" and e.get("state") == "off_body" and not e.get("carried")]
    off = [(e["start_s"] + WEAR_GRACE_S, e["end_s"] - EDGE_S) for e in still]
    off = [(a, b) for a, b in off if b > a]
    said_off = _spans(said, "wear", "state", "off_body")
    said_silent = _spans(said, "wear", "state", "unknown") + said_off
    return {
        "worn_true_s": round(sum(b - a for a, b in worn), 1),
        "worn_lost_s": round(sum(_covered(s, said_off) for s in worn), 1),
        "off_body_true_s": round(sum(b - a for a, b in off), 1),
        "off_body_silent_s": round(sum(_covered(s, said_silent) for s in off), 1),
        "off_body_named_s": round(sum(_covered(s, said_off) for s in off), 1),
    }


def _failures(figures: Mapping[str, Any]) -> list[str]:
    failed = []
    excused = figures.get("reminders_later", 0) + figures.get("reminders_excused", 0)
    late = figures["reminders_true"] - len(figures["reminders_missed"]) - figures["reminders_on_time"] - excused
    if late:
        failed.append(f"{late} reminders more than {ON_TIME_S:g} s from the true moment")
    if figures["reminders_missed"]:
        failed.append(f"{len(figures['reminders_missed'])} reminders missed")
    if figures["reminders_false"]:
        failed.append(f"{len(figures['reminders_false'])} false reminders")
    recall, precision = figures["break_recall"], figures["break_precision"]
    if recall is not None and recall < BREAK_RECALL_MIN:
        failed.append(f"break recall {recall:.2f} is below {BREAK_RECALL_MIN:g}")
    if precision is not None and precision < BREAK_PRECISION_MIN:
        failed.append(f"break precision {precision:.2f} is below {BREAK_PRECISION_MIN:g}")
    if figures["worn_lost_s"] > WORN_LOST_MAX_FRAC * figures["worn_true_s"]:
        failed.append(f"{figures['worn_lost_s']:g} s worn were called off body")
    if figures["off_body_silent_s"] < OFF_SILENT_MIN_FRAC * figures["off_body_true_s"]:
        failed.append(f"{figures['off_body_true_s'] - figures['off_body_silent_s']:g} s off body were not seen")
    return failed


def _is_reminder(event: Event, rule: str) -> bool:
    return event.get("type") == "reminder" and event.get("rule") == rule


def _spans(events: list[Event], kind: str, key: str, value: str | bool) -> list[Span]:
    chosen = [e for e in events if e.get("type") == kind and e.get(key) == value]
    return [(float(e["start_s"]), float(e["end_s"])) for e in chosen]


def _covered(span: Span, others: list[Span]) -> float:
    return sum(max(0.0, min(span[1], b) - max(span[0], a)) for a, b in others)
