"""The state folder: writable, private, with room; and who works in it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING

from posturewatch.checks import Finding, Group, fail, ok, warn

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.checks import Subject

TIGHT_BYTES, FULL_BYTES = 50_000_000, 5_000_000
MB = 1_000_000


async def _examine(subject: Subject) -> list[Finding]:
    if subject.loaded is None:
        return []
    folder = subject.loaded.state_folder()
    findings = await asyncio.to_thread(_examine_folder, folder)
    return [*findings, await _find_daemon(subject, folder)]


def _examine_folder(folder: Path) -> list[Finding]:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except OSError as error:
        fix = f"make {folder} yours (chown, chmod), or set storage.folder to one that is"
        return [fail("writable", f"{there}: {error.strerror}", fix)]
    findings = [ok("writable", str(folder) if there == folder else f"{folder} will be made")]
    free = shutil.disk_usage(there).free
    room = f"{free // MB} MB are free"
    if free < FULL_BYTES:
        findings.append(fail("disk", room, "free some space: the state of restarts cannot be kept"))
    elif free < TIGHT_BYTES:
        findings.append(warn("disk", room, "free some space soon"))
    else:
        findings.append(ok("disk", room))
    if there == folder and folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        findings.append(warn("private", f"others may read {folder}", f"chmod 700 {folder}"))
    return findings


async def _find_daemon(subject: Subject, folder: Path) -> Finding:
    """The one that answers, one that only holds the lock, or none."""
    status = await subject.status()
    if status is not None:
        return ok(
            "daemon", f"runs: version {status['version']}, process {status['process']}, since {status['started']}"
        )
    owner = await asyncio.to_thread(_find_lock_owner, folder / "lock")
    if owner is None:
        return warn("daemon", "none runs", "start it: posturewatch run, or systemctl --user start posturewatch")
    return fail(
        "daemon",
        f"process {owner} holds {folder} and does not answer: a second daemon, or one that hangs",
        f"look at it with ps -fp {owner}, and stop it (kill {owner}) if it should not run",
    )


def _find_lock_owner(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "(unknown)"
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


GROUP = Group("state", 2, _examine)
