"""One reminder from its first prompt to its end: open, prompt, repeat, close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.core.reminding.budgets import charge_budget, find_over_budget, note_asked, rung_of
from posturewatch.core.reminding.turn import find_obstacle, next_id, to_ns
from posturewatch.types import Concluded, Happened, Level, Prompt, ReminderPhase, Withdrawn

if TYPE_CHECKING:
    from posturewatch.core.reminding.turn import Load, Turn
    from posturewatch.rules import Rule
    from posturewatch.types import Channel

ASKING = (ReminderPhase.DUE, ReminderPhase.ESCALATED)
WAITING = (ReminderPhase.ACKNOWLEDGED, ReminderPhase.SNOOZED)


def open_cycle(turn: Turn, rule: Rule) -> None:
    """Ask for the first time; an open reminder of less weight makes room."""
    state = turn.state
    if state.cycle is not None:
        close_cycle(turn, "something more is due")
    state.cycle = turn.fired.get(rule.name) or next_id(state, turn.settings.wearer, rule.name, rule.since_ns(turn.body))
    state.rule, state.level = rule.name, rule.level
    state.prompts = state.escalations = state.snoozes = 0
    state.last_call = state.responded = False
    state.rung_drop = int(state.ignored >= turn.settings.reminding.back_off_after)
    note_asked(turn, rule)
    send_prompt(turn, rule, state.cycle)
    state.stage = ReminderPhase.DUE
    state.after_why = None


def send_prompt(turn: Turn, rule: Rule, reminder_id: str | None = None) -> None:
    """Give a prompt of the open cycle and set its clocks."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    if state.cycle is None:
        return
    reminder_id = reminder_id or next_id(state, turn.settings.wearer, rule.name, rule.since_ns(turn.body))
    reason = dict(rule.reason(turn.body, turn.limits))
    state.reason = str(reason.get("text", rule.name))
    if state.after_why is not None:
        reason |= {"after": state.after_why, "held_s": state.after_held_s}
    state.timer_ns = now_ns + to_ns(manners.escalate_s)
    state.expires_ns = now_ns + to_ns(manners.prompt_expires_s)
    state.showing, state.owes_prompt = True, False
    state.rung = rung_of(turn, rule, state.escalations)
    turn.events.append(
        Prompt(
            now_ns,
            rule.event_type,
            reminder_id,
            state.cycle,
            rule.name,
            rule.level,
            state.rung,
            reason,
            state.expires_ns,
            repeat=state.prompts,
        )
    )
    state.prompts += 1
    state.silent_rule = state.silent_why = ""
    state.decision, state.decision_ns = f"asked ({rule.event_type}): {state.reason}", now_ns


def withdraw(turn: Turn, why: str) -> None:
    """Take an open notification back."""
    if turn.state.showing and turn.state.cycle is not None:
        turn.events.append(Withdrawn(turn.now_ns, turn.state.cycle, why))
    turn.state.showing = False


def close_cycle(turn: Turn, why: str, ask_again: bool = False) -> None:
    """The reminder is over; `ask_again`: it was not answered and need not wait for its next interval."""
    state = turn.state
    if state.cycle is None:
        return
    withdraw(turn, why)
    if ask_again and state.rule is not None:
        state.asked_ns.pop(state.rule, None)
    state.owes_prompt = False
    state.cycle = state.rule = state.level = state.reason = None
    if state.stage is not ReminderPhase.ON_BREAK:
        state.stage = ReminderPhase.OK


def note_response(turn: Turn, channel: Channel | None = None) -> None:
    """The wearer answered, or moved: whoever does that is not ignoring anybody, and the open reminder worked."""
    state = turn.state
    state.ignored = 0
    if state.cycle is not None and not state.responded:
        state.responded = True
        state.answered[state.rung] += 1
        turn.events.append(Concluded(turn.now_ns, state.cycle, is_answered=True, channel=channel))


def miss(turn: Turn) -> None:
    """Nobody answered: say so, leave the wearer alone for a while, and be quieter if it happens again and again."""
    state, now_ns, manners = turn.state, turn.now_ns, turn.settings.reminding
    if state.unknown_since_ns is not None:
        close_cycle(turn, "expired without data", ask_again=True)
        return
    if not manners.as_due:
        turn.events.append(Happened(now_ns, "missed", state.cycle))
        state.ignored += 1
        if not state.responded and state.cycle is not None:
            state.missed[state.rung] += 1
            turn.events.append(Concluded(now_ns, state.cycle, is_answered=False))
        pause_ns = now_ns + to_ns(manners.missed_pause_s)
        state.pause_shift_until_ns = pause_ns
        if state.level is Level.BREAK:
            state.pause_break_until_ns = pause_ns
    close_cycle(turn, "not answered")


def end_wait(turn: Turn) -> None:
    """A snooze or an acknowledgement is over: the reminder is open again, and owes a prompt."""
    state, now_ns = turn.state, turn.now_ns
    if state.stage not in WAITING or now_ns < state.timer_ns:
        return
    load = turn.find(state.rule)
    if load is not None and find_obstacle(turn.body, load.rule.level) is None:
        state.last_call = state.stage is ReminderPhase.ACKNOWLEDGED
        state.stage = ReminderPhase.ESCALATED if state.last_call else ReminderPhase.DUE
        state.owes_prompt = True
    elif now_ns >= state.timer_ns + to_ns(turn.settings.reminding.prompt_expires_s):
        close_cycle(turn, "expired", ask_again=True)


def run_timers(turn: Turn) -> None:
    """Move the open cycle on where its time has come."""
    state = turn.state
    load = turn.find(state.rule)
    if state.owes_prompt and load is not None:
        send_prompt(turn, load.rule)
    elif state.stage not in ASKING:
        return
    elif turn.now_ns >= state.expires_ns:
        miss(turn)
    elif turn.now_ns >= state.timer_ns and not turn.settings.reminding.as_due:
        _escalate(turn, load)


def _escalate(turn: Turn, load: Load | None) -> None:
    """Repeat within the budgets; a louder repeat is what the wearer allowed, and comes in any case."""
    state = turn.state
    more = load is not None and _may_escalate(turn, load.rule)
    over = find_over_budget(turn, is_break=True) if more else None
    if load is not None and more and (over is None or rung_of(turn, load.rule, state.escalations + 1) > state.rung):
        if find_obstacle(turn.body, load.rule.level) is None:
            state.escalations += 1
            charge_budget(turn, load.rule.level)
            send_prompt(turn, load.rule)
            state.stage = ReminderPhase.ESCALATED
    elif state.stage is ReminderPhase.ESCALATED:
        miss(turn)
    elif over is not None:
        state.free_ns = min(state.free_ns, over.until_ns)


def _may_escalate(turn: Turn, rule: Rule) -> bool:
    """Only the firm break is asked for again, as often as configured: the others are small, and do not nag."""
    state = turn.state
    more = state.escalations < turn.settings.reminding.max_escalations
    return more and not state.last_call and rule.event_type == "break_due_firm"
