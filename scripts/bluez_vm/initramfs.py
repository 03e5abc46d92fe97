"""The first file system of the guest: a static busybox, some kernel modules in their order, and a script.

Byte layout: "new ASCII" cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packages import Unpacked

# What to load; what these need in turn is written in them.  A module that is built into the kernel has no file.
WANTED = (
    # First: the self-test of ecdh draws random numbers, and without it pairing has no public keys.
    *("sha512_generic", "sha3_generic", "ctr", "jitterentropy_rng", "drbg"),
    # The host's root, and a layer to write on.
    *("virtio_pci", "virtio_rng", "9pnet_virtio", "9p", "overlay"),
    # The Bluetooth of the kernel, with the virtual controller and its cryptography.
    *("ecb", "cmac", "ecdh_generic", "bluetooth", "hci_vhci"),
    # What bluetoothd asks the kernel for.
    *("algif_hash", "algif_skcipher", "uhid"),
)
FOLDER, PROGRAM, DATA = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
SCRIPT = Path(__file__).with_name("initramfs_init")


class Entry(NamedTuple):
    name: str
    mode: int
    content: bytes = b""


def build(unpacked: Unpacked, target: Path) -> None:
    """Write the compressed archive."""
    modules = find_modules(unpacked.folder / "kernel")
    order = "".join(f"{name}\n" for name in modules)
    entries = [
        *(Entry(name, FOLDER) for name in ("bin", "modules")),
        Entry("init", PROGRAM, SCRIPT.read_bytes()),
        Entry("bin/busybox", PROGRAM, unpacked.find("bin/busybox").read_bytes()),
        Entry("modules/order", DATA, order.encode()),
        *(Entry(f"modules/{name}.ko", DATA, content) for name, content in modules.items()),
    ]
    target.write_bytes(gzip.compress(pack(entries), 1))


def find_modules(folder: Path) -> dict[str, bytes]:
    """The wanted modules and what they need, in the order in which they can be loaded."""
    files = {path.name.partition(".")[0].replace("-", "_"): path for path in folder.glob("*.ko*")}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found or name not in files:
            return
        content = read_module(files[name])
        for needed in needs(content):
            add(needed)
        found[name] = content

    for name in WANTED:
        add(name)
    return found


def read_module(path: Path) -> bytes:
    """As the kernel of this release takes it: newer Debian compresses them."""
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def needs(module: bytes) -> list[str]:
    """The modules that one names in its own description, so that no list of dependencies has to be made."""
    named = re.search(rb"\0depends=([^\0]*)\0", module)
    names = named[1].decode().split(",") if named else []
    return [name.replace("-", "_") for name in names if name]


def pack(entries: Iterable[Entry]) -> bytes:
    """A cpio archive."""
    archive = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        size, owner, links = len(entry.content), (0, 0), 1
        fields = (number, entry.mode, *owner, links, 0, size, 0, 0, 0, 0, len(name), 0)
        archive += b"070701" + "".join(f"{field:08X}" for field in fields).encode() + name
        archive += bytes(-len(archive) % 4)
        archive += entry.content
        archive += bytes(-len(archive) % 4)
    return bytes(archive)
