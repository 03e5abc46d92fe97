"""Seeded noise as a function of absolute time, so that it does not matter how the time axis is cut."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KNOTS_PER_TILE = 64
TONES = 9
TAU = 2.0 * np.pi


def generator(*key: int | str) -> np.random.Generator:
    """A generator that belongs to this key alone; words count by their CRC-32."""
    return np.random.default_rng([zlib.crc32(k.encode()) if isinstance(k, str) else k for k in key])


@lru_cache(maxsize=256)
def _knots(seed: int, name: str, tile: int, axes: int) -> Floats:
    return generator(seed, name, tile + (1 << 20)).standard_normal((KNOTS_PER_TILE, axes))


def wander(t_s: Floats, spacing_s: float, seed: int, name: str, axes: int = 1) -> Floats:
    """Smooth unit-variance noise [n, axes]: a normal draw every `spacing_s`, cubic B-spline between them.

    The power lies below about 0.4 / spacing_s Hz.
    """
    position = t_s / spacing_s
    index = np.floor(position).astype(np.int64)
    first, last = int(index[0]) - 1, int(index[-1]) + 2
    tiles = range(first // KNOTS_PER_TILE, last // KNOTS_PER_TILE + 1)
    knots = np.concatenate([_knots(seed, name, tile, axes) for tile in tiles])
    base = index - tiles[0] * KNOTS_PER_TILE
    f = (position - index)[:, None]
    g = 1.0 - f
    weights = (g**3, 3.0 * f**3 - 6.0 * f**2 + 4.0, 3.0 * g**3 - 6.0 * g**2 + 4.0, f**3)
    total = sum(w * knots[base + k - 1] for k, w in enumerate(weights))
    # the weights sum to 6, and the sum of their squares is on average 36 * 0.479: this makes the variance 1
    return np.asarray(total / (6.0 * 0.6924))


@dataclass(frozen=True)
class Tones:
    """Band-limited unit-variance noise [n, axes] as a sum of sinusoids with drawn frequencies and phases."""

    hz: Floats  # [axes, k]
    phase: Floats

    @classmethod
    def between(cls, low_hz: float, high_hz: float, seed: int, name: str) -> Tones:
        """Nine tones an axis, drawn evenly from a band."""
        draw = generator(seed, name)
        hz = np.sort(draw.uniform(low_hz, high_hz, (3, TONES)))
        return cls(hz, draw.uniform(0.0, TAU, (3, TONES)))

    def at(self, t_s: Floats) -> Floats:
        """The noise at these times."""
        columns = [np.sin(TAU * hz * t_s[:, None] + ph).sum(axis=1) for hz, ph in zip(self.hz, self.phase, strict=True)]
        return np.asarray(np.stack(columns, axis=1) * np.sqrt(2.0 / TONES))


@dataclass(frozen=True)
class Rhythm:
    """The phase in radians of something that beats at `hz` but not quite evenly (breath, heart, step)."""

    hz: float
    depth: Floats  # rad
    slow_hz: Floats
    phase: Floats

    @classmethod
    def around(cls, hz: float, unevenness: float, seed: int, name: str) -> Rhythm:
        """`unevenness` is the SD of the momentary rate as a part of `hz`."""
        draw = generator(seed, name)
        slow = draw.uniform(0.02, 0.12, 4) * hz
        return cls(hz, unevenness * hz / slow * np.sqrt(2.0 / 4), slow, draw.uniform(0.0, TAU, 5))

    def at(self, t_s: Floats) -> Floats:
        """The phase at these times, counted through since 0 s."""
        phase = TAU * self.hz * t_s + self.phase[4]
        for depth, slow, start in zip(self.depth, self.slow_hz, self.phase[:4], strict=True):
            phase = phase + depth * np.sin(TAU * slow * t_s + start)
        return np.asarray(phase)
