"""Whatever comes from a network is records or a `DnsError`, soon; what is asked can be read by others."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posturewatch.mqtt.dns_messages import PTR, SRV, TXT, A, DnsError, Record, answers, name_of, question

HEAD = struct.Struct("!6H")
ANSWER = 0x8400
LABELS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=15)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(tuple)


def packed(*labels: bytes) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def message(*records: bytes, number: int = 7, flags: int = ANSWER) -> bytes:
    return HEAD.pack(number, flags, 0, len(records), 0, 0) + b"".join(records)


def record(name: bytes, kind: int, data: bytes, group: int = 1) -> bytes:
    return name + struct.pack("!2HIH", kind, group, 10, len(data)) + data


NAME = packed(b"a", b"local")


@given(st.binary(max_size=400))
def test_any_bytes_are_records_or_an_error(packet: bytes) -> None:
    for whole in (packet, HEAD.pack(7, ANSWER, 1, 3, 1, 1) + packet):
        try:
            answers(whole, 7)
        except DnsError as wrong:
            assert "\n" not in str(wrong)


@given(st.lists(st.sampled_from([b"\xc0\x0c", b"\xc0\x0e", b"\x01a", b"\0", b"\xc0\xff", NAME]), max_size=30))
def test_pointers_in_any_order_have_an_end(parts: list[bytes]) -> None:
    for kind in (PTR, SRV):
        packet = message(record(b"".join(parts), kind, b"\0" * 6 + b"".join(parts)))
        with contextlib.suppress(DnsError):
            answers(packet, 7)


@given(st.lists(st.tuples(NAMES, st.sampled_from([PTR, SRV, TXT, A])), min_size=1, max_size=5), st.integers(1, 65535))
def test_a_question_says_what_is_asked(wanted: list[tuple[tuple[str, ...], int]], number: int) -> None:
    packet = question(wanted, number)
    assert HEAD.unpack_from(packet) == (number, 0, len(wanted), 0, 0, 0)
    rest = b"".join(packed(*(x.encode() for x in name)) + struct.pack("!2H", kind, 1) for name, kind in wanted)
    assert packet[HEAD.size :] == rest


def test_records_of_each_kind_are_read_with_their_compressed_names() -> None:
    to_name = struct.pack("!H", 0xC000 | HEAD.size)
    found = answers(
        message(
            record(packed(b"_mqtt", b"_tcp", b"local"), PTR, b"\x04desk" + to_name),
            record(NAME, SRV, struct.pack("!3H", 0, 5, 1883) + NAME, group=0x8001),
            record(NAME, A, bytes((192, 168, 1, 5))),
            record(NAME, TXT, b"\x03a=b\x00\x01c"),
            record(NAME, 47, b"\0\0"),  # a kind that is no concern of ours
            record(NAME, A, bytes(4), group=3),  # another class
        ),
        7,
    )
    assert found == [
        Record(name_of("_mqtt._tcp.local"), PTR, target=("desk", "_mqtt", "_tcp", "local")),
        Record(("a", "local"), SRV, target=("a", "local"), port=1883),
        Record(("a", "local"), A, address="192.168.1.5"),
        Record(("a", "local"), TXT, text=("a=b", "", "c")),
    ]


@pytest.mark.parametrize(
    ("packet", "says"),
    [
        (b"", "too early"),
        (message(record(NAME, A, bytes(4)))[:-1], "too early"),
        (message(b"\xc0\x0c" + bytes(10)), "points forward"),  # to itself
        (message(b"\x01a\xc0\x0c" + bytes(10)), "points forward"),  # to its own beginning
        (message(b"\xc0\x30" + bytes(60)), "points forward"),
        (message(packed(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 63, b"e" * 63) + bytes(10)), "too long"),
        (message(b"\x80" + bytes(200)), "too long"),  # a length of no known kind
        (HEAD.pack(7, ANSWER, 0, 600, 0, 0), "too many"),
        (message() + bytes(9000), "longer than"),
    ],
)
def test_what_cannot_be_a_message_is_said(packet: bytes, says: str) -> None:
    with pytest.raises(DnsError, match=says):
        answers(packet, 7)


def test_the_answer_to_another_question_and_a_question_are_none() -> None:
    one = record(NAME, A, bytes(4))
    assert answers(message(one, number=8), 7) == []
    assert answers(message(one, flags=0), 7) == []
    assert len(answers(message(one, number=0), 7)) == 1  # as those do who send the same to everybody


def test_a_name_that_cannot_be_asked_for_is_refused() -> None:
    for name in (("a" * 64,), ("",), ("a" * 60,) * 5):
        with pytest.raises(DnsError, match="too long"):
            question([(name, A)], 1)
