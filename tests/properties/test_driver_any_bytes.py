"""Whatever the radio hands us: samples, or a DecodeError; and what was encoded by the documents comes back."""

from __future__ import annotations

import contextlib
import math
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posturewatch.drivers import Advert, Options, discover
from posturewatch.drivers.polar import CONTROL, DATA
from posturewatch.drivers.polar_control import Reply, choose, factor_of, parse_settings, start_command
from posturewatch.drivers.preset_files import parse_presets
from posturewatch.errors import ConfigError, DecodeError, StreamEnded

if TYPE_CHECKING:
    from posturewatch.drivers import Packet

pytestmark = pytest.mark.filterwarnings("error")  # a warning of numpy would be a line in somebody's log
FAMILIES = discover()
HEADS = {
    "polar": [bytes([2]) + bytes(8) + bytes([kind]) for kind in (0, 1, 2, 0x80, 0x81)],
    "ruuvi": [b"\x05", b"\x03"],
    "witmotion": [b"\x55\x61", b"\x55\x71"],
    "movesense": [b"\x02\x63"],
    "bthome": [b"\x40", b"\x40\x00\x01\x63", b"\x44"],
    "kkm": [bytes.fromhex("21010b"), bytes.fromhex("21010f")],
    "minew": [bytes.fromhex("a103"), bytes.fromhex("a115")],
    "espruino_uart_text": [b"1,2,3\n", b"1.5,"],
}
FACTORS = st.none() | st.floats() | st.just(0.000244)


def check(packet: Packet) -> None:
    assert packet.acc_10ug.dtype == np.int32
    assert packet.acc_10ug.shape[1:] == (3,)
    assert len(packet.acc_10ug) <= 2048
    assert np.abs(packet.acc_10ug.astype(np.int64)).max(initial=0) <= 20_000_000
    assert packet.invalid >= 0
    assert packet.device_ns is None or 0 <= packet.device_ns < 2**63


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_any_bytes_are_samples_or_a_decode_error(family, data) -> None:
    head = data.draw(st.sampled_from([b"", *HEADS.get(family, [])]))
    payload = head + data.draw(st.binary(max_size=64) | st.binary(max_size=600))
    try:
        check(FAMILIES[family].decode(payload, data.draw(FACTORS)))
    except DecodeError as error:
        assert "\n" not in str(error)


@given(st.lists(st.tuples(*[st.integers(-8000, 8000)] * 3), min_size=1, max_size=60), st.integers(0, 2**62))
def test_polar_raw_frames_give_back_what_was_measured(rows, time_ns) -> None:
    frame = struct.pack("<BQB", 2, time_ns, 1) + b"".join(struct.pack("<3h", *row) for row in rows)
    packet = FAMILIES["polar"].decode(frame)
    assert packet.acc_10ug.tolist() == [[100 * value for value in row] for row in rows]
    assert packet.device_ns == time_ns


