"""Every message as one JSON line `{"topic", "payload", "retain"}`, to a file or standard output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, TextIO

from posturewatch.errors import SinkError
from posturewatch.sinks import SinkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from posturewatch.sinks import SinkContext
    from posturewatch.sinks.outbox import Outbox
    from posturewatch.types import Message

BATCH = 200


def line_of(message: Message) -> str:
    """One message as one line of JSON; plain words stay strings, an empty payload is null."""
    return json.dumps({"topic": message.topic, "payload": payload_of(message), "retain": message.retain})


def payload_of(message: Message) -> object:
    """The payload as a value: an object, a plain word, or nothing."""
    if not message.payload:
        return None
    text = message.payload.decode("utf-8", errors="replace")
    return json.loads(text) if text.startswith("{") else text


class LinesSink:
    """Writes in a thread, so that a slow disk or pipe never stops the loop."""

    def __init__(self, outbox: Outbox, render: Callable[[Message], str], path: Path | None = None) -> None:
        """`render` makes the line; without a `path` it goes to standard output."""
        self._outbox = outbox
        self._render = render
        self._path = path

    async def run(self) -> None:
        """Write until the outbox is closed and empty."""
        with self._opened() as stream:
            while await self._outbox.next() is not None:
                lines: list[str] = []
                while len(lines) < BATCH and (message := self._outbox.peek()) is not None:
                    lines.append(self._render(message))
                    self._outbox.done(message)
                await asyncio.to_thread(self._write, stream, lines)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[TextIO]:
        if self._path is None:
            yield sys.stdout
            return
        try:
            stream = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"{self._path}: cannot be written ({error.strerror}); choose another file") from error
        try:
            yield stream
        finally:
            with contextlib.suppress(OSError):  # a full disk was reported when the line was written
                stream.close()

    def _write(self, stream: TextIO, lines: list[str]) -> None:
        try:
            stream.write("".join(f"{line}\n" for line in lines))
            stream.flush()
        except OSError as error:
            raise SinkError(f"{self._path or 'standard output'}: {error.strerror}; output stops here") from error


def build(context: SinkContext) -> LinesSink:
    """Lines of JSON to `context.path` or standard output."""
    return LinesSink(context.outbox, line_of, context.path)


SINK = SinkKind("jsonl", build)
