"""Questions to a person, and their answers; or the usual answers, where nobody is there to ask.

Answers are read as whole lines from the descriptor of standard input, without a thread: Ctrl-C ends a question at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from typing import TYPE_CHECKING

import click

from posturewatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_BYTES = 65_536


class Dialogue:
    """One conversation."""

    def __init__(self, *, unattended: bool, quiet: bool = False, descriptor: int = 0) -> None:
        """`unattended`: every question is answered by its default, and one without a default is an error.

        `quiet`: what is said goes to standard error, since a program reads the output.
        """
        self.unattended = unattended
        self._quiet = quiet
        self._descriptor = descriptor
        self._rest = b""

    @property
    def is_live(self) -> bool:
        """Whether a line can be drawn over."""
        return sys.stdout.isatty() and not self._quiet

    def say(self, text: str = "") -> None:
        """One line, or some."""
        click.echo(text, err=self._quiet)

    def show(self, text: str) -> None:
        """A line that the next one replaces; nothing where that cannot be."""
        if self.is_live:
            click.echo(f"\r\x1b[K{text}", nl=False)

    async def ask(self, question: str, default: str | None = None, *, option: str = "") -> str:
        """A line of text; `option` is what would have answered it."""
        if self.unattended:
            if default is None:
                raise UsageError(f"{question}: there is no usual answer to this; give {option}")
            return default
        hint = f" [{default}]" if default else ""
        while True:
            click.echo(f"{question}{hint}: ", nl=False, err=self._quiet)
            answer = await self._read_line()
            if answer or default is not None:
                return answer or default or ""

    async def ask_secret(self, question: str) -> str:
        """The same without showing it."""
        with _silent(self._descriptor):  # before the question, for whoever is quick to answer
            click.echo(f"{question}: ", nl=False, err=self._quiet)
            answer = await self._read_line()
        self.say()
        return answer

    async def confirm(self, question: str, *, default: bool) -> bool:
        """Yes or no."""
        while True:
            answer = (await self.ask(f"{question} (y/n)", "y" if default else "n")).lower()
            if answer in ("y", "yes", "n", "no"):
                return answer.startswith("y")
            self.say("please answer y or n")

    async def choose(self, question: str, choices: Mapping[str, str], default: str | None, *, option: str = "") -> str:
        """One of the keys of `choices`; the values say what they mean."""
        if not self.unattended:
            for key, meaning in choices.items():
                self.say(f"  {key:>2}  {meaning}")
        while True:
            answer = await self.ask(question, default, option=option)
            if answer in choices:
                return answer
            if self.unattended:
                raise UsageError(f"{question}: {answer!r} is none of {', '.join(choices)}; give {option}")
            self.say(f"please answer with one of {', '.join(choices)}")

    async def wait_for_enter(self, text: str) -> None:
        """Go on when the person is ready."""
        if self.unattended:
            self.say(text)
        else:
            click.echo(f"{text}; then press Enter: ", nl=False, err=self._quiet)
            await self._read_line()

    async def _read_line(self) -> str:
        while b"\n" not in self._rest:
            await _until_readable(self._descriptor)
            chunk = os.read(self._descriptor, 4096)
            if not chunk or len(self._rest) > MOST_BYTES:
                self.say()
                raise UsageError("nobody answers on standard input: use --yes for the usual answers")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace").strip()


async def _until_readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:  # a plain file, which never keeps anybody waiting
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


@contextlib.contextmanager
def _silent(descriptor: int) -> Iterator[None]:
    """Do not show what is typed, where there is a terminal at all."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
