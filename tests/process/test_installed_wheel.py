"""What people install: both archives are built, and the wheel works in an environment that knows no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 1_000_000
CONFIGURATION = '[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "{id}"\nplacement = "chest"\n{more}\n'


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> Path:
    """A folder with the wheel, made from the unpacked source archive as packagers make it."""
    folder = tmp_path_factory.mktemp("archives")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / source.name.removesuffix(".tar.gz")
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    (path,) = archives.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment: the wheel, and the dependencies that are here already."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*install, "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)
    (here,) = folder.glob("lib/python*/site-packages")
    (here / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # its own .pth files do not count
    return folder / "bin"


@pytest.fixture
def run(installed: Path, tmp_path: Path):
    """Calls an installed program far from the checkout."""

    def call(*words: str, program: str = "posturewatch", code: int = 0, said: str | None = None) -> str:
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
        done = subprocess.run(
            [str(installed / program), *words],
            cwd=tmp_path,
            env=environ,
            input=said,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    return call


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < MOST_BYTES


def test_the_source_archive_has_what_is_needed_to_build_and_test(archives):
    (source,) = archives.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "Makefile",
        "requirements-dev.lock",
        "scripts/setup_venv",
    } <= names
    assert "tests/process/test_installed_wheel.py" in names
    rooms = {name.split("/")[0] for name in names}
    assert rooms & {".venv", "build", "dist", ".git", ".mypy_cache"} == set()


def test_it_is_the_installed_code_that_runs(run, installed):
    place = run("-c", "import posturewatch, posturewatch_sim; print(posturewatch.__file__)", program="python").strip()
    assert Path(place).is_relative_to(installed.parent)
    assert "  demo " in run("--help")


def test_presets_and_scenarios_are_inside(run):
    assert json.loads(run("decode", "microbit", "000000000004", "--json"))["samples_g"] == [[0.0, 0.0, -1.0]]
    told = json.loads(run("simulate", "--list", "--json"))
    assert "office-day" in {scene["name"] for scene in told["scenarios"]}
    assert "polar_h10" in {sensor["device"] for sensor in told["devices"]}


def test_a_configuration_is_checked_described_and_run(run, tmp_path):
    path = tmp_path / "my.toml"
    more = 'source = "ble"\nfamily = "microbit"\naddress = "C0:5E:00:00:00:01"'  # of a preset
    path.write_text(CONFIGURATION.format(id="badge", more=more))
    assert "right; wearers: 1, sensors: 1" in run("config", "check", "my.toml")
    assert "right" in run("run", "--check", "--config", "my.toml")
    assert json.loads(run("config", "schema"))["title"] == "Config"
    path.write_text(CONFIGURATION.format(id="badge", more="colour = 1"))
    run("config", "check", "my.toml", code=2)


def test_a_simulated_day_is_written_replayed_and_scored(run):
    run("simulate", "walk-at-28", "--seed", "7", "--out", "day.csv", "--truth", "truth.jsonl")
    said = run("replay", "day.csv", "--placement", "chest", "--format", "jsonl")
    assert [json.loads(line)["rule"] for line in said.splitlines() if '"reminder"' in line] == ["static"]
    assert "reminders_on_time" in run("score", "truth.jsonl", "-", "--json", said=said)


def test_the_demo_shows_a_cycle(run):
    lines = [json.loads(line) for line in run("demo", "--once", "--json", "--speed", "300").splitlines()]
    assert any(line["topic"].endswith("/reminder") for line in lines)


def test_samples_of_configuration_and_manual_pages_come_along(installed):
    shared = installed.parent / "share/posturewatch"
    assert (shared / "home-assistant/dashboard.yaml").is_file()
    assert list((shared / "home-assistant/blueprints").glob("*.yaml"))
    assert (shared / "mosquitto/posturewatch.acl").is_file()
    assert (installed.parent / "share/man/man1/posturewatch-demo.1").is_file()


def test_every_requirement_is_met_by_the_lock_and_by_what_is_installed(installed):
    (folder,) = installed.parent.glob("lib/python*/site-packages/posturewatch-*.dist-info")
    told = HeaderParser().parsestr((folder / "METADATA").read_text("utf-8"))
    lines = (ROOT / "requirements-dev.lock").read_text().splitlines()
    locked = dict(line.partition(" ;")[0].split("==") for line in lines)
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    assert set(told.get_all("Provides-Extra")) == extras
    for text in told.get_all("Requires-Dist"):
        wanted = Requirement(text)
        for extra in extras:
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                assert wanted.name in locked, f"{text}: not in the lock file; make lock"
                assert wanted.specifier.contains(locked[wanted.name]), f"{text}: locked is {locked[wanted.name]}"
                assert wanted.specifier.contains(metadata.version(wanted.name)), text
