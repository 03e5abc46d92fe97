"""Where log lines go: to standard error, from a thread of their own, so that a slow terminal holds up nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import queue
import sys
from typing import TYPE_CHECKING

from posturewatch.publishing.messages import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITING = 10_000


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, where, what; and the traceback, if there is one."""
        content = {
            "time": iso(int(record.created * 1e9)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content)


class _BoundedHandler(logging.handlers.QueueHandler):
    """Hands records to the writing thread; when it cannot follow, new ones are dropped."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


@contextlib.contextmanager
def logging_to_stderr(level: str = "info", form: str = "text") -> Iterator[None]:
    """Log for the length of the block; `form` is text or json."""
    writer = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    writer.setFormatter(JsonFormatter() if form == "json" else text)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING)
    handler = _BoundedHandler(waiting)
    listener = logging.handlers.QueueListener(waiting, writer)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level.upper())
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        listener.stop()
