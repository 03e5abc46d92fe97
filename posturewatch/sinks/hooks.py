"""Programs of the user's own, started when something happens: without a shell, one at a time, for a bounded time.

They learn from their environment what happened, and nothing else of ours: no setting and no secret is passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.errors import ConfigError
from posturewatch.sinks import SinkKind
from posturewatch.sinks.desktop_notes import find_leaf, read_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from posturewatch.sinks import SinkContext
    from posturewatch.types import Message

log = logging.getLogger(__name__)

GRACE_S = 0.5  # from being asked to end to being ended
LAST_WORDS_S = 0.2
MINUTE_S = 60.0
COMPLAINT_S = 60.0
SHOWN_BYTES = 2000  # of what it prints
PREFIX = "POSTUREWATCH_"
CONFIG = "POSTUREWATCH_CONFIG"  # no secret, and our own commands need it
NOT_THEIRS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")  # between the service manager and us


@dataclass(frozen=True, slots=True)
class HookSettings:
    """What to run on what."""

    on: Collection[str]
    command: Sequence[str]
    wearers: Collection[str]  # whose events
    timeout_s: float = 10.0
    most_per_min: int = 6


class Hook:
    """One program, and how it does."""

    def __init__(self, settings: HookSettings, number: int) -> None:
        """`number` is its place in the configuration."""
        self.settings = settings
        self._name = f"hook[{number}] ({settings.command[0]})"
        self._started_s: deque[float] = deque(maxlen=settings.most_per_min)
        self._running: asyncio.Task[None] | None = None
        self._waiting: dict[str, str] | None = None
        self._complained_s: float | None = None
        self._said = ""

    def start(self, environ: dict[str, str]) -> None:
        """Run it beside everything else; while it runs, the newest event waits and those between are passed over."""
        if self._running is None or self._running.done():
            self._launch(environ)
            return
        if self._waiting is not None:
            self._complain("still runs")
        self._waiting = environ

    async def stop(self) -> None:
        """End it, if it runs."""
        self._waiting = None
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _launch(self, environ: dict[str, str]) -> None:
        now_s, recent = asyncio.get_running_loop().time(), self._started_s
        if len(recent) == recent.maxlen and now_s - recent[0] < MINUTE_S:
            self._complain(f"was started {recent.maxlen} times in a minute")
            return
        recent.append(now_s)
        self._running = asyncio.create_task(self._run(environ), name=self._name)
        self._running.add_done_callback(self._go_on)

    def _go_on(self, _: asyncio.Task[None]) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._launch(waiting)

    def _complain(self, why: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._complained_s is None or now_s - self._complained_s >= COMPLAINT_S:
            self._complained_s = now_s
            log.warning("%s %s: not started for every event", self._name, why)

    async def _run(self, environ: dict[str, str]) -> None:
        shows = log.isEnabledFor(logging.DEBUG)
        output = asyncio.subprocess.PIPE if shows else asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self.settings.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=environ,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except (OSError, ValueError) as error:  # ValueError: a null byte
            self._say(f"cannot be started ({getattr(error, 'strerror', None) or error}): check its command")
            return
        listening = asyncio.create_task(self._listen(process))
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                code = await process.wait()
                await asyncio.wait([listening], timeout=LAST_WORDS_S)  # what it left running may hold the pipe open
        except TimeoutError:
            self._say(f"was ended after {self.settings.timeout_s:g} s: let it finish sooner, or set timeout_s")
        else:
            self._say(f"failed with exit code {code}" if code else "")
        finally:
            listening.cancel()
            await _end(process)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Read all that it prints, so that it never waits for us; the beginning is shown."""
        shown = b""
        try:
            while process.stdout is not None and (chunk := await process.stdout.read(65_536)):
                shown += chunk[: SHOWN_BYTES - len(shown)]
        finally:
            if shown:
                log.debug("%s said: %s", self._name, shown.decode(errors="replace").rstrip())

    def _say(self, text: str) -> None:
        """Warn on change only; an empty text: all is well again."""
        if text and text != self._said:
            log.warning("%s %s", self._name, text)
        self._said = text


async def _end(process: asyncio.subprocess.Process) -> None:
    """The program and what it started: asked first, then without asking."""
    if process.returncode is not None:  # it ended by itself: what it left running is meant to run
        return
    _send(process, signal.SIGTERM)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await process.wait()
    finally:
        _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        await process.wait()


def _send(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.kill()


class HooksSink:
    """All programs of the configuration."""

    def __init__(self, settings: Sequence[HookSettings], context: SinkContext) -> None:
        """Nothing is started before something happens."""
        self._hooks = [Hook(each, number) for number, each in enumerate(settings)]
        self._outbox = context.outbox

    async def run(self) -> None:
        """Start programs until the outbox is closed and empty; then none of them runs any more."""
        try:
            while (message := await self._outbox.next()) is not None:
                self._take(message)
                self._outbox.done(message)
        finally:
            await asyncio.gather(*(hook.stop() for hook in self._hooks))

    def _take(self, message: Message) -> None:
        wearer, leaf = find_leaf(message.topic)
        if leaf not in ("reminder", "event"):
            return
        content = read_object(message.payload)
        event = content.get("event_type")
        wanted = [hook for hook in self._hooks if event in hook.settings.on and wearer in hook.settings.wearers]
        if wanted and not content.get("test"):
            environ = make_environ(os.environ, wearer, content)
            for hook in wanted:
                hook.start(environ)


def make_environ(outer: Mapping[str, str], wearer: str, content: Mapping[str, object]) -> dict[str, str]:
    """The environment of a program: ours without settings and secrets, and what happened; empty for what is unknown."""
    told = {
        "EVENT": content.get("event_type"),
        "WEARER": wearer,
        "CYCLE": content.get("cycle"),
        "LEVEL": content.get("level"),
        "MESSAGE": content.get("message"),
    }
    ours = {name for name in outer if name.startswith(PREFIX) and name != CONFIG}
    kept = {name: value for name, value in outer.items() if name not in ours and name not in NOT_THEIRS}
    return {**kept, **{PREFIX + name: "" if value is None else str(value) for name, value in told.items()}}


def build(context: SinkContext) -> HooksSink:
    """The programs of `context.hooks`."""
    if not context.hooks:
        raise ConfigError("the hooks sink needs a program to start: add a [[hook]]")
    return HooksSink(context.hooks, context)


SINK = SinkKind("hooks", build)
