"""`posturewatch run` on a clock that runs faster, so that a wearer's minutes pass in seconds.  Run as a program.

python fast_daemon.py CONFIG SPEED
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posturewatch.app import Given, run
from posturewatch.clock import ScaledClock, read_wall_ns
from posturewatch.config import load
from posturewatch.signals import until_stopped
from posturewatch.terminal.log_output import logging_to_stderr

if TYPE_CHECKING:
    from posturewatch.signals import Signals


def main(path: str, speed: float) -> int:
    loaded = load(Path(path), os.environ)

    async def serve(signals: Signals) -> None:
        await run(Given(loaded, ScaledClock(speed, read_wall_ns()), signals, os.environ, speed=speed))

    with logging_to_stderr("info", "text"):
        return until_stopped(serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
