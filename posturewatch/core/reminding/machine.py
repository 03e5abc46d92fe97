"""The reminder machine: one step for each closed second, after detection.

Nearly every second changes nothing, so `step` first finds out whether anything can have changed, and only then
decides.  Deciding in every second gives the same events; a property test holds the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.core.reminding.breaks_seen import abandon_break, follow_movement
from posturewatch.core.reminding.budgets import FOREVER_NS, find_period, find_quiet, find_restraint, roll_day
from posturewatch.core.reminding.cycle import ASKING, WAITING, close_cycle, end_wait, open_cycle, run_timers
from posturewatch.core.reminding.holds import drop_past_holds
from posturewatch.core.reminding.showing import show
from posturewatch.core.reminding.state import follow_clock, limits_in_force
from posturewatch.core.reminding.turn import (
    HIGHEST_FRAC,
    Turn,
    cap_loads,
    decide_silence,
    find_obstacle,
    measure_loads,
    report_dues,
    to_ns,
)
from posturewatch.types import BoutPhase, Happened, Level, Link, Motion, Posture, ReminderPhase, Wear

if TYPE_CHECKING:
    from posturewatch.core.body import Body
    from posturewatch.core.reminding.budgets import Restraint
    from posturewatch.core.reminding.state import ReminderState
    from posturewatch.core.settings import Limits, Settings
    from posturewatch.rules import Rule
    from posturewatch.types import Event, Surroundings

LONGEST_SLEEP_S = 60.0
KEPT_WITHOUT_DATA_S = 600.0  # an open cycle outlives missing data this long
# a member of an enumeration is slow to look up, and `step` runs every second
_STILL, _MICRO, _ON_BREAK = Motion.STILL, Motion.MICRO, ReminderPhase.ON_BREAK


def step(state: ReminderState, body: Body, settings: Settings, events: list[Event]) -> None:
    """Take one closed second, or a tick: change `state`, append what is to be said."""
    now_ns = body.now_ns
    if now_ns < state.last_ns or state.last_ns != state.seen_now:
        now_ns = follow_clock(state, now_ns)
    state.last_ns = state.seen_now = now_ns
    limits = limits_in_force(state, settings) if state.overridden else settings.limits
    top_frac, marks = _mark_loads(state, body, settings, limits)
    motion = body.motion
    at_rest = motion is _STILL or motion is _MICRO
    if (
        now_ns < state.wake_ns
        and marks == state.marks
        and at_rest is state.seen_rest
        and body.wear is state.seen_wear
        and body.posture is state.seen_posture
        and body.link is state.seen_link
        and body.break_kind is state.seen_break
        and not (
            body.shift_ended
            or body.micro_break_ended
            or body.real_break_reached
            or body.break_over
            or body.mounted
            or body.removed
        )
    ):
        cap_frac = state.load_cap_frac
        state.load_frac = top_frac if top_frac < cap_frac else cap_frac
        if state.stage is _ON_BREAK and body.break_progress_frac > state.break_progress_frac:
            state.break_progress_frac = min(body.break_progress_frac, 1.0)
        return
    state.marks = marks
    state.seen_rest, state.seen_wear, state.seen_posture = at_rest, body.wear, body.posture
    state.seen_link, state.seen_break = body.link, body.break_kind
    loads = measure_loads(state, body, settings, limits)
    decide(Turn(state, body, settings, limits, events, now_ns, loads, {}))


def _mark_loads(state: ReminderState, body: Body, settings: Settings, limits: Limits) -> tuple[float, int]:
    """The highest load, and in which of three bands each one is, before and after credit, as digits of base nine."""
    building_frac = settings.reminding.building_frac
    credit = state.credit_frac
    top_frac, marks = 0.0, 0
    for rule in settings.rules:
        load_frac = rule.load_frac(body, limits)
        marks *= 9
        if load_frac is None:
            continue
        if load_frac >= building_frac:
            marks += 2 if load_frac >= 1.0 else 1
        if credit and rule.name in credit:
            taken_frac = credit[rule.name]
            if taken_frac > load_frac:  # the clock started anew, and the credit with it
                taken_frac = credit[rule.name] = max(load_frac, 0.0)
            load_frac -= taken_frac
            if load_frac >= building_frac:
                marks += 6 if load_frac >= 1.0 else 3
        if load_frac > top_frac:
            top_frac = load_frac
    return top_frac, marks


def surround(state: ReminderState, told: Surroundings, now_ns: int, events: list[Event]) -> None:
    """What other devices say about the wearer, from now on."""
    began = told.why is not None and told.why != state.surroundings
    state.surroundings, state.surroundings_until_ns = told.why, told.until_ns
    state.wake_ns = 0
    if began and told.why is not None:
        events.append(Happened(now_ns, "held", state.cycle, {"why": told.why, "by": "topic"}))


def decide(turn: Turn, is_new_second: bool = True) -> None:
    """One full decision; within a second only the first one follows what ended in it."""
    state, spoken_before = turn.state, len(turn.events)
    roll_day(turn)
    if is_new_second:
        _note_wear(turn)
    period_until_ns = change_period(turn)
    report_dues(turn)
    is_known = _follow_data(turn)
    state.free_ns = FOREVER_NS
    if is_known and is_new_second:
        follow_movement(turn)
    if is_known and state.cycle is not None:
        _close_if_needless(turn)
    end_wait(turn)
    restraint = consider_prompts(turn)
    run_timers(turn)
    if state.cycle is None and restraint is None:
        restraint = consider_prompts(turn)
    show(turn, restraint, period_until_ns)
    has_spoken = len(turn.events) > spoken_before  # what was said may allow, or forbid, something in the next second
    state.wake_ns = 0 if has_spoken else find_wake(turn, period_until_ns)


def _note_wear(turn: Turn) -> None:
    state, body = turn.state, turn.body
    if body.mounted:
        state.grace_until_ns = turn.now_ns + to_ns(turn.settings.reminding.grace_s)
    if body.wear is Wear.OFF_BODY:
        close_cycle(turn, "taken off", ask_again=True)
        abandon_break(turn)


def change_period(turn: Turn) -> int:
    """Begin and end the times of silence; gives the end of the one in force (0: none, or not known)."""
    state, now_ns = turn.state, turn.now_ns
    kind, why, until_ns = find_period(turn)
    if kind != state.period or (kind == "hold" and why != state.period_why):
        if state.period:
            _end_period(turn)
        state.period, state.period_why, state.period_since_ns = kind, why, now_ns
        if kind:
            close_cycle(turn, why, ask_again=True)
            if kind in ("off", "paused"):
                abandon_break(turn)
        state.load_cap_frac = turn.settings.reminding.held_load_cap_frac if kind else HIGHEST_FRAC
    drop_past_holds(state, now_ns)
    if state.surroundings is not None and state.surroundings_until_ns <= now_ns:
        state.surroundings, state.surroundings_until_ns = None, 0
    return until_ns


def _end_period(turn: Turn) -> None:
    """Say what was held, leave a short gap, and let the next prompt know."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    if state.held or state.period in ("hold", "paused"):
        detail: dict[str, float | str | bool] = {"why": state.period_why, **state.held}
        turn.events.append(Happened(now_ns, "released", None, detail))
    cap_loads(turn, manners.held_load_cap_frac)
    state.after_until_ns = now_ns + to_ns(manners.after_hold_s)
    if any(load.frac >= 1.0 for load in turn.loads):
        state.after_why = state.period_why
        state.after_held_s = (now_ns - state.period_since_ns) / 1e9
    state.held = {}


