"""What to make of single samples that are seconds apart, as sensors that only advertise give them.

The detector looks at whole seconds and at the spread within two of them; a second without a sample is nothing to it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.types import NS_PER_S, UNITS_PER_G

if TYPE_CHECKING:
    from posturewatch.types import Int32Array

BRIDGED_HZ = 1.0
MOST_BRIDGED = 60  # longer gaps are gaps
FLICKER_STEPS = 1.5  # a change of one digit says nothing; on a table it would look like a body that turns


def settle(acc_10ug: Int32Array, last_10ug: Int32Array, step_mg: float | None) -> Int32Array:
    """The sample before in place of one that differs from it by no more than the flicker of the last digit."""
    flicker_10ug = FLICKER_STEPS * (step_mg or 0.0) * UNITS_PER_G / 1000
    change = np.abs(acc_10ug.astype(np.int64) - last_10ug)
    return last_10ug if len(acc_10ug) == 1 and int(change.max()) <= flicker_10ug else acc_10ug


def bridge(acc_10ug: Int32Array, last_10ug: Int32Array, gap_ns: int) -> Int32Array | None:
    """The seconds between two samples, `last_10ug` and then `acc_10ug`: one and the other in turn, ending with the new.

    So the spread that the two show belongs to the whole time between: between two samples of a walk there was a walk,
    between two equal ones there was rest.  None where nothing is missing, or too much.
    """
    count = math.ceil(gap_ns / NS_PER_S * BRIDGED_HZ)
    if len(acc_10ug) != 1 or not 1 < count <= MOST_BRIDGED:
        return None
    both = np.concatenate((acc_10ug, last_10ug))
    return both[np.arange(count - 1, -1, -1) % 2]


def bridge_all(acc_10ug: Int32Array, last_10ug: Int32Array, gap_ns: int, rate_hz: float) -> Int32Array:
    """The same for several samples at `rate_hz`, the last one `gap_ns` after `last_10ug`: one a second, in turn."""
    period_ns = round(NS_PER_S / rate_hz)
    first_ns = gap_ns - (len(acc_10ug) - 1) * period_ns
    parts, before = [], last_10ug
    for at in range(len(acc_10ug)):
        sample = acc_10ug[at : at + 1]
        bridged = bridge(sample, before, first_ns if at == 0 else period_ns)
        parts.append(sample if bridged is None else bridged)
        before = sample
    return np.concatenate(parts)
