"""The daemon's door for its owner: a unix socket in the runtime folder, one JSON object a line, mode 0600.

A request is `{"request": "status"}`; the answer is `{"ok": true, …}` or `{"ok": false, "error": "…"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posturewatch.errors import PosturewatchError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Answerer = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]  # from the whole request

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 65_536
IDLE_S = 60.0  # a visitor who says nothing has to go
ANSWER_S = 5.0


class NoDaemon(PosturewatchError):
    """Nobody answers: no daemon runs on this state folder."""


def socket_path(state_folder: Path, environ: Mapping[str, str]) -> Path:
    """Where the daemon of this state folder listens: named after it, in a folder of the user's own.

    A socket's name may have about 100 bytes only, so it is not put into the state folder itself.
    """
    name = f"{zlib.crc32(str(state_folder.absolute()).encode()):08x}.sock"
    usual = Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    if usual.is_dir() and os.access(usual, os.W_OK):
        return usual / "posturewatch" / name
    return Path(tempfile.gettempdir()) / f"posturewatch-{os.getuid()}" / name


@contextlib.asynccontextmanager
async def listening(path: Path, answers: Mapping[str, Answerer]) -> AsyncIterator[None]:
    """Answer requests while the block runs.  The caller holds the lock of the state folder, so `path` is ours."""
    try:
        door = _bind(path)
    except OSError as error:
        log.warning(
            "%s: no control socket (%s); `posturewatch status` will not reach us", path, error.strerror or error
        )
        yield
        return
    visits: set[asyncio.StreamWriter] = set()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.add(writer)
        try:
            await _serve(reader, writer, answers)
        except asyncio.CancelledError:
            pass  # the daemon ends while somebody waits for an answer; nobody awaits this task, asyncio would complain
        finally:
            visits.discard(writer)
            writer.close()

    server = await asyncio.start_unix_server(receive, sock=door, limit=MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        for writer in visits:
            writer.transport.abort()
        _unbind(path)


def _unbind(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another daemon's socket is in it
        path.parent.rmdir()


def _bind(path: Path) -> socket.socket:
    """Readable by its owner only, from the first moment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = path.parent.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise PermissionError(f"{path.parent} is open to others")
    path.unlink(missing_ok=True)  # left by a daemon that was killed
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        door.bind(str(path))
    except OSError:
        door.close()
        raise
    finally:
        os.umask(before)
    return door


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Mapping[str, Answerer]) -> None:
    """One visitor, until it leaves."""
    with contextlib.suppress(TimeoutError, ConnectionError, ValueError):  # ValueError: a line without end
        while True:
            async with asyncio.timeout(IDLE_S):
                line = await reader.readline()
            if not line:
                return
            writer.write(json.dumps(await _answer(line, answers)).encode() + b"\n")
            await writer.drain()


async def _answer(line: bytes, answers: Mapping[str, Answerer]) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {"ok": False, "error": "not JSON"}
    asked = request.get("request") if isinstance(request, dict) else None
    if not isinstance(asked, str) or asked not in answers:
        return {"ok": False, "error": f"unknown request; known are {', '.join(answers)}"}
    return {"ok": True, **await answers[asked](request)}


async def ask(path: Path, request: str, timeout_s: float = ANSWER_S, **details: Any) -> dict[str, Any]:
    """The daemon's answer; `NoDaemon` if none is there."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=64 * MAX_LINE_BYTES)
            try:
                writer.write(json.dumps({"request": request, **details}).encode() + b"\n")
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
    except TimeoutError as error:
        raise NoDaemon(f"the daemon at {path} does not answer") from error
    except (OSError, ValueError) as error:
        raise NoDaemon(f"no daemon of this configuration runs: start it with `posturewatch run` ({path})") from error
    if not isinstance(answer, dict) or not answer.get("ok"):
        raise NoDaemon(f"the daemon at {path} does not know `{request}`: is it another version?")
    return answer
