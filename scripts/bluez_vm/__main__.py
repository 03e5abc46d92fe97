"""Run the tests of tests/bluez on a real BlueZ and a real kernel, in a small virtual machine.

    .venv/bin/python scripts/bluez_vm [ARGUMENTS OF PYTEST]

The guest has no disk: its root is the host's, read only, with a layer of memory on top, so the interpreter, the
virtual environment and the checkout are simply there.  Its controllers are /dev/vhci, moved by the simulator.  The
exit code is that of pytest; 3 when the machine could not be had or did not come to an end.
"""

from __future__ import annotations

import compileall
import hashlib
import shlex
import sys
import time
from pathlib import Path

from initramfs import SCRIPT, build
from machine import LIMIT_S, Machine
from packages import Unavailable, Unpacked, ensure_programs, unpack

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "bluez_vm"
UNAVAILABLE = 3


def main(arguments: list[str]) -> int:
    """Set up what is missing, boot, test, report."""
    began_s = time.monotonic()
    try:
        ensure_programs()
        unpacked = unpack(CACHE / "packages")
        machine = Machine(unpacked, ensure_initramfs(unpacked), CACHE / "exchange")
        compile_sources()
        say(f"booting after {time.monotonic() - began_s:.0f} s")
        code = machine.run(
            {"CHECKOUT": str(ROOT), "PYTHON": sys.executable, "PYTEST_ARGUMENTS": shlex.join(arguments), **MARK}
        )
    except Unavailable as wrong:
        say(f"no virtual machine: {wrong}")
        return UNAVAILABLE
    took_s = time.monotonic() - began_s
    if code != 0:
        say(f"the guest's logs, also in {machine.exchange}:\n{machine.logs()}")
    if code is None:
        say(f"the guest did not come to an end; the limit is {LIMIT_S:.0f} s")
        return UNAVAILABLE
    say(f"pytest ended with {code}, {took_s:.0f} s in all")
    return code


# Tells the tests that they are in the guest.
MARK = {"POSTUREWATCH_BLUEZ_VM": "1"}


def ensure_initramfs(unpacked: Unpacked) -> Path:
    """The archive for these packages and this code."""
    sources = (SCRIPT, Path(__file__).with_name("initramfs.py"), unpacked.folder / "complete")
    fingerprint = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = CACHE / f"initramfs-{fingerprint}.img"
    if not target.exists():
        for old in CACHE.glob("initramfs-*.img"):
            old.unlink()
        build(unpacked, target)
    return target


def compile_sources() -> None:
    """Byte code now, on a fast processor, instead of at every start in the emulated one."""
    for folder in ("posturewatch", "simulators"):
        compileall.compile_dir(ROOT / folder, quiet=1)


def say(text: str) -> None:
    """For people; standard output belongs to the tests."""
    sys.stderr.write(f"bluez_vm: {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
