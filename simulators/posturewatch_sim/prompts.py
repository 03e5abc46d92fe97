"""Compare the prompts that a wearer got with the moments when they were due.

A prompt is not a due moment: what is open already, a pause between two prompts, a hold, quiet hours and the budget of
the day keep prompts back.  So a prompt is right while its rule is due, and a due moment is missed when nothing excuses
the silence.  The limits must be the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

ON_TIME_S = 15.0
ASKED_S = 900.0  # whoever was asked for something so long ago is not to be asked again
DOSE_LASTS_S = 600.0  # the truth does not say when a hold dose has faded
BOUT_OF = {"static": "static", "sedentary": "sedentary", "sedentary_firm": "sedentary"}

Event = Mapping[str, Any]
Span = tuple[float, float]


@dataclass(frozen=True)
class Due:
    """One due moment: of which rule, until when it stays due, and whether the bout had an earlier one."""

    rule: str
    level: str
    t_s: float
    until_s: float
    is_first: bool
    is_optional: bool


@dataclass
class Tally:
    """What became of all due moments and prompts."""

    delays_s: list[float] = field(default_factory=list)
    later: int = 0
    excused: int = 0
    missed: list[dict[str, Any]] = field(default_factory=list)


def judge(
    true: Sequence[Event], said: Sequence[Event], rules: Sequence[str], forgiven: Sequence[Span]
) -> dict[str, Any]:
    """Figures of prompts as delivered, named as those of due moments; `forgiven` spans have no false prompts."""
    dues = [due for rule in rules for due in _dues(true, rule)]
    prompts = sorted((e for e in said if e.get("type") == "reminder"), key=lambda e: float(e["t_s"]))
    of_rules = [p for p in prompts if p.get("rule") in rules]
    false = [
        {"rule": p["rule"], "t_s": round(float(p["t_s"]), 1)}
        for p in of_rules
        if not _fits(p, dues) and not any(a <= p["t_s"] <= b for a, b in forgiven)
    ]
    tally = Tally()
    for due in dues:
        _look_up(due, prompts, said, tally)
    delays_s = tally.delays_s
    worst_s = max(delays_s, key=abs) if delays_s else None
    return {
        "reminders_true": len(delays_s) + tally.later + tally.excused + len(tally.missed),
        "reminders_on_time": len(delays_s),
        "reminders_later": tally.later,
        "reminders_excused": tally.excused,
        "reminder_delay_median_s": round(median(delays_s), 3) if delays_s else None,
        "reminder_delay_worst_s": None if worst_s is None else round(worst_s, 3),
        "reminders_said": len(of_rules),
        "reminders_repeated": sum(bool(p.get("repeat")) for p in of_rules),
        "reminders_missed": tally.missed,
        "reminders_false": false,
    }


def _dues(true: Sequence[Event], rule: str) -> Iterable[Due]:
    bouts = [(float(e["start_s"]), float(e["end_s"])) for e in true if e.get("type") == BOUT_OF.get(rule)]
    seen: set[Span] = set()
    of_rule = [e for e in true if e.get("type") == "reminder" and e.get("rule") == rule]
    for event in sorted(of_rule, key=lambda e: float(e["t_s"])):
        t_s = float(event["t_s"])
        bout = next(((a, b) for a, b in bouts if a < t_s <= b), None)
        until_s = t_s + DOSE_LASTS_S if bout is None else bout[1]
        yield Due(rule, str(event["level"]), t_s, until_s, bout not in seen, bool(event.get("optional")))
        if bout is not None:
            seen.add(bout)


def _fits(prompt: Event, dues: Iterable[Due]) -> bool:
    t_s = float(prompt["t_s"])
    return any(d.rule == prompt["rule"] and d.t_s - ON_TIME_S <= t_s <= d.until_s + ON_TIME_S for d in dues)


def _look_up(due: Due, prompts: Iterable[Event], said: Iterable[Event], tally: Tally) -> None:
    """What followed from one due moment."""
    early_s, late_s = due.t_s - ON_TIME_S, due.t_s + ON_TIME_S
    own = [float(p["t_s"]) for p in prompts if p.get("rule") == due.rule]
    own = [t_s for t_s in own if early_s <= t_s <= due.until_s + ON_TIME_S]
    if own and own[0] <= late_s:
        tally.delays_s.append(own[0] - due.t_s)
    elif due.is_optional:
        return
    elif own:
        tally.later += 1
    elif not due.is_first or _is_excused(due, prompts, said):
        tally.excused += 1
    else:
        tally.missed.append({"rule": due.rule, "t_s": due.t_s})


def _is_excused(due: Due, prompts: Iterable[Event], said: Iterable[Event]) -> bool:
    """Something as strong was asked for shortly before, or something kept the prompt back."""
    late_s = due.t_s + ON_TIME_S
    as_strong = [p for p in prompts if due.level == "shift" or p.get("level") == "break"]
    if any(due.t_s - ASKED_S <= p["t_s"] <= late_s for p in as_strong):
        return True
    for event in said:
        kind = event.get("type")
        if kind == "kept_back" and event["start_s"] <= late_s and event["end_s"] >= due.t_s:
            return True
        if kind == "silenced" and event.get("rule") == due.rule and abs(event["t_s"] - due.t_s) <= ON_TIME_S:
            return True
    return False
