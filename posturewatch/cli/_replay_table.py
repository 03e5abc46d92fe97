"""The lines of a replay as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN = ("reminder", "cleared", "silenced", "sedentary", "break", "wear")  # the rest is for programs
STYLES = {"reminder": "bold yellow", "cleared": "green", "break": "green", "wear": "dim", "silenced": "dim"}
MINUTE_S = 60
HOUR_S = 3600


def print_table(lines: Iterable[dict[str, Any]]) -> None:
    """Reminders, bouts, breaks and wear in the order of time, and what the day added up to."""
    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("from", "to", "what", "how"):
        table.add_column(name, justify="right" if name in ("from", "to") else "left")
    kept, summary = [], {}
    for line in lines:
        if line["type"] == "summary":
            summary = line
        elif line["type"] in SHOWN:
            kept.append(line)
    for line in sorted(kept, key=_moment):
        end = line.get("end_s", line.get("end"))
        table.add_row(
            _word(_moment(line)),
            "" if end is None else _word(end),
            line.get("rule", line["type"]) if line["type"] == "reminder" else line["type"],
            _tell(line),
            style=STYLES.get(line["type"]),
        )
    console.print(table)
    console.print(_sum_up(summary))


def _moment(line: dict[str, Any]) -> Any:
    return next(line[key] for key in ("t_s", "t", "start_s", "start") if key in line)


def _word(moment: Any) -> str:
    if not isinstance(moment, float):
        return str(moment)
    seconds = round(moment)
    return f"{seconds // HOUR_S}:{seconds % HOUR_S // MINUTE_S:02}:{seconds % MINUTE_S:02}"


def _tell(line: dict[str, Any]) -> str:
    kind = line["type"]
    if kind == "reminder":
        return f"{line['level']}: {line['reason'].get('text', '')}"
    if kind in ("cleared", "silenced"):
        return str(line["why"])
    if kind == "sedentary":
        return f"closed by {line['closed_by']}"
    return str(line.get("kind", line.get("state", "")))


def _sum_up(summary: dict[str, Any]) -> str:
    hours = summary.get("worn_s", 0) / HOUR_S
    parts = [f"worn {hours:.1f} h"]
    if summary.get("shifts_per_h") is not None:
        parts.append(f"{summary['shifts_per_h']:.1f} posture shifts an hour")
    parts.append(f"{summary.get('breaks_real', 0)} real breaks")
    longest = summary.get("sedentary_longest_s") or 0
    parts.append(f"longest without one {longest / MINUTE_S:.0f} min")
    return ", ".join(parts)
