"""Other programs: run for an answer, bounded in time and asked nothing; and ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


async def run_bounded(command: Sequence[str], environ: Mapping[str, str], limit_s: float) -> tuple[int | None, str]:
    """Exit code (None: not in time, or not there) and the last line that it said."""
    code, output = await run_for_output(command, environ, limit_s)
    lines = output.strip().splitlines()
    return code, lines[-1].strip() if lines else f"exit code {code}"


async def run_for_output(command: Sequence[str], environ: Mapping[str, str], limit_s: float) -> tuple[int | None, str]:
    """The same with everything that it said."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environ),
        )
    except OSError as error:
        return None, f"{command[0]}: {error.strerror}"
    try:
        async with asyncio.timeout(limit_s):
            output, _ = await process.communicate()
    except TimeoutError:
        return None, f"{command[0]} did not answer within {limit_s:g} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode, output.decode(errors="replace")


async def end(process: asyncio.subprocess.Process, patience_s: float) -> None:
    """End it and wait for it, politely for `patience_s`; also when we are being cancelled."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
