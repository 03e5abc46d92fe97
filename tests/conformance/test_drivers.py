"""What every family of sensors owes, whichever lie in the folder."""

from __future__ import annotations

import inspect
import math
import random
import re
import tracemalloc

import numpy as np
import pytest

from posturewatch.drivers import (
    BATTERY,
    NO,
    SURE,
    Advert,
    Ask,
    Characteristic,
    Family,
    Offered,
    Options,
    Packet,
    Read,
    Silence,
    Subscribe,
    discover,
)
from posturewatch.drivers.described import DescribedFamily
from posturewatch.errors import DecodeError, SensorRefused, StreamEnded

FAMILIES = discover()
ADVERTISED = {id: family for id, family in FAMILIES.items() if family.capabilities.is_advertised}
CONNECTED = {id: family for id, family in FAMILIES.items() if not family.capabilities.is_advertised}
PACKETS = {  # one that each family understands
    "adafruit": "00000000000000000ae81c41",
    "bthome": "400009630000000063632eb5ff6308978100",
    "espruino_uart_text": "302c302c310a",
    "infinitime": "000000000004",
    "kkm": "21010b0c1318000021fffdfc12",
    "microbit": "ceffceff00fc",
    "minew": "a10364ff8000000080aabbccddeeff",
    "movesense": "0263e8030000" + "00" * 8 + "0ae81c41",
    "polar": "0200ca9a3b0000000000ff0264009c7f",
    "ruuvi": "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f",
    "sig_acceleration_3d": "00ce64",
    "sig_precise_acceleration_3d": "0400fcff0c04",
    "thingy52": "000000000004" + "00" * 12,
    "witmotion": "5561000000000008" + "00" * 12,
}

pytestmark = pytest.mark.filterwarnings("error")  # a warning of numpy would be a line in somebody's log
each = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
each_connected = pytest.mark.parametrize("family", CONNECTED.values(), ids=CONNECTED)


def check_packet(packet: Packet) -> None:
    """Whatever came in, what goes out is sound."""
    assert packet.acc_10ug.dtype == np.int32
    assert packet.acc_10ug.ndim == 2
    assert packet.acc_10ug.shape[1] == 3
    assert len(packet.acc_10ug) <= 2048
    assert np.abs(packet.acc_10ug.astype(np.int64)).max(initial=0) <= 200 * 100_000
    assert math.isfinite(packet.rate_hz)
    assert packet.rate_hz > 0
    assert packet.device_ns is None or 0 <= packet.device_ns < 2**63
    assert packet.seq is None or 0 <= packet.seq < (packet.seq_modulus or 2**63) + 1
    assert packet.battery_pct is None or 0 <= packet.battery_pct <= 100
    assert packet.battery_mv is None or 0 <= packet.battery_mv <= 65535
    assert packet.invalid >= 0


def all_chars(family: Family) -> Offered:
    """A sensor that has everything that this family asks for."""
    chars = {BATTERY}
    if isinstance(family, DescribedFamily):
        preset = family.preset
        steps = [*preset.on_start, *preset.on_stop]
        pairs = [(preset.service, preset.char), *((step.service, step.char) for step in steps)]
        return Offered(frozenset(chars | {Characteristic(service or "s", uuid) for service, uuid in pairs if uuid}))
    module = inspect.getmodule(type(family))
    chars |= {value for value in vars(module).values() if isinstance(value, Characteristic)}
    tail = "-0000-1000-8000-00805f9a34fb"
    chars |= {
        Characteristic("0000ffe5" + tail, "0000ffe4" + tail),
        Characteristic("0000ffe5" + tail, "0000ffe9" + tail),
    }
    return Offered(frozenset(chars))


def subscribe(driver, offered: Offered) -> list[Characteristic]:
    """Carry out the start with answers that mean nothing; gives what was listened to."""
    steps, answer, heard = driver.start(offered), None, []
    for _ in range(100):
        try:
            request = steps.send(answer)
        except (StopIteration, SensorRefused):
            return heard
        answer = b"\x00" if isinstance(request, Read) else b""
        if isinstance(request, Subscribe):
            heard.append(request.char)
        if isinstance(request, Ask):
            assert not request.is_answer(b"")
            answer = b"\xf0" + request.data[:2] + b"\x00\x00" if request.data else b""
    raise AssertionError("a start without end")


@each
def test_a_family_is_named_once_and_well(family):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", family.id)
    assert 0 < len(family.title) <= 80
    assert FAMILIES[family.id] is family


