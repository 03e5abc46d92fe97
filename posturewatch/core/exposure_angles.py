"""The angle half of an exposure summary: distribution, bands, lengths of stays, bends, angular velocity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from posturewatch.core.stays import Latch, StayTable, find_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]
    Int64Array = NDArray[np.int64]

TRUNK_EDGES_DEG = (20.0, 60.0)  # bands after ISO 11226 and EN 1005-4
HEAD_EDGES_DEG = (25.0, 85.0)
LATERAL_EDGES_DEG = (10.0, 20.0)
NEUTRAL_LATERAL_DEG = 10.0
RELEASE_DEG = 3.0  # hysteresis of every angle threshold: some degrees are the honest uncertainty of quiet sitting
BEND_DEG = 45.0
REST_DEG, REST_DEG_PER_S, REST_S = 20.0, 5.0, 3
EVA_EDGES_S = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
APDF_FROM_S, APDF_FULL_S = 3600, 4 * 3600  # short records bias the outer percentiles inward
VELOCITY_DEFINITION = "angle between the mean directions of successive seconds (generalised angular velocity)"
REST_DEFINITION = "less than 20 deg and 5 deg/s for at least 3 s"

_TENTHS = 10  # bins in a degree
_HALF_TURN_BINS = 180 * _TENTHS
# squared chords of the bin edges: comparing chords needs no inverse sine, so no bit depends on a vector library
_VELOCITY_EDGES = (2.0 * np.sin(np.radians((np.arange(_HALF_TURN_BINS) + 0.5) / _TENTHS) / 2.0)) ** 2


class AngleExposure:
    """Counts seconds by angle; the angle is flexion (signed) or inclination (unsigned), one kind for a summary."""

    def __init__(self, edges_deg: tuple[float, float]) -> None:
        """`edges_deg` end the neutral and the moderate band."""
        self._edges_deg = edges_deg
        self._signed: bool | None = None  # None: no angle seen yet
        self._angle_s = self._neutral_s = self._bend_count = 0
        self._bins = np.zeros(2 * _HALF_TURN_BINS + 1, dtype=np.int64)
        self._lateral_s = np.zeros(len(LATERAL_EDGES_DEG) + 1, dtype=np.int64)
        self._velocity_bins = np.zeros(_HALF_TURN_BINS + 1, dtype=np.int64)
        self._last_up = np.full((1, 3), np.nan)
        self._behind = Latch(0.0, -RELEASE_DEG)
        self._beyond = tuple(Latch(edge, edge - RELEASE_DEG) for edge in edges_deg)
        self._bent = Latch(BEND_DEG, BEND_DEG - RELEASE_DEG)
        self._eva = StayTable(len(edges_deg) + 2, EVA_EDGES_S)
        self._rest = StayTable(1, (REST_S - 1,))

    def add_velocity(self, up: FloatArray | None, worn: BoolArray, cut: BoolArray) -> Int64Array:
        """Count angular velocities of unit directions [n, 3]; gives back each second's bin, -1 where it is unknown."""
        seen = np.full((len(worn), 3), np.nan)
        if up is not None:
            seen[worn] = up[worn]
        step = np.diff(seen, axis=0, prepend=self._last_up)
        chord = step[:, 0] ** 2 + step[:, 1] ** 2 + step[:, 2] ** 2
        known = np.isfinite(chord) & ~cut
        bins = np.full(len(worn), -1, dtype=np.int64)
        bins[known] = np.searchsorted(_VELOCITY_EDGES, chord[known], side="right")
        self._velocity_bins += np.bincount(bins[known], minlength=len(self._velocity_bins))
        self._last_up = seen[-1:].copy()
        return bins

    def add_angles(
        self,
        angle_deg: FloatArray,
        lateral_deg: FloatArray | None,
        velocity: Int64Array,
        cut: BoolArray,
        *,
        signed: bool,
    ) -> None:
        """Count one angle a second, NaN where there is none; ValueError when its kind changes within a summary."""
        known = np.isfinite(angle_deg)
        if known.any():
            if self._signed not in {None, signed}:
                raise ValueError("flexion_deg must be given for all rows or for none: a summary has one kind of angle")
            self._signed = signed
        tenths = np.rint(np.where(known, np.clip(angle_deg, -180.0, 180.0), 0.0) * _TENTHS).astype(np.int64)
        rounded_deg = tenths / _TENTHS
        self._angle_s += int(known.sum())
        self._bins += np.bincount(tenths[known] + _HALF_TURN_BINS, minlength=len(self._bins))
        self._add_neutral(rounded_deg, lateral_deg, known)
        self._add_stays(rounded_deg, known, velocity, cut)

    def _add_neutral(self, angle_deg: FloatArray, lateral_deg: FloatArray | None, known: BoolArray) -> None:
        neutral = known & (np.abs(angle_deg) <= self._edges_deg[0])
        if lateral_deg is not None:
            side_deg = np.where(known & np.isfinite(lateral_deg), np.abs(lateral_deg), np.inf)
            columns = np.searchsorted(LATERAL_EDGES_DEG, side_deg[np.isfinite(side_deg)])
            self._lateral_s += np.bincount(columns, minlength=len(self._lateral_s))
            neutral &= side_deg <= NEUTRAL_LATERAL_DEG
        self._neutral_s += int(neutral.sum())

    def _add_stays(self, angle_deg: FloatArray, known: BoolArray, velocity: Int64Array, cut: BoolArray) -> None:
        band = 1 + sum(latch.add(angle_deg, known, cut).astype(np.int64) for latch in self._beyond)
        band = np.where(self._behind.add(-angle_deg, known, cut), 0, band)
        self._eva.add(np.where(known, band, -1), cut)
        rests = known & (angle_deg < REST_DEG) & (velocity >= 0) & (velocity < REST_DEG_PER_S * _TENTHS)
        self._rest.add(np.where(rests, 0, -1), cut)
        seen_deg = angle_deg[known]  # a second without an angle does not make two bends of one
        if len(seen_deg):
            was_bent = self._bent.is_on
            bent = self._bent.add(seen_deg, np.ones(len(seen_deg), dtype=bool), np.zeros(len(seen_deg), dtype=bool))
            self._bend_count += int((bent & ~np.concatenate(([was_bent], bent[:-1]))).sum())

    def describe(self, worn_s: int) -> dict[str, Any]:
        """The figures, ready for JSON; the same keys always, None where nothing is known."""
        bands_s, names = self._band_seconds(), self._band_names()
        below_name = names[0]
        has_angle = self._angle_s > 0
        band_pct = {name: _percent(part_s, self._angle_s) for name, part_s in zip(names, bands_s, strict=True)}
        if not self._signed:
            band_pct[below_name] = None  # an unsigned inclination cannot tell backward from forward
        return {
            "angle": ("flexion" if self._signed else "inclination") if has_angle else None,
            "angle_s": self._angle_s,
            **self._describe_distribution(worn_s),
            "band_pct": band_pct if has_angle else None,
            "lateral_band_pct": self._describe_lateral(),
            "neutral_pct": _percent(self._neutral_s, self._angle_s),
            "bent_30_to_60_deg_s": self._count_s(30.0, 60.0) if has_angle else None,
            "bent_60_to_90_deg_s": self._count_s(60.0, 90.0) if has_angle else None,
            "bent_over_45_deg_count": self._bend_count if has_angle else None,
            "eva": self._describe_eva(names) if has_angle else None,
            **self._describe_velocity(),
        }

    def _describe_distribution(self, worn_s: int) -> dict[str, Any]:
        keys = ("angle_p10_deg", "angle_p50_deg", "angle_p90_deg", "angle_p10_to_p90_deg")
        if self._angle_s == 0:
            return {"apdf_record": None, **dict.fromkeys(keys)}
        if worn_s < APDF_FROM_S:
            return {"apdf_record": "suppressed_below_60_min", **dict.fromkeys(keys)}
        values_deg = (np.arange(len(self._bins)) - _HALF_TURN_BINS) / _TENTHS
        p10, p50, p90 = (find_quantile(values_deg, self._bins, q) for q in (0.1, 0.5, 0.9))
        figures = (round(value, 2) for value in (p10, p50, p90, p90 - p10))
        record = "short_below_4_h" if worn_s < APDF_FULL_S else "full"
        return {"apdf_record": record, **dict(zip(keys, figures, strict=True))}

    def _describe_lateral(self) -> dict[str, float | None] | None:
        total_s = int(self._lateral_s.sum())
        names = ("up_to_10_deg", "10_to_20_deg", "over_20_deg")
        if total_s == 0:
            return None
        return {name: _percent(int(part_s), total_s) for name, part_s in zip(names, self._lateral_s, strict=True)}

    def _describe_eva(self, names: tuple[str, ...]) -> dict[str, Any]:
        table_s = self._eva.table_s()
        rows = {name: [_percent(int(s), self._angle_s) for s in row] for name, row in zip(names, table_s, strict=True)}
        return {"columns_to_s": [*EVA_EDGES_S, None], "rows_pct": rows}

    def _describe_velocity(self) -> dict[str, Any]:
        values = np.arange(len(self._velocity_bins)) / _TENTHS
        known = bool(self._velocity_bins.any())
        p50, p90 = (find_quantile(values, self._velocity_bins, q) if known else None for q in (0.5, 0.9))
        return {
            "angular_velocity_p50_deg_per_s": None if p50 is None else round(p50, 2),
            "angular_velocity_p90_deg_per_s": None if p90 is None else round(p90, 2),
            "angular_velocity_definition": VELOCITY_DEFINITION,
            "rest_pct": _percent(int(self._rest.table_s()[0, -1]), self._angle_s) if known else None,
            "rest_definition": REST_DEFINITION,
        }

    def _band_names(self) -> tuple[str, ...]:
        low, high = (int(edge) for edge in self._edges_deg)
        return "below_0_deg", f"0_to_{low}_deg", f"{low}_to_{high}_deg", f"over_{high}_deg"

    def _band_seconds(self) -> tuple[int, ...]:
        low, high = self._edges_deg
        below_s = int(self._bins[:_HALF_TURN_BINS].sum())
        neutral_s = int(self._bins[_HALF_TURN_BINS]) + self._count_s(0.0, low)
        return below_s, neutral_s, self._count_s(low, high), self._count_s(high, 180.0)

    def _count_s(self, above_deg: float, to_deg: float) -> int:
        first, last = (round(deg * _TENTHS) + _HALF_TURN_BINS + 1 for deg in (above_deg, to_deg))
        return int(self._bins[first:last].sum())


def _percent(part_s: int, total_s: int) -> float | None:
    return round(100.0 * part_s / total_s, 3) if total_s else None
