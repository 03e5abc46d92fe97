"""What the wearer may set while the machine runs; it is kept in the state and wins over the configuration."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from posturewatch.core.reminding.state import is_enabled, limits_in_force
from posturewatch.core.reminding.turn import measure_loads
from posturewatch.errors import CommandError
from posturewatch.types import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.core.reminding.state import ReminderState
    from posturewatch.core.reminding.turn import Turn
    from posturewatch.core.settings import Settings

Value = float | str | bool | None

STATIC_MIN = (5.0, 60.0)  # nobody wants less than these
SEDENTARY_MIN = (15.0, 120.0)
HIGHEST_RUNG = 3
WORDS_ON = ("on", "true", "1", "yes")
WORDS_OFF = ("off", "false", "0", "no")
SPAN = re.compile(r"(?:([a-z,-]{3,27})\s+)?([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def values_in_force(state: ReminderState, settings: Settings) -> dict[str, float | str | bool]:
    """What can be set, as it stands: set by the wearer, or as configured."""
    limits = limits_in_force(state, settings)
    manners = settings.reminding
    return {
        "static_limit_min": limits.static_limit_s / 60.0,
        "sedentary_limit_min": limits.sedentary_limit_s / 60.0,
        "level": Level.SHIFT if state.lowest_level is None else state.lowest_level,
        "top_rung": manners.top_rung if state.top_rung is None else state.top_rung,
        "quiet_hours": state.quiet_hours or "default",
        "reminders": is_enabled(state, settings),
    }


def set_value(turn: Turn, key: str | None, value: Value) -> Value:
    """Set one thing, in force at once; gives the value that is now in force."""
    setter = _SETTERS.get(key or "")
    if setter is None:
        raise CommandError(f"{key!r} cannot be set; settable are {', '.join(_SETTERS)}")
    return setter(turn, value)


def _to_number(key: str, value: Value, low: float, high: float, unit: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high:
        raise CommandError(f"{key} must be {low:g} to {high:g}{unit}, not {str(value)[:40]}")
    return number


def _set_limit(turn: Turn, name: str, limit_s: float) -> None:
    """Change a limit; credit already given keeps its worth in seconds."""
    state = turn.state
    before = {load.rule.name: load.raw_frac for load in turn.loads}
    setattr(state, name, limit_s)
    state.overridden = True
    credit = dict(state.credit_frac)
    turn.limits = limits_in_force(state, turn.settings)
    for rule in turn.settings.rules:
        after_frac = rule.load_frac(turn.body, turn.limits)
        before_frac = before.get(rule.name, 0.0)
        if rule.name in credit and after_frac is not None and before_frac > 0.0:
            state.credit_frac[rule.name] = credit[rule.name] * after_frac / before_frac
    turn.loads = measure_loads(state, turn.body, turn.settings, turn.limits)


def _set_static(turn: Turn, value: Value) -> Value:
    minutes = _to_number("static_limit_min", value, *STATIC_MIN, " minutes")
    _set_limit(turn, "static_limit_s", 60.0 * minutes)
    return minutes


def _set_sedentary(turn: Turn, value: Value) -> Value:
    minutes = _to_number("sedentary_limit_min", value, *SEDENTARY_MIN, " minutes")
    _set_limit(turn, "sedentary_limit_s", 60.0 * minutes)
    return minutes


def _set_level(turn: Turn, value: Value) -> Value:
    """The lowest level that prompts: `shift` means both, `break` means breaks only."""
    word = str(value).strip().lower()
    if word not in tuple(Level):
        raise CommandError(f"level must be shift (prompts of both levels) or break (breaks only), not {word[:40]}")
    turn.state.lowest_level = Level(word)
    return word


def _set_reminders(turn: Turn, value: Value) -> Value:
    word = str(value).strip().lower()
    if word not in WORDS_ON + WORDS_OFF:
        raise CommandError(f"reminders must be on or off, not {word[:40]}")
    turn.state.enabled = word in WORDS_ON
    return turn.state.enabled


def _set_top_rung(turn: Turn, value: Value) -> Value:
    rung = _to_number("top_rung", value, 0, HIGHEST_RUNG, "")
    if rung != int(rung):
        raise CommandError(f"top_rung must be a whole number from 0 to {HIGHEST_RUNG}, not {rung:g}")
    turn.state.top_rung = int(rung)
    return rung


def _set_quiet_hours(turn: Turn, value: Value) -> Value:
    """From one local time to another, on every day or on some; `off` for none, `default` for the configuration's."""
    state, word = turn.state, str(value).strip().lower()
    if word in ("off", "default"):
        state.quiet_hours = None if word == "default" else word
        return word
    span = SPAN.fullmatch(word)
    weekdays = 0 if span is None else _read_weekdays(span[1])
    if span is None or not weekdays or span[2].zfill(2) + span[3] == span[4].zfill(2) + span[5]:
        right = "20:00-07:00 or mon-fri 20:00-07:00"
        raise CommandError(f"quiet_hours must be like {right}, or off, or default, not {word[:40]}")
    from_h, from_min, to_h, to_min = (int(part) for part in span.groups()[1:])
    state.quiet_from_min, state.quiet_to_min = 60 * from_h + from_min, 60 * to_h + to_min
    state.quiet_weekdays = weekdays
    days = f"{span[1]} " if span[1] else ""
    state.quiet_hours = f"{days}{from_h:02}:{from_min:02}-{to_h:02}:{to_min:02}"
    return state.quiet_hours


def _read_weekdays(words: str | None) -> int:
    """`mon-fri`, `sat,sun` as one bit a day; all seven if none is named, 0 for what names none."""
    if words is None:
        return 0b111_1111
    found = 0
    for part in words.split(","):
        first, dash, last = part.partition("-")
        if first not in WEEKDAYS or (last if dash else first) not in WEEKDAYS:
            return 0
        at, end = WEEKDAYS.index(first), WEEKDAYS.index(last if dash else first)
        for day in range(at, end + 1 if end >= at else end + 8):
            found |= 1 << day % 7
    return found


_SETTERS: dict[str, Callable[[Turn, Value], Value]] = {
    "static_limit_min": _set_static,
    "sedentary_limit_min": _set_sedentary,
    "level": _set_level,
    "quiet_hours": _set_quiet_hours,
    "reminders": _set_reminders,
    "top_rung": _set_top_rung,
}
