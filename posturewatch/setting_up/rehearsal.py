"""One test reminder, seen at the broker: sensor, daemon, broker and what listens there, as they will work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from typing import TYPE_CHECKING, Any

from posturewatch.errors import PosturewatchError
from posturewatch.mqtt.embedded_broker import settings_from_outside
from posturewatch.mqtt.link import connected
from posturewatch.processes import end
from posturewatch.publishing.topics import Topics
from posturewatch.requests.asking import through_daemon
from posturewatch.requests.control_socket import NoDaemon, ask, socket_path
from posturewatch.setting_up.service import find_program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from posturewatch.config import LoadedConfig
    from posturewatch.setting_up.draft import Draft
    from posturewatch.terminal.dialogue import Dialogue

BEGIN_S = 20.0
FIRST_STATE_S = 30.0
FIRST_SAMPLES_S = 12.0
SHOWN_S = 5.0
STOP_S = 10.0
POLL_S = 0.2


class RehearsalFailed(PosturewatchError):
    """The daemon does not do what it should with this configuration."""


async def rehearse(talk: Dialogue, draft: Draft, environ: Mapping[str, str]) -> None:
    """Let the daemon (the one that runs, or one for the moment) publish a state and a test reminder, and show both."""
    loaded = draft.load()
    door = socket_path(loaded.state_folder(), environ)
    async with _daemon(talk, draft, door, environ):
        await _until_connected(door)
        async with connected(
            _reach(loaded), client_id=f"posturewatch-setup-{secrets.token_hex(4)}", keep_session=False
        ) as link:
            topics = Topics(loaded.config.broker.base_topic)
            await link.subscribe([topics.wearer(draft.wearer, leaf) for leaf in ("state", "reminder")])
            await _show_state(talk, link, topics.wearer(draft.wearer, "state"))
            asked = await through_daemon(door, draft.wearer, "do/test_reminder", {})
            if not asked["ok"]:
                raise RehearsalFailed(f"the test reminder was refused: {asked['error']}")
            reminder = await _receive_surely(link, topics.wearer(draft.wearer, "reminder"), SHOWN_S)
            talk.say(f"test reminder, on {topics.wearer(draft.wearer, 'reminder')}: {reminder['message']}")
            if loaded.config.desktop.enabled and not talk.unattended:
                await talk.wait_for_enter("it should be on this desktop, too: look for it")  # it goes with the daemon


def _reach(loaded: LoadedConfig) -> Any:
    """How somebody else than the daemon reaches its broker."""
    own = loaded.config.broker
    return settings_from_outside(loaded.state_folder(), own.port) if own.is_embedded else loaded.to_mqtt()


@contextlib.asynccontextmanager
async def _daemon(talk: Dialogue, draft: Draft, door: Path, environ: Mapping[str, str]) -> AsyncIterator[None]:
    """The daemon that runs already, as a service or by hand; else one while the block runs."""
    if await _ask_status(door) is not None:
        yield
        return
    talk.say("starting the daemon for a moment ...")
    process = await asyncio.create_subprocess_exec(
        *find_program(),
        "run",
        "--config",
        str(draft.path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environ) or None,
    )
    words = asyncio.create_task(_last_words(process))
    try:
        await _until_there(process, door, words)
        yield
    finally:
        await end(process, STOP_S)
        await words


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """What it complains of last; read all the time, so that it never waits for us."""
    last = ""
    assert process.stderr is not None  # it is a pipe
    async for line in process.stderr:
        last = line.decode(errors="replace").strip() or last
    return last


async def _until_there(process: asyncio.subprocess.Process, door: Path, words: asyncio.Task[str]) -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + BEGIN_S
    while loop.time() < end_s:
        if process.returncode is not None:
            raise RehearsalFailed(f"the daemon does not start: {await words or f'exit code {process.returncode}'}")
        if await _ask_status(door) is not None:
            return
        await asyncio.sleep(POLL_S)
    raise RehearsalFailed(f"the daemon does not answer within {BEGIN_S:g} s; look at what `posturewatch run` says")


async def _until_connected(door: Path) -> None:
    """One that was asked to read its configuration again is away for a moment."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + BEGIN_S
    while (status := await _ask_status(door)) is None or not status["broker"]["connected"]:
        if loop.time() > end_s:
            trouble = "answer" if status is None else f"reach {status['broker']['address']}"
            raise RehearsalFailed(f"the daemon does not {trouble}: posturewatch doctor")
        await asyncio.sleep(POLL_S)


async def _ask_status(door: Path) -> dict[str, Any] | None:
    with contextlib.suppress(NoDaemon):
        return await ask(door, "status")
    return None


async def _receive(link: Any, topic: str, within_s: float) -> dict[str, Any] | None:
    """The next message there; nothing if none comes in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                received = await link.receive()
                if received.topic == topic and received.payload:
                    content: dict[str, Any] = json.loads(received.payload)
                    return content
    return None


async def _receive_surely(link: Any, topic: str, within_s: float) -> dict[str, Any]:
    content = await _receive(link, topic, within_s)
    if content is None:
        raise RehearsalFailed(f"nothing came on {topic} within {within_s:g} s: posturewatch doctor")
    return content


async def _show_state(talk: Dialogue, link: Any, topic: str) -> None:
    """The first one at once, and the first one that knows something about the wearer."""
    state = await _receive_surely(link, topic, FIRST_STATE_S)
    talk.say(f"first state, on {topic}: {_describe(state)}")
    loop = asyncio.get_running_loop()
    end_s = loop.time() + FIRST_SAMPLES_S
    while state["motion"] == "unknown" and (left_s := end_s - loop.time()) > 0:
        state = await _receive(link, topic, left_s) or state
    if state["motion"] == "unknown":
        talk.say("no samples came yet: is the sensor worn and near?  posturewatch doctor")
    else:
        talk.say(f"with samples: {_describe(state)}")


def _describe(state: Mapping[str, Any]) -> str:
    told = ", ".join(f"{key} {state[key]}" for key in ("wear", "motion", "posture", "reminder"))
    return told if state["inclination_deg"] is None else f"{told}, inclination {state['inclination_deg']} degrees"
