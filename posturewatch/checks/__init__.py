"""What may be wrong on this machine: one file, one group of checks; found by looking into this folder.

A group's module has exactly one constant `GROUP` of type `Group`.  All groups run at once, each bounded in time, and
each finding says ok, warn or fail, what was seen, and what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from posturewatch.errors import PosturewatchError
from posturewatch.requests.control_socket import NoDaemon, ask, socket_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from posturewatch.config import LoadedConfig, Sensor

GROUP_S = 4.0
STATUS_S = 1.5


class Grade(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    grade: Grade
    check: str  # what was looked at, in a word or two
    seen: str
    fix: str | None = None  # what to do; never missing where the grade is not ok


def ok(check: str, seen: str) -> Finding:
    """All is well."""
    return Finding(Grade.OK, check, seen)


def warn(check: str, seen: str, fix: str) -> Finding:
    """It works, but."""
    return Finding(Grade.WARN, check, seen, fix)


def fail(check: str, seen: str, fix: str) -> Finding:
    """It cannot work like this."""
    return Finding(Grade.FAIL, check, seen, fix)


def fail_of(check: str, error: PosturewatchError) -> Finding:
    """Our errors say what happened and what to do in one line; it is cut where the second begins."""
    text = " ".join(str(error).split())
    cuts = [at for mark in ("; ", ": ") if (at := text.rfind(mark)) > 0]
    at = max(cuts, default=0)
    return fail(check, text[:at] or text, text[at + 2 :] if at else "see docs/setup.md")


@dataclass(slots=True)
class Subject:
    """What is looked at."""

    environ: Mapping[str, str]
    path: Path | None  # of the configuration
    loaded: LoadedConfig | None = None  # None: it is wrong, and `trouble` says why
    trouble: PosturewatchError | None = None
    _status: asyncio.Task[dict[str, Any] | None] | None = field(default=None, repr=False)

    def sensors(self) -> list[Sensor]:
        """All that are configured."""
        return [] if self.loaded is None else [sensor for w in self.loaded.config.wearer for sensor in w.sensor]

    async def status(self) -> dict[str, Any] | None:
        """What the running daemon says of itself; asked once for all groups.  Nothing: none runs."""
        if self._status is None:
            self._status = asyncio.create_task(self._ask())
        return await asyncio.shield(self._status)

    async def _ask(self) -> dict[str, Any] | None:
        if self.loaded is None:
            return None
        with contextlib.suppress(NoDaemon):
            return await ask(socket_path(self.loaded.state_folder(), self.environ), "status", STATUS_S)
        return None


@dataclass(frozen=True, slots=True)
class Group:
    """One group of checks."""

    name: str
    order: int  # in the report
    examine: Callable[[Subject], Awaitable[list[Finding]]]


def discover() -> list[Group]:
    """All groups of this folder in the order of the report; modules without a `GROUP` are none."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    groups = [module.GROUP for module in modules if hasattr(module, "GROUP")]
    return sorted(groups, key=lambda group: int(group.order))


async def examine(subject: Subject, groups: Sequence[Group]) -> dict[str, list[Finding]]:
    """The findings of all groups; one that takes too long, or stumbles, is a finding itself."""
    found = await asyncio.gather(*(_bounded(group, subject) for group in groups))
    return {group.name: findings for group, findings in zip(groups, found, strict=True)}


async def _bounded(group: Group, subject: Subject) -> list[Finding]:
    try:
        async with asyncio.timeout(GROUP_S):
            return list(await group.examine(subject))
    except TimeoutError:
        return [
            warn(group.name, f"no answer within {GROUP_S:g} s", "run it again; if it stays so, restart that service")
        ]
    except PosturewatchError as error:
        return [fail_of(group.name, error)]


def to_rows(found: Mapping[str, Sequence[Finding]]) -> list[dict[str, Any]]:
    """The report as plain values."""
    return [{"group": name, **asdict(finding)} for name, findings in found.items() for finding in findings]
