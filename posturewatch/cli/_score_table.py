"""A score as lines for people: what was right, what was not, and at last whether all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_NAMED = 8


def table(figures: Mapping[str, Any]) -> Iterator[str]:
    """One line for each thing that is judged."""
    yield f"reminders  {_reminders(figures)}"
    for name in ("missed", "false"):
        if found := figures[f"reminders_{name}"]:
            yield f"{name:>9}  {_moments(found)}"
    yield f"breaks     {_breaks(figures)}"
    yield f"wear       {_wear(figures)}"
    failed = figures["failed"]
    yield f"result     {'all is well' if not failed else 'NOT WELL: ' + '; '.join(failed)}"


def _reminders(figures: Mapping[str, Any]) -> str:
    true = figures["reminders_true"]
    parts = [f"{figures['reminders_on_time']} of {true} on time" if true else "none is due"]
    if figures["reminder_delay_worst_s"] is not None:
        median_s, worst_s = (round(figures[f"reminder_delay_{which}_s"], 1) + 0.0 for which in ("median", "worst"))
        parts[0] += f" (delay: median {median_s:+.1f} s, worst {worst_s:+.1f} s)"
    if figures.get("reminders_later"):
        parts.append(f"{figures['reminders_later']} came later")
    if figures.get("reminders_excused"):
        parts.append(f"{figures['reminders_excused']} kept back or asked already")
    if true:
        parts.append(f"{len(figures['reminders_missed'])} missed")
    false_per_h = figures["false_reminders_per_h"]
    an_hour = "" if false_per_h is None else f" ({false_per_h:.2g} an hour)"
    parts.append(f"{len(figures['reminders_false'])} of {figures['reminders_said']} said are false{an_hour}")
    return ", ".join(parts)


def _breaks(figures: Mapping[str, Any]) -> str:
    true, said = figures["breaks_true"], figures["breaks_said"]
    found = f"{figures['breaks_found']} of {true} found" if true else "none is taken"
    return f"{found}, {said - figures['breaks_right']} of {said} said are false"


def _wear(figures: Mapping[str, Any]) -> str:
    worn, off = figures["worn_true_s"], figures["off_body_true_s"]
    parts = [f"worn {_length(worn)}, of which {_length(figures['worn_lost_s'])} were called off body"]
    if off:
        parts.append(f"laid aside {_length(off)}, of which {_length(off - figures['off_body_silent_s'])} were not seen")
    return "; ".join(parts)


def _length(seconds: float) -> str:
    minutes = round(seconds / 60.0)
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{minutes} min" if minutes < 120 else f"{seconds / 3600.0:.1f} h"  # noqa: PLR2004  # as people say it


def _moments(found: list[dict[str, Any]]) -> str:
    named = [f"{one['rule']} at {one['t_s']:g} s" for one in found[:MOST_NAMED]]
    more = len(found) - len(named)
    return ", ".join(named) + (f", and {more} more" if more else "")
