"""Packets of real sensors, as their makers and users published them, and some built from the documents."""

from __future__ import annotations

import numpy as np
import pytest

from posturewatch.drivers import Packet, discover
from posturewatch.drivers.bthome import ACCELERATION, read_objects
from posturewatch.drivers.polar_control import (
    Reply,
    choose,
    factor_of,
    offers_acceleration,
    parse_settings,
    start_command,
)
from posturewatch.drivers.preset_files import parse_presets
from posturewatch.drivers.ruuvi import read_frame
from posturewatch.errors import DecodeError

FAMILIES = discover()
G0 = 9.80665


def decode(family: str, digits: str, factor: float | None = None) -> Packet:
    return FAMILIES[family].decode(bytes.fromhex(digits), factor)


def mg(packet: Packet) -> list[tuple[float, ...]]:
    return [tuple(value / 100 for value in row) for row in packet.acc_10ug.tolist()]


POLAR_IN_MG = {
    "raw 16 bits, figure 3": (
        "02ea54a2428b4552080145ffe4ffb50345ffe4ffb803",
        599618164814402794,
        [(-187, -28, 949), (-187, -28, 952)],
    ),
    "raw 16 bits": ("02009435770000000001f7ffffffe703f8fffeffe503", 2_000_000_000, [(-9, -1, 999), (-8, -2, 997)]),
    "raw 8 bits": ("0200ca9a3b0000000000ff0264009c7f", 1_000_000_000, [(-1, 2, 100), (0, -100, 127)]),
    "raw 24 bits": ("0200ca9a3b000000000290eefe050000e80300", 1_000_000_000, [(-70000, 5, 1000)]),
    "differences of 6 bits": ("02650000000000000081f1ff1400f00306017b0f08", 101, [(-15, 20, 1008), (-20, 17, 1008)]),
    "differences of 8 bits": (
        "029c5829138457730781faff2100f403060883d0ebc6f1ef3af21bfdef07bf1f00770f24",
        536869005355997340,
        [
            (-6, 33, 1012), (-3, 35, 1009), (-9, 41, 1016), (-10, 36, 1010), (-2, 35, 1016),
            (-5, 34, 1014), (-4, 33, 1012), (-3, 33, 1003), (-6, 33, 1012),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("digits", "time_ns", "expected"), POLAR_IN_MG.values(), ids=POLAR_IN_MG)
def test_polar_frames_in_milli_g(digits, time_ns, expected):
    packet = decode("polar", digits)
    assert packet.device_ns == time_ns
    assert mg(packet) == expected


POLAR_IN_COUNTS = {
    "8 bits": (
        "02646c76c43cc67f0780d0ff6501e40f0803fc07ff0c13f211f11a",
        540368444604181604,
        [(-48, 357, 4068), (-52, 364, 4067), (-40, 383, 4053), (-23, 368, 4079)],
    ),
    "10 bits": (
        "020094357700000000807107f06a9e8d0a08be5cbeba2f96b3ee4be5adfb42b9ebbe4cfeba2f92bfee4be4b1fb12b9ec",
        2_000_000_000,
        [
            (1905, 27376, -29282), (2095, 27271, -29367), (2285, 27165, -29451), (2475, 27058, -29534),
            (2665, 26950, -29616), (2855, 26841, -29697), (3045, 26731, -29778), (3235, 26620, -29857),
            (3425, 26509, -29935),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("digits", "time_ns", "expected"), POLAR_IN_COUNTS.values(), ids=POLAR_IN_COUNTS)
def test_polar_frames_in_counts_need_their_factor(digits, time_ns, expected):
    packet = decode("polar", digits, factor=1e-3)
    assert (packet.device_ns, mg(packet)) == (time_ns, expected)
    in_g = decode("polar", digits, factor=0.000244).acc_10ug / 1e5
    assert np.allclose(in_g, np.array(expected) * 0.000244, atol=5e-6)
    with pytest.raises(DecodeError, match="factor"):
        decode("polar", digits)


def test_a_polar_factor_also_scales_milli_g():
    assert mg(decode("polar", POLAR_IN_MG["differences of 6 bits"][0], factor=2.0))[0] == (-30, 40, 2016)


def test_a_width_of_nothing_is_no_change():
    assert mg(decode("polar", "026500000000000000" + "81" + "f1ff1400f003" + "0002")) == [(-15, 20, 1008)] * 3


@pytest.mark.parametrize(
    ("digits", "told"),
    [
        ("", "0 bytes"),
        ("02ea54a2428b45520801", "10 bytes"),
        ("00ea54a2428b4552080145ffe4ffb503", "type 0"),
        ("02ea54a2428b4552080345ffe4ffb503", "0x03"),
        ("02ea54a2428b4552080145ffe4ffb5", "5 bytes"),
        ("02650000000000000081f1ff1400f0", "reference"),
        ("02650000000000000081f1ff1400f0030601", "past the end"),
        ("02650000000000000081f1ff1400f00306", "head of a block"),
        ("02650000000000000081f1ff1400f003ff01" + "00" * 96, "255-bit"),
        ("02ffffffffffffffff0145ffe4ffb503", "time"),
        ("02" + "00" * 600, "601 bytes"),
        ("02650000000000000081f1ff1400f003" + "00ff" * 100, "2048"),
    ],
)
def test_a_polar_frame_that_cannot_be_is_refused(digits, told):
    with pytest.raises(DecodeError, match=told):
        decode("polar", digits)


H10 = "f0010200000004190032006400c800010110000203020004000800"
VERITY = "f001020000000134000101100002010800040103"


def collect(op: int, *packets: str) -> Reply:
    reply = Reply(op, 2)
    ended = [reply(bytes.fromhex(packet)) for packet in packets]
    assert ended == [False] * (len(packets) - 1) + [True]
    return reply


def test_polar_settings_of_both_kinds():
    assert parse_settings(bytes(collect(1, H10).content)) == {0: (25, 50, 100, 200), 1: (16,), 2: (2, 4, 8)}
    assert parse_settings(bytes(collect(1, VERITY).content)) == {0: (52,), 1: (16,), 2: (8,), 4: (3,)}


def test_polar_settings_over_several_packets_are_put_together():
    first, second = H10[:8] + "01" + H10[10:24], H10[:10] + H10[24:]
    assert parse_settings(bytes(collect(1, "0f6e00", first, second).content))[2] == (2, 4, 8)


@pytest.mark.parametrize(
    ("digits", "status", "factor"),
    [
        ("f002020000050140da7f39", 0, 0.00024399999529),
        ("f002020000", 0, None),
        ("f00202000001", 0, None),
        ("f0020206", 6, None),
    ],
)
def test_polar_start_replies(digits, status, factor):
    reply = collect(2, digits)
    assert reply.status == status
    found = factor_of(parse_settings(bytes(reply.content)))
    assert found == (None if factor is None else pytest.approx(factor, abs=1e-12))


def test_a_reply_to_another_question_is_none_of_ours():
    assert not Reply(2, 2)(bytes.fromhex("f003020000"))


@pytest.mark.parametrize(
    ("settings", "rate_hz", "range_g", "command"),
    [
        (H10, 25, 2, "0202000119000101100002010200"),
        (H10, 26, 3, "0202000132000101100002010400"),
        (H10, 1000, 100, "02020001c8000101100002010800"),
        (VERITY, 25, 2, "020200013400010110000201080004" + "0103"),
    ],
)
def test_polar_start_takes_the_lowest_that_is_enough(settings, rate_hz, range_g, command):
    offered = parse_settings(bytes(collect(1, settings).content))
    assert start_command(choose(offered, rate_hz, range_g)).hex() == command


@pytest.mark.parametrize(
    ("features", "expected"), [("0f6e00", True), ("0f0500", True), ("0f0300", False), ("f0", True), ("", True)]
)
def test_polar_features_say_whether_there_is_acceleration(features, expected):
    assert offers_acceleration(bytes.fromhex(features)) is expected


def test_ruuvi_format_5():
    digits = "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"
    packet = decode("ruuvi", digits)
    assert mg(packet) == [(4, -4, 1036)]
    assert (packet.seq, packet.seq_modulus, packet.battery_mv) == (205, 65535, 2977)
    frame = read_frame(bytes.fromhex(digits))
    assert (frame.moves, frame.mac) == (66, "CB:B8:33:4C:88:4F")


@pytest.mark.parametrize(
    ("digits", "value", "seq"),
    [
        ("057ffffffefffe7fff7fff7fffffdefefffecbb8334c884f", 32767, 65534),
        ("058001000000008001800180010000000000cbb8334c884f", -32767, 0),
    ],
)
def test_ruuvi_format_5_at_its_ends(digits, value, seq):
    packet = decode("ruuvi", digits)
    assert (mg(packet), packet.seq) == ([(value,) * 3], seq)


def test_ruuvi_format_5_that_knows_nothing():
    packet = decode("ruuvi", "058000ffffffff800080008000ffffffffffffffffffffff")
    assert (len(packet.acc_10ug), packet.invalid, packet.seq, packet.battery_mv) == (0, 1, None, None)


def test_ruuvi_format_3():
    packet = decode("ruuvi", "03291a1ece1efc18f94202ca0b53")
    assert (mg(packet), packet.battery_mv, packet.seq) == ([(-1000, -1726, 714)], 2899, None)


@pytest.mark.parametrize("digits", ["", "05", "0512fc", "06" + "00" * 23, "c5" + "00" * 17, "05" + "00" * 24])
def test_other_ruuvi_formats_are_refused(digits):
    with pytest.raises(DecodeError, match="Ruuvi format 5"):
        decode("ruuvi", digits)


IN_G = {
    "SIG": ("sig_precise_acceleration_3d", "0400fcff0c04", (0.004, -0.004, 1.036)),
    "SIG coarse": ("sig_acceleration_3d", "00ce64", (0.0, -0.5, 1.0)),
    "InfiniTime flat": ("infinitime", "000000000004", (0, 0, 1)),
    "InfiniTime": ("infinitime", "f0ff000288fc", (-0.015625, 0.5, -0.8671875)),
    "micro:bit flat": ("microbit", "ceffceff00fc", (50 / 1024, 50 / 1024, 1)),
    "micro:bit tilted": ("microbit", "e4ffcc03c8ff", (28 / 1024, -972 / 1024, 56 / 1024)),
    "micro:bit on its side": ("microbit", "c0033c000000", (-960 / 1024, -60 / 1024, 0)),
    "Adafruit flat": ("adafruit", "00000000000000000ae81c41", (0, 0, 1)),
    "Adafruit tilted": ("adafruit", "0ae89cc00000000082e20741", (-0.5, 0, 0.866)),
    "Thingy flat": ("thingy52", "000000000004" + "00" * 12, (0, 0, 1)),
    "Thingy": ("thingy52", "00fe000100fd" + "00" * 12, (-0.5, 0.25, -0.75)),
    "WitMotion capture": ("witmotion", "55617702a8fe92fe060230fecdfff8f053fcabc4", (0.3081, -0.1680, -0.1787)),
    "WitMotion flat": ("witmotion", "5561000000000008" + "00" * 12, (0, 0, 1)),
    "KKM 0b": ("kkm", "21010b0c1318000021fffdfc12", (0.033, -0.003, -1.006)),
    "KKM 0b, cold": ("kkm", "21010b0c0df540ff95fe69fc80", (-0.107, -0.407, -0.896)),
    "KKM 0f": ("kkm", "21010f0e5befbb42d1ffc200000407", (-0.062, 0, 1.031)),
    "Minew": ("minew", "a10364ff8000000080aabbccddeeff", (-0.5, 0, 0.5)),
    "Minew with turn rate": ("minew", "a1150000ff80013b000000449e58aabbccddeeff", (0, -0.5, 1.2305)),
    "BTHome": ("bthome", "400009630000000063632eb5ff6308978100", (0, -0.5, 0.866)),
    "Espruino": ("espruino_uart_text", b"0.01,-0.5, 0.866\r\n".hex(), (0.01, -0.5, 0.866)),
}


@pytest.mark.parametrize(("family", "digits", "expected"), IN_G.values(), ids=IN_G)
def test_one_sample_in_g(family, digits, expected):
    packet = decode(family, digits)
    assert len(packet.acc_10ug) == 1
    assert packet.acc_10ug[0] / 1e5 == pytest.approx(expected, abs=6e-5)


def test_what_beacons_say_about_their_batteries():
    assert decode("kkm", IN_G["KKM 0b"][1]).battery_mv == 3091
    assert decode("kkm", IN_G["KKM 0f"][1]).battery_mv == 3675
    assert decode("minew", IN_G["Minew"][1]).battery_pct == 100
    assert decode("minew", IN_G["Minew with turn rate"][1]).battery_pct is None


@pytest.mark.parametrize(("digits", "invalid"), [("ff7f00000000", 1), ("00000000fe7f", 1), ("0000ff7efe7e", 0)])
def test_marks_of_the_sig_void_a_sample(digits, invalid):
    packet = decode("sig_precise_acceleration_3d", digits)
    assert (len(packet.acc_10ug), packet.invalid) == (1 - invalid, invalid)


def test_floats_that_are_no_numbers_void_a_sample():
    packet = decode("adafruit", "0000c07f" + "00" * 4 + "0ae81c41")
    assert (len(packet.acc_10ug), packet.invalid) == (0, 1)


def test_bthome_objects_and_what_is_refused():
    objects = read_objects(bytes.fromhex("40630057d0ff"))
    assert [(kind, int.from_bytes(value, "little", signed=True) / 1e6) for kind, value in objects] == [
        (ACCELERATION, -3.123456)
    ]
    for digits, told in {
        "40630057d0ff": "x, y and z",
        "44518756": "without direction",
        "4163" + "00" * 4: "encrypted",
        "2063" + "00" * 4: "version 1",
        "406300": "cut",
        "": "0 bytes",
        "40022a09": "without acceleration",
    }.items():
        with pytest.raises(DecodeError, match=told):
            decode("bthome", digits)


def test_bthome_reads_past_other_objects_up_to_the_first_unknown_one():
    axes = "630000000063632eb5ff6308978100"
    packet = decode("bthome", "4000070164022a09" + axes + "fe99")
    assert (packet.seq, packet.battery_pct, len(packet.acc_10ug)) == (7, 100, 1)


M1 = (
    "03de010055ab8bbf69f78d4081dd0a412b1387bf975a8d4020840b41e79190bf076d8e401bf10a41"
    "2b1387bf316e8d40b9660b41"
)  # fmt: skip


@pytest.mark.parametrize("head", ["", "0263"])
def test_movesense_acceleration(head):
    packet = decode("movesense", head + M1)
    assert packet.device_ns == 122371 * 1_000_000
    in_ms2 = packet.acc_10ug / 1e5 * G0
    assert in_ms2 == pytest.approx(
        np.array([(-1.0912, 4.4365, 8.6791), (-1.0553, 4.4173, 8.7198), (-1.1295, 4.4508, 8.6839),
                  (-1.0553, 4.4197, 8.7126)]), abs=1.5e-4,
    )  # fmt: skip


def test_movesense_head_of_another_measurement():
    packet = decode("movesense", "aca1020094b578bf399b8840cdb20d41")
    assert packet.device_ns == 172460 * 1_000_000
    assert packet.acc_10ug[0] / 1e5 * G0 == pytest.approx((-0.9715, 4.2689, 8.8562), abs=1.5e-4)


@pytest.mark.parametrize("digits", ["", "02", "0263", "026303de0100", M1[:-2]])
def test_movesense_packets_that_are_cut_are_refused(digits):
    with pytest.raises(DecodeError, match="Movesense packet of"):
        decode("movesense", digits)


def test_the_schema_of_presets_can_describe_a_ruuvitag():
    text = """
[tag]
kind = "manufacturer"
match.company = 0x0499
header = "05"
length = 24
endian = ">"
type = "i16"
offset = 7
unit = "mg"
invalid = [-32768]
seq = { offset = 16, type = "u16", invalid = 65535 }
"""
    ((family, _),) = parse_presets(text, "tag.toml")
    for digits in ("0512fc5394c37c0004fffc040cac364200cdcbb8334c884f", "058000ffffffff800080008000" + "ff" * 11):
        ours, theirs = family.decode(bytes.fromhex(digits)), decode("ruuvi", digits)
        assert mg(ours) == mg(theirs)
        assert (ours.seq, ours.invalid) == (theirs.seq, theirs.invalid)
    assert ours.seq_modulus == 65535
