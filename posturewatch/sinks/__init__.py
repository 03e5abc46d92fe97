"""Where messages go.  One file, one channel; found by looking into this folder.

A channel's module has exactly one constant `SINK` of type `SinkKind`.  Each sink gets an outbox of its own and takes
messages out of it at its own pace: a slow or absent one never delays the others.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from posturewatch.mqtt.link import Received
    from posturewatch.mqtt.settings import MqttSettings
    from posturewatch.sinks.desktop_notes import DesktopSettings
    from posturewatch.sinks.hooks import HookSettings
    from posturewatch.sinks.outbox import Outbox
    from posturewatch.types import Message


class Sink(Protocol):
    """Takes messages until its outbox is closed and empty."""

    async def run(self) -> None:
        """Deliver until the outbox is closed and empty; `SinkError` when that can never work."""


def nothing_to_announce() -> Iterable[Message]:
    """For sinks that keep no retained state."""
    return ()


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may need to be built; each takes its part."""

    outbox: Outbox
    now_ns: Callable[[], int]
    mqtt: MqttSettings | None = None
    path: Path | None = None  # jsonl: the file to append to; none: standard output
    announce: Callable[[], Iterable[Message]] = nothing_to_announce  # the current retained messages
    subscriptions: Sequence[str] = ()
    on_message: Callable[[Received], None] | None = None
    on_published: Callable[[Message], None] | None = None
    clock_speed: float = 1.0  # expiry runs in the broker's time
    desktop: DesktopSettings | None = None
    hooks: Sequence[HookSettings] = ()
    ask: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]] | None = None  # requests, as `Desk.answer` takes them


@dataclass(frozen=True, slots=True)
class SinkKind:
    """One channel and how to build it."""

    name: str
    build: Callable[[SinkContext], Sink]


def find_sink(name: str) -> SinkKind:
    """The sink of the module `name`; no other module is imported for it."""
    kind: SinkKind = importlib.import_module(f"{__name__}.{name}").SINK
    return kind


def discover() -> dict[str, SinkKind]:
    """All sinks of this folder by name; modules without a `SINK` are not channels."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    kinds = [module.SINK for module in modules if hasattr(module, "SINK")]
    return {kind.name: kind for kind in kinds}
