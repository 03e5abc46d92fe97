"""How it stands, asked from outside: the running daemon, a broker's retained messages, or the last snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from posturewatch.core.snapshot import load_state
from posturewatch.core.state import State
from posturewatch.errors import PosturewatchError, SnapshotError
from posturewatch.mqtt.link import connected
from posturewatch.publishing.messages import iso, wearer_state
from posturewatch.publishing.responses import Responses
from posturewatch.publishing.topics import Topics
from posturewatch.requests.control_socket import NoDaemon, ask
from posturewatch.status.explaining import explain_state
from posturewatch.store import read_snapshot
from posturewatch.types import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from posturewatch.drivers.bound import BoundSensor
    from posturewatch.mqtt.link import Link
    from posturewatch.mqtt.settings import MqttSettings

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


async def held_by_daemon(door: Path, bound: Mapping[str, BoundSensor]) -> tuple[int, list[str]]:
    """Process of the daemon there, and which of `bound` it keeps connected: such a sensor streams to one only."""
    status = await from_daemon(door)
    if status is None:
        return 0, []
    followed = {str(each["sensor"]) for each in status["sensors"]}
    held = [name for name, sensor in bound.items() if not sensor.family.capabilities.is_advertised]
    return int(status["process"]), [name for name in held if name in followed]


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
    found = []
    for wearer, saved in _read_all(folder, now_ns):
        about = wearer_state(
            Topics(),
            wearer,
            saved.state.body,
            saved.state.reminding,
            simulated=saved.simulated,
            now_ns=saved.at_ns,
            responses=saved.responses,
        )
        age_s = max(now_ns - saved.at_ns, 0) // NS_PER_S
        content = json.loads(about.payload)
        found.append({"wearer": wearer, "online": False, "saved": iso(saved.at_ns), "age_s": age_s, **content})
    return {"from": "snapshot", "folder": str(folder), "wearers": found}


async def explained_by_daemon(door: Path) -> dict[str, Any] | None:
    """The last decisions of the running daemon; nothing if there is none."""
    try:
        answer = await ask(door, "why")
    except NoDaemon:
        return None
    return {"from": "daemon", "wearers": answer["wearers"]}


def explained_by_snapshots(folder: Path, now_ns: int) -> dict[str, Any]:
    """The last decisions that were saved in this state folder, and how old that is."""
    wearers = [
        {
            **explain_state(wearer, saved.state.reminding, saved.responses),
            "age_s": max(now_ns - saved.at_ns, 0) // NS_PER_S,
        }
        for wearer, saved in _read_all(folder, now_ns)
    ]
    return {"from": "snapshot", "wearers": wearers}


class _Saved(NamedTuple):
    state: State
    at_ns: int
    simulated: bool
    responses: Responses


def _read_all(folder: Path, now_ns: int) -> list[tuple[str, _Saved]]:
    names = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    if not names:
        raise PosturewatchError(f"no daemon runs, and {folder} holds no state: start one with `posturewatch run`")
    return [(name, _read(folder, name, now_ns)) for name in names]


def _read(folder: Path, wearer: str, now_ns: int) -> _Saved:
    try:
        snapshot = read_snapshot(folder / f"{wearer}{SUFFIX}", wearer, now_ns)
        state = load_state(snapshot.state.get("core"))
        if not isinstance(state, State):
            raise SnapshotError("the snapshot holds no state of a wearer")
    except (SnapshotError, OSError) as error:
        raise SnapshotError(f"{folder / wearer}{SUFFIX}: {error}") from error
    responses = Responses(saved=snapshot.state.get("responses"))
    return _Saved(state, snapshot.saved_ns, bool(snapshot.state.get("simulated")), responses)
