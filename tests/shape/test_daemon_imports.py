"""What the daemon may import: it runs for months on small machines, and starts in a moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

import pytest

OUTSIDE = {
    "aiomqtt",
    "annotated_types",
    "click",
    "numpy",
    "paho",
    "platformdirs",
    "posturewatch",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
    "tzdata",
}

LIST = """
import json, sys
before = set(sys.modules)
from posturewatch import app, clock, config, sinks
from posturewatch.terminal import log_output
from posturewatch.cli import run
from posturewatch.sources import mqtt
sinks.discover()
own = set(sys.stdlib_module_names) | {name.split(".")[0] for name in before}
found = {name.split(".")[0] for name in sys.modules if not name.startswith("_sysconfigdata")}
print(json.dumps(sorted(found - own)))
"""


def test_the_daemon_imports_what_is_named_here_and_nothing_else():
    said = subprocess.run([sys.executable, "-c", LIST], check=True, capture_output=True, text=True).stdout
    assert set(json.loads(said)) - OUTSIDE == set()


# The daemon itself, until it is told to end; then what it loaded.
RUN = """
import atexit, json, sys
before = set(sys.modules)
from posturewatch.cli import main
atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) - before))))
main()
"""
BLUETOOTH = """
[broker]
host = "127.0.0.1"
port = 1
[[wearer]]
id = "me"
[[wearer.sensor]]
id = "chest"
placement = "chest"
source = "ble"
family = "polar"
address = "A0:9E:1A:00:00:01"
"""


def test_a_daemon_that_looks_for_a_bluetooth_sensor_imports_one_library_more(tmp_path):
    path = tmp_path / "posturewatch.toml"
    path.write_text(f'[storage]\nfolder = "{tmp_path}/kept"\n{BLUETOOTH}')
    environ = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(tmp_path),
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/bus",  # and BlueZ behind it: there is none
    }
    command = [sys.executable, "-c", RUN, "run", "--config", str(path)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            looked = next((line for line in daemon.stderr if " bluetooth: " in line), "")
        finally:
            daemon.send_signal(signal.SIGTERM)
        told, _ = daemon.communicate(timeout=20)
    assert "no D-Bus system bus" in looked
    modules = json.loads(told)
    assert {"posturewatch.sources.ble", "posturewatch.radio", "bleak.backends.bluezdbus.manager"} <= set(modules)
    rooms = {name.partition(".")[0] for name in modules if not name.startswith(("_sysconfigdata", "_cython"))}
    assert rooms - set(sys.stdlib_module_names) - OUTSIDE == {"bleak", "cython_runtime", "dbus_fast"}


def test_a_checked_start_imports_nothing_heavy(tmp_path):
    path = tmp_path / "posturewatch.toml"
    path.write_text('[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\n')
    command = [sys.executable, "-X", "importtime", "-m", "posturewatch", "run", "--check", "--config", str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    seen = {line.split("|")[-1].strip().split(".")[0] for line in said.splitlines() if line.startswith("import time:")}
    assert "numpy" in seen
    assert seen & {"scipy", "pandas", "polars", "pyarrow", "rich", "matplotlib", "pydantic_settings", "bleak"} == set()
    assert "posturewatch_sim" not in seen


def test_a_sensor_that_needs_no_preset_reads_none(tmp_path):
    def check(family: str) -> set[str]:
        sensor = f'source = "ble"\nfamily = "{family}"\naddress = "A0:9E:1A:00:00:01"\n'
        path = tmp_path / "posturewatch.toml"
        path.write_text(f'[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\n{sensor}')
        command = [sys.executable, "-X", "importtime", "-m", "posturewatch", "run", "--check", "--config", str(path)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return {line.split("|")[-1].strip() for line in said.splitlines() if line.startswith("import time:")}

    assert "posturewatch.drivers.preset_files" not in check("polar")
    assert "posturewatch.drivers.preset_files" in check("microbit")


def test_help_imports_no_command_and_no_science():
    command = [sys.executable, "-X", "importtime", "-m", "posturewatch", "--help"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "  demo " in result.stdout
    names = {line.split("|")[-1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert {n for n in names if n.startswith("posturewatch.cli.")} == set()
    assert {n.split(".")[0] for n in names} & {"numpy", "pydantic", "asyncio", "aiomqtt", "rich"} == set()


def seconds(command: list[str]) -> float:
    """Processor time, the least of several runs: what it costs when nobody disturbs it."""
    found = []
    for _ in range(7):
        before = getrusage(RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = getrusage(RUSAGE_CHILDREN)
        found.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(found)


def test_help_costs_at_most_eight_times_a_bare_interpreter():
    bare_s = seconds([sys.executable, "-c", ""])
    assert seconds([sys.executable, "-m", "posturewatch", "--help"]) <= 8 * bare_s


@pytest.mark.parametrize("name", ["run", "demo", "record", "replay", "simulate", "status", "config", "why", "score"])
def test_each_command_is_found_and_explains_itself(name):
    result = subprocess.run(
        [sys.executable, "-m", "posturewatch", name, "--help"], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert f"Usage: posturewatch {name}" in result.stdout
