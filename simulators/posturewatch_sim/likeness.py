"""Three figures of one minute of acceleration, by which a simulated body is compared with recorded ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posturewatch_sim.noise import Floats

MINUTE_S = 60
BLOCKS_PER_S = 10
BAND_HZ = (0.1, 0.7)  # breathing and small shifts
FIGURES = ("sd_mg", "band_mg", "tilt_deg")


@dataclass(frozen=True)
class Minute:
    """`start_s` is a whole second; the figures are those of the 60 s from there."""

    start_s: int
    sd_mg: float  # median of the SDs of |a| in each second
    band_mg: float  # vector RMS between 0.1 and 0.7 Hz
    tilt_deg: float  # angle between the mean directions of the first and the last ten seconds


def minutes(t_s: Floats, acc_g: Floats, step_s: int = 30) -> Iterator[Minute]:
    """All minutes without a gap, a new one every `step_s` seconds."""
    t_s = t_s - np.floor(t_s[0])
    seconds = int(t_s[-1]) + 1
    second = t_s.astype(np.int64)
    norm = np.linalg.norm(acc_g, axis=1)
    sd = _by(second, norm, seconds)
    sd = np.sqrt(np.maximum(_by(second, norm**2, seconds) - sd**2, 0.0))
    block = (t_s * BLOCKS_PER_S).astype(np.int64)
    blocks = np.stack([_by(block, acc_g[:, k], seconds * BLOCKS_PER_S) for k in range(3)], axis=1)
    for start in range(0, seconds - MINUTE_S + 1, step_s):
        part = blocks[start * BLOCKS_PER_S : (start + MINUTE_S) * BLOCKS_PER_S]
        spread = sd[start : start + MINUTE_S]
        if not (np.isnan(part).any() or np.isnan(spread).any()):
            yield Minute(start, float(np.median(spread)) * 1e3, band_mg(part, BLOCKS_PER_S), _tilt_deg(part))


def band_mg(acc_g: Floats, rate_hz: float) -> float:
    """Vector RMS in mg between 0.1 and 0.7 Hz of evenly spaced accelerations [n, 3]."""
    n = len(acc_g)
    hz = np.fft.rfftfreq(n, 1.0 / rate_hz)
    power = np.abs(np.fft.rfft(acc_g - acc_g.mean(axis=0), axis=0)) ** 2
    inside = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    return float(np.sqrt(2.0 * power[inside].sum()) / n) * 1e3


def _by(index: NDArray[np.int64], values: Floats, count: int) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.bincount(index, values, count) / np.bincount(index, minlength=count))


def _tilt_deg(blocks: Floats) -> float:
    first, last = blocks[:100].mean(axis=0), blocks[-100:].mean(axis=0)
    cosine = first @ last / (np.linalg.norm(first) * np.linalg.norm(last))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
