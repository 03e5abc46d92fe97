"""The sinks beside the broker: from the configuration to parts that are ready to run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from posturewatch.errors import MissingExtra
from posturewatch.publishing.responses import LocalChannels
from posturewatch.sinks import SinkContext, discover
from posturewatch.sinks.desktop_notes import DesktopSettings
from posturewatch.sinks.hooks import HookSettings
from posturewatch.sinks.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from posturewatch.config import Config
    from posturewatch.sinks import Sink


@dataclass(frozen=True, slots=True)
class LocalSink:
    """One sink with the outbox that it empties."""

    name: str
    outbox: Outbox
    sink: Sink


def check_local_sinks(config: Config) -> None:
    """`MissingExtra` for what is wanted and not installed."""
    if config.desktop.enabled and find_spec("desktop_notifier") is None:
        raise MissingExtra("desktop.enabled needs the extra [desktop]: pip install 'posturewatch[desktop]'")


def build_local_sinks(
    config: Config,
    now_ns: Callable[[], int],
    clock_speed: float,
    ask: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]],
) -> list[LocalSink]:
    """What the configuration wants; `ask` takes the requests of buttons."""
    check_local_sinks(config)
    wanted = SinkContext(
        Outbox(now_ns),
        now_ns,
        clock_speed=clock_speed,
        desktop=_to_desktop(config) if config.desktop.enabled else None,
        hooks=_to_hooks(config),
        ask=ask,
    )
    names = [name for name, settings in (("desktop", wanted.desktop), ("hooks", wanted.hooks)) if settings]
    kinds, sinks = discover() if names else {}, []
    for name in names:
        context = replace(wanted, outbox=Outbox(now_ns))
        sinks.append(LocalSink(name, context.outbox, kinds[name].build(context)))
    return sinks


def to_channels(config: Config, wearer: str) -> LocalChannels:
    """Which of them show the prompts of one wearer."""
    own, hooks = config.desktop, _to_hooks(config)
    on_desktop = own.enabled and (not own.wearers or wearer in own.wearers)
    hooked = frozenset(event for hook in hooks if wearer in hook.wearers for event in hook.on)
    return LocalChannels(own.least_rung if on_desktop else None, hooked)


def _to_desktop(config: Config) -> DesktopSettings:
    """A snooze by button lasts as long as one that names no time."""
    own = config.desktop
    choices = {wearer.id: wearer.reminding.snooze_minutes for wearer in config.wearer}
    minutes = {name: each[len(each) // 2] for name, each in choices.items() if not own.wearers or name in own.wearers}
    return DesktopSettings(minutes, own.least_rung, own.sound)


def _to_hooks(config: Config) -> tuple[HookSettings, ...]:
    everybody = [wearer.id for wearer in config.wearer]
    return tuple(
        HookSettings(own.on, own.command, own.wearers or everybody, own.timeout_s, own.most_per_min)
        for own in config.hook
    )
