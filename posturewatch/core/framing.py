"""Samples to frames: stage 1.

Samples are binned on an absolute UTC grid into 100 ms blocks and 1 s frames, as exact integer sums.  Integer sums do
not care about order or about where a stream was cut, so live and replay give the same bits.  The sums are carried in
float64, where every integer below 2^53 is exact: 3 kHz x (16 g)^2 x 3 axes needs 2^44.

A second closes when a later sample arrives or a tick says so.  What belongs to it afterwards is late, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from posturewatch.types import BLOCKS_PER_FRAME, NS_PER_S, UNITS_PER_G, Frames, SampleBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from posturewatch.types import Int32Array, Int64Array

CLIP_10UG = 16 * UNITS_PER_G
BLOCK_NS = NS_PER_S // BLOCKS_PER_FRAME
JUMP_BACK_NS = 5 * NS_PER_S  # a clock set back by more starts the grid anew; less is a late sample
FEWEST_VALUES = 3  # of one axis, to tell the size of a digit
MANY_GAPS = 20
LARGE_BATCH = 4096  # samples
CHUNK_SAMPLES = 65_536  # small enough for the cache, large enough that the calls do not count (benchmarks)


@dataclass(slots=True)
class FramingState:
    """The open second: its samples wait here until it closes."""

    second: int = 0  # epoch of the open second; 0: none yet
    closed: int = 0  # epoch of the last closed second
    pending: list[SampleBatch] = field(default_factory=list)
    late: int = 0  # samples that came after their second had closed


def frame(state: FramingState, batch: SampleBatch) -> list[Frames]:
    """Take samples in; give the seconds that they close.  Late samples are dropped and counted."""
    t_ns, acc = batch.t_ns, batch.acc_10ug
    if not len(t_ns):
        return []
    out: list[Frames] = []
    if int(t_ns[0]) // NS_PER_S >= state.second and (len(t_ns) == 1 or bool(np.all(t_ns[1:] >= t_ns[:-1]))):
        _take(state, SampleBatch(batch.sensor, t_ns, acc), out)
        return out
    for start, stop in _rising_runs(state, t_ns):
        part = slice(start, stop)
        seconds = t_ns[part] // NS_PER_S
        if state.second and int(t_ns[start]) < state.second * NS_PER_S - JUMP_BACK_NS:
            out += close_second(state, batch.sensor)
            state.second = state.closed = 0
        newest = np.maximum.accumulate(np.maximum(seconds, state.second))
        keep = (seconds >= newest) & (seconds > state.closed)
        state.late += int(len(seconds) - keep.sum())
        if keep.any():
            order = np.argsort(t_ns[part][keep], kind="stable")
            _take(state, SampleBatch(batch.sensor, t_ns[part][keep][order], acc[part][keep][order]), out)
    return out


def close_second(state: FramingState, sensor: str) -> list[Frames]:
    """Close the open second as it is: the clock says that nothing more will come for it."""
    if not state.pending:
        return []
    t_ns, acc = _joined(state.pending)
    state.pending = []
    state.closed = state.second
    state.second += 1
    return [_sums(sensor, t_ns, acc)]


def _rising_runs(state: FramingState, t_ns: Int64Array) -> Iterator[tuple[int, int]]:
    """Cut where the clock was set back by more than JUMP_BACK_NS below the newest time seen."""
    start, newest = 0, max(int(t_ns[0]), state.second * NS_PER_S)
    if int(t_ns[0]) < newest - JUMP_BACK_NS:
        newest = int(t_ns[0])
    for i in np.flatnonzero(t_ns[1:] < t_ns[:-1]) + 1:
        newest = max(newest, int(t_ns[start:i].max()))
        if int(t_ns[i]) < newest - JUMP_BACK_NS:
            yield start, int(i)
            start, newest = int(i), int(t_ns[i])
    yield start, len(t_ns)


def _take(state: FramingState, batch: SampleBatch, out: list[Frames]) -> None:
    """Append sorted samples, none older than the open second; close what they complete."""
    last = int(batch.t_ns[-1]) // NS_PER_S
    first = int(batch.t_ns[0]) // NS_PER_S
    if not state.pending:
        state.second = first
    state.pending.append(batch)
    if last == state.second:
        return
    head, t_ns, acc = _opened(state, batch)
    split = int(np.searchsorted(t_ns, last * NS_PER_S))
    state.closed = max(state.closed, int(t_ns[split - 1]) // NS_PER_S if split else state.second)
    state.pending = [SampleBatch(batch.sensor, t_ns[split:], acc[split:])]
    state.second = last
    start, first_out = 0, len(out)
    while start < split:
        stop = min(start + CHUNK_SAMPLES, split)
        if stop < split:  # cut at a second, so that no sum is split
            stop = int(np.searchsorted(t_ns, (int(t_ns[stop]) // NS_PER_S) * NS_PER_S))
            if stop <= start:
                stop = int(np.searchsorted(t_ns, (int(t_ns[start]) // NS_PER_S + 1) * NS_PER_S))
        out.append(_sums(batch.sensor, t_ns[start:stop], acc[start:stop]))
        start = stop
    if head is not None:
        out[first_out : first_out + 1] = [join([head, *out[first_out : first_out + 1]])]


def _opened(state: FramingState, batch: SampleBatch) -> tuple[Frames | None, Int64Array, Int32Array]:
    """What waits and the batch that was put beside it, in one; of a large batch only the open second is copied."""
    if len(state.pending) == 1 or len(batch.t_ns) < LARGE_BATCH:
        return None, *_joined(state.pending)
    cut = int(np.searchsorted(batch.t_ns, (state.second + 1) * NS_PER_S))
    parts = state.pending[:-1]
    if cut:
        parts.append(SampleBatch(batch.sensor, batch.t_ns[:cut], batch.acc_10ug[:cut]))
    return _sums(batch.sensor, *_joined(parts)), batch.t_ns[cut:], batch.acc_10ug[cut:]


def _joined(parts: list[SampleBatch]) -> tuple[Int64Array, Int32Array]:
    if len(parts) == 1:
        return parts[0].t_ns, parts[0].acc_10ug
    t_ns, acc = np.concatenate([p.t_ns for p in parts]), np.concatenate([p.acc_10ug for p in parts])
    if any(later.t_ns[0] < earlier.t_ns[-1] for earlier, later in pairwise(parts)):  # batches overtook each other
        order = np.argsort(t_ns, kind="stable")
        return t_ns[order], acc[order]
    return t_ns, acc


def _sums(sensor: str, t_ns: Int64Array, acc: Int32Array) -> Frames:
    """Exact sums of whole seconds of sorted samples."""
    epoch, edges = _grid(t_ns)
    block_n = np.diff(edges, append=len(t_ns)).reshape(-1, BLOCKS_PER_FRAME)
    n = block_n.sum(axis=1)
    starts, filled = edges[::BLOCKS_PER_FRAME], n > 0
    axes = np.empty((3, len(t_ns)))
    np.copyto(axes, acc.T)
    clipped = _clip(axes, acc, starts, filled)
    block_sum = _add_runs(axes, edges, block_n.ravel() > 0)
    axes *= axes
    sumsq = _add_runs(axes, starts, filled)
    norm = axes[0]
    norm += axes[1]
    norm += axes[2]
    np.sqrt(norm, out=norm)
    np.rint(norm, out=norm)
    norm_sum = _add_runs(norm, starts, filled)
    norm *= norm
    norm_sumsq = _add_runs(norm, starts, filled)
    result = Frames(
        sensor,
        epoch,
        n.astype(np.int32),
        block_n.astype(np.int32),
        block_sum.T.astype(np.int64, order="C").reshape(-1, BLOCKS_PER_FRAME, 3),
        sumsq.T.astype(np.int64, order="C"),
        norm_sum.astype(np.int64),
        norm_sumsq.astype(np.int64),
        clipped,
    )
    return result if bool(filled.all()) else pick(result, filled)


def _grid(t_ns: Int64Array) -> tuple[Int64Array, NDArray[np.intp]]:
    """The seconds from the first to the last sample, and where each block of them begins among the samples."""
    first, last = int(t_ns[0]) // NS_PER_S, int(t_ns[-1]) // NS_PER_S
    has_long_gap = last - first + 1 > 4 * len(t_ns) + 4  # do not make a grid of it
    epoch = np.unique(t_ns // NS_PER_S) if has_long_gap else np.arange(first, last + 1)
    block = (epoch[:, None] * BLOCKS_PER_FRAME + np.arange(BLOCKS_PER_FRAME)).ravel()
    return epoch, np.searchsorted(t_ns, block * BLOCK_NS)


def _clip(
    axes: NDArray[np.float64], acc: Int32Array, starts: NDArray[np.intp], filled: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Clip `axes` in place; gives the number of samples of each second that were beyond the range."""
    # int32 has one more negative than positive, so compare the ends and not the absolute value
    if int(acc.max()) <= CLIP_10UG and int(acc.min()) >= -CLIP_10UG:
        return np.zeros(len(starts), np.int32)
    beyond: NDArray[np.bool_] = np.abs(axes).max(axis=0) > CLIP_10UG
    np.clip(axes, -CLIP_10UG, CLIP_10UG, out=axes)
    return _add_runs(beyond.astype(np.float64), starts, filled).astype(np.int32)


