"""What is installed is what the project needs, and nothing of its surroundings."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_every_file_of_both_packages(wheel_names):
    for base, package in ((ROOT, "posturewatch"), (ROOT / "simulators", "posturewatch_sim")):
        for path in (base / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(base).as_posix() in wheel_names


def test_wheel_holds_nothing_else_but_the_samples_of_configuration_and_the_manual_pages(wheel_names):
    rooms = {name.split("/")[0] for name in wheel_names}
    code = {room for room in rooms if not room.endswith((".dist-info", ".data"))}
    assert code == {"posturewatch", "posturewatch_sim"}
    data = {name.partition(".data/data/share/")[2] for name in wheel_names if ".data/" in name}
    brought = (("posturewatch", ROOT / "config"), ("man/man1", ROOT / "docs/man"))
    assert data == {f"{to}/{p.relative_to(room)}" for to, room in brought for p in room.rglob("*") if p.is_file()}


def test_what_the_program_needs_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["broker"]]
    for requirement in wanted:
        name = requirement.split(">")[0].split("=")[0]
        assert name in locked
