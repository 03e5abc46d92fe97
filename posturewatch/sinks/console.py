"""Messages for people at a terminal: one short line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.sinks import SinkKind
from posturewatch.sinks.jsonl import LinesSink, payload_of

if TYPE_CHECKING:
    from posturewatch.sinks import SinkContext
    from posturewatch.types import Message

SHOWN = ("reminder", "reason", "wear", "motion", "posture", "static_s", "sedentary_s", "load_pct")
LONGEST = 60  # characters of a value


def line_of(message: Message) -> str:
    """The topic and what matters of the payload."""
    payload = payload_of(message)
    if not isinstance(payload, dict):
        return f"{message.topic}  {payload if payload is not None else '(cleared)'}"
    clock = str(payload.get("time", ""))[11:19]
    if "message" in payload:
        said = str(payload["message"])
    elif "event_type" in payload:
        said = " ".join([str(payload["event_type"]), *(f"{k}={v}" for k, v in payload.get("detail", {}).items())])
    else:
        shown = SHOWN if "reminder" in payload else tuple(k for k in payload if k != "time")
        said = " ".join(f"{k}={_shorten(payload[k])}" for k in shown if payload.get(k) is not None)
    return f"{clock}  {message.topic}  {said}"


def _shorten(value: object) -> object:
    """A table inside a message by its length: a description for Home Assistant has thousands of characters."""
    if isinstance(value, dict | list) and len(str(value)) > LONGEST:
        return f"({len(value)} entries)"
    return value


def build(context: SinkContext) -> LinesSink:
    """Short lines to `context.path` or standard output."""
    return LinesSink(context.outbox, line_of, context.path)


SINK = SinkKind("console", build)
