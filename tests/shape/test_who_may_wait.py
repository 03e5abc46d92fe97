"""Who may import asyncio is written down for newcomers, and true; what only computes imports nothing that waits."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "posturewatch"
PURE = (*PACKAGE.glob("publishing/*.py"), *PACKAGE.glob("home_assistant/*.py"), *PACKAGE.glob("core/**/*.py"))
PURE += tuple(PACKAGE / "requests" / name for name in ("commands.py", "conditions.py"))
# presets are read from files, and checked by models
SEAM = {"preset_files.py", "preset_model.py", "__init__.py"}
WAITING = {"asyncio", "bleak", "logging", "os", "pathlib", "random", "socket", "subprocess", "threading", "time"}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, but for type checkers, and for being run by itself."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module.partition(".")[0])
    return found


def test_the_list_of_those_who_may_import_asyncio_is_the_tree_s() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    told = re.search(r"- \*\*asyncio\*\* may be imported by(.*?); never by", text, re.DOTALL)
    assert told is not None
    listed = {name.rstrip("/") for name in re.findall(r"`([a-z_]+(?:\.py|/))`", told.group(1))}
    waits = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py") if "asyncio" in imports(path)} - {
        "cli"
    }  # the list calls them the commands
    assert listed == waits


def test_every_room_is_on_the_map_and_the_map_shows_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = {name.removeprefix("posturewatch/").rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    there = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    there |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert there <= told
    assert [name for name in told if not ((PACKAGE / name).exists() or (ROOT / name).exists())] == []


@pytest.mark.parametrize(
    "path",
    [*PURE, *(p for p in (PACKAGE / "drivers").glob("*.py") if p.name not in SEAM)],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_what_only_computes_imports_nothing_that_waits(path: Path) -> None:
    assert imports(path) & WAITING == set()
