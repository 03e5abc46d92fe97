"""The bout without a real break: when it began, and how much of it was seen worn.

It begins with the donning or at the end of a real break, and ends where a real break or the time off the body begins.
Unknown time pauses it; after more than five minutes of that it goes on only if the wearer still holds the posture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.types import NS_PER_S, ClosedBy, SedentaryEnded

if TYPE_CHECKING:
    from posturewatch.core.bouts import Direction
    from posturewatch.types import Event


@dataclass(slots=True)
class SedentaryState:
    start_epoch: int = 0  # 0: no bout
    counted_s: int = 0
    paused_epoch: int = 0  # since when nothing was known; 0: it is
    paused_up: Direction | None = None  # the direction then


def begin(state: SedentaryState, start_epoch: int, now_epoch: int) -> None:
    """A bout that began a moment ago."""
    state.start_epoch, state.counted_s = start_epoch, max(now_epoch - start_epoch, 0)
    state.paused_epoch, state.paused_up = 0, None


def end(state: SedentaryState, now_epoch: int, end_epoch: int, by: ClosedBy, events: list[Event]) -> None:
    """Close the bout, if there is one."""
    if state.start_epoch and end_epoch > state.start_epoch:
        events.append(SedentaryEnded(now_epoch * NS_PER_S, state.start_epoch * NS_PER_S, end_epoch * NS_PER_S, by))
    state.start_epoch = state.counted_s = state.paused_epoch = 0
    state.paused_up = None


def pause(state: SedentaryState, epoch: int, up: Direction | None) -> None:
    """Nothing is known from here on; remember how the wearer sat."""
    if state.start_epoch and not state.paused_epoch:
        state.paused_epoch, state.paused_up = epoch, up


def resume(
    state: SedentaryState, epoch: int, up: Direction, max_pause_s: int, cos_same: float, events: list[Event]
) -> None:
    """Something is known again: go on after a short pause or in the same posture, else give up the bout."""
    if not state.paused_epoch:
        return
    paused, was = state.paused_epoch, state.paused_up
    state.paused_epoch, state.paused_up = 0, None
    if epoch - paused <= max_pause_s:
        return
    if was is None or was[0] * up[0] + was[1] * up[1] + was[2] * up[2] < cos_same:
        end(state, epoch, paused, ClosedBy.CENSORED, events)
