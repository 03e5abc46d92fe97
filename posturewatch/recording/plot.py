"""A picture of a replayed day: inclination, what was found, the clocks and the reminders, on one time axis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from posturewatch.core.calibration import inclination_deg
from posturewatch.errors import MissingExtra
from posturewatch.types import NS_PER_S, Motion, Posture, Wear

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.sources.replay import Replay

# told apart without colour too: each strip has its own row and its words
COLOURS = {
    Wear.WORN: "#4c956c",
    Wear.UNKNOWN: "#d9d9d9",
    Wear.OFF_BODY: "#8d99ae",
    Motion.STILL: "#dfe7fd",
    Motion.MICRO: "#a9c0f5",
    Motion.MOVING: "#5b7bd5",
    Motion.WALKING: "#1d3f94",
    Posture.SITTING: "#e9c46a",
    Posture.STANDING: "#2a9d8f",
    Posture.LYING: "#9d6b9d",
    Posture.UPRIGHT_UNKNOWN: "#cfe3d4",
}
RULES = {"static": ("v", "#bc6c25"), "sedentary": ("o", "#d62828"), "sedentary_firm": ("D", "#6a040f")}
OTHER_RULE = ("^", "#7f5539")
LIMIT_MIN = (30, 60)
POINTS = 4000  # more than a screen shows


def draw(replay: Replay, path: Path) -> None:
    """Draw the replay, which must have ended, into a PNG (or what the suffix says)."""
    try:
        import matplotlib as mpl  # noqa: PLC0415  an extra
    except ImportError as error:
        raise MissingExtra("drawing needs the extra [data]: pip install 'posturewatch[data]'") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (angle, strips, clocks) = plt.subplots(
        3, 1, sharex=True, figsize=(11, 6), height_ratios=(2.2, 1.5, 2.2), layout="constrained"
    )
    hours = _hours(replay)
    _draw_angle(angle, replay, hours)
    _draw_strips(strips, replay, hours)
    _draw_clocks(clocks, replay, hours)
    clocks.set_xlabel("hours since the first sample" if not replay.dated else "hours since " + _start(replay))
    clocks.set_xlim(0, max(float(hours(replay.end_ns)), 0.01))
    for axis in (angle, strips, clocks):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _start(replay: Replay) -> str:
    return datetime.fromtimestamp(replay.start_ns / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _hours(replay: Replay) -> Any:
    return lambda t_ns: (np.asarray(t_ns, dtype=np.float64) - replay.start_ns) / NS_PER_S / 3600


def _draw_angle(axis: Any, replay: Replay, hours: Any) -> None:
    epoch, up = replay.seconds()
    axis.set_ylabel("inclination (°)")
    if replay.calibration is None or not len(epoch):
        axis.text(0.5, 0.5, "not calibrated: no inclination", transform=axis.transAxes, ha="center", color="#777777")
        return
    angle = inclination_deg(replay.calibration, up.astype(np.float64))
    step = max(len(epoch) // POINTS, 1)
    n = len(epoch) // step * step
    middle = np.median(angle[:n].reshape(-1, step), axis=1)
    at = hours(epoch[:n:step] * NS_PER_S)
    breaks = np.flatnonzero(np.diff(at) > 5 * step / 3600) + 1
    axis.plot(np.insert(at, breaks, np.nan), np.insert(middle, breaks, np.nan), color="#33415c", linewidth=0.7)
    axis.set_ylim(0, max(45.0, float(np.quantile(middle, 0.995)) * 1.1))


def _draw_strips(axis: Any, replay: Replay, hours: Any) -> None:
    rows = (("wear", replay.timeline.wear), ("motion", replay.timeline.motion), ("posture", replay.timeline.posture))
    shown: dict[str, str] = {}
    for row, (_, spans) in enumerate(reversed(rows)):
        for state, start, end in spans.until(replay.end_ns):
            colour = COLOURS.get(state)
            if colour is None:
                continue
            left = float(hours(start))
            axis.barh(row, float(hours(end)) - left, left=left, height=0.8, color=colour, linewidth=0)
            shown.setdefault(str(state).replace("_", " "), colour)
    axis.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
    axis.tick_params(axis="y", length=0)
    handles = [_patch(name, colour) for name, colour in shown.items()]
    axis.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False, fontsize=8)


def _patch(name: str, colour: str) -> Any:
    from matplotlib.patches import Patch  # noqa: PLC0415  only with a picture

    return Patch(color=colour, label=name)


def _draw_clocks(axis: Any, replay: Replay, hours: Any) -> None:
    """Saw teeth: minutes without a real break, with the reminders where they became due."""
    axis.set_ylabel("min without a break")
    for start, end in replay.sedentary:
        axis.fill_between(
            [float(hours(start)), float(hours(end))],
            [0, (end - start) / 60e9],
            color="#f4a261",
            alpha=0.55,
            linewidth=0,
        )
    for kind, start, end in replay.breaks:
        if kind == "real":
            axis.axvspan(float(hours(start)), float(hours(end)), color="#4c956c", alpha=0.35, linewidth=0)
    for limit in LIMIT_MIN:
        axis.axhline(limit, color="#999999", linewidth=0.6, linestyle=":")
    handles = []
    for rule in dict.fromkeys(name for _, name in replay.reminders):
        marker, colour = RULES.get(rule, OTHER_RULE)
        moments = [t for t, name in replay.reminders if name == rule]
        heights = [_height(replay.sedentary, t) for t in moments]
        label = f"{rule.replace('_', ' ')} due"
        handles += axis.plot(hours(moments), heights, marker, color=colour, markersize=6, label=label, clip_on=False)
    axis.set_ylim(bottom=0)
    handles.append(_patch("real break", "#4c956c"))
    axis.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False, fontsize=8)


def _height(sedentary: list[tuple[int, int]], t_ns: int) -> float:
    return max((t_ns - start for start, end in sedentary if start <= t_ns <= end + NS_PER_S), default=0) / 60e9
