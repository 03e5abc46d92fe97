"""The live terminal picture of `posturewatch monitor`: one panel for each wearer, the messages below."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from posturewatch.sinks import console
from posturewatch.terminal.monitoring import printable
from posturewatch.terminal.screen import FRAME_S, PHASES, SHOWN_MESSAGES, bar

if TYPE_CHECKING:
    from rich.console import RenderableType

    from posturewatch.terminal.monitoring import Picture
    from posturewatch.types import Message

SHOWN = (
    ("next break", "next_break"),
    ("held for", "hold_reason"),
    ("held until", "hold_until"),
    ("breaks today", "breaks_today"),
    ("prompts left today", "prompts_left_today"),
    ("as of", "time"),
)


class MonitorView:
    """Draws what was heard, four times a second at most."""

    def __init__(self, picture: Picture, address: str) -> None:
        """Nothing is drawn before `run`."""
        self._picture = picture
        self._address = address
        self._messages: deque[str] = deque(maxlen=SHOWN_MESSAGES)

    def show(self, message: Message) -> None:
        """The newest at the bottom of the list."""
        try:
            self._messages.append(printable(console.line_of(message)))
        except ValueError:  # a payload that begins like JSON
            self._messages.append(message.topic)

    async def run(self) -> None:
        """Draw until cancelled; the last picture stays."""
        from rich.live import Live  # noqa: PLC0415  for terminals only

        with Live(self._draw(), auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
            while True:
                live.update(self._draw(), refresh=True)
                await asyncio.sleep(FRAME_S)

    def _draw(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415  for terminals only
        from rich.panel import Panel  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        picture = self._picture
        title = f"broker {self._address}: {picture.link}; daemon {printable(picture.bridge)}"
        panels = [self._draw_wearer(name) for name in sorted(picture.states)]
        messages = Text("\n".join(self._messages) or "none yet", no_wrap=True, overflow="ellipsis")
        return Group(
            Text(title, style="bold"),
            *(panels or [Text("nobody was heard of yet")]),
            Panel(messages, title="messages", title_align="left"),
        )

    def _draw_wearer(self, name: str) -> RenderableType:
        from rich.panel import Panel  # noqa: PLC0415  for terminals only
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        state = self._picture.states[name]
        phase = printable(state.get("reminder"))
        style, words = PHASES.get(phase, ("", ""))
        table = Table.grid(padding=(0, 2))
        table.add_row("reminder", Text.assemble((phase, style), f"  {printable(state.get('reason') or words)}"))
        if state.get("due") is True:
            table.add_row("", Text(printable(self._picture.said.get(name, "")), style="bold"))
        table.add_row("sensor", Text(", ".join(printable(state.get(key)) for key in ("wear", "motion", "posture"))))
        table.add_row("load", _load_bar(state.get("load_pct")))
        for label, key in SHOWN:
            if state.get(key) is not None:
                table.add_row(label, Text(printable(state[key])))
        online = printable(self._picture.online.get(name, "unknown"))
        simulated = ", simulated" if state.get("simulated") else ""
        return Panel(table, title=Text(f"{name}: {online}{simulated}"), title_align="left")


def _load_bar(load_pct: Any) -> Any:
    if isinstance(load_pct, bool) or not isinstance(load_pct, int | float):
        return "not known"
    return bar(load_pct / 100.0, None, None)
