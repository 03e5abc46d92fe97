"""Write everything at once: each file whole or not at all, the configuration last, and the former one kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.config import kept_path
from posturewatch.config.calibration import render_calibration
from posturewatch.config.generation import render_config
from posturewatch.errors import PosturewatchError
from posturewatch.setting_up.broker import PASSWORD_FILE
from posturewatch.store import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.setting_up.draft import Draft
    from posturewatch.terminal.dialogue import Dialogue


class NotWritten(PosturewatchError):
    """A file or folder that does not take what should be kept."""


def write_files(talk: Dialogue, draft: Draft) -> None:
    """The password, the calibration and the configuration.  `NotWritten` if that fails; then all is as it was."""
    loaded = draft.load()
    text = render_config(draft.tree)
    wanted: list[tuple[Path, bytes]] = []
    if draft.password is not None:
        wanted.append((draft.path.parent / PASSWORD_FILE, f"{draft.password}\n".encode()))
    if draft.calibration is not None and draft.sensor is not None:
        path = kept_path(loaded.state_folder(), draft.sensor)
        wanted.append((path, render_calibration(draft.calibration).encode()))
    written: list[tuple[Path, bytes | None]] = []
    backup = None
    try:
        for path, content in wanted:
            _make_folder(path.parent)
            written.append((path, path.read_bytes() if path.exists() else None))
            replace_file(path, content)
        _make_folder(draft.path.parent)
        backup = _keep_former(draft.path, text)
        replace_file(draft.path, text.encode())
    except OSError as error:
        _undo(written)
        place = error.filename or draft.path
        raise NotWritten(
            f"{place}: cannot be written ({error.strerror or error}); nothing was changed: choose another place with "
            "--config FILE, or make room"
        ) from error
    if backup is not None:
        talk.say(f"the former configuration is kept as {backup}")
    talk.say(f"the configuration is in {draft.path}, with every setting explained")


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _keep_former(path: Path, text: str) -> Path | None:
    """A copy of what will be replaced, under the next free name."""
    if not path.exists():
        return None
    former = path.read_bytes()
    if former == text.encode():
        return None
    number = 1
    while (backup := path.with_name(f"{path.name}.backup-{number}")).exists():
        number += 1
    replace_file(backup, former)
    return backup


def _undo(written: list[tuple[Path, bytes | None]]) -> None:
    for path, former in written:
        try:
            if former is None:
                path.unlink(missing_ok=True)
            else:
                replace_file(path, former)
        except OSError:  # a full disk takes nothing back, either
            continue
