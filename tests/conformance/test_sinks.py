"""Every sink found by folder: drains its outbox, ends when that is closed, survives odd messages, refuses clearly."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from posturewatch.errors import ConfigError, SinkError
from posturewatch.sinks import SinkContext, SinkKind, discover
from posturewatch.sinks.desktop_notes import DesktopSettings
from posturewatch.sinks.hooks import HookSettings
from posturewatch.sinks.outbox import Outbox
from posturewatch.types import Message

KINDS = discover()
ODD = [
    Message("a/b", b'{"reminder": "ok", "time": "2026-03-01T09:30:00.000Z", "static_s": null}', retain=True, key="a/b"),
    Message("a/event", b'{"event_type": "held", "detail": {"why": "x"}, "time": "2026-03-01T09:30:00.000Z"}'),
    Message("a/reminder", '{"event_type": "shift_due", "message": "Zeit für Bewegung"}'.encode()),
    Message("a/state", b"online", retain=True),
    Message("a/cleared", b"", retain=True),
    Message("a/list", b"[1, 2]"),
    Message("a/bytes", b"\xff\xfe"),
    Message("a/long", b"x" * 100_000),
]
ODD_PAYLOADS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 10_000,
    b'{"event_type": []}',
    b'{"event_type": {"a": 1}, "cycle": 5}',
    b'{"rung": "loud", "message": null}',
    b'{"rung": 0, "expires": "never", "cycle": null}',
    b'{"reminder": [], "cycle": {}}',
]
FILE_SINKS = sorted(set(KINDS) - {"mqtt", "desktop", "hooks"})


def test_sinks_have_unique_names_like_their_modules() -> None:
    folder = Path(__import__("posturewatch.sinks", fromlist=["x"]).__file__).parent
    assert {"mqtt", "jsonl", "console", "desktop", "hooks"} <= set(KINDS)
    for name, kind in KINDS.items():
        assert isinstance(kind, SinkKind)
        assert (folder / f"{name}.py").exists()


@pytest.mark.parametrize("name", FILE_SINKS)
@pytest.mark.asyncio
async def test_everything_is_delivered_before_the_end(name: str, tmp_path: Path) -> None:
    outbox = Outbox(time.time_ns)
    sink = KINDS[name].build(SinkContext(outbox, time.time_ns, path=tmp_path / "out"))
    task = asyncio.create_task(sink.run())
    outbox.put_all(ODD[:4])
    await asyncio.sleep(0.05)
    outbox.put_all(ODD[4:])
    outbox.close()
    async with asyncio.timeout(3):
        await task
    text = (tmp_path / "out").read_text()
    assert len(text.splitlines()) == len(ODD)
    assert outbox.counts.published == len(ODD)
    assert all(message.topic in text for message in ODD)


@pytest.mark.parametrize("name", FILE_SINKS)
@pytest.mark.asyncio
async def test_a_file_that_cannot_be_written_is_one_clear_line(name: str, tmp_path: Path) -> None:
    outbox = Outbox(time.time_ns)
    outbox.put(ODD[0])
    with pytest.raises(SinkError, match="missing") as refused:
        await KINDS[name].build(SinkContext(outbox, time.time_ns, path=tmp_path / "missing" / "out")).run()
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("name", FILE_SINKS)
@pytest.mark.asyncio
async def test_a_full_disk_ends_the_sink_with_one_line(name: str) -> None:
    outbox = Outbox(time.time_ns)
    outbox.put(ODD[0])
    outbox.close()
    with pytest.raises(SinkError, match="/dev/full"):
        await KINDS[name].build(SinkContext(outbox, time.time_ns, path=Path("/dev/full"))).run()


@pytest.mark.asyncio
async def test_the_mqtt_sink_without_a_broker_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="embedded"):
        KINDS["mqtt"].build(SinkContext(Outbox(time.time_ns), time.time_ns))


@pytest.mark.parametrize(("name", "fix"), [("desktop", "desktop.enabled"), ("hooks", r"\[\[hook\]\]")])
def test_a_local_sink_without_its_settings_says_what_to_do(name: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=fix):
        KINDS[name].build(SinkContext(Outbox(time.time_ns), time.time_ns))


@pytest.mark.parametrize("name", ["desktop", "hooks"])
@pytest.mark.asyncio
async def test_odd_messages_leave_a_local_sink_alive_and_its_outbox_empty(name: str) -> None:
    outbox = Outbox(time.time_ns)
    hook = HookSettings(["break_due"], ["true"], ["me"])
    context = SinkContext(outbox, time.time_ns, desktop=DesktopSettings({"me": 10}), hooks=[hook])
    about = "posturewatch/wearer/me"
    odd = [Message(f"{about}/{leaf}", payload) for leaf in ("state", "reminder", "event") for payload in ODD_PAYLOADS]
    task = asyncio.create_task(KINDS[name].build(context).run())
    outbox.put_all([*ODD, *odd])
    await asyncio.sleep(0.05)
    outbox.close()
    async with asyncio.timeout(3):
        await task
    assert outbox.counts.published == len(ODD) + len(odd)


@pytest.mark.asyncio
async def test_json_lines_can_be_read_back(tmp_path: Path) -> None:
    outbox = Outbox(time.time_ns)
    outbox.put_all([m for m in ODD if m.topic != "a/long"])
    outbox.close()
    await KINDS["jsonl"].build(SinkContext(outbox, time.time_ns, path=tmp_path / "out")).run()
    lines: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert all(list(line) == ["topic", "payload", "retain"] for line in lines)
    by_topic = {line["topic"]: line for line in lines}
    assert by_topic["a/b"]["payload"]["reminder"] == "ok"
    assert by_topic["a/b"]["retain"] is True
    assert by_topic["a/state"]["payload"] == "online"
    assert by_topic["a/cleared"]["payload"] is None
