"""The configuration: there, right, private."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from posturewatch.checks import Finding, Group, fail, fail_of, ok, warn
from posturewatch.clock import read_wall_ns
from posturewatch.config import find_folder
from posturewatch.drivers import USER_FOLDER
from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from posturewatch.checks import Subject

OTHERS = stat.S_IRWXG | stat.S_IRWXO


async def _examine(subject: Subject) -> list[Finding]:
    loaded = subject.loaded
    if subject.trouble is not None:
        return [_tell_wrong(line) for line in str(subject.trouble).splitlines()]
    if loaded is None or not loaded.config.wearer:
        return [fail("file", "nobody is configured", "write a configuration with `posturewatch setup`")]
    findings = [ok("file", f"{loaded.path or 'the environment'}: right")]
    try:
        loaded.to_mqtt()
        for wearer in loaded.config.wearer:
            loaded.to_core(wearer, read_wall_ns())
        findings += _examine_presets(subject)
    except ConfigError as error:
        findings.append(fail_of("values", error))
    else:
        sensors = len(subject.sensors())
        findings.append(ok("values", f"wearers: {len(loaded.config.wearer)}, sensors: {sensors}"))
    return [*findings, *_examine_privacy(subject)]


def _tell_wrong(line: str) -> Finding:
    place, _, wrong = line.partition(": ")
    return fail("file", f"{place}: {wrong}", "mend that line, then: posturewatch config check")


def _examine_presets(subject: Subject) -> list[Finding]:
    folder = find_folder(subject.environ, subject.path) / USER_FOLDER
    if not any(folder.glob("*.toml")):
        return []
    from posturewatch.drivers.preset_files import load_presets  # noqa: PLC0415  for who has some

    return [ok("presets", f"of your own: {len(load_presets(folder))}")]


def _examine_privacy(subject: Subject) -> list[Finding]:
    loaded = subject.loaded
    assert loaded is not None  # the caller's question
    own, findings = loaded.config.broker, []
    if own.password is not None and loaded.path is not None and loaded.path.stat().st_mode & OTHERS:
        findings.append(
            warn(
                "password",
                f"{loaded.path} holds a password and others may read it",
                f"chmod 600 {loaded.path}, or move the password into a file with broker.password_file",
            )
        )
    if own.password_file is not None:
        path = loaded.resolve(own.password_file)
        if path.exists() and path.stat().st_mode & stat.S_IRWXO:
            findings.append(warn("password", f"{path} can be read by everybody", f"chmod 600 {path}"))
    return findings


GROUP = Group("configuration", 1, _examine)
