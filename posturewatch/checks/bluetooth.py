"""Bluetooth: adapter, rights, BlueZ, who else uses it; and each sensor, with its rate and gaps."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posturewatch.checks import Finding, Grade, Group, fail, fail_of, ok, warn
from posturewatch.errors import PosturewatchError
from posturewatch.processes import run_for_output

if TYPE_CHECKING:
    from posturewatch.checks import Subject
    from posturewatch.config import Sensor
    from posturewatch.sources.ble.survey import Survey

SCAN_S = 2.8
ASK_S = 1.5
LEAST_BLUEZ = (5, 55)  # what the Bluetooth library asks for
ADAPTERS = Path("/sys/class/bluetooth")
KILL_SWITCHES = Path("/sys/class/rfkill")
LOW_RATE = 0.8  # of what the sensor should send
WEAK_DBM = -90


async def _examine(subject: Subject) -> list[Finding]:
    if not subject.sensors():  # nobody said yet whether it will be needed
        return [_soften(finding) for finding in await _examine_system(subject)]
    wanted = [sensor for sensor in subject.sensors() if sensor.source == "ble"]
    if not wanted:
        return [ok("adapter", "not needed: no Bluetooth sensor is configured")]
    assert subject.loaded is not None  # somebody configured it
    radio = subject.loaded.config.bluetooth.radio_name
    system = await _examine_system(subject) if radio.startswith("bluez") else []
    status = await subject.status()
    if status is not None:
        return [*system, *(_examine_health(sensor, status) for sensor in wanted)]
    if any(finding.grade == "fail" for finding in system):
        return system
    return [*system, *await _scan(subject, radio, wanted)]


def _soften(finding: Finding) -> Finding:
    return replace(finding, grade=Grade.WARN) if finding.grade is Grade.FAIL else finding


async def _examine_system(subject: Subject) -> list[Finding]:
    """What the kernel and BlueZ say, where they can be asked."""
    adapters = _find_adapters()
    if not adapters:
        fix = "plug a Bluetooth adapter in, or load its driver (a container needs the host's)"
        return [fail("adapter", "there is none", fix)]
    findings = [_examine_switches() or ok("adapter", ", ".join(adapters))]
    if shutil.which("bluetoothctl") is None:
        return [*findings, warn("BlueZ", "its version cannot be told", "install bluetoothctl (package bluez)")]
    (_, version), (code, shown) = await asyncio.gather(
        run_for_output(["bluetoothctl", "--version"], subject.environ, ASK_S),
        run_for_output(["bluetoothctl", "show"], subject.environ, ASK_S),
    )
    is_ours = await subject.status() is not None
    return [*findings, *_read_version(version), *_read_adapter(code, shown, is_ours)]


def _find_adapters() -> list[str]:
    return sorted(path.name for path in ADAPTERS.glob("hci[0-9]*") if ":" not in path.name)


def _examine_switches() -> Finding | None:
    for switch in KILL_SWITCHES.glob("rfkill*"):
        try:
            kind, soft, hard = ((switch / name).read_text().strip() for name in ("type", "soft", "hard"))
        except OSError:
            continue
        if kind == "bluetooth" and hard == "1":
            return fail("adapter", "a switch of the machine blocks it", "use the switch, or the key for wireless")
        if kind == "bluetooth" and soft == "1":
            return fail("adapter", "it is blocked", "rfkill unblock bluetooth")
    return None


def _read_version(text: str) -> list[Finding]:
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None:
        return []
    version = (int(found[1]), int(found[2]))
    if version < LEAST_BLUEZ:
        return [fail("BlueZ", f"version {found[0]} is too old", "install BlueZ 5.55 or newer")]
    return [ok("BlueZ", f"version {found[0]}")]


def _read_adapter(code: int | None, shown: str, is_ours: bool) -> list[Finding]:
    """What `bluetoothctl show` prints of the adapter in use; `is_ours`: our own daemon may be who scans."""
    if code is None:
        return [fail("BlueZ", "it does not answer", "start it: systemctl start bluetooth")]
    if "No default controller" in shown:
        return [fail("power", "BlueZ knows no adapter", "systemctl restart bluetooth")]
    if "Powered: no" in shown:
        return [fail("power", "the adapter is off", "bluetoothctl power on")]
    if "Discovering: yes" in shown and not is_ours:
        return [
            warn("busy", "another program scans with it all the time", "end its scan: sensors may be lost more often")
        ]
    return [ok("power", "on" if "Discovering: yes" in shown else "on, and nobody scans")]


def _examine_health(sensor: Sensor, status: dict[str, Any]) -> Finding:
    """From the daemon, which holds the sensor."""
    health = next((each for each in status["sensors"] if each["sensor"] == sensor.id), None)
    check = f"sensor {sensor.id}"
    if health is None:
        return warn(
            check, "the running daemon does not know it", "let it read the configuration: kill -HUP, or restart"
        )
    rate = "rate not yet known" if health["rate_hz"] is None else f"{health['rate_hz']:g} Hz"
    told = f"{rate}, {health['lost']} of {health['packets']} packets lost, {health['gaps']} gaps"
    if health["fault"]:
        return fail(check, f"{health['fault']} ({told})", "see docs/sensors.md")
    if not health["connected"] and not health["resting"]:
        return warn(check, f"not heard ({told})", "is it on, worn, charged and near, and not connected to a phone?")
    if health["rssi_dbm"] is not None and health["rssi_dbm"] < WEAK_DBM:
        return warn(check, f"{told}, signal {health['rssi_dbm']} dBm is weak", "come nearer, or move the adapter")
    if health["packets"] and health["lost"] > (1 - LOW_RATE) * health["packets"]:
        return warn(check, told, "come nearer, or ask for fewer samples with rate_hz")
    return ok(check, f"laid aside, its stream is stopped until it is worn ({told})" if health["resting"] else told)


async def _scan(subject: Subject, radio: str, wanted: list[Sensor]) -> list[Finding]:
    from posturewatch.drivers.preset_files import families  # noqa: PLC0415  for who has such sensors
    from posturewatch.sources.ble.scan import look_around  # noqa: PLC0415
    from posturewatch.sources.ble.survey import Survey  # noqa: PLC0415

    survey = Survey(families(None if subject.path is None else subject.path.parent))
    stop = asyncio.Event()

    def refresh() -> None:
        if all(_find(survey, sensor) for sensor in wanted):
            stop.set()

    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        await look_around(survey, radio, SCAN_S, stop, refresh, shake=False)
    except PosturewatchError as error:
        return [fail_of("radio", error)]
    took_s = loop.time() - began_s
    heard = len(survey.sensors()) + len(survey.others())
    return [ok("radio", f"scans; {heard} devices heard"), *(_tell(survey, sensor, took_s) for sensor in wanted)]


def _tell(survey: Survey, sensor: Sensor, took_s: float) -> Finding:
    found = _find(survey, sensor)
    if found is None:
        fix = "is it on, worn, charged and near, and not connected to a phone?  posturewatch scan"
        return warn(f"sensor {sensor.id}", f"not heard in {took_s:.0f} s; some speak seldom", fix)
    seen = f"advertises, {found.rssi_dbm} dBm; its rate is measured when the daemon runs"
    return ok(f"sensor {sensor.id}", seen)


def _find(survey: Survey, sensor: Sensor) -> Any:
    for found in survey.sensors():
        names = (found.binding.upper(), found.heard.advert.address.upper())
        if sensor.address is not None and sensor.address.upper() in names:
            return found
        if sensor.name is not None and found.name == sensor.name:
            return found
    return None


GROUP = Group("bluetooth", 4, _examine)
