"""What virtual sensors encode, drivers decode, though the two share no code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posturewatch_sim.packets import beacons, bthome, polar, ruuvi, triples, witmotion

from posturewatch.drivers import discover

FAMILIES = discover()
MAC = bytes.fromhex("c05e00000001")
mg = st.integers(-2000, 2000)
triple_mg = st.tuples(mg, mg, mg)


def decoded(family: str, payload: bytes, factor: float | None = None) -> np.ndarray:
    return FAMILIES[family].decode(payload, factor).acc_10ug / 100.0  # in mg


@given(st.lists(triple_mg, min_size=1, max_size=40), st.integers(0, 2**62))
def test_polar_raw_frames(acc, t_ns):
    frame = polar.raw_frame(t_ns, np.array(acc))
    assert decoded("polar", frame).tolist() == [list(row) for row in acc]
    assert FAMILIES["polar"].decode(frame).device_ns == t_ns


@given(st.lists(st.tuples(*[st.integers(-16000, 16000)] * 3), min_size=1, max_size=70), st.integers(0, 2**62))
def test_polar_delta_frames(acc, t_ns):
    frame = polar.delta_frame(t_ns, np.array(acc), polar.DELTA_MG)
    assert decoded("polar", frame).tolist() == [list(row) for row in acc]
    counts = polar.delta_frame(t_ns, np.array(acc), polar.DELTA_COUNTS)
    assert decoded("polar", counts, 0.000244) == pytest.approx(np.array(acc) * 0.244, abs=0.006)


@given(triple_mg, st.integers(0, 65534), st.integers(0, 254), st.integers(1800, 3500))
def test_ruuvi(acc, seq, movements, battery_mv):
    packet = FAMILIES["ruuvi"].decode(ruuvi.df5(acc, battery_mv=battery_mv, movements=movements, seq=seq, mac=MAC))
    assert (packet.acc_10ug / 100.0).tolist() == [list(acc)]
    assert (packet.seq, packet.battery_mv) == (seq, battery_mv)
    assert decoded("ruuvi", ruuvi.df3(acc, battery_mv=battery_mv)).tolist() == [list(acc)]


ENCODERS = {
    "sig_precise_acceleration_3d": (triples.precise_acceleration_3d, 0.5),
    "infinitime": (triples.infinitime, 0.5),
    "microbit": (triples.microbit, 0.5),
    "adafruit": (triples.adafruit, 0.01),
    "thingy52": (triples.thingy52, 0.5),
    "witmotion": (witmotion.measurement, 0.25),
    "bthome": (lambda acc_g: bthome.acceleration(acc_g, packet_id=3, battery_pct=50), 0.01),
    "kkm": (lambda acc_g: beacons.kkm(acc_g, battery_mv=2900, with_humidity=False), 0.5),
    "minew": (lambda acc_g: beacons.minew(acc_g, battery_pct=50, mac=MAC), 2.0),
}


@pytest.mark.parametrize("family", ENCODERS)
@given(acc=triple_mg)
def test_triples_within_half_a_digit(family, acc):
    encode, within_mg = ENCODERS[family]
    assert decoded(family, encode(np.array(acc) / 1000.0)) == pytest.approx(np.array([acc]), abs=within_mg + 0.006)
