"""A state that is saved and loaded is the same state, to the last bit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from posturewatch.core.body import Body
from posturewatch.core.settings import Calibration, SensorTraits
from posturewatch.core.snapshot import dump_state, load_state
from posturewatch.errors import SnapshotError
from posturewatch.types import Link, Posture, Wear

FLOAT = st.floats(allow_nan=True, allow_infinity=True)
NUMBER = st.none() | st.booleans() | st.integers() | FLOAT
ARRAY = st.one_of(
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)),
    hnp.arrays(np.int32, (3,)),
    hnp.arrays(np.float64, (2, 2)),
    hnp.arrays(np.bool_, (3,)),
    st.builds(np.float64, FLOAT),
    st.builds(np.int64, st.integers(-(2**63), 2**63 - 1)),
)
ENUM = st.sampled_from([*Link, *Wear, *Posture])
RECORD = st.one_of(
    st.builds(
        Body, now_ns=st.integers(), link=st.sampled_from(Link), static_s=FLOAT, cos_inclination=st.none() | FLOAT
    ),
    st.builds(Calibration, st.tuples(FLOAT, FLOAT, FLOAT), st.none()),
    st.builds(SensorTraits, st.none() | st.integers(), st.none() | FLOAT),
)
LEAF = NUMBER | st.text(max_size=8) | st.binary(max_size=8) | ARRAY | ENUM | RECORD
KEY = st.text(max_size=4) | st.integers() | ENUM | st.tuples(st.integers(), st.text(max_size=3))
STATE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(lambda items: deque(items, 6)),
        st.dictionaries(KEY, inner, max_size=4),
        st.sets(st.integers(), max_size=4),
    ),
    max_leaves=12,
)


def picture(value: object) -> object:
    """Type and bits of a value and everything in it, so that nothing can hide behind `==`."""
    if isinstance(value, float) and not isinstance(value, np.generic):
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, np.ndarray | np.generic):
        return (type(value).__name__, str(value.dtype), np.shape(value), str(np.asarray(value).tolist()))
    if isinstance(value, list | tuple | deque):
        return (type(value).__name__, getattr(value, "maxlen", None), [picture(item) for item in value])
    if isinstance(value, dict):
        return [(picture(key), picture(item)) for key, item in value.items()]
    if hasattr(value, "__dataclass_fields__"):
        return (type(value), [picture(getattr(value, name)) for name in value.__dataclass_fields__])
    return (type(value), value)


def through_json(state: object) -> object:
    return load_state(json.loads(json.dumps(dump_state(state), allow_nan=False)))


@settings(max_examples=300, deadline=None)
@given(STATE)
def test_any_state_survives_json_bit_for_bit(state):
    assert picture(through_json(state)) == picture(state)


def test_negative_zero_and_the_smallest_float_survive():
    for number in (-0.0, 5e-324, 0.1 + 0.2, -math.inf):
        assert picture(through_json([number])) == picture([number])


def test_field_that_a_snapshot_does_not_know_takes_its_default():
    content = dump_state(Body(static_s=3.0))
    del content["fidgets"]
    content["dropped_since"] = 1
    assert load_state(content) == Body(static_s=3.0)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        NUMBER | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["$record", "$enum", "$array", "$tuple", "$dict", "$deque", "$float", "$x", "shape", "a"]
                ),
                inner
                | st.sampled_from(["body:Body", "types:Link", "core.body:Body", "core.body:annotations", "int64"]),
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_gives_a_state_or_a_snapshot_error(content):
    try:
        load_state(content)
    except SnapshotError as error:
        assert "does not fit" in str(error)


@pytest.mark.parametrize(
    "name",
    ["os:system", "core.snapshot:importlib", "core.body:BoutPhase", "core.nothing:X", "errors:SnapshotError", "core"],
)
def test_snapshot_creates_nothing_but_records_of_the_core(name):
    with pytest.raises(SnapshotError):
        load_state({"$record": name})


@pytest.mark.parametrize("value", [object(), lambda: 0, 1j, np.array(["a"]), SnapshotError("x"), subprocess.Popen])
def test_what_no_snapshot_can_hold_is_refused_with_its_place(value):
    with pytest.raises(TypeError, match=r"state\['deep'\]\[1\]"):
        dump_state({"deep": [0, value]})


def test_snapshot_is_the_same_in_another_process():
    state = {"tags": {3, 1, 2}, "body": Body(wear=Wear.WORN), 5: frozenset({"b", "a"})}
    code = (
        "import json;from posturewatch.core.snapshot import dump_state;from posturewatch.core.body import Body;"
        "from posturewatch.types import Wear;"
        "print(json.dumps(dump_state({'tags': {3, 1, 2}, 'body': Body(wear=Wear.WORN), 5: frozenset({'b', 'a'})})))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == json.dumps(dump_state(state))