@each
def test_capabilities_make_sense(family):
    found = family.capabilities
    assert 0.01 <= found.rate_hz <= 3200
    assert list(found.rates_hz) == sorted(set(found.rates_hz))
    assert not found.rates_hz or found.rate_hz in found.rates_hz
    assert found.range_g is None or 1 <= found.range_g <= 200
    assert found.step_mg is None or 0 < found.step_mg <= 100
    assert found.expected_every_s >= 1 / found.rate_hz / 50
    assert (found.silence is Silence.SPARSE) == found.is_advertised
    assert found.is_exclusive != found.is_advertised
    assert found.silence is not Silence.HOLD or found.read_every_s is not None
    assert 23 <= found.min_mtu <= 517


@each
def test_a_family_understands_its_own_packets(family):
    packet = family.decode(bytes.fromhex(PACKETS[family.id]))
    check_packet(packet)
    assert len(packet.acc_10ug) >= 1
    assert packet.rate_hz == family.capabilities.rate_hz


@each
def test_decoding_is_pure(family):
    payload = bytes.fromhex(PACKETS[family.id])
    first, second = family.decode(payload), family.decode(payload)
    assert first.acc_10ug.tolist() == second.acc_10ug.tolist()
    assert first.device_ns == second.device_ns


def distort(payload: bytes, chance: random.Random) -> bytes:
    """Cut, grown, doubled, with bytes changed, or just noise."""
    kind = chance.randrange(5)
    if kind == 0:
        return payload[: chance.randrange(len(payload) + 1)]
    if kind == 1:
        return payload + chance.randbytes(chance.randrange(600))
    if kind == 2:
        changed = bytearray(payload)
        for _ in range(chance.randrange(1, 6)):
            changed[chance.randrange(len(changed))] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        return bytes(changed)
    return payload * chance.randrange(1, 5) if kind == 3 else chance.randbytes(chance.randrange(600))


@each
def test_any_bytes_are_a_packet_or_a_decode_error(family):
    chance, seen = random.Random(7), set()
    for _ in range(1000):
        payload = distort(bytes.fromhex(PACKETS[family.id]), chance)
        try:
            check_packet(family.decode(payload, chance.choice([None, 0.001, 1e3, math.nan, math.inf])))
            seen.add("packet")
        except DecodeError as error:
            seen.add("error")
            assert "\n" not in str(error)
            assert 0 < len(str(error)) < 300
    assert seen == {"packet", "error"}


@each_connected
def test_a_connected_driver_takes_any_notification_and_keeps_little(family):
    chance, driver = random.Random(8), family.create(Options())
    chars = [*subscribe(driver, all_chars(family)), BATTERY]
    assert len(chars) >= 2
    pieces = [distort(bytes.fromhex(PACKETS[family.id]), chance) for _ in range(400)]

    def hear() -> None:
        for piece in pieces:
            try:
                packet = driver.decode(chance.choice(chars), piece)
            except (DecodeError, StreamEnded):
                continue
            if packet is not None:
                check_packet(packet)

    hear()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            hear()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 50_000


@each_connected
def test_a_connected_driver_ends_every_stream_that_it_began(family):
    driver = family.create(Options())
    heard = subscribe(driver, all_chars(family))
    left, steps, answer = [], driver.stop(), None
    for _ in range(100):
        try:
            request = steps.send(answer)
        except StopIteration:
            break
        answer = b""
        left += [request.char] if type(request).__name__ == "Unsubscribe" else []
    assert sorted(left, key=str) == sorted(heard, key=str)


@each_connected
def test_a_connected_driver_refuses_another_device_with_one_line(family):
    steps = family.create(Options()).start(Offered(frozenset()))
    with pytest.raises(SensorRefused) as caught:
        steps.send(None)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) > 20


def carry(family: Family, payload: bytes) -> Advert:
    """An advertisement with these bytes at each place where a family may look for them."""
    match = family.preset.match if isinstance(family, DescribedFamily) else None
    company = match.company if match and match.company is not None else 0x0499
    uuid = match.service_data_uuid if match and match.service_data_uuid else "0000fcd2-0000-1000-8000-00805f9b34fb"
    return Advert("AA:BB:CC:DD:EE:FF", None, -50, manufacturer={company: payload}, service_data={uuid: payload})


@pytest.mark.parametrize("family", ADVERTISED.values(), ids=ADVERTISED)
def test_any_advertisement_is_a_packet_nothing_or_a_decode_error(family):
    chance, driver = random.Random(9), family.create(Options())
    good = carry(family, bytes.fromhex(PACKETS[family.id]))
    assert family.match(good) == SURE
    assert len(driver.decode(good).acc_10ug) == 1
    for _ in range(1000):
        advert = carry(family, distort(bytes.fromhex(PACKETS[family.id]), chance))
        assert NO <= family.match(advert) <= SURE
        assert 0 < len(family.identity(advert)) <= 64
        try:
            packet = driver.decode(advert)
        except DecodeError:
            continue
        if packet is not None:
            check_packet(packet)
