"""The core stays pure, the simulator stays apart, one file speaks to each library; and the check can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the tree at `root`, not on the installed one."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'simulators'}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.toml")
    shutil.copytree(ROOT / "posturewatch", root / "posturewatch", ignore=ignored)
    shutil.copytree(ROOT / "simulators", root / "simulators", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_contracts_are_kept():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("posturewatch/core/body.py", "import time", "pure"),
        ("posturewatch/rules/__init__.py", "import random", "pure"),
        ("posturewatch/types.py", "import posturewatch.clock", "pure"),
        ("posturewatch/drivers/polar_frames.py", "import time", "Decoding"),
        ("simulators/posturewatch_sim/__init__.py", "import posturewatch.core.body", "simulator"),
        ("posturewatch/clock.py", "import aiomqtt", "MQTT"),
        ("posturewatch/clock.py", "import bleak", "Bluetooth"),
        ("posturewatch/clock.py", "import bumble", "virtual radio"),
        ("simulators/posturewatch_sim/wearing.py", "import bumble", "virtual radio"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(copy, path, line, contract):
    file = copy / path
    text = file.read_text()
    after_future = "from __future__ import annotations\n"
    file.write_text(text.replace(after_future, f"{after_future}{line}\n", 1) if after_future in text else text + line)
    try:
        result = lint(copy)
    finally:
        file.write_text(text)
    assert result.returncode == 1, result.stdout
    broken = [found for found in result.stdout.splitlines() if " BROKEN" in found]
    assert any(contract in found for found in broken), result.stdout
