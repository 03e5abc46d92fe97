"""Whether prompts appear on the desktop of this machine: offered where one answers."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from posturewatch.errors import MissingExtra
from posturewatch.sinks.desktop import Screen

if TYPE_CHECKING:
    from posturewatch.setting_up.draft import Answers, Draft
    from posturewatch.terminal.dialogue import Dialogue

EXTRA = "pip install 'posturewatch[desktop]'"
LATER = "posturewatch setup --desktop"


async def choose_desktop(talk: Dialogue, answers: Answers, draft: Draft) -> None:
    """Put notifications into the draft; where there can be none, or none are wanted, say how to have them."""
    has_extra = importlib.util.find_spec("desktop_notifier") is not None
    if answers.desktop and not has_extra:
        raise MissingExtra(f"--desktop: notifications on the desktop need an extra: {EXTRA}")
    if answers.desktop is False:
        _write(draft, is_on=False)
        return
    answers_here = has_extra and await _answers()
    if answers.desktop and not answers_here:
        talk.say("no desktop answers in this session; reminders are shown when the daemon runs in one that has one")
    elif not has_extra:
        talk.say(f"reminders are not shown on this desktop; to see them there: {EXTRA}, then {LATER}")
        return
    elif not answers_here:
        talk.say(f"reminders are not shown on a desktop: none answers in this session; from one that has one: {LATER}")
        return
    elif not answers.desktop and not await talk.confirm("show reminders on this desktop?", default=_usual(talk, draft)):
        _write(draft, is_on=False)
        talk.say(f"reminders are not shown on this desktop; to see them there: {LATER}")
        return
    _write(draft, is_on=True)
    talk.say("reminders are shown on this desktop, with buttons; to leave it: posturewatch setup --no-desktop")


def _usual(talk: Dialogue, draft: Draft) -> bool:
    """As it was, if that was said; else yes, if somebody is there to say no."""
    return bool(draft.tree.get("desktop", {}).get("enabled", not talk.unattended))


def _write(draft: Draft, *, is_on: bool) -> None:
    if is_on or "desktop" in draft.tree:
        draft.tree["desktop"] = {**draft.tree.get("desktop", {}), "enabled": is_on}


async def _answers() -> bool:
    """Whether this session has a notification service, as the daemon would find it."""
    screen = Screen()
    try:
        await screen.open()
    except Exception:  # noqa: BLE001  the library lets all kinds through, and each means that there is none
        return False
    finally:
        screen.close()
    return True
