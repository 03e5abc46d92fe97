"""Files and modules that pages, comments and docstrings name are there, where they are said to be."""

from __future__ import annotations

import re
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPS = (ROOT, ROOT / "posturewatch", ROOT / "simulators", ROOT / "simulators/posturewatch_sim", ROOT / "config")
CODE = sorted(
    chain.from_iterable((ROOT / room).rglob("*.py") for room in ("posturewatch", "simulators", "tests", "benchmarks"))
)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
EVERYWHERE = {path.name for path in CODE}
# `folder/file.py`, with or without quotes; `file.py` and `folder/` only in them.  NAME is for the reader to put in.
NAMED = re.compile(r"(?<![\w/.~-])((?:[\w.-]+/)+\w+\.(?:py|md))\b|`(\w+\.py)`|`((?:[a-z_]+/)+)`")
RUN = re.compile(r"-m (posturewatch(?:_sim)?[\w.]*)")
OTHERS = {
    "tools/score.py",  # beside the recordings of real wearers
    "conftest.py",  # the reader's own
    "blueprints/automation/posturewatch/",  # in Home Assistant
    "sensors/",  # beside the reader's configuration
}


def find_missing(path: Path, text: str) -> list[str]:
    """What a file names and is not there: from its own folder, from the top or from a package."""
    missing = []
    for match in NAMED.finditer(text):
        name = next(filter(None, match.groups()))
        if name in OTHERS or "NAME" in name:
            continue
        anywhere = path.suffix == ".md" and "/" not in name and name in EVERYWHERE
        if not (anywhere or any((top / name).exists() for top in (path.parent, *TOPS))):
            missing.append(name)
    return missing + [name for name in RUN.findall(text) if find_spec(name.rstrip(".")) is None]


@pytest.mark.parametrize("path", [*PAGES, *CODE], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_is_there(path):
    if path not in (Path(__file__), ROOT / "tests/process/test_docs_run.py"):  # which make names up
        assert find_missing(path, path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`sources/ble.py` and `sources/ble/`", ["sources/ble.py"]),
        ("(core/reminding.py)", ["core/reminding.py"]),
        ("`broker.py` of `checks/`", ["broker.py"]),
        ("`clock.py`, `core/wear.py`, `posturewatch/rules/`", []),
        ("`python -m posturewatch.messages docs/schemas`", ["posturewatch.messages"]),
        ("`python -m posturewatch.publishing.messages docs/schemas`", []),
    ],
)
def test_a_name_of_former_days_would_be_found(text, missing):
    assert find_missing(ROOT / "posturewatch/app.py", text) == missing
