"""Manual pages say what the command line says, and groff reads them without a complaint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from posturewatch.cli import group

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    """Each page by its name."""
    folder = tmp_path_factory.mktemp("man")
    script = [sys.executable, str(ROOT / "scripts/write_man_pages"), str(folder)]
    subprocess.run(script, check=True, capture_output=True, cwd=folder)
    return {path.name: path.read_text("utf-8") for path in folder.iterdir()}


def test_there_is_a_page_for_each_command(pages):
    wanted = {f"posturewatch-{name}.1" for name in group.list_commands(None)}
    assert wanted | {"posturewatch.1"} <= set(pages)
    assert all(f"posturewatch\\-{name.split('-', 1)[1][:-2]}" in pages[name].replace(" ", "\\-") for name in wanted)


def test_the_pages_that_the_wheel_brings_along_are_in_step(pages):
    kept = {path.name: path.read_text("utf-8") for path in (ROOT / "docs/man").iterdir()}
    assert kept == pages, "run: make man, or python scripts/write_man_pages"


def test_options_and_titles_are_in_it(pages):
    assert r"\fB\-\-scenario\fP" in pages["posturewatch-demo.1"]
    assert "..." not in pages["posturewatch.1"].partition("SH COMMANDS")[2]
    assert "wellness tool, not a medical device" in pages["posturewatch.1"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed: apt-get install groff")
def test_groff_has_nothing_to_complain_of(pages):
    for name, text in pages.items():
        said = subprocess.run(
            ["groff", "-man", "-ww", "-Tascii"], input=text, capture_output=True, text=True, check=True
        )
        assert said.stderr == "", name
