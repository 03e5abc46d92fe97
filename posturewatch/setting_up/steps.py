"""The steps of the first run, in their order."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from posturewatch.requests.control_socket import NoDaemon, ask, socket_path
from posturewatch.setting_up.broker import choose_broker
from posturewatch.setting_up.calibration import calibrate
from posturewatch.setting_up.desktop import choose_desktop
from posturewatch.setting_up.draft import open_draft
from posturewatch.setting_up.files import write_files
from posturewatch.setting_up.rehearsal import rehearse
from posturewatch.setting_up.sensor import choose_sensor
from posturewatch.setting_up.service import install_service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from posturewatch.setting_up.draft import Answers, Draft
    from posturewatch.terminal.dialogue import Dialogue


async def set_up(talk: Dialogue, answers: Answers, path: Path, environ: Mapping[str, str]) -> None:
    """All of it.  Raises what a step cannot get over; up to `write_files` nothing was changed then."""
    draft = open_draft(path, answers.wearer)
    if not draft.is_new:
        talk.say(f"going on from {path}")
    door = socket_path(draft.load().state_folder(), environ)
    running = await _find_daemon(door)
    if running is not None:
        talk.say(f"a daemon runs already (process {running}); sensors that it holds are not seen by others")
    await choose_sensor(talk, answers, draft, may_connect=running is None)
    await calibrate(talk, answers, draft, None if running is None else door)
    await choose_broker(talk, answers, draft)
    await choose_desktop(talk, answers, draft)
    write_files(talk, draft)
    _tell_quiet_hours(talk, draft)
    if running is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(running, signal.SIGHUP)
        talk.say("the running daemon was asked to read its configuration again")
    await install_service(talk, answers, draft, environ, running)
    if answers.test_reminder is not False and (
        answers.test_reminder or await talk.confirm("show a test reminder?", default=True)
    ):
        await rehearse(talk, draft, environ)
    talk.say("ready.  How it stands: posturewatch status; what may be wrong: posturewatch doctor")
    talk.say("to be left alone for a while: posturewatch pause 60")


def _tell_quiet_hours(talk: Dialogue, draft: Draft) -> None:
    """Nobody is to wonder at night why nothing comes."""
    manners = next(one.reminding for one in draft.load().config.wearer if one.id == draft.wearer)
    if manners.quiet_hours:
        talk.say(f"no reminders at {', '.join(manners.quiet_hours)}; at any hour with quiet_hours = []")


async def _find_daemon(door: Path) -> int | None:
    try:
        return int((await ask(door, "status"))["process"])
    except NoDaemon:
        return None
