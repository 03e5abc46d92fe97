"""One run of the virtual machine: the host's root read only below, a folder shared both ways, an exit code."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packages import SBIN, Unavailable, Unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 600.0
GUEST_MARGIN_S = 45.0  # the guest stops its tests so much earlier, to be able to say what happened
POLL_S = 0.2
INIT = Path(__file__).with_name("guest_init")
# The system bus of Debian, and what BlueZ allows whom on it.
BUS = """<busconfig>
  <include>{bus}</include>
  <includedir>{unpacked}/etc/dbus-1/system.d</includedir>
  <includedir>{unpacked}/usr/share/dbus-1/system.d</includedir>
</busconfig>
"""
DEBIAN_BUS = Path("/usr/share/dbus-1/system.conf")
LOGS = ("serial.log", "guest.log", "bluetoothd.log", "kernel.log")


@dataclass(frozen=True, slots=True)
class Machine:
    unpacked: Unpacked
    initramfs: Path
    exchange: Path  # both sides read and write here
    limit_s: float = LIMIT_S

    def run(self, environment: Mapping[str, str]) -> int | None:
        """Boot, show what the tests print, and wait for the end; the exit code, or None if there was none in time."""
        self._prepare(environment)
        with subprocess.Popen(self._command(), stdin=subprocess.DEVNULL) as qemu:
            try:
                self._follow(qemu)
            finally:
                qemu.kill()
        code = self.exchange / "exit_code"
        return int(code.read_text()) if code.exists() else None

    def logs(self) -> str:
        """What the guest said, apart from the tests."""
        texts = [(name, self.exchange / name) for name in LOGS]
        return "".join(f"--- {name}\n{_tail(path)}" for name, path in texts if path.exists())

    def _prepare(self, environment: Mapping[str, str]) -> None:
        shutil.rmtree(self.exchange, ignore_errors=True)
        self.exchange.mkdir(parents=True)
        shutil.copy(INIT, self.exchange)
        if not DEBIAN_BUS.exists():
            raise Unavailable(f"{DEBIAN_BUS} is missing: reinstall the package dbus")
        (self.exchange / "bus.conf").write_text(BUS.format(bus=DEBIAN_BUS, unpacked=self.unpacked.folder))
        self._offer("bluetoothctl")  # bleak asks it for the version of BlueZ
        given = {
            "BUSYBOX": str(self.unpacked.find("bin/busybox")),
            "BLUETOOTHD": str(self.unpacked.find("bluetooth/bluetoothd")),
            "BLUETOOTHD_LIBRARIES": self.unpacked.library_path,
            "SIMULATOR": "/run/simulator",
            "TESTS_S": f"{self.limit_s - GUEST_MARGIN_S:.0f}",
            **environment,
        }
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items())
        (self.exchange / "environment").write_text(text)

    def _offer(self, name: str) -> None:
        """A program of the packages, with their libraries, in the path of the guest."""
        program, libraries = self.unpacked.find(f"bin/{name}"), self.unpacked.library_path
        start = self.exchange / "bin" / name
        start.parent.mkdir(exist_ok=True)
        start.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec {shlex.quote(str(program))} "$@"\n')
        start.chmod(0o755)

    def _command(self) -> list[str]:
        program = shutil.which("qemu-system-x86_64", path=SBIN)
        if program is None:
            raise Unavailable("qemu-system-x86_64 is not installed")
        kernel = max(path for path in (self.unpacked.folder / "kernel").glob("vmlinuz-*"))
        exchange = str(self.exchange).replace(",", ",,")  # as qemu wants it
        share = "local,security_model=none,multidevs=remap"
        return [
            *(program, "-M", "q35", *_acceleration(), "-smp", "2", "-m", "1024"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{self.exchange}/serial.log"),
            *("-kernel", str(kernel), "-initrd", str(self.initramfs)),
            *("-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on"),
            *("-virtfs", f"{share},path=/,mount_tag=host,readonly=on"),
            *("-virtfs", f"{share},path={exchange},mount_tag=exchange"),
            *("-device", "virtio-rng-pci"),
        ]

    def _follow(self, qemu: subprocess.Popen[bytes]) -> None:
        """Print the tests' output as it comes, until the machine is off or the time is up."""
        deadline_s = time.monotonic() + self.limit_s
        printed = 0
        output = self.exchange / "pytest.log"
        running = True
        while running and time.monotonic() < deadline_s:
            running = qemu.poll() is None
            text = output.read_bytes()[printed:] if output.exists() else b""
            printed += len(text)
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
            time.sleep(POLL_S)


def _acceleration() -> list[str]:
    """The processor's own virtualisation where the kernel has its module; else emulation, which is enough.

    `/dev/kvm` alone proves nothing: there are software ones, under which an ordinary kernel never ends booting.
    """
    real = any(Path("/sys/module", name).is_dir() for name in ("kvm_intel", "kvm_amd"))
    if real and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    # What libraries choose because it is fast on a real processor is slow in an emulated one: it is not offered.
    return ["-accel", "tcg", "-cpu", "max,avx=off,avx2=off,erms=off,fsrm=off"]


def _tail(path: Path, lines: int = 40) -> str:
    return "".join(path.read_text("utf-8", "replace").splitlines(keepends=True)[-lines:])
