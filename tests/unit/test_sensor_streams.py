"""From packets to samples: device clocks, counters, sensors that speak on change only, sensors that cannot be right."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posturewatch.drivers import Capabilities, Packet, Silence
from posturewatch.drivers.device_clock import DeviceClock
from posturewatch.drivers.packet_order import PacketOrder
from posturewatch.drivers.plausibility import Plausibility
from posturewatch.errors import DecodeError
from posturewatch.sources.ble.stream import SensorStream
from posturewatch.types import LinkChanged, RawSamples

S = 1_000_000_000
NOW = 1_772_438_400 * S
UP = (0, 0, 100_000)


def acc(*rows):
    return np.array(rows, np.int32).reshape(-1, 3)


# ---------------------------------------------------------------- the device's clock


def test_the_least_delay_of_the_last_minute_places_the_device_clock():
    clock, delays = DeviceClock(), [0.2, 0.05, 0.3, 0.1]
    placed = [clock.to_utc_ns(i * S, NOW + i * S + round(delay * S)) for i, delay in enumerate(delays)]
    assert placed[1:] == [NOW + i * S + round(0.05 * S) for i in (1, 2, 3)]


def test_a_better_delay_is_forgotten_after_a_minute_so_that_a_slow_clock_can_be_followed():
    clock, slow = DeviceClock(), 1.001
    for i in range(600):
        placed = clock.to_utc_ns(round(i * S / slow), NOW + i * S)
    assert abs(placed - (NOW + 599 * S)) < 0.07 * S


@pytest.mark.parametrize("device_s", [-3600.0, 40.0, 7200.0])
def test_a_clock_that_is_set_or_starts_anew_is_placed_anew(device_s):
    clock = DeviceClock()
    for i in range(20):
        clock.to_utc_ns(100 * S + i * S, NOW + i * S)
    placed = clock.to_utc_ns(round((100 + device_s) * S), NOW + 20 * S)
    assert placed == NOW + 20 * S
    assert clock.jumps == 1


def test_packets_that_are_not_newer_are_refused():
    clock = DeviceClock()
    assert clock.to_utc_ns(10 * S, NOW) is not None
    assert clock.to_utc_ns(10 * S, NOW + S // 10) is None
    assert clock.to_utc_ns(9 * S, NOW + S // 5) is None
    assert clock.to_utc_ns(11 * S, NOW + S) is not None


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(-(2**62), 2**62)), max_size=30))
def test_no_clock_is_too_strange(pairs):
    clock = DeviceClock()
    for device_ns, arrived_ns in pairs:
        clock.to_utc_ns(device_ns, arrived_ns)


# ---------------------------------------------------------------- the counter


def test_a_counter_is_followed_through_its_wrap_and_counts_what_is_missing():
    order = PacketOrder()
    assert [order.follow(seq, 256) for seq in (254, 255, 0, 1, 4)] == [0, 1, 2, 3, 6]
    assert order.lost == 2


def test_repeated_and_late_packets_are_refused():
    order = PacketOrder()
    assert [order.follow(seq, 256) for seq in (10, 10, 11, 9, 12)] == [0, None, 1, None, 2]


def test_a_restart_of_the_device_or_a_new_connection_goes_on_counting():
    order = PacketOrder()
    assert [order.follow(seq) for seq in (500, 501, 0, 1)] == [0, 1, 2, 3]
    order.restart()
    assert order.follow(1) == 4
    assert order.lost == 0


@pytest.mark.parametrize("modulus", [65535, 65536])  # of a RuuviTag, and of any 16 bits
def test_a_brown_out_is_no_loss_of_all_the_numbers_up_to_the_wrap(modulus):
    order = PacketOrder()
    assert [order.follow(seq, modulus) for seq in (299, 300, 0, 1, 3)] == [0, 1, 2, 3, 5]
    assert order.lost == 1


@given(st.lists(st.integers(0, 65535), max_size=50), st.sampled_from([0, 256, 65535, 65536]))
def test_the_count_only_grows(seqs, modulus):
    order = PacketOrder()
    counts = [count for seq in seqs if (count := order.follow(seq % modulus if modulus else seq, modulus)) is not None]
    assert counts == sorted(set(counts))


# ---------------------------------------------------------------- what cannot be


def look(plausibility, rows_of, seconds):
    for i in range(seconds * 10):
        plausibility.look(acc(*rows_of(i)), NOW + i * S // 10)
    return plausibility.fault


def test_a_sensor_that_reads_gravity_is_believed():
    assert look(Plausibility(), lambda i: [(300 + i % 5, 500, 99_000)], 60) is None


@pytest.mark.parametrize("z", [9_800, 50_000, 196_000, 0])
def test_a_wrong_scale_or_missing_gravity_is_found(z):
    assert "instead of 1 g" in look(Plausibility(), lambda i: [(300 + i % 5, 500, z)], 60)


def test_movement_is_no_fault():
    assert look(Plausibility(), lambda i: [(80_000 * (i % 2), 900 * (i % 4), 100_000 * (i % 3))], 60) is None


def test_what_a_sensor_cannot_measure_is_a_fault_also_while_it_moves_and_a_knock_is_none():
    def move(i: int) -> list[tuple[int, int, int]]:
        return [(981_000 + 80_000 * (i % 2), 900 * (i % 4), 100_000 * (i % 3))]

    assert look(Plausibility(), move, 60) is None  # nobody knows its range
    assert "more than 2 g" in look(Plausibility(2.0), move, 60)
    assert look(Plausibility(2.0), lambda i: move(i) if i % 3 else [(0, 0, 100_000)], 14) is None  # not yet sure
    assert look(Plausibility(2.0), lambda i: move(i) if not i % 3 else [(i % 2 * 9_000, 0, 100_000)], 60) is None


def test_an_axis_that_shows_nothing_while_the_others_turn_is_stuck():
    def turn(i):
        return [(round(90_000 * np.sin(i / 5)), 7, round(90_000 * np.cos(i / 5)))]

    plausibility = Plausibility()
    assert look(plausibility, turn, 20) == "its y axis is stuck"
    assert look(plausibility, lambda i: [(300 + i % 5, 500 + i % 7, 99_000)], 20) is None


# ---------------------------------------------------------------- the stream


def make_stream(**capabilities):
    items, now = [], [NOW]
    given = Capabilities(is_advertised=False, rate_hz=10.0, **capabilities)
    return SensorStream("chest", given, items.append, lambda: now[0]), items, now


def samples(items):
    return [item for item in items if isinstance(item, RawSamples)]


def test_the_first_packet_tells_that_the_sensor_is_there_and_a_loss_tells_why():
    stream, items, _ = make_stream()
    stream.take(Packet(acc(UP), 10.0), NOW)
    stream.lose("out of range")
    stream.lose("still out of range")
    links = [(item.up, item.reason) for item in items if isinstance(item, LinkChanged)]
    assert links == [(True, ""), (False, "out of range")]
    assert stream.health.gaps == 1


def test_a_sensor_that_speaks_on_change_only_keeps_its_value_in_between():
    stream, items, _ = make_stream(silence=Silence.HOLD, read_every_s=15.0)
    stream.take(Packet(acc(UP), 10.0), NOW)
    stream.take(Packet(acc((0, 0, 99_000)), 10.0), NOW + 15 * S)
    held = samples(items)[-1].acc_10ug
    assert len(held) == 150
    assert (held[:-1] == UP).all()
    assert tuple(held[-1]) == (0, 0, 99_000)


def test_nothing_is_kept_over_a_lost_connection():
    stream, items, _ = make_stream(silence=Silence.HOLD, read_every_s=15.0)
    stream.take(Packet(acc(UP), 10.0), NOW)
    stream.lose("gone")
    stream.begin()
    stream.take(Packet(acc(UP), 10.0), NOW + 600 * S)
    assert len(samples(items)[-1].acc_10ug) == 1


def test_a_streaming_sensor_is_never_filled_up():
    stream, items, _ = make_stream(silence=Silence.FAULT)
    stream.take(Packet(acc(UP), 10.0), NOW)
    stream.take(Packet(acc(UP), 10.0), NOW + 2 * S)
    assert [len(item.acc_10ug) for item in samples(items)] == [1, 1]


def test_equal_packets_are_one_packet_when_the_device_says_the_same_time():
    stream, items, _ = make_stream()
    for device_ns in (S, S, 2 * S):
        stream.take(Packet(acc(UP), 10.0, device_ns=device_ns), NOW + device_ns)
    assert len(samples(items)) == 2
    assert stream.health.repeated == 1


def test_packets_without_samples_tell_the_battery_only():
    stream, items, _ = make_stream()
    stream.take(Packet(acc(), 10.0, battery_pct=42), NOW)
    assert items == []
    assert stream.health.battery_pct == 42


def test_undecodable_packets_are_counted_each_and_told_once_a_minute(caplog):
    stream, _, now = make_stream()
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            stream.undecodable(DecodeError("3 bytes: 6 are needed"))
        now[0] += 61 * S
        stream.undecodable(DecodeError("3 bytes: 6 are needed"))
    assert stream.health.undecodable == 101
    assert [record.message for record in caplog.records] == [
        "sensor chest: 3 bytes: 6 are needed (1 packets so far)",
        "sensor chest: 3 bytes: 6 are needed (101 packets so far)",
    ]


def test_the_rate_is_measured():
    stream, _, _ = make_stream()
    for i in range(130):
        stream.take(Packet(acc(UP, UP, UP), 25.0), NOW + i * S // 8)
    assert stream.health.rate_hz == pytest.approx(24.0, rel=0.02)


def test_a_faulty_sensor_is_lost_and_its_samples_are_not_used():
    stream, items, _ = make_stream()
    for i in range(400):
        stream.take(Packet(acc((0, 0, 9_800)), 10.0), NOW + i * S // 10)
    assert len(samples(items)) < 200
    assert isinstance(items[-1], LinkChanged)
    assert items[-1].reason.startswith("device fault: ")
    assert "0.10 g" in stream.health.fault
