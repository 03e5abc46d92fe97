"""What the reminder machine remembers about one wearer: plain numbers, words and enum members, all of it saveable."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from posturewatch.types import BreakKind, Level, Link, Posture, ReminderPhase, Wear

if TYPE_CHECKING:
    from posturewatch.core.settings import Limits, Settings


RUNGS = 4  # dashboard, silent push, push, speaker


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request was answered, so that the same request again changes nothing."""

    request: str
    verb: str
    ok: bool
    error: str | None
    value: float | str | bool | None
    key: str | None = None
    t_ns: int = 0


@dataclass(frozen=True, slots=True)
class Numbering:
    """What is needed to give every reminder of a rule an id that was never given before."""

    since_s: int  # start of the latest bout
    count: int  # latest count in it
    top_since_s: int  # latest start ever; an earlier one means that the clock was set back
    top_count: int  # highest count ever


@dataclass(slots=True)
class ReminderState:
    """One machine.  The first block is what messages show; the rest is its own business."""

    phase: ReminderPhase = ReminderPhase.UNKNOWN
    cycle: str | None = None  # id of the reminder that is open
    level: Level | None = None  # of the open reminder, or of the one that is being held
    reason: str | None = None  # short, with numbers
    due: bool = False  # the wearer is being asked to move
    load_frac: float = 0.0  # the highest of the clocks, 1.0 = soft limit
    next_break_ns: int | None = None
    prompts_left_today: int = 0
    snoozes_left: int = 0
    hold_reason: str | None = None
    hold_until_ns: int | None = None
    breaks_today: int = 0
    decision: str = ""  # the last decision, to speak or to be silent, in words
    decision_ns: int = 0

    # the open cycle
    stage: ReminderPhase = ReminderPhase.OK  # ok due escalated acknowledged snoozed on_break, whatever lies over it
    rule: str | None = None
    timer_ns: int = 0  # when the stage moves on by itself
    expires_ns: int = 0  # of the last prompt
    prompts: int = 0  # in this cycle
    escalations: int = 0
    last_call: bool = False  # after an acknowledgement there is one repeat only
    showing: bool = False  # a notification is open
    owes_prompt: bool = False  # a snooze or an acknowledgement just ended
    snoozes: int = 0  # in this cycle
    rung_drop: int = 0  # after being ignored the next prompts are lower
    rung: int = 0  # of the last prompt
    responded: bool = False  # the wearer answered, or moved

    # the break that is going on
    break_progress_frac: float = 0.0
    break_counted: bool = False
    declared_until_ns: int = 0  # started by command: what the sensor cannot see

    # budgets and manners
    day: int = 0  # local day, days since 1970
    day_check_ns: int = 0
    shift_prompts_ns: list[int] = field(default_factory=list)  # first prompts of the last hour
    break_prompts_ns: list[int] = field(default_factory=list)
    breaks_asked_today: int = 0
    snoozes_today: int = 0
    answered: list[int] = field(default_factory=lambda: [0] * RUNGS)  # reminders of today by the rung of their prompt
    missed: list[int] = field(default_factory=lambda: [0] * RUNGS)
    last_shift_ns: int | None = None
    last_break_ns: int | None = None
    pause_shift_until_ns: int = 0  # after a missed reminder
    pause_break_until_ns: int = 0
    ignored: int = 0  # in a row
    back_off_until_ns: int = 0
    grace_until_ns: int = 0

    # times of silence: off, paused, hold, quiet
    wearer_hold: str | None = None
    wearer_hold_until_ns: int = 0
    outlasted_hold: str | None = None  # a second one, of another reason, that ends sooner
    outlasted_hold_until_ns: int = 0
    surroundings: str | None = None  # what other devices say, such as a camera in use
    surroundings_until_ns: int = 0
    paused_until_ns: int = 0
    period: str = ""  # which of them is in force
    period_why: str = ""
    period_since_ns: int = 0
    held: dict[str, int] = field(default_factory=dict)  # rule -> how often it became due in it
    over_budget: dict[str, int] = field(default_factory=dict)  # the same, for the budgets of today
    after_until_ns: int = 0  # a short gap after it
    after_why: str | None = None  # the next prompt is worded for it
    after_held_s: float = 0.0

    # clocks of the rules
    due_ns: dict[str, int] = field(default_factory=dict)  # rule -> when it was last reported due
    asked_ns: dict[str, int] = field(default_factory=dict)  # rule -> when the wearer was last asked for it
    credit_frac: dict[str, float] = field(default_factory=dict)  # rule -> load taken off it
    numbers: dict[str, Numbering] = field(default_factory=dict)
    silent_rule: str = ""
    silent_why: str = ""
    free_ns: int = 0  # when the reason to be silent passes, if it is known

    # what the wearer set; None: as configured
    overridden: bool = False  # one of the two limits
    static_limit_s: float | None = None
    sedentary_limit_s: float | None = None
    lowest_level: Level | None = None
    enabled: bool | None = None
    top_rung: int | None = None
    quiet_hours: str | None = None  # "HH:MM-HH:MM" local, or "off"
    quiet_from_min: int = 0
    quiet_to_min: int = 0
    quiet_weekdays: int = 0b111_1111  # on which they begin; Monday is the lowest bit

    # for doing nothing quickly
    last_ns: int = 0
    seen_now: int = 0  # the same moment; who moves all `_ns` of the state when the clock is set back leaves this one
    wake_ns: int = 0  # nothing moves on by itself before
    load_cap_frac: float = 99.0
    marks: int = -1
    seen_wear: Wear | None = None
    seen_link: Link | None = None
    seen_rest: bool = False
    seen_posture: Posture | None = None
    seen_break: BreakKind | None = None
    unknown_since_ns: int | None = None

    answers: list[Answer] = field(default_factory=list)
    last_test_ns: int | None = None
    test_cycle: str | None = None  # of the last test reminder

    @property
    def on_hold(self) -> bool:
        """Whether the wearer asked to hold prompts."""
        return self.wearer_hold is not None

    @property
    def paused(self) -> bool:
        """Whether the wearer paused the reminders."""
        return self.paused_until_ns > self.last_ns