def pack_block(steps: list[tuple[int, int, int]], width: int) -> bytes:
    """Differences as a block, bit by bit from the lowest."""
    number = at = 0
    for value in (axis for step in steps for axis in step):
        number |= (value & ((1 << width) - 1)) << at
        at += width
    return bytes([width, len(steps)]) + number.to_bytes((at + 7) // 8, "little")


@given(
    st.tuples(*[st.integers(-2000, 2000)] * 3),
    st.lists(st.integers(1, 16).flatmap(lambda width: st.tuples(
        st.just(width),
        st.lists(st.tuples(*[st.integers(-(1 << width - 1), (1 << width - 1) - 1)] * 3), max_size=12),
    )), max_size=5),
)  # fmt: skip
def test_polar_differences_of_any_width_give_back_what_was_measured(reference, blocks) -> None:
    content = struct.pack("<3h", *reference) + b"".join(pack_block(steps, width) for width, steps in blocks)
    rows = np.cumsum([reference, *(step for _, steps in blocks for step in steps)], axis=0)
    packet = FAMILIES["polar"].decode(struct.pack("<BQB", 2, 5, 0x81) + content)
    possible = rows[(np.abs(rows) <= 200_000).all(axis=1)]
    assert packet.acc_10ug.tolist() == (possible * 100).tolist()
    assert packet.invalid == len(rows) - len(possible)


@given(st.lists(st.binary(max_size=40), max_size=8), st.binary(max_size=20))
def test_any_control_point_traffic_is_a_reply_or_nothing(packets, content) -> None:
    reply, driver = Reply(1, 2), FAMILIES["polar"].create(Options())
    for packet in [*packets, b"\xf0\x01\x02\x00\x01" + content, b"\xf0\x01\x02\x00\x00" + content]:
        reply(packet)
        try:
            assert driver.decode(CONTROL, packet) is None
        except StreamEnded:
            assert packet[0] == 1
    found = parse_settings(bytes(reply.content))
    factor = factor_of(found)
    assert factor is None or (math.isfinite(factor) and factor > 0)
    assert len(start_command(choose(found, 25.0, 2.0))) <= 40


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=30))
@settings(deadline=None)
def test_a_stream_of_any_bytes_never_stops_a_later_good_packet(pieces) -> None:
    for name, good in {"polar": "0200ca9a3b0000000000ff0264009c7f"}.items():
        driver = FAMILIES[name].create(Options())
        for piece in pieces:
            try:
                driver.decode(DATA, piece)
            except DecodeError:
                continue
        assert len(driver.decode(DATA, bytes.fromhex(good)).acc_10ug) == 2


@given(st.dictionaries(st.integers(0, 0xFFFF) | st.just(0x0499), st.binary(max_size=40), max_size=3),
       st.dictionaries(st.sampled_from([f"0000{x}-0000-1000-8000-00805f9b34fb" for x in ("fcd2", "feaa", "ffe1")]),
                       st.binary(max_size=40), max_size=3), st.none() | st.text(max_size=30))  # fmt: skip
@settings(deadline=None)
def test_any_advertisement_is_matched_without_harm(manufacturer, service_data, name) -> None:
    advert = Advert("a", name, None, manufacturer=manufacturer, service_data=service_data)
    for family in FAMILIES.values():
        assert 0 <= family.match(advert) <= 100
        assert family.identity(advert)


KEYS = ["kind", "char", "type", "unit", "offset", "length", "header", "mask", "seq", "battery", "repeat", "stride",
        "layout", "order", "match", "on_start", "poll_s", "split", "time", "scale", "nonsense"]  # fmt: skip
VALUES = ['"notify"', '"text"', '"read"', '"manufacturer"', '"0x2C1E"', '"i16"', '"g"', "0", "1", "-1", "600", "1.5",
          "true", '"rest"', '"ff"', '[1, 9]', '["x", "y", "z"]', '{ offset = 1, type = "u16" }', "{ company = 5 }",
          '{ offset = 1, type = "u8", unit = "%" }', '[{ header = "00" }]', '[{ char = "2C1E", hex = "00" }]', '"é"',
          '{ x = "1", y = 2 }', "1979-05-27", "[[1], [2]]", "nan", "[]"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=9))
@settings(deadline=None, max_examples=300)
def test_any_preset_is_taken_or_told_what_is_wrong(keys) -> None:
    base = {"kind": '"notify"', "char": '"0x2C1E"', "type": '"i16"', "unit": '"g"'}
    text = "[mine]\n" + "".join(f"{key} = {value}\n" for key, value in (base | keys).items())
    try:
        ((family, place),) = parse_presets(text, "f.toml")
    except ConfigError as error:
        for line in str(error).splitlines():
            assert line.startswith("f.toml:")
        return
    assert place == "f.toml:1"
    with contextlib.suppress(DecodeError):
        check(family.decode(bytes(12)))
