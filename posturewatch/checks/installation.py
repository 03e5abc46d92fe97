"""The installation: versions, and the extras that this configuration needs."""

from __future__ import annotations

import importlib.util
import platform
from typing import TYPE_CHECKING

from posturewatch import __version__
from posturewatch.checks import Finding, Group, fail, ok

if TYPE_CHECKING:
    from posturewatch.checks import Subject


async def _examine(subject: Subject) -> list[Finding]:
    findings = [ok("versions", f"posturewatch {__version__}, Python {platform.python_version()}, {platform.system()}")]
    loaded = subject.loaded
    if loaded is not None and not loaded.config.bluetooth.radio_name.startswith("bluez"):
        findings.append(_examine_extra("sim", "bumble", "the radio hci:…"))
    if loaded is not None and loaded.config.broker.is_embedded:
        findings.append(_examine_extra("broker", "iotcore", "the embedded broker"))
    if loaded is not None and loaded.config.desktop.enabled:
        findings.append(_examine_extra("desktop", "desktop_notifier", "desktop.enabled"))
    return findings


def _examine_extra(extra: str, module: str, purpose: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return fail(f"extra [{extra}]", f"{purpose} needs it", f"pip install 'posturewatch[{extra}]'")
    return ok(f"extra [{extra}]", f"there, for {purpose}")


GROUP = Group("installation", 0, _examine)