def _add_runs(values: NDArray[np.float64], starts: NDArray[np.intp], filled: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The sum of each run of values [..., n], a run reaching from one start to the next; 0 where it is empty."""
    if filled.all():
        whole: NDArray[np.float64] = np.add.reduceat(values, starts, axis=-1)
        return whole
    sums = np.zeros((*values.shape[:-1], len(starts)))
    sums[..., filled] = np.add.reduceat(values, starts[filled], axis=-1)
    return sums


def pick(frames: Frames, rows: NDArray[np.bool_] | slice) -> Frames:
    """Some rows of the frames."""
    return Frames(
        frames.sensor,
        frames.epoch[rows],
        frames.n[rows],
        frames.block_n[rows],
        frames.block_sum[rows],
        frames.sumsq[rows],
        frames.norm_sum[rows],
        frames.norm_sumsq[rows],
        frames.clipped[rows],
    )


def join(parts: list[Frames]) -> Frames:
    """Frames one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Frames(
        parts[0].sensor,
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("epoch", "n", "block_n", "block_sum", "sumsq", "norm_sum", "norm_sumsq", "clipped")
        ),
    )


def estimate_step(acc_10ug: Int32Array) -> int | None:
    """The size of one digit (10 µg), from the data: the smallest distance between two values of one axis.

    None where too few different values were seen to tell.
    """
    steps = []
    for axis in range(3):
        gaps = np.diff(np.sort(acc_10ug[:, axis]))
        gaps = gaps[gaps > 0]
        if len(gaps) >= FEWEST_VALUES - 1:
            # rounding to 10 µg makes neighbours of one digit differ by one unit: take the low quantile, not the minimum
            steps.append(int(np.quantile(gaps, 0.1, method="higher")) if len(gaps) > MANY_GAPS else int(gaps.min()))
    return min(steps) if steps else None
