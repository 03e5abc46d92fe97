"""When a wearer's state is worth publishing, and the rolling figure that goes with it.  Pure: time comes as numbers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S, Wear

if TYPE_CHECKING:
    from posturewatch.core.body import Body
    from posturewatch.publishing.messages import ReminderView

MIN_INTERVAL_S = 10
MAX_INTERVAL_S = 60
RATE_WINDOW_S = 3600
RATE_LEAST_S = 600  # below ten worn minutes a rate per hour says nothing


class StateThrottle:
    """At once when something changed, else every 10 s while counters run, else every 60 s."""

    def __init__(self, min_interval_s: int = MIN_INTERVAL_S, max_interval_s: int = MAX_INTERVAL_S) -> None:
        """Nothing was said yet, so the first state is due at once."""
        self._min_ns = min_interval_s * NS_PER_S
        self._max_ns = max_interval_s * NS_PER_S
        self._said_ns: int | None = None
        self._steady: tuple[object, ...] = ()
        self._running: tuple[object, ...] = ()

    def due(self, body: Body, reminder: ReminderView, now_ns: int, battery_pct: float | None = None) -> bool:
        """Whether to publish now; saying yes counts as having published."""
        steady = _steady_part(body, reminder, battery_pct)
        running = _running_part(body, reminder)
        if self._said_ns is not None and steady == self._steady:
            elapsed_ns = now_ns - self._said_ns
            wait_ns = self._max_ns if running == self._running else self._min_ns
            # Samples may come after a tick that is later than they.  A clock that was set back publishes at once.
            if -self._min_ns < elapsed_ns < wait_ns:
                return False
        self._said_ns, self._steady, self._running = now_ns, steady, running
        return True


def _steady_part(body: Body, reminder: ReminderView, battery_pct: float | None) -> tuple[object, ...]:
    """What only changes when something happens."""
    return (
        reminder.phase,
        reminder.cycle,
        reminder.level,
        reminder.due,
        reminder.prompts_left_today,
        reminder.snoozes_left,
        reminder.hold_reason,
        reminder.hold_until_ns,
        reminder.on_hold,
        reminder.paused,
        reminder.breaks_today,
        reminder.decision_ns,
        body.wear,
        body.motion,
        body.posture,
        body.last_break_ns,
        body.inclination_deg is None,
        body.hold_dose_frac is None,
        None if battery_pct is None else round(battery_pct),
    )


def _running_part(body: Body, reminder: ReminderView) -> tuple[object, ...]:
    """What runs by itself."""
    return (
        reminder.reason,
        reminder.load_frac,
        reminder.next_break_ns,
        body.static_s,
        body.sedentary_s,
        body.inclination_deg,
        body.hold_dose_frac,
        body.shifts,
        body.break_progress_frac,
    )


class ShiftRate:
    """Shifts of posture per hour worn, over the last hour."""

    def __init__(self) -> None:
        """Knows nothing yet; shifts before its time are not counted."""
        self._minutes: deque[tuple[int, int, int]] = deque()  # (start_s, shifts, worn seconds)
        self._shifts: int | None = None
        self._last_s = 0

    def update(self, body: Body) -> float | None:
        """Take in the state of now; the rate, or nothing while too little was worn."""
        now_s = body.now_ns // NS_PER_S
        worn_s = min(max(0, now_s - self._last_s), 2) if body.wear is Wear.WORN else 0
        shifts = 0 if self._shifts is None else max(0, body.shifts - self._shifts)
        self._last_s, self._shifts = now_s, body.shifts
        minute_s = now_s - now_s % 60
        if self._minutes and self._minutes[-1][0] == minute_s:
            _, before, worn_before = self._minutes.pop()
            shifts, worn_s = shifts + before, worn_s + worn_before
        self._minutes.append((minute_s, shifts, worn_s))
        while self._minutes and not now_s - RATE_WINDOW_S < self._minutes[0][0] + 60 <= now_s + 60:
            self._minutes.popleft()
        total_worn_s = sum(worn for _, _, worn in self._minutes)
        if total_worn_s < RATE_LEAST_S:
            return None
        return 3600 * sum(n for _, n, _ in self._minutes) / total_worn_s
