"""How long something stayed as it was, and quantiles of counts: the arithmetic of exposure summaries.

Each class takes one row a second, in chunks, and carries what is open over the edge of a chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]
    Int64Array = NDArray[np.int64]


class Latch:
    """A threshold with hysteresis: on above `on_above`, off below `off_below`, as it was in between."""

    __slots__ = ("_was_known", "is_on", "off_below", "on_above")

    def __init__(self, on_above: float, off_below: float) -> None:
        """Start off."""
        self.on_above, self.off_below = on_above, off_below
        self.is_on = False
        self._was_known = False

    def add(self, values: FloatArray, known: BoolArray, cut: BoolArray) -> BoolArray:
        """State of each row [n >= 1]; an unknown row is off; the first after it, or after a cut, starts afresh."""
        fresh = cut | ~np.concatenate(([self._was_known], known[:-1]))
        on = known & (values > self.on_above)
        decided = on | ~known | (values < self.off_below) | fresh
        at = np.maximum.accumulate(np.where(decided, np.arange(len(values)), -1))
        states: BoolArray = np.where(at >= 0, on[at], self.is_on)
        self.is_on, self._was_known = bool(states[-1]), bool(known[-1])
        return states


class StayTable:
    """Seconds by label and by the length of the uninterrupted stay; the last column is open-ended."""

    __slots__ = ("_edges_s", "_open_label", "_open_s", "_table_s")

    def __init__(self, labels: int, edges_s: tuple[int, ...]) -> None:
        """`edges_s` are the longest stays of all columns but the last."""
        self._edges_s = edges_s
        self._table_s = np.zeros((labels, len(edges_s) + 1), dtype=np.int64)
        self._open_label, self._open_s = -1, 0

    def add(self, labels: NDArray[np.integer], cut: BoolArray) -> None:
        """Take one label a row [n >= 1], -1 for none; `cut` rows begin a new stay even with the same label."""
        changed = cut | (labels != np.concatenate(([self._open_label], labels[:-1])))
        starts = np.flatnonzero(changed)
        lengths_s = np.diff(np.concatenate(([-self._open_s], starts, [len(labels)])))
        stay_labels = np.concatenate(([self._open_label], labels[starts]))
        _count(self._table_s, self._edges_s, stay_labels[:-1], lengths_s[:-1])
        self._open_label, self._open_s = int(stay_labels[-1]), int(lengths_s[-1])

    def table_s(self) -> Int64Array:
        """Seconds [label, column], the stay that is still open among them."""
        table = self._table_s.copy()
        _count(table, self._edges_s, np.array([self._open_label]), np.array([self._open_s]))
        return table


def find_quantile(values: NDArray[np.float64] | NDArray[np.int64], counts: Int64Array, q: float) -> float:
    """Quantile of rising `values` that occur `counts` times, interpolated linearly between order statistics."""
    ends = np.cumsum(counts)
    position = q * (int(ends[-1]) - 1)
    below = int(position)
    first = float(values[np.searchsorted(ends, below, side="right")])
    second = float(values[np.searchsorted(ends, min(below + 1, int(ends[-1]) - 1), side="right")])
    return first + (position - below) * (second - first)


def find_time_weighted_median(lengths_s: Int64Array, counts: Int64Array) -> float:
    """The length of the stay in which half of all the time had passed, stays in order of length."""
    ends_s = np.cumsum(lengths_s * counts)
    return float(lengths_s[np.searchsorted(2 * ends_s, ends_s[-1])])


def _count(table_s: Int64Array, edges_s: tuple[int, ...], labels: NDArray[np.integer], lengths_s: Int64Array) -> None:
    counted = labels >= 0
    columns = np.searchsorted(edges_s, lengths_s[counted])
    np.add.at(table_s, (labels[counted], columns), lengths_s[counted])
