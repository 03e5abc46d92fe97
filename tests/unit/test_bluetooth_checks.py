"""What the doctor makes of what the kernel, BlueZ and the daemon say about Bluetooth."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posturewatch.checks import Finding, Subject, bluetooth
from posturewatch.config import load
from posturewatch.requests.control_socket import listening, socket_path

POLAR = (
    '[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\nplacement = "chest"\nsource = "ble"\nfamily = "polar"\n'
    'address = "A0:9E:1A:00:00:01"\n'
    '[bluetooth]\nadapter = "hci99"\n'  # which this machine does not have
)
HEALTHY = {
    "sensor": "chest", "connected": True, "resting": False, "rssi_dbm": -60, "rate_hz": 50.0, "packets": 900,
    "lost": 0, "gaps": 0, "fault": None,
}  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """What is found on a machine with these adapters, kill switches and words of `bluetoothctl`."""

    def examine(
        *,
        adapters: tuple[str, ...] = ("hci0",),
        blocked: tuple[str, str] = ("0", "0"),
        version: str = "bluetoothctl: 5.66",
        shown: str = "Controller A0:00:00:00:00:01\\n\\tPowered: yes\\n\\tDiscovering: no",
        answers: bool = True,
        health: dict[str, Any] | None = None,
        runs: bool = True,
    ) -> dict[str, Finding]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        for name in adapters:
            (folder / "bluetooth" / name).mkdir(parents=True)
        switch = folder / "rfkill" / "rfkill0"
        switch.mkdir(parents=True)
        for name, value in (("type", "bluetooth"), ("soft", blocked[0]), ("hard", blocked[1])):
            (switch / name).write_text(f"{value}\n")
        program = folder / "bin" / "bluetoothctl"
        program.parent.mkdir()
        last = f'printf "{shown}\\n"' if answers else "exec sleep 60"
        program.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; else {last}; fi\n')
        program.chmod(0o755)
        monkeypatch.setattr(bluetooth, "ADAPTERS", folder / "bluetooth")
        monkeypatch.setattr(bluetooth, "KILL_SWITCHES", folder / "rfkill")
        monkeypatch.setattr(bluetooth, "ASK_S", 0.5)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        path = folder / "posturewatch.toml"
        path.write_text(f'{POLAR}[storage]\nfolder = "{folder}/kept"\n')
        with tempfile.TemporaryDirectory() as short:  # the name of a socket has to be
            subject = Subject({**os.environ, "XDG_RUNTIME_DIR": short}, path, load(path, {}))
            return asyncio.run(_look(subject, {**HEALTHY, **(health or {})}, runs))

    return examine


async def _look(subject: Subject, health: dict[str, Any], runs: bool) -> dict[str, Finding]:
    """Beside a daemon that holds the sensor, so that no radio of this machine is used."""
    assert subject.loaded is not None

    async def status(_: Any) -> dict[str, Any]:
        return {"sensors": [health]}

    door = socket_path(subject.loaded.state_folder() if runs else Path("elsewhere"), subject.environ)
    async with listening(door, {"status": status}):
        return {finding.check: finding for finding in await bluetooth.GROUP.examine(subject)}


def test_a_machine_that_is_well_is_ok_throughout(machine: Callable[..., dict[str, Finding]]) -> None:
    found = machine()
    assert {finding.grade for finding in found.values()} == {"ok"}
    assert found["adapter"].seen == "hci0"
    assert found["BlueZ"].seen == "version 5.66"
    assert found["sensor chest"].seen == "50 Hz, 0 of 900 packets lost, 0 gaps"


@pytest.mark.parametrize(
    ("about", "check", "grade", "word"),
    [
        ({"adapters": ()}, "adapter", "fail", "plug"),
        ({"blocked": ("1", "0")}, "adapter", "fail", "rfkill unblock bluetooth"),
        ({"blocked": ("0", "1")}, "adapter", "fail", "switch"),
        ({"version": "bluetoothctl: 5.43"}, "BlueZ", "fail", "5.55"),
        ({"answers": False}, "BlueZ", "fail", "systemctl start bluetooth"),
        ({"shown": "No default controller available"}, "power", "fail", "restart"),
        ({"shown": "Powered: no"}, "power", "fail", "power on"),
        ({"health": {"connected": False}}, "sensor chest", "warn", "phone"),
        ({"health": {"fault": "an axis is stuck"}}, "sensor chest", "fail", "sensors.md"),
        ({"health": {"rssi_dbm": -95}}, "sensor chest", "warn", "nearer"),
        ({"health": {"lost": 300}}, "sensor chest", "warn", "rate_hz"),
        ({"health": {"sensor": "thigh"}}, "sensor chest", "warn", "restart"),
    ],
)
def test_each_trouble_is_told_with_what_to_do(
    machine: Callable[..., dict[str, Finding]], about: dict[str, Any], check: str, grade: str, word: str
) -> None:
    found = machine(**about)[check]
    assert found.grade == grade
    assert found.fix is not None
    assert word in found.fix


def test_a_sensor_that_rests_is_no_trouble(machine: Callable[..., dict[str, Finding]]) -> None:
    found = machine(health={"connected": False, "resting": True})["sensor chest"]
    assert (found.grade, "laid aside" in found.seen) == ("ok", True)


def test_a_scan_of_our_own_daemon_is_no_trouble_and_that_of_others_is(
    machine: Callable[..., dict[str, Finding]],
) -> None:
    scanning = "Powered: yes\\n\\tDiscovering: yes"
    assert machine(shown=scanning)["power"].grade == "ok"
    assert machine(shown=scanning, runs=False)["busy"].grade == "warn"
