"""The tests on a real BlueZ need a virtual machine; where it cannot be had, that is told and fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "sudo apt-get install --no-install-recommends qemu-system-x86 dbus"


def run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "bluez_vm"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_package_manager_the_packages_are_named(tmp_path):
    result = run(tmp_path)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == f"bluez_vm: no virtual machine: missing: qemu-system-x86, dbus; on Debian: {INSTALL}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_a_failed_installation_fails_and_shows_why(tmp_path):
    fake = tmp_path / "apt-get"
    fake.write_text('#!/bin/sh\n[ "$1" = update ] || { echo "no network"; exit 100; }\n')
    fake.chmod(0o755)
    result = run(tmp_path)
    assert result.returncode == 3
    assert "no network\n" in result.stderr
    assert result.stderr.endswith(f"on Debian: {INSTALL}\n")
