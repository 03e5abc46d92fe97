"""The daemon as a service of the user: a systemd unit, started now and at every login."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posturewatch.errors import PosturewatchError
from posturewatch.running import run_bounded
from posturewatch.store import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.dialogue import Dialogue
    from posturewatch.setting_up.draft import Answers, Draft

UNIT = "posturewatch.service"
SYSTEMCTL_S = 20.0
BEGIN_S = 15.0

# Only what a user's own service manager can enforce without rights of its own: what needs a mount namespace or drops
# capabilities would keep the service from starting on older systems.
_UNIT_TEXT = """\
[Unit]
Description=posturewatch: break reminders from a body-worn sensor
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=60
TimeoutStartSec=60
TimeoutStopSec=20
Restart=on-failure
RestartSec=5
# a configuration that is wrong does not become right by waiting
RestartPreventExitStatus=2
SuccessExitStatus=130

UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_BLUETOOTH
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
MemoryMax=300M
TasksMax=64

[Install]
WantedBy=default.target
"""


class NoService(PosturewatchError):
    """The service manager does not do what it was asked for."""


def render_unit(command: list[str]) -> str:
    """The unit file that runs `command`; see systemd.service(5) and systemd.exec(5)."""
    return _UNIT_TEXT.format(command=" ".join(map(_quote, command)))


def render_sample_unit() -> str:
    """The unit for who installs it by hand: `%h` is the user's home folder."""
    return _UNIT_TEXT.format(command="%h/.local/bin/posturewatch run")


def _quote(word: str) -> str:
    """One word of a command line of systemd, which has its own rules: systemd.service(5), command lines."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in word for c in " \t'\"\\;") else escaped


def find_program() -> list[str]:
    """How this installation is started from anywhere."""
    script = Path(sys.executable).with_name("posturewatch")
    return [str(script)] if script.exists() else [sys.executable, "-m", "posturewatch"]


def unit_path(environ: Mapping[str, str]) -> Path:
    """Where the user's own units are looked for."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / UNIT


async def install_service(talk: Dialogue, answers: Answers, draft: Draft, environ: Mapping[str, str]) -> bool:
    """Write the unit and start it; whether it runs.  Where there is no systemd, says how else to start."""
    by_hand = shlex.join([*find_program(), "run", "--config", str(draft.path)])
    if answers.service is False:
        talk.say(f"no service; to start: {by_hand}")
        return False
    trouble = await _find_trouble(environ)
    if trouble is not None:
        if answers.service:
            raise NoService(f"--service: {trouble}; without it, start by hand: {by_hand}")
        talk.say(f"no service ({trouble}); to start: {by_hand}")
        return False
    if not answers.service and not await talk.confirm("start it now and at every login?", default=not talk.unattended):
        talk.say(f"no service; to start: {by_hand}")
        return False
    path = unit_path(environ)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, render_unit([*find_program(), "run", "--config", str(draft.path.absolute())]).encode())
    except OSError as error:
        raise NoService(f"{path}: the unit cannot be written ({error.strerror}); start by hand: {by_hand}") from error
    for words in (["daemon-reload"], ["enable", UNIT], ["restart", UNIT]):
        code, told = await run_bounded(["systemctl", "--user", *words], environ, SYSTEMCTL_S + BEGIN_S)
        if code != 0:
            raise NoService(f"systemctl --user {' '.join(words)}: {told}; look at: journalctl --user -u {UNIT}")
    talk.say(f"the service {UNIT} runs; its log: journalctl --user -u {UNIT}; to stop it: systemctl --user stop {UNIT}")
    talk.say("it starts when you log in; to run without a login: loginctl enable-linger")
    return True


async def _find_trouble(environ: Mapping[str, str]) -> str | None:
    if not sys.platform.startswith("linux"):
        return "services of this system are described in docs/setup.md"
    if shutil.which("systemctl") is None:
        return "there is no systemd here"
    code, told = await run_bounded(["systemctl", "--user", "show-environment"], environ, 5.0)
    return None if code == 0 else f"systemd has no session of this user: {told}"