def initial(settings: Settings) -> ReminderState:
    """A machine that has seen nothing yet."""
    manners = settings.reminding
    return ReminderState(
        prompts_left_today=manners.break_per_day,
        snoozes_left=min(manners.snoozes_per_cycle, manners.snoozes_per_day),
    )


def limits_in_force(state: ReminderState, settings: Settings) -> Limits:
    """The limits as configured, or as the wearer set them since."""
    limits = settings.limits
    if state.static_limit_s is not None:
        limits = replace(limits, static_limit_s=state.static_limit_s)
    if state.sedentary_limit_s is not None:
        limits = replace(limits, sedentary_limit_s=state.sedentary_limit_s)
    return limits


def is_enabled(state: ReminderState, settings: Settings) -> bool:
    """Whether reminders are wanted at all."""
    return settings.reminding.enabled if state.enabled is None else state.enabled


SET_BACK_NS = 60_000_000_000
_TIMES = (
    "timer_ns",
    "expires_ns",
    "declared_until_ns",
    "last_shift_ns",
    "last_break_ns",
    "pause_shift_until_ns",
    "pause_break_until_ns",
    "back_off_until_ns",
    "grace_until_ns",
    "wearer_hold_until_ns",
    "outlasted_hold_until_ns",
    "surroundings_until_ns",
    "paused_until_ns",
    "period_since_ns",
    "after_until_ns",
    "decision_ns",
    "unknown_since_ns",
    "last_test_ns",
)


def follow_clock(state: ReminderState, now_ns: int) -> int:
    """The moment to go by.  When the clock was set back, all moments in memory go with it and durations stay."""
    if state.last_ns != state.seen_now:  # the plain moments were moved already, with the rest of the wearer's state
        _shift_collections(state, state.last_ns - state.seen_now)
        state.wake_ns = state.day_check_ns = 0
    if state.last_ns - now_ns < SET_BACK_NS:  # a tick was ahead of the seconds that close after it
        now_ns = max(now_ns, state.last_ns)
    else:
        by_ns = now_ns - state.last_ns
        for name in _TIMES:
            moment_ns = getattr(state, name)
            if moment_ns:
                setattr(state, name, moment_ns + by_ns)
        _shift_collections(state, by_ns)
        state.wake_ns = state.day_check_ns = 0
    state.last_ns = state.seen_now = now_ns
    return now_ns


def _shift_collections(state: ReminderState, by_ns: int) -> None:
    for moments in (state.due_ns, state.asked_ns):
        for rule in moments:
            moments[rule] += by_ns
    state.answers = [replace(answer, t_ns=answer.t_ns + by_ns) for answer in state.answers]
    state.shift_prompts_ns = [t_ns + by_ns for t_ns in state.shift_prompts_ns]
    state.break_prompts_ns = [t_ns + by_ns for t_ns in state.break_prompts_ns]
