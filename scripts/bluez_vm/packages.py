"""What the virtual machine is made of: Debian packages, downloaded and unpacked beside each other, never installed.

Only the emulator and the message bus are installed, if they are missing.  BlueZ on the host would start a service;
unpacked into a folder of ours it only runs where we start it, in the guest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "dbus-daemon": "dbus"}
KERNEL = "linux-image-amd64"  # the cloud kernel has no Bluetooth
TOOLS = ("busybox-static", "bluez")
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
INSTALL = f"sudo apt-get install --no-install-recommends {' '.join(PROGRAMS.values())}"
APT_S = 300.0  # one call of it

# Of 400 MB of kernel modules: those that Bluetooth, its cryptography and a root over 9p can need.
MODULE_FOLDERS = re.compile(
    r"/kernel/(?:net/(?:bluetooth|9p|rfkill)|fs/(?:9p|netfs|fscache|overlayfs)"
    r"|drivers/(?:bluetooth|virtio|hid|char/hw_random)|lib|crypto)/"
)
# Libraries of the packages' own release; the host's C library serves as it is.
DEPENDENCY = re.compile(r"^ *\|?(?:Pre)?Depends: ([^<\s]+)$", re.MULTILINE)
LIBRARY = re.compile(r"^(?:lib(?!c6|gcc|crypt1|c-)|zlib1g)")


class Unavailable(Exception):
    """The machine cannot be had here; the message says what would help."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where the packages' content lies."""

    folder: Path

    def find(self, ending: str) -> Path:
        """The one file whose path ends so, wherever this release of Debian keeps it."""
        found = sorted(path for path in self.folder.rglob(ending) if path.is_file())
        if not found:
            raise Unavailable(f"{self.folder} holds no {ending}: remove the folder, so that it is made anew")
        return found[-1]

    @property
    def library_path(self) -> str:
        """For the loader, when it starts a program of these packages."""
        return ":".join(str(self.folder / part / "x86_64-linux-gnu") for part in ("usr/lib", "lib"))


def ensure_programs() -> None:
    """Install the emulator and the message bus where they are missing, or say how to."""
    missing = [package for name, package in PROGRAMS.items() if shutil.which(name, path=SBIN) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable(f"missing: {', '.join(missing)}; on Debian: {INSTALL}")
    _apt("apt-get", "update", "-q")
    _apt("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


def unpack(folder: Path) -> Unpacked:
    """Kernel, modules, BlueZ and its libraries in `folder`; at once when they are there."""
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        downloads = folder / "downloads"
        downloads.mkdir(parents=True)
        names = _download(downloads)
        for package in sorted(downloads.glob("*.deb")):
            (_unpack_kernel if package.name.startswith("linux-image") else _unpack_all)(package, folder)
        shutil.rmtree(downloads)
        complete.write_text("".join(f"{name}\n" for name in names))
    return Unpacked(folder)


def _download(folder: Path) -> list[str]:
    if shutil.which("apt-cache") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable(f"kernel and BlueZ come as Debian packages (amd64); run this on Debian, after: {INSTALL}")
    if not _depends(KERNEL):  # no package lists yet, as in a fresh container
        _apt("apt-get", "update", "-q")
    kernel = next((name for name in _depends(KERNEL) if name.startswith("linux-image-")), None)
    if kernel is None:
        raise Unavailable(f"the package lists have no {KERNEL}: it takes Debian on amd64, and apt-get update")
    names = [kernel, *TOOLS, *_libraries("bluez")]
    _apt("apt-get", "download", "-q", *names, folder=folder)
    return names


def _libraries(name: str) -> list[str]:
    """The libraries that a package needs, and those that they need."""
    found: list[str] = []
    asked = [name]
    while asked:
        new = [each for each in _depends(asked.pop()) if LIBRARY.match(each) and each not in found]
        found += new
        asked += new
    return found


def _depends(name: str) -> list[str]:
    """Names of the real packages that one needs directly."""
    leave_out = ("--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances")
    listing = subprocess.run(
        ["apt-cache", "depends", *leave_out, name],
        capture_output=True,
        text=True,
        check=False,
        timeout=APT_S,
    )
    return sorted(set(DEPENDENCY.findall(listing.stdout)))


def _apt(*command: str, folder: Path | None = None) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        result = subprocess.run(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=APT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:2])} did not end within {APT_S:g} s; is the network there?") from None
    if result.returncode:
        last = (result.stdout + result.stderr).decode("utf-8", "replace").strip().splitlines()[-5:]
        raise Unavailable(f"{' '.join(command)} failed:\n" + "\n".join(last) + f"\non Debian: {INSTALL}")


def _unpack_all(package: Path, folder: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True, timeout=APT_S)


def _unpack_kernel(package: Path, folder: Path) -> None:
    """The kernel, and of its modules the folders that can matter."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as stream:
        assert stream.stdout is not None
        for name, content in _kernel_files(stream.stdout):
            path = folder / "kernel" / Path(name).name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.read())


def _kernel_files(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            is_module = ".ko" in member.name and MODULE_FOLDERS.search(member.name)
            if (is_module or "boot/vmlinuz-" in member.name) and (content := archive.extractfile(member)) is not None:
                yield member.name, content
