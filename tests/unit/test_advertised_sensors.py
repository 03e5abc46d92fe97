"""Sensors that are only listened to: what is new, what is repeated, who is who."""

from __future__ import annotations

import struct

import pytest

from posturewatch.drivers import LIKELY, NO, SURE, Advert, Options, discover
from posturewatch.drivers.bthome import SERVICE_DATA as BTHOME
from posturewatch.errors import DecodeError

FAMILIES = discover()
KKM, MINEW = "0000feaa-0000-1000-8000-00805f9b34fb", "0000ffe1-0000-1000-8000-00805f9b34fb"
MAC = bytes.fromhex("cbb8334c884f")


def ruuvi(seq: int, moves: int = 0, z: int = 1000, mac: bytes = MAC) -> Advert:
    payload = struct.pack(">BhHHhhhHBH6s", 5, 0, 0, 0, 0, 0, z, 0x1000, moves, seq, mac)
    return Advert("AA:BB:CC:DD:EE:FF", None, -60, manufacturer={0x0499: payload})


def service(uuid: str, digits: str) -> Advert:
    return Advert("AA:BB:CC:DD:EE:FF", None, -60, service_data={uuid: bytes.fromhex(digits)})


def test_a_ruuvitag_measurement_counts_once_however_often_it_is_heard():
    tag = FAMILIES["ruuvi"].create(Options())
    heard = [tag.decode(ruuvi(seq)) for seq in (7, 7, 8, 8, 8, 9)]
    assert [packet and packet.seq for packet in heard] == [7, None, 8, None, None, 9]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((7, 10), (8, 10), False),
        ((7, 10), (8, 11), True),
        ((7, 254), (9, 0), True),
        ((65534, 3), (0, 3), False),  # the counter wraps
        ((500, 10), (3, 0), None),  # the tag began anew
        ((7, 255), (8, 10), None),  # it does not count
        ((7, 10), (8, 255), None),
        ((7, 10), (65535, 11), None),
    ],
)
def test_a_ruuvitag_tells_whether_it_was_moved_in_between(before, after, expected):
    tag = FAMILIES["ruuvi"].create(Options())
    assert tag.decode(ruuvi(*before)).has_moved is None
    assert tag.decode(ruuvi(*after)).has_moved is expected


def test_a_ruuvitag_that_knows_nothing_or_says_other_things_is_silent():
    tag = FAMILIES["ruuvi"].create(Options())
    nothing = "058000ffffffff800080008000ffffffffffffffffffffff"
    for digits in (nothing, "06" + "00" * 19, "c5" + "00" * 17, ""):
        assert tag.decode(Advert("a", None, None, manufacturer={0x0499: bytes.fromhex(digits)})) is None
    assert tag.decode(Advert("a", None, None)) is None
    with pytest.raises(DecodeError):
        tag.decode(Advert("a", None, None, manufacturer={0x0499: b"\x05\x00"}))


def test_a_ruuvitag_whose_sensor_failed_still_tells_its_battery():
    packet = FAMILIES["ruuvi"].create(Options()).decode(ruuvi(3, z=-0x8000))
    assert (len(packet.acc_10ug), packet.invalid, packet.battery_mv) == (0, 1, 1600 + 0x80)


def test_a_ruuvitag_is_known_by_the_address_in_its_payload():
    family = FAMILIES["ruuvi"]
    assert family.identity(ruuvi(1)) == "CB:B8:33:4C:88:4F"
    assert family.identity(ruuvi(1, mac=b"\xff" * 6)) == "AA:BB:CC:DD:EE:FF"
    assert family.identity(Advert("a", None, None)) == "a"
    assert family.match(ruuvi(1)) == SURE
    assert family.match(Advert("a", None, None, manufacturer={0x0499: b"\x06"})) == NO


AXES = "630000000063632eb5ff6308978100"


def test_bthome_counts_packets_and_lets_other_objects_pass():
    board = FAMILIES["bthome"].create(Options(rate_hz=4))
    heard = [board.decode(service(BTHOME, f"4000{pid:02x}{AXES}")) for pid in (254, 254, 255, 0)]
    assert [packet and packet.seq for packet in heard] == [254, None, 255, 0]
    assert heard[0].rate_hz == 4
    assert board.decode(service(BTHOME, "400009022a09")) is None
    assert board.decode(service(BTHOME, "40000a0132")).battery_pct == 50
    assert board.decode(Advert("a", None, None)) is None
    with pytest.raises(DecodeError, match="direction"):
        board.decode(service(BTHOME, "40000b518756"))


