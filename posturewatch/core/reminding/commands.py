"""What the wearer or a dashboard asks for: bounded, answered, and without effect when it is late or repeated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from posturewatch.core.reminding.breaks_seen import complete_break, start_break
from posturewatch.core.reminding.budgets import roll_day
from posturewatch.core.reminding.cycle import ASKING, WAITING, close_cycle, note_response, withdraw
from posturewatch.core.reminding.holds import begin_hold, end_holds
from posturewatch.core.reminding.machine import decide
from posturewatch.core.reminding.settable import set_value
from posturewatch.core.reminding.showing import count_snoozes
from posturewatch.core.reminding.state import Answer, follow_clock, limits_in_force
from posturewatch.core.reminding.turn import Turn, give_credit, measure_loads, next_id, to_ns
from posturewatch.errors import CommandError
from posturewatch.types import NS_PER_S, CommandResult, Happened, Level, Prompt, ReminderPhase, Verb, Withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.core.body import Body
    from posturewatch.core.reminding.state import ReminderState
    from posturewatch.core.settings import Settings
    from posturewatch.types import Command, Event

Value = float | str | bool | None

KEPT_ANSWERS = 64
ANSWER_KEPT_NS = 3600 * NS_PER_S
MAX_PAUSE_S = 86_400.0
USUAL_HOLD_MIN = 60.0
USUAL_HOLD = "on hold"
TEST_RUNG = 2  # with buttons, so that they can be tried
TEST_GAP_NS = 10 * NS_PER_S
BLIND = (ReminderPhase.OFF, ReminderPhase.NOT_WORN, ReminderPhase.UNKNOWN)


def command(state: ReminderState, command: Command, body: Body, settings: Settings, events: list[Event]) -> None:
    """Carry out one request and answer it; the same request again gets the same answer and changes nothing."""
    now_ns = follow_clock(state, body.now_ns or command.t_ns)
    known = _find_answer(state, command, now_ns)
    if known is not None:
        events.append(CommandResult(now_ns, known.verb, known.ok, known.request, known.error, known.value, known.key))
        return
    limits = limits_in_force(state, settings)
    loads = measure_loads(state, body, settings, limits)
    turn = Turn(state, body, settings, limits, events, now_ns, loads, {})
    roll_day(turn)
    value: Value = None
    error: str | None = None
    try:
        value = _carry_out(turn, command)
    except CommandError as refusal:
        error = str(refusal)
    else:
        turn.limits = limits_in_force(state, settings)
        turn.loads = measure_loads(state, body, settings, turn.limits)
        decide(turn, is_new_second=False)
    state.wake_ns = 0
    if command.request is not None:
        state.answers.append(Answer(command.request, command.verb, error is None, error, value, command.key, now_ns))
        del state.answers[:-KEPT_ANSWERS]
    events.append(CommandResult(now_ns, command.verb, error is None, command.request, error, value, command.key))


def _carry_out(turn: Turn, command: Command) -> Value:
    state = turn.state
    if command.cycle is not None and command.cycle == state.test_cycle:  # somebody tries the buttons
        turn.events.append(Withdrawn(turn.now_ns, command.cycle, "only a test"))
        return "only a test"
    if command.cycle is not None and command.cycle != state.cycle:
        raise CommandError("stale")
    return _VERBS[command.verb](turn, command)


def _find_answer(state: ReminderState, command: Command, now_ns: int) -> Answer | None:
    """The answer to the same request, if it came in the last hour; who counts from one again means something new."""
    if command.request is None:
        return None
    state.answers = [one for one in state.answers if now_ns - one.t_ns < ANSWER_KEPT_NS]
    return next((one for one in state.answers if one.request == command.request), None)


def _acknowledge(turn: Turn, command: Command) -> Value:
    state = turn.state
    if state.stage is ReminderPhase.ACKNOWLEDGED:
        return None
    if state.stage not in ASKING:
        raise CommandError("no reminder is open that could be acknowledged")
    withdraw(turn, "acknowledged")
    note_response(turn, command.channel)
    if state.last_call:
        close_cycle(turn, "acknowledged")
        return None
    state.stage = ReminderPhase.ACKNOWLEDGED
    state.timer_ns = turn.now_ns + to_ns(turn.settings.reminding.ack_silence_s)
    return None


def _snooze(turn: Turn, command: Command) -> Value:
    state, manners = turn.state, turn.settings.reminding
    if state.stage not in ASKING and state.stage not in WAITING:
        raise CommandError("no reminder is open that could be snoozed")
    choices = manners.snooze_minutes
    minutes = choices[len(choices) // 2] if command.minutes is None else command.minutes
    if minutes not in choices:
        raise CommandError(f"snooze takes {', '.join(map(str, choices))} minutes, not {minutes:g}")
    count_snoozes(turn)
    if state.snoozes_left == 0:
        limit = f"{manners.snoozes_per_cycle} for a reminder, {manners.snoozes_per_day} a day"
        raise CommandError(f"no snoozes are left ({limit})")
    withdraw(turn, "snoozed")
    state.snoozes += 1
    state.snoozes_today += 1
    note_response(turn, command.channel)
    state.stage = ReminderPhase.SNOOZED
    state.timer_ns = turn.now_ns + to_ns(60.0 * minutes)
    turn.events.append(Happened(turn.now_ns, "snoozed", state.cycle, {"minutes": float(minutes)}))
    return float(minutes)


def _skip(turn: Turn, command: Command) -> Value:
    state = turn.state
    building_frac = turn.settings.reminding.building_frac
    is_break = any(load.rule.level is Level.BREAK and load.frac >= building_frac for load in turn.loads)
    if state.cycle is None and all(load.frac < building_frac for load in turn.loads):
        raise CommandError("nothing is due or nearly due that could be skipped")
    if state.stage is ReminderPhase.ON_BREAK:
        raise CommandError("a break is going on: there is nothing to skip")
    skips_break = state.level is Level.BREAK if state.cycle is not None else is_break
    turn.events.append(Happened(turn.now_ns, "skipped", state.cycle))
    note_response(turn, command.channel)
    for load in list(turn.loads):
        if skips_break or load.rule.level is Level.SHIFT:
            give_credit(turn, load.rule, 1.0)
    close_cycle(turn, "skipped")
    return None


def _start_break(turn: Turn, command: Command) -> Value:  # noqa: ARG001  all verbs are called alike
    state = turn.state
    if state.phase in BLIND:
        raise CommandError(f"no break can be started while the reminder is {state.phase}")
    if state.stage is not ReminderPhase.ON_BREAK:
        start_break(turn, "wearer")
        withdraw(turn, "a break began")
    if not state.break_counted:
        state.declared_until_ns = turn.now_ns + turn.settings.detection.real_break_s * NS_PER_S
    return None


def _count_break(turn: Turn, command: Command) -> Value:
    complete_break(turn, "wearer", command.channel)
    turn.state.break_counted = turn.state.stage is ReminderPhase.ON_BREAK
    return None


def _find_end(turn: Turn, command: Command, max_s: float) -> int:
    """When a hold or a pause ends: as asked, or after an hour, and never later than the longest allowed."""
    now_ns = turn.now_ns
    if command.until_ns is not None:
        until_ns = command.until_ns
    else:
        minutes = USUAL_HOLD_MIN if command.minutes is None else command.minutes
        if not math.isfinite(minutes):
            raise CommandError("the time must be a number of minutes")
        until_ns = now_ns + to_ns(60.0 * min(minutes, 1e6))
    if until_ns <= now_ns:
        raise CommandError("the end must be in the future")
    return min(until_ns, now_ns + to_ns(max_s))


def _minutes_until(turn: Turn, until_ns: int) -> float:
    return round((until_ns - turn.now_ns) / (60 * NS_PER_S), 2)


def _hold(turn: Turn, command: Command) -> Value:
    state = turn.state
    until_ns = _find_end(turn, command, turn.settings.reminding.max_hold_s)
    why = command.reason or USUAL_HOLD
    begin_hold(state, why, until_ns, turn.now_ns)
    minutes = _minutes_until(turn, state.wearer_hold_until_ns)
    turn.events.append(
        Happened(turn.now_ns, "held", state.cycle, {"why": state.wearer_hold or why, "minutes": minutes})
    )
    return minutes


def _release(turn: Turn, command: Command) -> Value:
    return end_holds(turn.state, turn.now_ns, command.reason)


def _pause(turn: Turn, command: Command) -> Value:
    state = turn.state
    state.paused_until_ns = _find_end(turn, command, MAX_PAUSE_S)
    minutes = _minutes_until(turn, state.paused_until_ns)
    turn.events.append(Happened(turn.now_ns, "held", state.cycle, {"why": "paused", "minutes": minutes}))
    return minutes


def _resume(turn: Turn, command: Command) -> Value:  # noqa: ARG001
    was_paused = turn.state.paused_until_ns > turn.now_ns
    turn.state.paused_until_ns = 0
    return was_paused


def _calibrate(turn: Turn, command: Command) -> Value:  # noqa: ARG001
    raise CommandError("calibration is not done by the reminders: run `posturewatch calibrate`")


def _set(turn: Turn, command: Command) -> Value:
    return set_value(turn, command.key, command.value)


def _test_reminder(turn: Turn, command: Command) -> Value:
    """A prompt to look at and to press: it counts nowhere, and may come at any time."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    if state.last_test_ns is not None and 0 <= now_ns - state.last_test_ns < TEST_GAP_NS:
        raise CommandError("one test reminder in ten seconds is enough")
    top_rung = manners.top_rung if state.top_rung is None else state.top_rung
    rung = min(TEST_RUNG, top_rung) if command.rung is None else command.rung
    if rung > top_rung:
        raise CommandError(f"rung {rung} is louder than allowed: set top_rung, which is {top_rung}, first")
    state.last_test_ns = now_ns
    state.test_cycle = test_id = next_id(state, turn.settings.wearer, "test", now_ns)
    reason = {"text": "a test"}
    expires_ns = now_ns + to_ns(manners.prompt_expires_s)
    turn.events.append(
        Prompt(now_ns, "shift_due", test_id, test_id, "test", Level.SHIFT, rung, reason, expires_ns, test=True)
    )
    return test_id


_VERBS: dict[Verb, Callable[[Turn, Command], Value]] = {
    Verb.ACK: _acknowledge,
    Verb.SNOOZE: _snooze,
    Verb.SKIP: _skip,
    Verb.START_BREAK: _start_break,
    Verb.COUNT_BREAK: _count_break,
    Verb.HOLD: _hold,
    Verb.RELEASE: _release,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.CALIBRATE: _calibrate,
    Verb.SET: _set,
    Verb.TEST_REMINDER: _test_reminder,
}
