"""When to hold a prompt back: quiet hours, holds, grace, budgets, gaps, back-off."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from posturewatch.core.reminding.state import RUNGS, is_enabled
from posturewatch.core.reminding.turn import to_ns
from posturewatch.types import NS_PER_S, Happened, Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posturewatch.core.reminding.state import ReminderState
    from posturewatch.core.reminding.turn import Turn
    from posturewatch.core.settings import Settings
    from posturewatch.rules import Rule

DAY_S = 86_400
EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday, and Monday is 0
HOUR_NS = 3600 * NS_PER_S
MIN_NS = 60 * NS_PER_S
FOREVER_NS = 1 << 62


class Restraint(NamedTuple):
    """Why a prompt waits, until when if that is known, and whether the wearer sees `held`."""

    why: str
    until_ns: int
    shows_held: bool = True


def offset_at(utc_offsets: Iterable[tuple[int, int]], now_ns: int) -> tuple[int, int]:
    """Seconds east of UTC now, and when that changes."""
    offset_s, changes_ns = 0, FOREVER_NS
    for from_ns, east_s in utc_offsets:
        if from_ns > now_ns:
            changes_ns = min(changes_ns, from_ns)
        else:
            offset_s = east_s
    return offset_s, changes_ns


def roll_day(turn: Turn) -> None:
    """At local midnight the counts of the day start anew; a clock that is set back refills nothing."""
    state, now_ns = turn.state, turn.now_ns
    if now_ns < state.day_check_ns:
        return
    offset_s, changes_ns = offset_at(turn.settings.reminding.utc_offsets, now_ns)
    day = (now_ns // NS_PER_S + offset_s) // DAY_S
    state.day_check_ns = min(((day + 1) * DAY_S - offset_s) * NS_PER_S, changes_ns)
    if day > state.day:
        if state.over_budget:
            turn.events.append(Happened(now_ns, "released", None, {"why": "daily budget", **state.over_budget}))
        if any(state.answered) or any(state.missed) or state.breaks_today:
            turn.events.append(Happened(now_ns, "day_summary", None, summarise_day(state)))
        state.over_budget = {}
        state.answered, state.missed = [0] * RUNGS, [0] * RUNGS
        state.breaks_asked_today = state.snoozes_today = state.breaks_today = 0
    state.day = day


def summarise_day(state: ReminderState) -> dict[str, float | str | bool]:
    """Breaks, snoozes, and how many reminders were answered (or moved for), by the rung of their prompt."""
    detail: dict[str, float | str | bool] = {"breaks": state.breaks_today, "snoozes": state.snoozes_today}
    for rung, (answered, missed) in enumerate(zip(state.answered, state.missed, strict=True)):
        if answered + missed:
            detail[f"answered_rung_{rung}"] = answered
            detail[f"missed_rung_{rung}"] = missed
    return detail


def find_quiet(state: ReminderState, settings: Settings, now_ns: int) -> tuple[bool, int]:
    """Whether it is quiet now, and when that changes."""
    manners = settings.reminding
    if manners.as_due or state.quiet_hours == "off":
        return False, FOREVER_NS
    if state.quiet_hours is None:
        changes_ns = FOREVER_NS
        for from_ns, to_ns_ in manners.quiet:
            if from_ns <= now_ns < to_ns_:
                return True, to_ns_
            if from_ns > now_ns:
                changes_ns = min(changes_ns, from_ns)
        return False, changes_ns
    offset_s, changes_ns = offset_at(manners.utc_offsets, now_ns)
    shown_ns, day_ns = now_ns + offset_s * NS_PER_S, DAY_S * NS_PER_S
    from_ns, until_ns = state.quiet_from_min * MIN_NS, state.quiet_to_min * MIN_NS
    length_ns = (until_ns - from_ns) % day_ns
    today = shown_ns // day_ns
    for day in range(today - 1, today + 8):  # the silence of yesterday may go on; the next one comes within a week
        if state.quiet_weekdays >> (day + EPOCH_WEEKDAY) % 7 & 1:
            starts_ns = day * day_ns + from_ns
            if shown_ns < starts_ns:
                return False, min(now_ns + starts_ns - shown_ns, changes_ns)
            if shown_ns < starts_ns + length_ns:
                return True, min(now_ns + starts_ns + length_ns - shown_ns, changes_ns)
    return False, changes_ns


def find_period(turn: Turn) -> tuple[str, str, int]:
    """The time of silence that is in force: its kind, why, and its end; kind "" for none."""
    state, now_ns = turn.state, turn.now_ns
    if turn.settings.reminding.as_due:
        return "", "", 0
    if not is_enabled(state, turn.settings):
        return "off", "reminders are off", 0
    if state.paused_until_ns > now_ns:
        return "paused", "paused", state.paused_until_ns
    if state.wearer_hold is not None and state.wearer_hold_until_ns > now_ns:
        return "hold", state.wearer_hold, state.wearer_hold_until_ns
    if state.surroundings is not None and state.surroundings_until_ns > now_ns:
        return "hold", state.surroundings, state.surroundings_until_ns
    quiet, until_ns = find_quiet(state, turn.settings, now_ns)
    return ("quiet", "quiet hours", until_ns) if quiet else ("", "", 0)


def find_restraint(turn: Turn, rule: Rule) -> Restraint | None:
    """Why a due prompt of this rule has to wait; None: it may be given."""
    state, now_ns = turn.state, turn.now_ns
    if state.lowest_level is Level.BREAK and rule.level is Level.SHIFT:
        return Restraint("prompts to shift are turned off", 0, False)
    asked_ns = state.asked_ns.get(rule.name)
    if asked_ns is not None:
        again_ns = asked_ns + to_ns(rule.repeat_s(turn.limits))
        if now_ns < again_ns:
            return Restraint("asked already; it is not repeated before its interval", again_ns, False)
    if now_ns < state.grace_until_ns:
        return Restraint("just put on", state.grace_until_ns)
    if now_ns < state.after_until_ns:
        return Restraint("a moment after the silence", state.after_until_ns)
    return _find_gap(turn, rule.level is Level.BREAK) or _find_back_off(turn)


def _find_gap(turn: Turn, is_break: bool) -> Restraint | None:
    """Too soon, or too often; a break waits for breaks only, a shift for both."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    paused_ns = state.pause_break_until_ns if is_break else state.pause_shift_until_ns
    if now_ns < paused_ns:
        return Restraint("a pause after a reminder that found nobody", paused_ns, False)
    last_ns = state.last_break_ns if is_break else max_or_none(state.last_shift_ns, state.last_break_ns)
    if last_ns is not None and now_ns < last_ns + to_ns(manners.min_gap_s):
        return Restraint("too soon after the last prompt", last_ns + to_ns(manners.min_gap_s), False)
    return find_over_budget(turn, is_break)