def _follow_data(turn: Turn) -> bool:
    """Whether anything is known in this second; a reminder does not stay open for ever without data."""
    state, body, now_ns = turn.state, turn.body, turn.now_ns
    if body.link is Link.OK and body.wear is Wear.WORN:
        state.unknown_since_ns = None
        return True
    if state.unknown_since_ns is None:
        state.unknown_since_ns = now_ns
    if now_ns - state.unknown_since_ns >= to_ns(KEPT_WITHOUT_DATA_S):
        close_cycle(turn, "no data", ask_again=True)
        abandon_break(turn)
    return False


def _close_if_needless(turn: Turn) -> None:
    """Lying down, or a load that is gone without a movement seen (a gap, a neutral posture)."""
    state, body = turn.state, turn.body
    if state.stage is ReminderPhase.ON_BREAK:
        return
    if body.posture is Posture.LYING:
        close_cycle(turn, "lying", ask_again=True)
        return
    load = turn.find(state.rule)
    is_gone = load is not None and load.frac < turn.settings.reminding.building_frac
    if is_gone and body.bout is not BoutPhase.EXCURSION:  # out of the posture for some seconds is not yet a shift
        close_cycle(turn, "no longer needed")


def consider_prompts(turn: Turn) -> Restraint | None:
    """Ask for what is due, or say why not; gives what holds the weightiest prompt back."""
    state = turn.state
    if state.stage in WAITING or state.stage is ReminderPhase.ON_BREAK:
        return None
    first: tuple[str, str, Restraint | None] | None = None
    for load in turn.loads:
        rule = load.rule
        if load.frac < 1.0 or (turn.settings.reminding.as_due and rule.name not in turn.fired):
            continue
        if state.cycle is not None and not _outranks(turn, rule):
            continue
        why, restraint = _find_silence(turn, rule)
        if why is None:
            open_cycle(turn, rule)
            return None
        if restraint is not None and restraint.until_ns > turn.now_ns:
            state.free_ns = min(state.free_ns, restraint.until_ns)
        tells_more = first is not None and first[2] is not None and not first[2].shows_held
        if first is None or (tells_more and (restraint is None or restraint.shows_held)):
            first = (rule.name, why, restraint)
    if first is not None and state.cycle is None:
        if decide_silence(turn, first[0], first[1]) and first[1].startswith("enough"):
            state.over_budget[first[0]] = state.over_budget.get(first[0], 0) + 1
        return first[2]
    _forget_silence(turn)
    return None


