"""What all tests share: the recordings of real wearers, if they are here, and a closing line that counts the rest."""

from __future__ import annotations

import importlib.util
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

hypothesis.settings.register_profile("shared_machine", deadline=None, print_blob=True)
hypothesis.settings.load_profile("shared_machine")

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS_ABSENT = "the recordings of real wearers are not here: set POSTUREWATCH_RECORDINGS to their folder"
BLUEZ_ELSEWHERE = "they run on a real BlueZ in a virtual machine: make test-bluez"
LEFT_OUT = pytest.StashKey[list[str]]()


def find_recordings() -> Path | None:
    """The folder of the recordings, which are not part of the project."""
    named = os.environ.get("POSTUREWATCH_RECORDINGS")
    folder = Path(named) if named else ROOT.parent / "shared" / "data" / "recordings"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of the recordings; skips, loudly, where there is none."""
    folder = find_recordings()
    if folder is None:
        pytest.skip(RECORDINGS_ABSENT)
    return folder


def pytest_report_header() -> str:
    """Which code is tested."""
    return f"posturewatch: {find_posturewatch()}"


def pytest_configure() -> None:
    """Tests of the wheel never test the sources by mistake."""
    if os.environ.get("POSTUREWATCH_TESTED") == "wheel" and ROOT / "posturewatch" in find_posturewatch().parents:
        raise pytest.UsageError(f"not the wheel but {find_posturewatch()} would be tested: make test-wheel")


def find_posturewatch() -> Path:
    """The file that `import posturewatch` reads."""
    found = importlib.util.find_spec("posturewatch")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Ask for new golden files."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; read the difference")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in tests/recordings need the recordings, marked or not."""
    for item in items:
        if ROOT / "tests" / "recordings" in item.path.parents:
            item.add_marker("recordings")


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember what the virtual machine has to test, for the closing line."""
    for item in items:
        if item.get_closest_marker("bluez"):
            item.config.stash.setdefault(LEFT_OUT, []).append(BLUEZ_ELSEWHERE)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs the recordings where they are not."""
    if item.get_closest_marker("recordings") and find_recordings() is None:
        pytest.skip(RECORDINGS_ABSENT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Of several workers each leaves out the same tests."""
    node.config.stash[LEFT_OUT] = node.workeroutput.get("left_out", []) if hasattr(node, "workeroutput") else []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """The very last line: how many tests were skipped or left to another run, and why."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, [])
    outcome = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not session.config.option.collectonly:
        skipped = reporter.stats.get("skipped", [])
        reasons = [str(report.longrepr[2]) for report in skipped]
        reporter.write_line(describe_skipped(reasons + session.config.stash.get(LEFT_OUT, [])))
    return outcome


def describe_skipped(reasons: list[str]) -> str:
    """One line that counts the skipped tests by reason."""
    if not reasons:
        return "not run: nothing, every test ran"
    counts = Counter(re.sub(r"^Skipped: ", "", reason) for reason in reasons)
    parts = [f"{count} because {reason}" for reason, count in counts.most_common()]
    return f"not run: {len(reasons)} tests; " + "; ".join(parts)
