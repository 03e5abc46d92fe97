"""The clock: bouts are measured on it, and quiet hours follow it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from posturewatch.checks import Finding, Group, fail, ok, warn
from posturewatch.clock import read_wall_ns
from posturewatch.processes import run_bounded
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from posturewatch.checks import Subject

FIRST_YEAR = 2026  # nothing of ours is older
ASK_S = 2.0


async def _examine(subject: Subject) -> list[Finding]:
    now = datetime.fromtimestamp(read_wall_ns() / NS_PER_S, UTC)
    shown = now.strftime("%Y-%m-%d %H:%M UTC")
    fix = "switch on network time: timedatectl set-ntp true (or install chrony)"
    if now.year < FIRST_YEAR:
        return [fail("time", f"{shown}: that is in the past", fix)]
    findings = [ok("time", shown)]
    if shutil.which("timedatectl") is not None:
        words = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        code, told = await run_bounded(words, subject.environ, ASK_S)
        if code == 0 and told == "yes":
            findings.append(ok("network time", "in step"))
        elif code == 0:
            findings.append(warn("network time", "the clock is not kept in step", fix))
    zones = {wearer.time_zone for wearer in subject.loaded.config.wearer} if subject.loaded is not None else set()
    named = sorted(zone for zone in zones if zone is not None)
    local = now.astimezone().tzname()
    findings.append(ok("time zone", f"{', '.join(named)} as configured" if named else f"the machine's ({local})"))
    return findings


GROUP = Group("clock", 3, _examine)