def test_bthome_is_ours_only_with_three_accelerations():
    family = FAMILIES["bthome"]
    assert family.match(service(BTHOME, "400009" + AXES)) == SURE
    for digits in ("40022a09", "44518756", "4163" + "00" * 20, "40630057d0ff", ""):
        assert family.match(service(BTHOME, digits)) == NO
    assert family.match(Advert("a", None, None)) == NO


def test_beacons_are_told_by_their_frames():
    kkm, minew = FAMILIES["kkm"], FAMILIES["minew"]
    frame = service(KKM, "21010b0c1318000021fffdfc12")
    eddystone = service(KKM, "10f6037777772e")
    assert (kkm.match(frame), kkm.match(eddystone), minew.match(frame)) == (SURE, NO, NO)
    beacon = kkm.create(Options())
    assert beacon.decode(eddystone) is None
    assert [len(beacon.decode(frame).acc_10ug) for _ in range(2)] == [1, 1], "no counter: the same again is new"
    assert kkm.identity(frame) == "AA:BB:CC:DD:EE:FF"
    assert minew.identity(service(MINEW, "a10364ff8000000080010203040506")) == "01:02:03:04:05:06"
    assert minew.identity(service(MINEW, "a1150000ff80013b000000449e58010203040506")) == "01:02:03:04:05:06"


def sig(uuid: str) -> Advert:
    return Advert("a", "Board", None, service_uuids=frozenset({f"0000{uuid}-0000-1000-8000-00805f9b34fb"}))


POLAR_STRAP = Advert(
    "a", None, None, manufacturer={0x006B: b"\x3f"}, service_uuids=frozenset({"0000180d-0000-1000-8000-00805f9b34fb"})
)
THINGY = Advert("a", "My thing", None, service_uuids=frozenset({"ef680100-9b35-4933-9b10-52ffa9740042"}))


@pytest.mark.parametrize(
    ("advert", "family", "score"),
    [
        (Advert("a", "Polar H10 0123ABCD", None), "polar", SURE),
        (Advert("a", "Polar Sense 0123ABCD", None), "polar", SURE),
        (Advert("a", "Polar Vantage", None), "polar", LIKELY),
        (POLAR_STRAP, "polar", LIKELY),
        (Advert("a", "Movesense 000000000000", None), "movesense", SURE),
        (Advert("a", "WT901BLE68", None), "witmotion", LIKELY),
        (Advert("a", "InfiniTime", None), "infinitime", LIKELY),
        (Advert("a", "BBC micro:bit [zuvov]", None), "microbit", LIKELY),
        (Advert("a", None, None, manufacturer={0x0822: b"\x04"}), "adafruit", LIKELY),
        (THINGY, "thingy52", SURE),
        (sig("2c1e"), "sig_precise_acceleration_3d", SURE),
        (sig("2c1d"), "sig_acceleration_3d", SURE),
    ],
)
def test_an_advertisement_fits_one_family(advert, family, score):
    scores = {name: found.match(advert) for name, found in FAMILIES.items()}
    assert scores.pop(family) == score
    assert set(scores.values()) == {NO}


def test_what_says_nothing_fits_no_family():
    assert {family.match(Advert("a", None, None)) for family in FAMILIES.values()} == {NO}


@pytest.mark.parametrize(
    ("family", "name", "identity"),
    [
        ("polar", "Polar H10 0123ABCD", "0123ABCD"),
        ("polar", "Polar Sense 0123ABCD", "0123ABCD"),
        ("polar", None, "a"),
        ("movesense", "Movesense 223430000123", "223430000123"),
        ("movesense", "Movesense", "a"),
        ("witmotion", "WT901BLE68", "a"),
        ("infinitime", "InfiniTime", "a"),
    ],
)
def test_a_serial_number_in_the_name_stays_when_addresses_change(family, name, identity):
    assert FAMILIES[family].identity(Advert("a", name, None)) == identity