def find_over_budget(turn: Turn, is_break: bool) -> Restraint | None:
    """Why one more prompt of this level would be too many now; None: it may come."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    recent = state.break_prompts_ns if is_break else state.shift_prompts_ns
    recent[:] = [t_ns for t_ns in recent if t_ns + HOUR_NS > now_ns]
    if len(recent) >= (manners.break_per_hour if is_break else manners.shift_per_hour):
        return Restraint("enough prompts for this hour", min(recent, default=now_ns) + HOUR_NS)
    if is_break and state.breaks_asked_today >= manners.break_per_day:
        return Restraint("enough prompts for today", state.day_check_ns)
    return None


def _find_back_off(turn: Turn) -> Restraint | None:
    """After several ignored prompts the next one comes later (and lower, see `rung_of`)."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    if state.ignored < manners.back_off_after:
        return None
    if not state.back_off_until_ns:
        state.back_off_until_ns = now_ns + to_ns(manners.back_off_s)
    if now_ns < state.back_off_until_ns:
        return Restraint("later, after prompts that were ignored", state.back_off_until_ns)
    return None


def note_asked(turn: Turn, rule: Rule) -> None:
    """A first prompt was given: take it off the budgets and start the gaps."""
    state, now_ns = turn.state, turn.now_ns
    for load in turn.loads:
        covered = load.rule.level is rule.level and load.rule.priority < rule.priority and load.frac >= 1.0
        if load.rule is rule or covered:
            state.asked_ns[load.rule.name] = now_ns
    if rule.level is Level.BREAK:
        state.last_break_ns = now_ns
    else:
        state.last_shift_ns = now_ns
    charge_budget(turn, rule.level)
    state.back_off_until_ns = 0


def charge_budget(turn: Turn, level: Level) -> None:
    """One prompt more that came by itself; one that a snooze or an acknowledgement asked for is not charged."""
    state, now_ns = turn.state, turn.now_ns
    if level is Level.BREAK:
        state.break_prompts_ns.append(now_ns)
        state.breaks_asked_today += 1
    else:
        state.shift_prompts_ns.append(now_ns)
    del state.break_prompts_ns[:-100], state.shift_prompts_ns[:-100]


def rung_of(turn: Turn, rule: Rule, escalation: int) -> int:
    """Which channel: louder only for firm breaks, lower after being ignored, never above what the wearer allows."""
    manners, state = turn.settings.reminding, turn.state
    top = manners.top_rung if state.top_rung is None else state.top_rung
    if rule.level is Level.SHIFT:
        rung = manners.shift_rung
    elif rule.event_type == "break_due":
        rung = manners.soft_rung
    else:
        rung = manners.firm_rung + escalation
    return max(0, min(rung, top) - state.rung_drop)


def max_or_none(first: int | None, second: int | None) -> int | None:
    """The later of two moments that may not have been."""
    if first is None or second is None:
        return second if first is None else first
    return max(first, second)
