"""What a day of wearing adds up to: angles, bands, bouts and breaks, gathered in bounded memory.

Every figure is a count: seconds in bins of 0.1 degrees, seconds in stays of a length, bouts of a length.  Counts do not
care how the recording was cut, so any chunks give the same summary.  Figures that cannot be known are None.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from posturewatch.core.calibration import decompose
from posturewatch.core.exposure_angles import HEAD_EDGES_DEG, TRUNK_EDGES_DEG, AngleExposure
from posturewatch.core.stays import find_quantile, find_time_weighted_median
from posturewatch.types import (
    NS_PER_S,
    BreakEnded,
    BreakKind,
    ClosedBy,
    Event,
    Motion,
    Placement,
    Posture,
    SedentaryEnded,
    StaticEnded,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from posturewatch.core.settings import Calibration

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]
    Int8Array = NDArray[np.int8]
    Int64Array = NDArray[np.int64]

POSTURES = tuple(Posture)  # a posture code is an index in here
MOTIONS = tuple(Motion)
LONG_BOUT_S = 1200
UNRELATED_AFTER_S = 60  # a longer gap hides what happened in between

_SIT, _STAND, _LIE = (POSTURES.index(p) for p in (Posture.SITTING, Posture.STANDING, Posture.LYING))
_WITHOUT_ANGLE = frozenset({Placement.THIGH, Placement.WRIST, Placement.UNKNOWN})
_WITHOUT_BOUTS = frozenset({Placement.WRIST, Placement.UNKNOWN})


@dataclass(frozen=True, slots=True)
class ExposureRows:
    """Consecutive seconds of one wearer, in order; None: not known here.  A second without an angle has NaN."""

    epoch: Int64Array  # UTC seconds, rising
    worn: BoolArray
    inclination_deg: FloatArray | None = None  # unsigned
    flexion_deg: FloatArray | None = None  # + forward; used instead of the inclination where given
    lateral_deg: FloatArray | None = None
    up: FloatArray | None = None  # unit directions [n, 3], for the angular velocity
    posture: Int8Array | None = None  # index in POSTURES
    motion: Int8Array | None = None  # index in MOTIONS


def add_angles(rows: ExposureRows, calibration: Calibration) -> ExposureRows:
    """The same rows with the angles of their directions; without directions, the rows as they are."""
    if rows.up is None:
        return rows
    angles = decompose(calibration, rows.up)
    return replace(
        rows,
        inclination_deg=angles.inclination_deg,
        flexion_deg=angles.flexion_deg,
        lateral_deg=angles.lateral_deg,
    )


class ExposureAccumulator:
    """Takes seconds and events in any chunks; `summary` may be asked at any time and changes nothing."""

    def __init__(self, placement: Placement) -> None:
        """`placement` is that of the sensor that gives the angles, or of the only one; it decides what is said."""
        self._placement = placement
        self._angles = AngleExposure(HEAD_EDGES_DEG if placement is Placement.HEAD else TRUNK_EDGES_DEG)
        self._last_epoch: int | None = None
        self._recorded_s = self._worn_s = 0
        self._posture_s: Int64Array | None = None
        self._motion_s: Int64Array | None = None
        self._last_known = -1  # posture code of the last second that sat, stood or lay; -1: none, or long ago
        self._sit_to_stand = 0
        self._static_s: Counter[int] = Counter()
        self._shifts = self._fidgets = self._micro_breaks = self._real_breaks = self._longest_sedentary_s = 0

    def add(self, rows: ExposureRows) -> None:
        """Take the next seconds."""
        if len(rows.epoch) == 0:
            return
        before = rows.epoch[0] - 1 if self._last_epoch is None else self._last_epoch
        step_s = np.diff(rows.epoch, prepend=before)
        worn = rows.worn.astype(bool)
        self._recorded_s += len(worn)
        self._worn_s += int(worn.sum())
        self._posture_s = _add_codes(self._posture_s, rows.posture, worn, len(POSTURES))
        self._motion_s = _add_codes(self._motion_s, rows.motion, worn, len(MOTIONS))
        if rows.posture is not None:
            self._count_rises(rows.posture, worn, step_s)
        if self._placement not in _WITHOUT_ANGLE:
            self._add_angles(rows, worn, step_s != 1)
        self._last_epoch = int(rows.epoch[-1])

    def note(self, event: Event) -> None:
        """Take what ended: bouts and breaks; other events are none of its business."""
        if isinstance(event, StaticEnded):
            self._static_s[_length_s(event)] += 1
            self._fidgets += event.fidgets
            self._shifts += event.closed_by is ClosedBy.SHIFT
        elif isinstance(event, BreakEnded):
            self._real_breaks += event.kind is BreakKind.REAL
            self._micro_breaks += event.kind is BreakKind.MICRO
        elif isinstance(event, SedentaryEnded):
            self._longest_sedentary_s = max(self._longest_sedentary_s, _length_s(event))

    def summary(self) -> dict[str, Any]:
        """The figures so far, ready for JSON, units in the keys; the same keys always, None where nothing is known."""
        return {
            "recorded_s": self._recorded_s,
            "worn_s": self._worn_s,
            "posture_s": _name_codes(POSTURES, self._posture_s),
            "motion_s": _name_codes(MOTIONS, self._motion_s),
            **self._angles.describe(self._worn_s),
            **self._describe_bouts(),
            **self._describe_rates(),
            "breaks_micro": self._micro_breaks,
            "breaks_real": self._real_breaks,
            "sedentary_longest_s": self._longest_sedentary_s,
        }

    def _add_angles(self, rows: ExposureRows, worn: BoolArray, cut: BoolArray) -> None:
        velocity = self._angles.add_velocity(rows.up, worn, cut)
        signed = rows.flexion_deg is not None
        given = rows.flexion_deg if rows.flexion_deg is not None else rows.inclination_deg
        angle_deg = np.full(len(worn), np.nan) if given is None else np.where(worn, given, np.nan)
        self._angles.add_angles(angle_deg, rows.lateral_deg, velocity, cut, signed=signed)

    def _count_rises(self, posture: Int8Array, worn: BoolArray, step_s: Int64Array) -> None:
        """Count sitting followed by standing; unknown seconds between are looked across, off-body time is not."""
        cut = ~worn | (step_s > UNRELATED_AFTER_S)
        known = worn & np.isin(posture, (_SIT, _STAND, _LIE))
        at = np.flatnonzero(cut | known)
        if len(at) == 0:
            return
        code = np.where(known, posture, -1)[at]
        previous = np.where(cut[at], -1, np.concatenate(([self._last_known], code[:-1])))
        self._sit_to_stand += int(((previous == _SIT) & (code == _STAND)).sum())
        self._last_known = int(code[-1])

    def _describe_bouts(self) -> dict[str, Any]:
        sees_bouts = bool(self._static_s) or self._placement not in _WITHOUT_BOUTS
        lengths_s = np.array(sorted(self._static_s), dtype=np.int64)
        counts = np.array([self._static_s[length] for length in sorted(self._static_s)], dtype=np.int64)
        long = lengths_s >= LONG_BOUT_S
        has_bouts = len(lengths_s) > 0
        return {
            "static_count": int(counts.sum()) if sees_bouts else None,
            "static_median_s": find_quantile(lengths_s, counts, 0.5) if has_bouts else None,
            "static_p90_s": round(find_quantile(lengths_s, counts, 0.9), 2) if has_bouts else None,
            "static_time_weighted_median_s": find_time_weighted_median(lengths_s, counts) if has_bouts else None,
            "static_20_min_or_longer_s": int((lengths_s * counts)[long].sum()) if sees_bouts else None,
        }

    def _describe_rates(self) -> dict[str, float | None]:
        sees_bouts = bool(self._static_s) or self._placement not in _WITHOUT_BOUTS
        sees_thigh = self._posture_s is not None and bool(self._posture_s[[_SIT, _STAND]].any())
        return {
            "shifts_per_h": self._per_hour(self._shifts) if sees_bouts else None,
            "fidgets_per_h": self._per_hour(self._fidgets) if sees_bouts else None,
            "sit_to_stand_per_h": self._per_hour(self._sit_to_stand) if sees_thigh else None,
        }

    def _per_hour(self, count: int) -> float | None:
        return round(3600.0 * count / self._worn_s, 2) if self._worn_s else None


def summarise(rows: ExposureRows, events: Iterable[Event], placement: Placement) -> dict[str, Any]:
    """The exposure summary of one whole recording."""
    accumulator = ExposureAccumulator(placement)
    accumulator.add(rows)
    for event in events:
        accumulator.note(event)
    return accumulator.summary()


def _length_s(bout: StaticEnded | SedentaryEnded) -> int:
    return round((bout.end_ns - bout.start_ns) / NS_PER_S)


def _add_codes(seconds: Int64Array | None, codes: Int8Array | None, worn: BoolArray, kinds: int) -> Int64Array | None:
    if codes is None:
        return seconds
    counted = np.bincount(codes[worn], minlength=kinds)
    return counted if seconds is None else seconds + counted


def _name_codes(states: tuple[Posture, ...] | tuple[Motion, ...], seconds: Int64Array | None) -> dict[str, int] | None:
    return None if seconds is None else {state.value: int(s) for state, s in zip(states, seconds, strict=True)}
