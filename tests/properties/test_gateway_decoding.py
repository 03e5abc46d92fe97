"""Whatever a broker hands us as samples: numbers, or a DecodeError."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posturewatch.drivers.gateway import MAX_PAYLOAD_BYTES, GatewayBatch, decode
from posturewatch.errors import DecodeError

TEXTS = st.text(max_size=20) | st.sampled_from(["nan", "inf", "-1", "1e999", "0", "26", "0.000244", "9" * 30, "²"])
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=3)
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "seq": VALUES,
        "time": VALUES | st.sampled_from(["2026-03-01T09:30:00Z", "2026-03-01T09:30:00", "0001-01-01T00:00:00+23:59"]),
        "rate_hz": VALUES | st.just(50),
        "unit": VALUES | st.sampled_from(["g", "mg", "m/s2"]),
        "acc": VALUES | st.lists(st.lists(st.floats(-20, 20), min_size=3, max_size=3), min_size=1, max_size=5),
    },
)


def check(payload: bytes, properties: dict[str, str]) -> None:
    try:
        batch = decode(payload, properties)
    except DecodeError as error:
        assert "\n" not in str(error)[:40]
        return
    assert isinstance(batch, GatewayBatch)
    assert batch.acc_10ug.dtype == np.int32
    assert batch.acc_10ug.ndim == 2
    assert batch.acc_10ug.shape[1] == 3
    assert len(batch.acc_10ug) >= 1
    assert math.isfinite(batch.rate_hz)
    assert batch.rate_hz > 0
    assert batch.last_ns is None or -(2**63) <= batch.last_ns < 2**63
    assert batch.seq is None or 0 <= batch.seq < 2**63


@given(st.binary(max_size=64), st.dictionaries(st.sampled_from(["scale_g", "rate_hz", "seq", "time_ns", "x"]), TEXTS))
@example(b"", {})
@example(b"[" * MAX_PAYLOAD_BYTES, {})
@example(b"\x00" * 6, {"scale_g": "0.001", "rate_hz": "nan"})
@settings(deadline=None)
def test_any_bytes_are_samples_or_a_decode_error(payload: bytes, properties: dict[str, str]) -> None:
    check(payload, properties)


@given(MESSAGES)
@settings(deadline=None)
def test_any_json_is_samples_or_a_decode_error(message: dict[str, object]) -> None:
    check(json.dumps(message).encode(), {})


@given(
    st.lists(st.tuples(*[st.integers(-1_600_000, 1_600_000)] * 3), min_size=1, max_size=40),
    st.sampled_from([("g", 1e5), ("mg", 1e2), ("m/s2", 1e5 / 9.80665)]),
)
def test_json_gives_back_what_was_measured(acc: list[tuple[int, int, int]], unit: tuple[str, float]) -> None:
    name, scale = unit
    rows = [[value / scale for value in row] for row in acc]
    batch = decode(json.dumps({"rate_hz": 25, "unit": name, "acc": rows}).encode(), {})
    np.testing.assert_array_equal(batch.acc_10ug, acc)


@given(st.lists(st.tuples(*[st.integers(-32768, 32767)] * 3), min_size=1, max_size=60))
def test_binary_gives_back_what_was_measured(digits: list[tuple[int, int, int]]) -> None:
    payload = np.array(digits, dtype="<i2").tobytes()
    batch = decode(payload, {"scale_g": "0.00025", "rate_hz": "12.5", "seq": "1"})
    np.testing.assert_array_equal(batch.acc_10ug, np.array(digits) * 25)


GOOD = {"rate_hz": 50, "unit": "g", "acc": [[0, 0, 1]]}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"unit": "G"}, "unit"),
        ({"unit": None}, "unit"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"rate_hz": "50"}, "rate_hz"),
        ({"rate_hz": True}, "rate_hz"),
        ({"acc": []}, "acc"),
        ({"acc": [0, 0, 1]}, "acc"),
        ({"acc": [[0, 1]]}, "acc"),
        ({"acc": [[0, 0, 1], [0, 1]]}, "acc"),
        ({"acc": [["0", "0", "1"]]}, "acc"),
        ({"acc": [[0, 0, None]]}, "acc"),
        ({"acc": [[0, 0, 1e999]]}, "JSON"),
        ({"acc": [[0, 0, math.nan]]}, "NaN"),
        ({"acc": [[0, 0, 1000]]}, "unit"),
        ({"time": "2026-03-01T09:30:00"}, "zone"),
        ({"time": 12}, "zone"),
        ({"seq": -1}, "seq"),
        ({"seq": 1.5}, "seq"),
        ({"seq": 2**63}, "seq"),
    ],
)
def test_a_wrong_message_is_refused_and_the_place_named(changes: dict[str, object], names: str) -> None:
    with pytest.raises(DecodeError, match=names):
        decode(json.dumps({**GOOD, **changes}).encode(), {})


@pytest.mark.parametrize("properties", [{"scale_g": "0"}, {"scale_g": "1"}, {"scale_g": "x"}, {"scale_g": "0.001"}])
def test_wrong_properties_of_binary_samples_are_refused(properties: dict[str, str]) -> None:
    with pytest.raises(DecodeError, match=r"scale_g|rate_hz"):
        decode(b"\x00" * 6, properties)


def test_messages_beyond_four_kilobytes_and_broken_triples_are_refused() -> None:
    with pytest.raises(DecodeError, match="4096"):
        decode(b" " * 4097, {})
    with pytest.raises(DecodeError, match="triples"):
        decode(b"\x00" * 7, {"scale_g": "0.001", "rate_hz": "10"})


def test_the_time_of_the_last_sample_is_understood_in_any_zone() -> None:
    for text in ("2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.000+00:00"):
        assert decode(json.dumps({**GOOD, "time": text}).encode(), {}).last_ns == 1_700_000_000_000_000_000
