"""Arrival times to sample times: decoded batches get their place on the UTC clock.

A batch is late by an unknown delay, never early, so the smallest delay seen lately is the best guess (a lower
envelope).  Batches that count on are laid end to end at the nominal rate and pulled slowly towards that guess, so that
jitter of the radio does not become jitter of the samples.  A sender's own clock is trusted for the spacing, and its
offset to ours is found in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.types import NS_PER_S, SampleBatch

if TYPE_CHECKING:
    from posturewatch.types import RawSamples

JUMP_NS = 2 * NS_PER_S  # further off than this is a new start, not jitter
PULL_NS = 2_000_000  # per batch at least, towards the envelope
PULL_PART = 16  # or this part of the way: a sensor's own oscillator may be a twentieth slower than its nominal rate
REPEATS = 8  # a counter this little behind is a repeat, more is a sender that began anew
TRUSTED_NS = 5 * NS_PER_S  # a clock this near to ours was set, and is believed; another one gives the spacing only


@dataclass(slots=True)
class TimebaseState:
    last_ns: int = 0  # time given to the last sample; 0: none yet
    seq: int = -1
    offset_ns: int = 0  # ours minus the sender's clock
    synced: bool = False
    lost: int = 0  # batches that the counter says are missing
    repeated: int = 0  # batches that came twice or too late


def align(state: TimebaseState, raw: RawSamples) -> SampleBatch | None:
    """Give each sample its time; None for a batch that was seen before, or is empty."""
    n = len(raw.acc_10ug)
    if n == 0 or not raw.rate_hz > 0.0:
        return None
    steps = _sequence(state, raw)
    if steps == 0:
        state.repeated += 1
        return None
    period_ns = max(int(NS_PER_S / min(max(raw.rate_hz, 0.01), 10_000.0)), 1)
    heard_ns = raw.arrived_ns if raw.last_ns is None else _mapped(state, raw)
    expected_ns = state.last_ns + n * period_ns
    if state.last_ns and steps == 1 and abs(heard_ns - expected_ns) < JUMP_NS:
        # early packets pull at once, late ones slowly: a packet can be late, never early
        late_ns = heard_ns - expected_ns
        last_ns = heard_ns if late_ns < 0 else expected_ns + min(late_ns, max(PULL_NS, late_ns // PULL_PART))
    else:
        last_ns = heard_ns
    first_ns = last_ns - (n - 1) * period_ns
    if state.last_ns < last_ns + JUMP_NS and first_ns <= state.last_ns and steps >= 1 and n > 1:
        # never behind the batch before: squeeze this one between
        first_ns = state.last_ns + 1
        last_ns = max(last_ns, first_ns + n - 1)
    t_ns = first_ns + (np.arange(n, dtype=np.int64) * (last_ns - first_ns)) // max(n - 1, 1)
    state.last_ns = last_ns
    return SampleBatch(raw.sensor, t_ns, raw.acc_10ug)


def _sequence(state: TimebaseState, raw: RawSamples) -> int:
    """1: the batch that was expected, more: some are missing, 0: an old one."""
    seq = raw.seq
    if seq is None:
        return 1
    before, state.seq = state.seq, seq
    if before < 0:
        return 1
    ahead = (seq - before) % raw.seq_modulus if raw.seq_modulus > 0 else seq - before
    half = raw.seq_modulus // 2 if raw.seq_modulus > 0 else 1 << 31
    if ahead == 0 or ahead > half or -REPEATS < ahead < 0:
        state.seq = before
        return 0
    if ahead < 0:  # the sender started again
        return 2
    state.lost += ahead - 1
    return ahead


def _mapped(state: TimebaseState, raw: RawSamples) -> int:
    """The sender's time of the last sample on our clock."""
    theirs = raw.last_ns if raw.last_ns is not None else raw.arrived_ns
    offset = raw.arrived_ns - theirs
    if abs(offset) <= TRUSTED_NS and not state.synced:
        state.offset_ns, state.synced = 0, True  # a clock that is set, as a gateway's is
    elif not state.synced or abs(offset - state.offset_ns) > TRUSTED_NS:
        state.offset_ns, state.synced = offset, True
    elif state.offset_ns and offset < state.offset_ns:
        state.offset_ns = offset
    return theirs + state.offset_ns
