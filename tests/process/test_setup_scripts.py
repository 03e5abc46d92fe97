"""What `make` does on a machine where something is missing: it helps itself as root, else says what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A copy of what the set-up reads, with a `bin` that comes first in the path."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def install(machine: Path, name: str, body: str) -> Path:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def run(machine: Path, script: str, *arguments: str, python: Path | str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", machine / "scripts" / script, *arguments],
        env={"PATH": f"{machine / 'bin'}:/usr/bin:/bin", "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def install_python_without_venv(machine: Path) -> Path:
    broken = '[ "$1 $2" = "-m venv" ] && { echo "ensurepip is not available"; exit 1; }'
    return install(machine, "python-bare", f'{broken}\nexec {sys.executable} "$@"')


@pytest.mark.parametrize("name", ["old", "absent"])
def test_unsuitable_interpreter_is_told(machine, name):
    install(machine, "old", "exit 1")  # what `sys.exit(version < (3, 11))` comes to
    python = machine / "bin" / name
    result = run(machine, "setup_venv", "run", python=python)
    assert result.returncode == 3
    assert result.stderr == f"setup: PYTHON={python} is not a Python 3.11 or newer\n"


def test_without_root_the_missing_package_is_named(machine):
    install(machine, "id", "echo 1000")
    result = run(machine, "setup_venv", "run", python=install_python_without_venv(machine))
    assert result.returncode == 3
    assert "ensurepip is not available" in result.stderr
    assert result.stderr.endswith(f"on Debian and Ubuntu: sudo apt-get install python{VERSION}-venv\n")


def test_root_installs_the_missing_package_and_tells_if_that_fails(machine):
    install(machine, "id", "echo 0")
    install(machine, "apt-get", f'echo "$@" >>{machine}/asked\n[ "$1" = update ] || {{ echo "no network"; exit 100; }}')
    result = run(machine, "setup_venv", "run", python=install_python_without_venv(machine))
    assert result.returncode == 3
    assert "no network" in result.stderr
    assert (machine / "asked").read_text().splitlines() == [
        "update",
        f"install -y --no-install-recommends python{VERSION}-venv",
    ]


def test_root_without_mosquitto_installs_it(machine):
    install(machine, "id", "echo 0")
    made = machine / "bin" / "mosquitto"
    all_made = f"{made} {made}_sub {made.parent}/dbus-daemon {made.parent}/openssl"
    making = f'for made in {all_made}; do echo "#!/bin/sh" >$made; chmod +x $made; done'
    install(machine, "apt-get", f'[ "$1" = update ] || {{ {making}; }}')
    result = run(machine, "ensure_test_servers")
    assert (result.returncode, made.exists()) == (0, True)
    assert "left out" not in result.stderr


@pytest.mark.parametrize("user", [0, 1000])
def test_what_the_tests_leave_out_without_mosquitto_is_told_loudly(machine, user):
    install(machine, "id", f"echo {user}")
    install(machine, "apt-get", "echo no network; exit 100")
    result = run(machine, "ensure_test_servers")
    assert result.returncode == 0  # the other tests can still run
    assert "left out: access lists, restart, freeze, refusal" in result.stderr
    assert "without dbus desktop notifications" in result.stderr
    assert ("no network" in result.stderr) == (user == 0)


@pytest.mark.parametrize(
    ("purpose", "installed"),
    [("run", ["-e .[broker]"]), ("test", ["-r requirements-dev.lock", "--no-deps -e ."])],
)
def test_a_demonstration_installs_less_than_the_tests_and_a_second_time_nothing(machine, purpose, installed):
    asked = machine / "asked"
    notes = f'"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;; "-m pip") echo "$@" >>{asked} ;;'
    python = install(machine, "python-noting", f'case "$1 $2" in {notes} *) exec {sys.executable} "$@" ;; esac')
    for _ in range(2):
        assert run(machine, "setup_venv", purpose, python=python).returncode == 0
    said = [line.partition(" install ")[2] for line in asked.read_text().splitlines() if " install " in line]
    assert said == installed
