"""What the daemon saw is what a replay of its recording sees."""

from __future__ import annotations

import gzip
import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from posturewatch.errors import RecordingError
from posturewatch.recording.packet_log import (
    Header,
    RecordedSensor,
    RecordingReader,
    RecordingWriter,
    is_recording,
    redact,
)
from posturewatch.types import Command, LinkChanged, Placement, RawSamples, SampleBatch, Surroundings, Tick, Verb

NS = st.integers(0, 2**62)
ACC = hnp.arrays(np.int32, st.tuples(st.integers(0, 20), st.just(3)), elements=st.integers(-(2**31), 2**31 - 1))
RATE = st.floats(0.01, 3200)
NAME = st.sampled_from(["sensor-1", "sensor-2"])
TEXT = st.none() | st.text(max_size=20)
MAYBE_NS = st.none() | NS
BATCH = ACC.flatmap(
    lambda acc: st.builds(
        SampleBatch,
        NAME,
        st.lists(NS, min_size=len(acc), max_size=len(acc)).map(lambda t: np.array(sorted(t), np.int64)),
        st.just(acc),
    )
)
ITEM = st.one_of(
    st.builds(Tick, NS),
    st.builds(RawSamples, NAME, NS, ACC, RATE, MAYBE_NS, st.none() | st.integers(0, 2**32), st.sampled_from([0, 256])),
    BATCH,
    st.builds(LinkChanged, NAME, NS, st.booleans(), st.text(max_size=20)),
    st.builds(
        Command, NS, st.sampled_from(Verb), TEXT, TEXT, st.none() | RATE, MAYBE_NS, TEXT, TEXT, TEXT | st.booleans()
    ),
    st.builds(Surroundings, NS, TEXT, NS),
)
HEADER = Header(7, (RecordedSensor("sensor-1", Placement.CHEST, 50.0), RecordedSensor("sensor-2")))


def plain(item: object) -> object:
    """A record with its arrays as lists, so that two can be compared."""
    arrays = {
        name: (str(value.dtype), value.tolist())
        for name in ("t_ns", "acc_10ug")
        if isinstance(value := getattr(item, name, None), np.ndarray)
    }
    return (type(item), replace(item, **arrays))


def write_all(path: Path, items: list, header: Header = HEADER) -> Path:
    with RecordingWriter(path, header) as writer:
        for item in items:
            writer.write(item)
    return path


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEM, max_size=12), st.sampled_from(["a.jsonl", "a.jsonl.gz"]))
def test_items_come_back_equal(items, name):
    with tempfile.TemporaryDirectory() as folder:
        reader = RecordingReader(write_all(Path(folder) / name, items))
        assert reader.header == HEADER
        for _ in range(2):
            assert [plain(item) for item in reader] == [plain(redact(item)) for item in items]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["a.jsonl", "a.jsonl.gz"]))
def test_file_cut_anywhere_gives_what_is_whole_or_names_its_line(data, name):
    items = [Tick(n) for n in range(30)]
    with tempfile.TemporaryDirectory() as folder:
        path = write_all(Path(folder) / name, items)
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        try:
            reader = RecordingReader(path)
        except RecordingError as error:
            assert str(error).startswith(f"{path}:1: ")
            return
        read = list(reader)
        assert read == items[: len(read)]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from(["a.jsonl", "a.jsonl.gz"]))
def test_any_bytes_give_items_or_a_recording_error(noise, at, name):
    with tempfile.TemporaryDirectory() as folder:
        path = write_all(Path(folder) / name, [Tick(1), RawSamples("x", 1, np.zeros((2, 3), np.int32), 50.0)])
        content = path.read_bytes()
        path.write_bytes(content[:at] + noise + content[at + len(noise) :])
        try:
            for item in RecordingReader(path):
                assert isinstance(item, Tick | RawSamples | SampleBatch | LinkChanged | Command | Surroundings)
        except RecordingError as error:
            assert str(error).startswith(f"{path}:")


def test_cut_recording_is_used_and_told_once(tmp_path, caplog):
    path = write_all(tmp_path / "a.jsonl", [Tick(1), Tick(2), Tick(3)])
    path.write_bytes(path.read_bytes()[:-3])
    reader = RecordingReader(path)
    with caplog.at_level(logging.WARNING):
        assert list(reader) == [Tick(1), Tick(2)]
        assert list(reader) == [Tick(1), Tick(2)]
    assert reader.is_truncated
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}:4: the recording is cut short here; what is before it is used"
    ]


def test_damaged_line_is_named(tmp_path):
    path = write_all(tmp_path / "a.jsonl", [Tick(1), Tick(2)])
    path.write_text(path.read_text().replace('{"t":1}', '{"s":"x","at":1,"hz":50,"acc":"AAAA"}'))
    with pytest.raises(RecordingError, match=r"a\.jsonl:2: the line is damaged"):
        list(RecordingReader(path))


@pytest.mark.parametrize("content", [b"", b"\n", b"t_s,x,y,z\n1,2,3,4\n", b"PAR1\x00\x01\n", b'{"format":"other"}\n'])
def test_other_files_are_no_recordings(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert not is_recording(path)
    with pytest.raises(RecordingError, match=r"a\.jsonl:1: "):
        RecordingReader(path)


def test_newer_format_is_told(tmp_path):
    path = write_all(tmp_path / "a.jsonl", [])
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}) + "\n")
    assert is_recording(path)
    with pytest.raises(RecordingError, match="update the program"):
        RecordingReader(path)


def test_recording_names_neither_person_nor_device(tmp_path):
    sensor = "anna-c8:2e:18:01:02:03"
    header = Header(7, (RecordedSensor(sensor, Placement.CHEST),))
    items = [
        LinkChanged(sensor, 1, up=False, reason=f"{sensor} went away"),
        Command(2, Verb.HOLD, reason="call with Anna"),
        Surroundings(2, "with Anna", 9),
        RawSamples("unannounced-anna", 3, np.zeros((1, 3), np.int32), 50.0),
    ]
    path = write_all(tmp_path / "a.jsonl.gz", items, header)
    text = gzip.decompress(path.read_bytes()).decode().lower()
    assert "anna" not in text
    assert "c8:2e" not in text
    assert [getattr(item, "sensor", None) for item in RecordingReader(path)] == ["sensor-1", None, None, "sensor-2"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_flushed_items_survive_a_kill(tmp_path, name):
    writer = RecordingWriter(tmp_path / name, HEADER)
    writer.write(Tick(1))
    writer.flush()
    copy = tmp_path / f"copy-{name}"
    copy.write_bytes((tmp_path / name).read_bytes())  # what a kill at this moment would leave
    writer.close()
    assert list(RecordingReader(copy)) == [Tick(1)]


def test_recording_stops_at_its_bound(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    with RecordingWriter(path, HEADER, max_bytes=1000) as writer:
        written = [writer.write(Tick(n)) for n in range(1000)]
    assert path.stat().st_size < 1100
    assert writer.dropped == written.count(False) > 0
    assert len(caplog.records) == 1
    assert list(RecordingReader(path)) == [Tick(n) for n in range(written.count(True))]


def test_recording_never_overwrites(tmp_path):
    path = write_all(tmp_path / "a.jsonl", [])
    with pytest.raises(RecordingError, match="is there already, and is not overwritten"):
        RecordingWriter(path, HEADER)
    with pytest.raises(RecordingError, match="folder is not there; make it"):
        RecordingWriter(tmp_path / "none" / "a.jsonl", HEADER)
