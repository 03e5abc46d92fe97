"""What virtual sensors send is, byte for byte, what their makers publish."""

from __future__ import annotations

import numpy as np
import pytest
from posturewatch_sim.packets import advertising, beacons, bthome, movesense, polar, ruuvi, triples, witmotion
from posturewatch_sim.packets.triples import STANDARD_GRAVITY


def g(*axes: float) -> np.ndarray:
    return np.array(axes)


def test_ruuvi_formats_5_and_3():
    mac = bytes.fromhex("cbb8334c884f")
    data = ruuvi.df5((4, -4, 1036), battery_mv=2977, movements=66, seq=205, mac=mac)
    assert data.hex() == "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"
    assert len(ruuvi.df3((-1000, -1726, 714), battery_mv=2899)) == 14
    assert ruuvi.df3((-1000, -1726, 714), battery_mv=2899)[6:].hex() == "fc18f94202ca0b53"
    last = ruuvi.df5((0, 0, 0), battery_mv=3000, movements=255, seq=65535, mac=mac)
    assert last[15:18] == b"\x00\x00\x00"  # 255 and 65535 mean "no value", so the counters wrap before


@pytest.mark.parametrize(
    ("made", "published"),
    [
        (triples.precise_acceleration_3d(g(0.004, -0.004, 1.036)), "0400fcff0c04"),
        (triples.precise_acceleration_3d(g(40.0, -40.0, 0.0)), "fd7f00800000"),  # never the two special values
        (triples.acceleration_3d(g(0.5, -0.25, 1.0)), "32e764"),
        (triples.acceleration_3d(g(1.26, -1.3, np.nan)), "7e807f"),
        (triples.text_line(g(0.5, -0.25, 1.0)), b"0.500,-0.250,1.000\r\n".hex()),
        (triples.infinitime(g(0.0, 0.0, 1.0)), "000000000004"),
        (triples.infinitime(g(-0.015625, 0.5, -0.8671875)), "f0ff000288fc"),
        (triples.microbit(g(50, 50, 1024) / 1024), "ceffceff00fc"),
        (triples.microbit(g(28, -972, 56) / 1024), "e4ffcc03c8ff"),
        (triples.adafruit(g(0.0, 0.0, 1.0)), "00000000000000000ae81c41"),
        (triples.thingy52(g(-0.5, 0.25, -0.75)), "00fe000100fd" + "00" * 12),
        (bthome.acceleration(g(0.0, -0.5, 8.492808 / STANDARD_GRAVITY), packet_id=9, battery_pct=88),
         "4000090158" + "6300000000" + "63632eb5ff" + "6308978100"),
        (beacons.kkm(g(0.033, -0.003, -1.006), battery_mv=3091, with_humidity=False), "21010b0c1318000021fffdfc12"),
        (beacons.minew(g(-0.5, 0.0, 0.5), battery_pct=100, mac=bytes.fromhex("aabbccddeeff")),
         "a10364ff8000000080aabbccddeeff"),
        (witmotion.measurement(g(0.0, 0.0, 1.0)), "5561000000000008" + "00" * 12),
        (witmotion.register(0x64, 397), "557164008d01" + "00" * 14),
    ],
)  # fmt: skip
def test_plain_packets(made: bytes, published: str):
    assert made.hex() == published


def test_movesense_packets_and_their_second_part():
    acc_g = np.array([(-1.0912, 4.4365, 8.6791), (-1.0553, 4.4173, 8.7198)]) / STANDARD_GRAVITY
    (whole,) = movesense.acceleration(0x63, 122_371, acc_g, 244)
    assert whole[:6].hex() == "026303de0100"
    first, second = movesense.acceleration(0x63, 122_371, acc_g, 20)
    assert (first[0], second[0]) == (2, 3)
    assert first[2:] + second[2:] == whole[2:]
    assert max(len(first), len(second)) <= 20


def test_polar_raw_frames_and_control_point_answers():
    frame = polar.raw_frame(2_000_000_000, np.array([(-9, -1, 999), (-8, -2, 997)]))
    assert frame.hex() == "02009435770000000001f7ffffffe703f8fffeffe503"
    found = {polar.RATE: (52,), polar.RESOLUTION: (16,), polar.RANGE: (8,), polar.CHANNELS: (3,)}
    reply = polar.response(1, polar.ACC, 0, polar.settings(found))
    assert reply.hex() == "f001020000000134000101100002010800040103"
    factor = polar.settings({polar.FACTOR: (0.000244,)})
    assert polar.response(2, polar.ACC, 0, factor).hex()[:-8] == "f0020200000501"
    assert polar.response(2, polar.ACC, 6, None).hex() == "f0020206"


def test_polar_differences_take_as_few_bits_as_they_need():
    flat = np.array([(-15, 20, 1008), (-20, 17, 1008)])
    frame = polar.delta_frame(101, flat, polar.DELTA_MG)
    assert frame[:16].hex() == "02650000000000000081" + "f1ff1400f003"
    # -5, -3 and 0 in four bits each, the least significant first
    assert frame[16:].hex() == "0401" + "db00"
    many = polar.delta_frame(0, np.cumsum(np.ones((62, 3), dtype=np.int64), axis=0), polar.DELTA_MG)
    assert (many[16], many[17]) == (2, 30)
    second = 18 + (2 * 30 * 3 + 7) // 8
    assert (many[second], many[second + 1]) == (2, 30)


def test_a_name_too_long_for_a_scan_response_is_cut():
    assert len(advertising.name("x" * 40)) == advertising.MAX_BYTES
    assert advertising.name("abc").hex() == "0409616263"
