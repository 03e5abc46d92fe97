"""Whether anything shows the prompts to the wearer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.checks import Finding, Group, ok, warn
from posturewatch.config.values import PROMPTS

if TYPE_CHECKING:
    from posturewatch.checks import Subject


async def _examine(subject: Subject) -> list[Finding]:
    if subject.loaded is None or not subject.loaded.config.wearer:
        return []
    config = subject.loaded.config
    ways = ["on this desktop"] if config.desktop.enabled else []
    if programs := sum(not set(PROMPTS).isdisjoint(hook.on) for hook in config.hook):
        ways.append(f"by programs of yours ({programs})")
    if not config.broker.is_embedded:
        ways.append(f"by what listens at {config.broker.host}")
    if ways:
        return [ok("shown", ", ".join(ways))]
    fix = "posturewatch setup --desktop, or a program of yours (docs/hooks.md), or one that listens at that broker"
    return [warn("shown", "nothing shows your prompts: they only go to the embedded broker", fix)]


GROUP = Group("prompts", 8, _examine)