def _find_silence(turn: Turn, rule: Rule) -> tuple[str | None, Restraint | None]:
    if turn.settings.reminding.as_due:
        return find_obstacle(turn.body, rule.level), None
    if turn.state.period:
        return turn.state.period_why, None
    restraint = find_restraint(turn, rule)
    if restraint is not None:
        return restraint.why, restraint
    return find_obstacle(turn.body, rule.level), None


def _forget_silence(turn: Turn) -> None:
    state = turn.state
    if state.cycle is None and all(load.frac < 1.0 for load in turn.loads):
        state.silent_rule = state.silent_why = ""
        state.back_off_until_ns = 0
        if not state.period and all(load.frac < turn.settings.reminding.building_frac for load in turn.loads):
            state.after_why = None


def _outranks(turn: Turn, rule: Rule) -> bool:
    """A higher level, or the firm form of the same one, takes the place of what is open."""
    state = turn.state
    if turn.settings.reminding.as_due:
        return True
    if state.stage not in ASKING or state.rule is None:
        return False
    load = turn.find(state.rule)
    if load is None:
        return False
    if rule.level is not load.rule.level:
        return rule.level is Level.BREAK
    return rule.event_type != load.rule.event_type and rule.priority > load.rule.priority


def find_wake(turn: Turn, period_until_ns: int) -> int:
    """The next moment at which something can change by itself; 0: every second counts."""
    state, now_ns = turn.state, turn.now_ns
    if state.stage is ReminderPhase.ON_BREAK:
        if turn.body.break_kind is None:  # declared by the wearer, or about to end
            return 0
    elif turn.body.break_kind is not None and turn.body.wear is Wear.WORN:
        return 0
    if state.cycle is not None and turn.body.bout is BoutPhase.EXCURSION:
        return 0
    moments = [now_ns + to_ns(LONGEST_SLEEP_S), state.day_check_ns, period_until_ns, state.free_ns]
    moments += [state.declared_until_ns, state.wearer_hold_until_ns, state.surroundings_until_ns]
    moments.append(find_quiet(state, turn.settings, now_ns)[1])
    if state.cycle is not None:
        moments += [state.timer_ns, state.expires_ns]
        moments.append(state.timer_ns + to_ns(turn.settings.reminding.prompt_expires_s))
        if state.unknown_since_ns is not None:
            moments.append(state.unknown_since_ns + to_ns(KEPT_WITHOUT_DATA_S))
    for load in turn.loads:
        due_ns = state.due_ns.get(load.rule.name)
        if load.raw_frac >= 1.0 and due_ns is not None:
            moments.append(due_ns + to_ns(load.rule.repeat_s(turn.limits)))
    return min(moment_ns for moment_ns in moments if moment_ns > now_ns)
