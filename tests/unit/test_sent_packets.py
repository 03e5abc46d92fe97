"""What is kept of a sensor's packets names nobody, and a replay leaves it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posturewatch.drivers import Advert, Options
from posturewatch.drivers.bound import BoundSensor
from posturewatch.drivers.preset_files import families
from posturewatch.recording.packet_log import Header, RecordedSensor, RecordingReader, RecordingWriter
from posturewatch.recording.sent_packets import SentPacket, advertised_parts, blank
from posturewatch.sources.ble.ears import Heard
from posturewatch.sources.ble.listener import Listener
from posturewatch.sources.ble.stream import SensorStream
from posturewatch.types import Tick

MAC = "CB:B8:33:4C:88:4F"
RUUVI = "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"  # the format's own example
MINEW = "a10364000000000100" + "4f884c33b8cb"


@pytest.mark.parametrize(
    ("payload", "left"),
    [(RUUVI, RUUVI[:36] + "00" * 6), (MINEW, MINEW[:18] + "00" * 6), ("0102cbb8334c88", "0102cbb8334c88")],
)
def test_an_address_is_blanked_in_either_byte_order(payload: str, left: str) -> None:
    assert blank(bytes.fromhex(payload), [None, MAC]).hex() == left


def test_a_name_or_serial_number_is_blanked_and_a_short_word_is_not() -> None:
    assert blank(b"x=1 a0b1c2d3 ok", ["A0B1C2D3", "ok"]) == b"x=1 " + bytes(8) + b" ok"


def test_frames_that_only_name_a_beacon_are_left_out() -> None:
    uuid = "0000feaa-0000-1000-8000-00805f9b34fb"
    parts = dict(advertised_parts({0x004C: b"\x02\x15" + bytes(21), 0x0499: b"\x05"}, {uuid: b"\x00\xee" + bytes(16)}))
    assert parts == {"company 0499": b"\x05"}
    assert dict(advertised_parts({}, {uuid: b"\x21\x01"})) == {f"service_data {uuid}": b"\x21\x01"}


def test_a_packet_that_cannot_be_decoded_is_kept_and_marked() -> None:
    kept: list[SentPacket] = []
    sensor = BoundSensor("tag", families(None)["ruuvi"], MAC, options=Options())
    stream = SensorStream("tag", sensor.family.capabilities, lambda _item: None, lambda: 5, kept.append)
    listener = Listener(sensor, None, stream, lambda: 5)  # type: ignore[arg-type]  # nobody is listened to
    for payload in (RUUVI, RUUVI[:20]):
        advert = Advert(MAC, None, -60, {0x0499: bytes.fromhex(payload)})
        listener._take(Heard(advert, None), 7)  # type: ignore[arg-type]  # nor connected
    assert [(packet.at_ns, packet.is_bad) for packet in kept] == [(7, False), (7, True)]
    assert kept[1].payload.hex() == RUUVI[:20]


def test_a_replay_leaves_them_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with RecordingWriter(path, Header(0, (RecordedSensor("tag"),))) as writer:
        writer.write(Tick(1))
        writer.write_sent(SentPacket("tag", 2, "company 0499", b"\x05\xff", is_bad=True))
        writer.write(Tick(3))
    assert list(RecordingReader(path)) == [Tick(1), Tick(3)]
    told = json.loads(path.read_text().splitlines()[2])
    assert told == {"p": "sensor-1", "at": 2, "part": "company 0499", "hex": "05ff", "bad": True}
