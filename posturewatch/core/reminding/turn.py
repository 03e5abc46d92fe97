"""One turn of the machine: the second at hand, and what may be said in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from posturewatch.core.reminding.state import Numbering
from posturewatch.types import NS_PER_S, Level, Link, Motion, Posture, RuleDue, Silenced, Wear

if TYPE_CHECKING:
    from posturewatch.core.body import Body
    from posturewatch.core.reminding.state import ReminderState
    from posturewatch.core.settings import Limits, Settings
    from posturewatch.rules import Rule
    from posturewatch.types import Event

AT_REST = (Motion.STILL, Motion.MICRO)
HIGHEST_FRAC = 99.0  # a load shown is a finite number


class Load(NamedTuple):
    """How full the clock of a rule is: as it stands, and after credit for partial breaks and skips."""

    rule: Rule
    raw_frac: float
    frac: float


@dataclass(slots=True)
class Turn:
    """What every part of the machine needs to know in one second."""

    state: ReminderState
    body: Body
    settings: Settings
    limits: Limits
    events: list[Event]
    now_ns: int
    loads: list[Load]  # highest priority first; only what is known
    fired: dict[str, str]  # rules reported due in this second, with the id

    def find(self, rule_name: str | None) -> Load | None:
        """The load of a rule, if it is known now."""
        return next((load for load in self.loads if load.rule.name == rule_name), None)


def to_ns(seconds: float) -> int:
    """Whole nanoseconds."""
    return round(seconds * NS_PER_S)


def measure_loads(state: ReminderState, body: Body, settings: Settings, limits: Limits) -> list[Load]:
    """All loads that are known; a credit never exceeds the load, so it vanishes when the clock starts anew."""
    loads = []
    for rule in settings.rules:
        raw_frac = rule.load_frac(body, limits)
        if raw_frac is None or math.isnan(raw_frac):
            continue
        raw_frac = min(max(raw_frac, 0.0), HIGHEST_FRAC)
        frac = raw_frac
        if rule.name in state.credit_frac:
            credit_frac = min(state.credit_frac[rule.name], raw_frac)
            if credit_frac > 0.0:
                state.credit_frac[rule.name] = credit_frac
                frac = raw_frac - credit_frac
            else:
                del state.credit_frac[rule.name]
        loads.append(Load(rule, raw_frac, frac))
    loads.sort(key=lambda load: -load.rule.priority)
    return loads


def give_credit(turn: Turn, rule: Rule, share_frac: float) -> None:
    """Take a share of a rule's load off it; the raw moments of a replay know no credit."""
    if turn.settings.reminding.as_due:
        return
    for at, load in enumerate(turn.loads):
        if load.rule is rule and load.frac > 0.0 and share_frac > 0.0:
            left_frac = load.frac * (1.0 - min(share_frac, 1.0))
            turn.state.credit_frac[rule.name] = load.raw_frac - left_frac
            turn.loads[at] = Load(rule, load.raw_frac, left_frac)


def cap_loads(turn: Turn, cap_frac: float) -> None:
    """A long hold does not pile up: nothing stays above the cap."""
    for load in list(turn.loads):
        if load.frac > cap_frac:
            give_credit(turn, load.rule, 1.0 - cap_frac / load.frac)


def find_obstacle(body: Body, level: Level) -> str | None:
    """Why nobody may be spoken to in this second, by what the body does; None: go ahead."""
    if body.wear is Wear.OFF_BODY:
        return "not worn"
    if body.link is not Link.OK or body.wear is not Wear.WORN or body.motion is Motion.UNKNOWN:
        return "no reliable data"
    if body.motion not in AT_REST:
        return "moving"
    if body.posture is Posture.LYING:
        return "lying"
    if body.posture is Posture.STANDING and level is Level.BREAK:
        return "standing"
    return None


def report_dues(turn: Turn) -> None:
    """Say which rules became due in this second, before anything that would hold a prompt back."""
    state, now_ns = turn.state, turn.now_ns
    building_frac = turn.settings.reminding.building_frac
    for at, load in enumerate(turn.loads):
        rule = load.rule
        if load.frac < building_frac:
            state.asked_ns.pop(rule.name, None)
        if load.raw_frac < 1.0:
            if load.raw_frac < building_frac:
                state.due_ns.pop(rule.name, None)
            continue
        if find_obstacle(turn.body, rule.level) or _is_covered(turn, at):
            continue
        last_ns = state.due_ns.get(rule.name)
        if last_ns is None or now_ns - last_ns >= to_ns(rule.repeat_s(turn.limits)):
            reminder_id = next_id(state, turn.settings.wearer, rule.name, rule.since_ns(turn.body))
            state.due_ns[rule.name] = now_ns
            turn.fired[rule.name] = reminder_id
            reason = rule.reason(turn.body, turn.limits)
            turn.events.append(RuleDue(now_ns, rule.name, rule.level, reminder_id, reason))
            _note_held(turn, rule.name)


def _is_covered(turn: Turn, at: int) -> bool:
    """A higher rule of the same level says it now, or is about to: then this one waits for its next interval."""
    rule = turn.loads[at].rule
    for higher in turn.loads[:at]:
        if higher.rule.level is rule.level and higher.rule.event_type != rule.event_type:
            if higher.rule.name in turn.fired:
                turn.state.due_ns[rule.name] = turn.now_ns
                return True
            about_to = turn.settings.reminding.building_frac <= higher.raw_frac < 1.0
            if about_to and rule.name in turn.state.due_ns:
                return True
    return False


def _note_held(turn: Turn, rule_name: str) -> None:
    if turn.state.period:
        turn.state.held[rule_name] = turn.state.held.get(rule_name, 0) + 1


def next_id(state: ReminderState, wearer: str, rule_name: str, since_ns: int) -> str:
    """wearer/rule/bout start/count: the same in every replay, and never given twice, even if the clock is set back."""
    since_s = since_ns // NS_PER_S
    seen = state.numbers.get(rule_name) or Numbering(since_s, 0, since_s, 0)
    count = seen.count + 1
    if since_s != seen.since_s:
        count = 1 if since_s > seen.top_since_s else seen.top_count + 1
    top_since_s, top_count = max(seen.top_since_s, since_s), max(seen.top_count, count)
    state.numbers[rule_name] = Numbering(since_s, count, top_since_s, top_count)
    return f"{wearer}/{rule_name}/{since_s}/{count}"


def decide_silence(turn: Turn, rule_name: str, why: str) -> bool:
    """Say once why nothing is said; whether that was new."""
    state = turn.state
    is_new = (state.silent_rule, state.silent_why) != (rule_name, why)
    if is_new:
        state.silent_rule, state.silent_why = rule_name, why
        state.decision, state.decision_ns = f"silent about {rule_name}: {why}", turn.now_ns
        turn.events.append(Silenced(turn.now_ns, rule_name, why))
    return is_new
