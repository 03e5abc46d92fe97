"""The daemon as a service of the user: a systemd unit, started now and at every login."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from posturewatch.errors import PosturewatchError
from posturewatch.processes import run_bounded
from posturewatch.store import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posturewatch.setting_up.draft import Answers, Draft
    from posturewatch.terminal.dialogue import Dialogue

UNIT = "posturewatch.service"
SYSTEMCTL_S = 20.0
BEGIN_S = 15.0
ASK_S = 5.0

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


async def install_service(
    talk: Dialogue, answers: Answers, draft: Draft, environ: Mapping[str, str], running: int | None = None
) -> bool:
    """Write the unit and start it; whether it is installed.  Where there is no systemd, says how else to start.

    `running` is the process of a daemon that runs already.  One that is not the service goes on until it is stopped:
    two of them cannot share a state folder.
    """
    by_hand = shlex.join([*find_program(), "run", "--config", str(draft.path)])
    none = f"no service; to start: {by_hand}" if running is None else "no service; the daemon that runs goes on"
    if answers.service is False:
        talk.say(none)
        return False
    trouble = await _find_trouble(environ)
    if trouble is not None:
        if answers.service:
            raise NoService(f"--service: {trouble}; without it, start by hand: {by_hand}")
        talk.say(none.replace("no service", f"no service ({trouble})", 1))
        return False
    is_service = running is not None and await _find_process(environ) == running
    if is_service and not answers.service:
        return True  # as it was; it reads its configuration again
    when = "now and at every login" if running is None else "at every login"
    if not answers.service and not await talk.confirm(f"start it {when}?", default=not talk.unattended):
        talk.say(none)
        return False
    command = [*find_program(), "run", "--config", str(draft.path.absolute())]
    await _write_unit(unit_path(environ), render_unit(command), environ, by_hand)
    if running is None or is_service:
        await _command(environ, "restart", UNIT)
        talk.say(
            f"the service {UNIT} runs; its log: journalctl --user -u {UNIT}; to stop: systemctl --user stop {UNIT}"
        )
    else:
        talk.say(f"the service {UNIT} is installed; a daemon that was started by hand runs (process {running})")
        talk.say(f"to let the service take over now: kill {running}; systemctl --user start {UNIT}")
    talk.say("it starts when you log in; to run without a login: loginctl enable-linger")
    return True


async def _write_unit(path: Path, text: str, environ: Mapping[str, str], by_hand: str) -> None:
    """Install it for every login."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise NoService(f"{path}: the unit cannot be written ({error.strerror}); start by hand: {by_hand}") from error
    await _command(environ, "daemon-reload")
    await _command(environ, "enable", UNIT)


async def _command(environ: Mapping[str, str], *words: str) -> None:
    code, told = await run_bounded(["systemctl", "--user", *words], environ, SYSTEMCTL_S + BEGIN_S)
    if code != 0:
        raise NoService(f"systemctl --user {' '.join(words)}: {told}; look at: journalctl --user -u {UNIT}")


async def _find_process(environ: Mapping[str, str]) -> int | None:
    """Of the service, if it runs."""
    words = ["systemctl", "--user", "show", "--property=MainPID", "--value", UNIT]
    code, told = await run_bounded(words, environ, ASK_S)
    return int(told) if code == 0 and told.isdecimal() else None


async def _find_trouble(environ: Mapping[str, str]) -> str | None:
    if not sys.platform.startswith("linux"):
        return "services of this system are described in docs/setup.md"
    if shutil.which("systemctl") is None:
        return "there is no systemd here"
    code, told = await run_bounded(["systemctl", "--user", "show-environment"], environ, ASK_S)
    return None if code == 0 else f"systemd has no session of this user: {told}"
