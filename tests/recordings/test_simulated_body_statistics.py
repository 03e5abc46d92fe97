"""The committed ranges of human movement follow from the recordings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_ranges_are_those_of_the_recordings(recordings: Path) -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "body_statistics.py", recordings],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(made.stdout) == json.loads((ROOT / "tests" / "golden" / "body_ranges.json").read_text())
