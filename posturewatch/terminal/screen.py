"""How the demonstration looks: a live picture on a terminal, one line for each message everywhere else."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from posturewatch.clock import read_wall_ns
from posturewatch.publishing.payloads import schema_name
from posturewatch.sinks import console, jsonl
from posturewatch.sinks.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from posturewatch.clock import ScaledClock
    from posturewatch.types import Message
    from posturewatch.watch import Watch

FRAME_S = 0.25
TRUTH = schema_name("truth")
SHOWN_MESSAGES = 12
BAR_WIDTH = 30
PHASES = {
    "ok": ("green", "all is well"),
    "building": ("yellow", "it adds up"),
    "due": ("bold red", "asked to move"),
    "escalated": ("bold red", "asked again"),
    "on_break": ("bold cyan", "on a break"),
    "unknown": ("dim", "not known yet"),
}


class LineView:
    """One line for each message: short ones for people, JSON for programs."""

    def __init__(self, render: Callable[[Message], str], say: Callable[[str], None]) -> None:
        """`say` gets what is not a message."""
        self._outbox = Outbox(read_wall_ns)
        self._sink = jsonl.LinesSink(self._outbox, render)
        self._say = say

    def show_where(self, lines: list[str]) -> None:
        """Said once, at the beginning."""
        for line in lines:
            self._say(line)

    def show_watch(self, watch: Watch, clock: ScaledClock) -> None:
        """The messages tell the state."""

    def show_message(self, message: Message) -> None:
        """Every one counts, none expires: it went out."""
        self._outbox.put(replace(message, key=None, expires_ns=None))

    async def run(self) -> None:
        """Write until closed."""
        await self._sink.run()

    def close(self) -> None:
        """Write what waits."""
        self._outbox.close()


def plain_lines() -> LineView:
    """For pipes and files that people read."""
    return LineView(console.line_of, click.echo)


def json_lines() -> LineView:
    """For programs: nothing but JSON on standard output."""
    return LineView(jsonl.line_of, lambda line: click.echo(line, err=True))


class LiveView:
    """A picture of the wearer, drawn anew four times a second."""

    def __init__(self, title: str) -> None:
        """Nothing is drawn before `run`."""
        self._title = title
        self._where: list[str] = []
        self._watch: Watch | None = None
        self._clock: ScaledClock | None = None
        self._messages: deque[str] = deque(maxlen=SHOWN_MESSAGES)
        self._said = ""
        self._closed = asyncio.Event()

    def show_where(self, lines: list[str]) -> None:
        """Stays at the bottom."""
        self._where = lines

    def show_watch(self, watch: Watch, clock: ScaledClock) -> None:
        """Its state is read for every picture."""
        self._watch, self._clock = watch, clock

    def show_message(self, message: Message) -> None:
        """The newest at the bottom of the list; what the simulator knows would only spoil it."""
        if message.schema == TRUTH:
            return
        self._messages.append(console.line_of(message))
        payload = jsonl.payload_of(message)
        if isinstance(payload, dict) and "message" in payload:
            self._said = str(payload["message"])

    async def run(self) -> None:
        """Draw until closed; the last picture stays."""
        from rich.live import Live  # noqa: PLC0415  for terminals only

        with Live(self._draw(), auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
            while not self._closed.is_set():
                live.update(self._draw(), refresh=True)
                try:
                    async with asyncio.timeout(FRAME_S):
                        await self._closed.wait()
                except TimeoutError:
                    continue
            live.update(self._draw(), refresh=True)

    def close(self) -> None:
        """One last picture."""
        self._closed.set()

    def _draw(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415  for terminals only
        from rich.panel import Panel  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        state = Text("starting the broker …") if self._watch is None else self._draw_state(self._watch)
        messages = Text("\n".join(self._messages) or "none yet", no_wrap=True, overflow="ellipsis")
        where = Text("\n".join([*self._where, "Ctrl-C ends it and leaves nothing behind"]), style="dim")
        return Group(
            Panel(state, title=self._title, title_align="left"),
            Panel(messages, title="MQTT messages as they go out", title_align="left"),
            Panel(where, title="look further", title_align="left"),
        )

    def _draw_state(self, watch: Watch) -> RenderableType:
        from rich.table import Table  # noqa: PLC0415  for terminals only

        body, reminder, limits = watch.state.body, watch.state.reminding, watch.settings.limits
        style, words = PHASES.get(reminder.phase, ("", ""))
        asks = reminder.due and self._said
        table = Table.grid(padding=(0, 2))
        table.add_row("time", f"{self._time()}   (simulated, {watch.wearer})")
        angle = "" if body.inclination_deg is None else f", {body.inclination_deg:.0f}° from upright"
        table.add_row("sensor", f"{body.wear}, {body.motion}, {str(body.posture).replace('_', ' ')}{angle}")
        table.add_row("one posture", bar(body.static_s / limits.static_limit_s, body.static_s, limits.static_limit_s))
        share = body.sedentary_s / limits.sedentary_limit_s
        table.add_row("without a break", bar(share, body.sedentary_s, limits.sedentary_limit_s))
        table.add_row("break", bar(body.break_progress_frac, None, None))
        table.add_row("reminder", f"[{style or 'none'}]{reminder.phase}[/]  {reminder.reason or words}")
        table.add_row("", f"[bold]“{self._said}”[/]" if asks else "")
        table.add_row("next break", self._next(reminder.next_break_ns))
        table.add_row("breaks today", str(reminder.breaks_today))
        return table

    def _time(self) -> str:
        return "" if self._clock is None else _clock_time(self._clock.now_ns())

    def _next(self, next_ns: int | None) -> str:
        if next_ns is None or self._clock is None:
            return "not known"
        left_min = (next_ns - self._clock.now_ns()) / 60e9
        return "now" if left_min <= 0 else f"{_clock_time(next_ns)}, in {left_min:.0f} min if nothing moves"


def _clock_time(t_ns: int) -> str:
    seconds = t_ns // 1_000_000_000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} UTC"


def bar(frac: float, seconds: float | None, limit_s: float | None) -> Any:
    """How full a clock is, with its figures."""
    from rich.text import Text  # noqa: PLC0415  for terminals only

    filled = round(min(max(frac, 0.0), 1.0) * BAR_WIDTH)
    style = "red" if frac >= 1.0 else "yellow" if frac >= 0.8 else "green"  # noqa: PLR2004  due, nearly due
    figures = "" if seconds is None or limit_s is None else f"  {seconds / 60:.0f} of {limit_s / 60:.0f} min"
    return Text.assemble(("━" * filled, style), ("─" * (BAR_WIDTH - filled), "dim"), figures)


def view_for(title: str, as_json: bool) -> LineView | LiveView:
    """The view that fits where the output goes."""
    if as_json:
        return json_lines()
    return LiveView(title) if sys.stdout.isatty() else plain_lines()
