"""How it stands, asked from outside: the running daemon, a broker's retained messages, or the last snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from posturewatch.control import NoDaemon, ask
from posturewatch.core.snapshot import load_state
from posturewatch.core.state import State
from posturewatch.errors import PosturewatchError, SnapshotError
from posturewatch.link import connected
from posturewatch.messages import Topics, iso, wearer_state
from posturewatch.store import read_snapshot
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.link import Link
    from posturewatch.mqtt_settings import MqttSettings

FIRST_S = 2.0  # retained messages come at once
NEXT_S = 0.3
SUFFIX = ".snapshot"


async def from_daemon(door: Path) -> dict[str, Any] | None:
    """What the running daemon says; nothing if there is none."""
    try:
        answer = await ask(door, "status")
    except NoDaemon:
        return None
    answer.pop("ok")
    return {"from": "daemon", **answer}


async def from_broker(settings: MqttSettings, client_id: str) -> dict[str, Any]:
    """What the daemons there published last."""
    topics = Topics(settings.base_topic)
    wearers: dict[str, dict[str, Any]] = {}
    bridge = "unknown"
    async with connected(settings, client_id=client_id, keep_session=False) as link:
        await link.subscribe([f"{topics.base}/wearer/+/state", topics.bridge("state")])
        async for topic, payload in _retained(link):
            if topic == topics.bridge("state"):
                bridge = payload.decode("ascii", "replace")
                continue
            with contextlib.suppress(ValueError):  # not one of ours
                wearer = topic.split("/")[-2]
                wearers[wearer] = {"wearer": wearer, "online": bridge == "online", **json.loads(payload)}
    if not wearers:
        raise PosturewatchError(f"broker {settings.address}: nobody is known there below {topics.base}/wearer")
    for state in wearers.values():
        state["online"] = bridge == "online"
    return {
        "from": "broker",
        "broker": {"address": settings.address, "daemon": bridge},
        "wearers": [wearers[name] for name in sorted(wearers)],
    }


async def _retained(link: Link) -> Any:
    wait_s = FIRST_S
    while True:
        try:
            async with asyncio.timeout(wait_s):
                received = await link.receive()
        except TimeoutError:
            return
        wait_s = NEXT_S
        if received.payload:
            yield received.topic, received.payload


def from_snapshots(folder: Path, now_ns: int) -> dict[str, Any]:
    """What was saved last in this state folder, and how old it is."""
    names = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    if not names:
        raise PosturewatchError(f"no daemon runs, and {folder} holds no state: start one with `posturewatch run`")
    return {"from": "snapshot", "folder": str(folder), "wearers": [_saved(folder, name, now_ns) for name in names]}


def _saved(folder: Path, wearer: str, now_ns: int) -> dict[str, Any]:
    try:
        snapshot = read_snapshot(folder / f"{wearer}{SUFFIX}", wearer, now_ns)
        state = load_state(snapshot.state.get("core"))
        if not isinstance(state, State):
            raise SnapshotError("the snapshot holds no state of a wearer")
    except (SnapshotError, OSError) as error:
        raise SnapshotError(f"{folder / wearer}{SUFFIX}: {error}") from error
    simulated = bool(snapshot.state.get("simulated"))
    at_ns = snapshot.saved_ns
    message = wearer_state(Topics(), wearer, state.body, state.reminding, simulated=simulated, now_ns=at_ns)
    age_s = max(now_ns - at_ns, 0) // NS_PER_S
    return {"wearer": wearer, "online": False, "saved": iso(at_ns), "age_s": age_s, **json.loads(message.payload)}
