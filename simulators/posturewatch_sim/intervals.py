"""The true wear, motion and posture of a plan, as intervals that cover the recording."""

from __future__ import annotations

from typing import Any

from posturewatch_sim.plan import Piece, Plan

Event = dict[str, Any]


def covering(plan: Plan, end_s: float, silences: tuple[tuple[float, float], ...]) -> list[Event]:
    """Wear, motion and posture, covering the recording."""
    out: list[Event] = []
    for kind in ("wear", "motion", "posture"):
        rows: list[Event] = []
        for piece in plan.until(end_s):
            start, end = piece.start_s, min(piece.end_s, end_s)
            if start >= end:
                break
            row: Event = {"type": kind, "state": _state(kind, piece, plan.wearer.placement)}
            if kind == "wear":
                row |= {word: True for word in ("carried", "asleep") if getattr(piece.activity, word)}
            for state_row in _around(row, start, end, silences):
                last = rows[-1] if rows else None
                same = last is not None and all(last.get(k) == state_row.get(k) for k in ("state", "carried", "asleep"))
                if last is not None and same and abs(last["end_s"] - state_row["start_s"]) < 1e-6:  # noqa: PLR2004
                    last["end_s"] = state_row["end_s"]
                else:
                    rows.append(state_row)
        out += rows
    return out


def _around(row: Event, start: float, end: float, silences: tuple[tuple[float, float], ...]) -> list[Event]:
    """One interval, with what was not received cut out as unknown."""
    parts: list[Event] = []
    at = start
    for a, b in silences:
        a_in, b_in = max(a, at), min(b, end)
        if a_in >= b_in:
            continue
        if a_in > at:
            parts.append({**row, "start_s": at, "end_s": a_in})
        parts.append({"type": row["type"], "state": "unknown", "start_s": a_in, "end_s": b_in})
        at = b_in
    if at < end:
        parts.append({**row, "start_s": at, "end_s": end})
    return parts


def _state(kind: str, piece: Piece, placement: str) -> str:
    activity = piece.activity
    if kind == "wear":
        return "worn" if activity.worn else "off_body"
    if kind == "motion":
        return activity.motion
    if not activity.worn or placement in ("wrist", "head") or activity.stir == "handled":
        return "unknown" if placement != "head" or not activity.worn else "upright_unknown"
    if placement == "thigh":
        return "sitting" if activity.posture == "lying" else activity.posture
    return "lying" if activity.posture == "lying" else "upright_unknown"
