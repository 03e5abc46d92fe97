"""The state folder: one snapshot file per wearer, replaced as a whole or not at all, and a lock for one daemon.

A snapshot is two lines of JSON: what it is (wearer, moment, program, checksum), and the state.  A snapshot that cannot
be used is kept aside as `.bad-<n>` and the wearer starts fresh; one that cannot be written leaves the old one intact.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posturewatch import __version__
from posturewatch.core.snapshot import SCHEMA
from posturewatch.errors import PosturewatchError, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

FORMAT = "posturewatch-snapshot"
_FUTURE_NS = 60_000_000_000  # clocks are corrected by a little
_MAX_BYTES = 64_000_000
_MAX_BAD = 9  # files kept aside for each wearer


class FolderInUseError(PosturewatchError):
    """Another daemon works in this state folder."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot file says."""

    wearer: str
    saved_ns: int
    version: str
    state: dict[str, Any]


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Make `folder` ours for the block; `FolderInUseError`, naming the process, if another daemon has it."""
    lock = _open_lock(folder)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise FolderInUseError(
                f"{folder} is in use by another posturewatch (process {owner}): stop that one, or set storage.folder"
            ) from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number in it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _open_lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PosturewatchError(f"{folder}: no state can be kept here ({reason}): set storage.folder") from error


class SnapshotStore:
    """Loads and saves the snapshots of one folder.  Blocking: a daemon calls it in a thread."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when the first snapshot is saved."""
        self.folder = folder
        self._failing = False

    def path(self, wearer: str) -> Path:
        """Where the snapshot of `wearer` is."""
        return self.folder / f"{wearer}.snapshot"

    def save(self, wearer: str, state: dict[str, Any], now_ns: int) -> bool:
        """Replace the wearer's snapshot; False, and one warning, if that fails.  The old one then stays as it was."""
        path = self.path(wearer)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, _encode(wearer, state, now_ns))
        except OSError as error:
            if not self._failing:
                reason = error.strerror or str(error)
                log.warning("%s: the state cannot be saved (%s); running on without; free some space", path, reason)
            self._failing = True
            return False
        if self._failing:
            log.info("%s: the state can be saved again", path)
        self._failing = False
        return True

    def load(self, wearer: str, now_ns: int) -> Snapshot | None:
        """The wearer's last snapshot; None if there is none, or if it cannot be used (kept aside, one warning)."""
        try:
            return read_snapshot(self.path(wearer), wearer, now_ns)
        except FileNotFoundError:
            return None
        except SnapshotError as error:
            self.reject(wearer, str(error))
            return None

    def reject(self, wearer: str, reason: str) -> None:
        """Keep the wearer's snapshot aside: it cannot be used, for `reason`; the state starts fresh."""
        path = self.path(wearer)
        aside = next((name for name in _bad_names(path) if not name.exists()), path.with_name(f"{path.name}.bad-1"))
        try:
            path.replace(aside)
            kept = f"it is kept as {aside.name}"
        except OSError as error:
            kept = f"it cannot be kept aside ({error.strerror})"
        log.warning("%s: %s; %s, and the state starts fresh", path, reason, kept)


def _bad_names(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.name}.bad-{n}") for n in range(1, _MAX_BAD + 1))


def read_snapshot(path: Path, wearer: str, now_ns: int) -> Snapshot:
    """Read one file without touching it.  `FileNotFoundError` if it is not there, `SnapshotError` if it is unusable."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SnapshotError(f"the snapshot cannot be read ({error.strerror})") from error
    if len(content) > _MAX_BYTES:
        raise SnapshotError(f"the snapshot is larger than any should be ({_MAX_BYTES} bytes)")
    head, _, body = content.partition(b"\n")
    header = _parse(head)
    if header.get("format") != FORMAT:
        raise SnapshotError("this is not a snapshot, or a damaged one")
    if not isinstance(header.get("schema"), int) or header["schema"] > SCHEMA:
        version = re.sub(r"[^\w.+-]", "?", str(header.get("version")))[:32]
        raise SnapshotError(f"the snapshot was made by a newer version ({version}): update the program to use it")
    if header.get("wearer") != wearer:
        raise SnapshotError(f"the snapshot is of another wearer ({str(header.get('wearer'))[:32]!r}, not {wearer!r})")
    if header.get("crc32") != zlib.crc32(body):
        raise SnapshotError("the snapshot is damaged or cut short")
    saved_ns = header.get("saved_ns")
    if not isinstance(saved_ns, int) or saved_ns > now_ns + _FUTURE_NS:
        raise SnapshotError("the snapshot is from the future: the system's clock was set back since")
    return Snapshot(wearer, saved_ns, str(header.get("version")), _parse(body))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SnapshotError("the snapshot is damaged or cut short") from error
    if not isinstance(content, dict):
        raise SnapshotError("the snapshot is damaged or cut short")
    return content


def _encode(wearer: str, state: dict[str, Any], now_ns: int) -> bytes:
    body = json.dumps(state, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    header = {
        "format": FORMAT,
        "schema": SCHEMA,
        "wearer": wearer,
        "saved_ns": now_ns,
        "version": __version__,
        "crc32": zlib.crc32(body),
    }
    return json.dumps(header, separators=(",", ":")).encode() + b"\n" + body


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that after a crash at any moment the old or the new content is there, whole."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  Path.open cannot set the permissions
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # what cannot be written may not be removable either
            temporary.unlink()
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems cannot flush a folder; the file itself is safe
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
