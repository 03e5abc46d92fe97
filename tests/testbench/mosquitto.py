"""A real mosquitto on a port of its own; can be killed, frozen and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from testbench.ports import answers, free_port
from testbench.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
NO_MOSQUITTO = "mosquitto is not installed: apt-get install mosquitto"


def write_configuration(folder: Path, port: int, more: str = "") -> Path:
    """A broker on this machine only, without a memory of its own; for everybody, unless `more` says who."""
    user = "user root\n" if os.geteuid() == 0 else ""  # else it drops its rights and cannot read our folder
    access = "" if "allow_anonymous" in more else "allow_anonymous true\n"
    path = folder / f"mosquitto-{port}.conf"
    path.write_text(f"{user}listener {port} 127.0.0.1\n{access}persistence false\n{more}\n")
    return path


class Mosquitto:
    """One process at a time."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """Not started yet."""
        self.port = free_port()
        self.config = write_configuration(folder, self.port, more)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None, NO_MOSQUITTO
        command = [MOSQUITTO, "-c", str(self.config)]
        self.process = process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: answers(self.port) or process.poll() is not None)
        assert process.poll() is None, f"mosquitto does not start: {self.config.read_text()}"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
