"""The state folder survives kills, full disks, damage and a second daemon."""

from __future__ import annotations

import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from posturewatch.core.snapshot import SCHEMA
from posturewatch.errors import PosturewatchError, SnapshotError
from posturewatch.store import FolderInUseError, SnapshotStore, lock_folder, read_snapshot

NOW_NS = 1_790_000_000_000_000_000
STATE = {"count": 7, "rows": list(range(200))}


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "state")


def test_saved_state_comes_back_with_its_moment(store):
    assert store.load("me", NOW_NS) is None
    assert store.save("me", STATE, NOW_NS)
    assert store.save("you", {"count": 1}, NOW_NS)
    snapshot = store.load("me", NOW_NS + 5)
    assert snapshot is not None
    assert (snapshot.state, snapshot.saved_ns, snapshot.wearer) == (STATE, NOW_NS, "me")


def test_state_is_for_its_owner_only(store):
    store.save("me", STATE, NOW_NS)
    assert store.path("me").stat().st_mode & 0o077 == 0
    assert store.folder.stat().st_mode & 0o077 == 0


def damage_cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def damage_flip(content: bytes) -> bytes:
    return content.replace(b'"count":7', b'"count":8')


def damage_newer(content: bytes) -> bytes:
    return content.replace(b'"schema":%d' % SCHEMA, b'"schema":%d' % (SCHEMA + 1))


def damage_nothing(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize(
    ("damage", "wearer", "now_ns", "told"),
    [
        (damage_cut, "me", NOW_NS, "damaged or cut short"),
        (damage_flip, "me", NOW_NS, "damaged or cut short"),
        (lambda _: b"", "me", NOW_NS, "damaged or cut short"),
        (lambda _: b"\xff\x00" * 50, "me", NOW_NS, "damaged or cut short"),
        (lambda _: b"[" * 100_000, "me", NOW_NS, "damaged or cut short"),
        (lambda _: b'{"a":1}\n{}', "me", NOW_NS, "this is not a snapshot"),
        (damage_newer, "me", NOW_NS, "made by a newer version"),
        (damage_nothing, "me", NOW_NS - 3600 * 10**9, "from the future"),
        (damage_nothing, "you", NOW_NS, "of another wearer ('me', not 'you')"),
    ],
)
def test_unusable_snapshot_is_kept_aside_and_told_once(store, caplog, damage, wearer, now_ns, told):
    store.save("me", STATE, NOW_NS)
    content = damage(store.path("me").read_bytes())
    store.path("me").unlink()
    store.path(wearer).write_bytes(content)
    assert store.load(wearer, now_ns) is None
    assert store.load(wearer, now_ns) is None
    assert len(caplog.records) == 1
    assert told in caplog.text
    assert f"kept as {wearer}.snapshot.bad-1" in caplog.text
    assert (store.folder / f"{wearer}.snapshot.bad-1").read_bytes() == content


def test_files_kept_aside_are_bounded(store):
    for round_number in range(15):
        store.save("me", {"round": round_number}, NOW_NS)
        store.reject("me", "a test says so")
    assert len(list(store.folder.iterdir())) == 9


def test_clock_corrected_by_seconds_is_no_reason_to_forget(store):
    store.save("me", STATE, NOW_NS)
    assert store.load("me", NOW_NS - 30 * 10**9) is not None


def test_any_cut_is_noticed(store):
    store.save("me", STATE, NOW_NS)
    path = store.path("me")
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(SnapshotError):
            read_snapshot(path, "me", NOW_NS)


def test_full_disk_is_told_once_and_the_old_snapshot_stays(store, caplog):
    caplog.set_level(logging.INFO)
    store.save("me", STATE, NOW_NS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then write() fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        results = [store.save("me", {"count": n, **STATE}, NOW_NS + n) for n in range(5)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert results == [False] * 5
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "running on without" in caplog.text
    snapshot = store.load("me", NOW_NS)
    assert snapshot is not None
    assert snapshot.state == STATE
    assert [path.name for path in store.folder.iterdir()] == ["me.snapshot"]
    assert store.save("me", STATE, NOW_NS + 9)
    assert "can be saved again" in caplog.text


KEEP_SAVING = """
import sys
from pathlib import Path
from posturewatch.store import SnapshotStore
store = SnapshotStore(Path(sys.argv[1]))
for n in range(10**9):
    store.save("me", {"count": n, "rows": [n] * 2000}, n)
    if n == 0:
        print("saving", flush=True)
"""


def test_kill_at_any_moment_leaves_a_whole_snapshot(tmp_path):
    moments = random.Random(4)
    store = SnapshotStore(tmp_path)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", KEEP_SAVING, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "saving\n"
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
        snapshot = store.load("me", NOW_NS)
        assert snapshot is not None
        assert set(snapshot.state["rows"]) == {snapshot.state["count"]}


HOLD_LOCK = """
import sys
from pathlib import Path
from posturewatch.store import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_second_daemon_is_refused_and_told_the_first_ones_number(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        told_of = rf"in use by another posturewatch \(process {process.pid}\)"
        with pytest.raises(FolderInUseError, match=told_of) as told, lock_folder(tmp_path):
            pass
        assert told.value.exit_code == 3
        process.kill()
    with lock_folder(tmp_path):  # a killed daemon leaves no lock behind
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_lock_is_free_again_after_the_block(tmp_path):
    for _ in range(2):
        with lock_folder(tmp_path / "new" / "folder"):
            pass


def test_impossible_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    told = r"file/state: no state can be kept here .* set storage\.folder"
    with pytest.raises(PosturewatchError, match=told), lock_folder(tmp_path / "file" / "state"):
        pass


def test_header_alone_says_whose_and_from_when(store):
    store.save("me", STATE, NOW_NS)
    header = json.loads(store.path("me").read_bytes().split(b"\n")[0])
    assert (header["wearer"], header["saved_ns"], header["schema"]) == ("me", NOW_NS, SCHEMA)
