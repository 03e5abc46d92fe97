"""Frames to what the detector looks at: direction, spread, gait and the breathing band.

All of it comes from frames and their 100 ms blocks, never from samples, and each value of a second depends on that
second and the ones before it only.  Sums are integers, so a value does not depend on how many seconds came at once.

* `sd_mg`: SD of |a| over two seconds (this one and the one before).
* `gait`: highest autocorrelation of the block means over five seconds that is a peak at a lag of 0.3 to 1.6 s.
* once a minute, `Band`: how much moves between 0.1 and 0.7 Hz, where breathing is, and how much of it is noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from posturewatch.types import BLOCKS_PER_FRAME, UNITS_PER_G

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from posturewatch.types import Frames, Int64Array

UNITS_PER_MG = UNITS_PER_G / 1000.0
MINUTE_S = 60
GAIT_WINDOW_S = 5
GAIT_MIN_SD_MG = 40.0  # gait is looked for only where something moves at all
GAIT_RISE = 0.15  # of the peak out of the dip before it
NO_GRAVITY_G = 1e-6
BREATHING_HZ = (0.1, 0.7)  # 6 to 42 breaths a minute
NOISE_HZ = (2.0, 4.0)  # above breathing and most sway, below what a block still shows
MEDIAN_OF_NOISE = 0.89  # median of a line's power over its mean: chi squared, three axes with two parts each
SLOWEST_LINE = 2  # lines below 0.13 Hz may be drift of the sensor itself
FILLED_BLOCKS = 8  # of ten, for gait
MINUTE_BLOCKS = MINUTE_S * BLOCKS_PER_FRAME
MINUTES_AT_ONCE = 32  # bounded memory
KEEP_S = MINUTE_S + GAIT_WINDOW_S
# lags of 0.3 to 1.6 s in blocks, with one neighbour on each side so that a peak can be told from a slope: a step takes
# 0.33 to 1.25 s, and a thigh or a wrist repeats itself only with the stride, up to 1.6 s in a slow walk
_LAGS = range(2, 18)


class Row(NamedTuple):
    """One second, as plain numbers, for the scalar stage."""

    epoch: int
    x_g: float  # mean specific force
    y_g: float
    z_g: float
    norm_g: float  # length of the mean
    up_x: float  # its direction; all zero without gravity
    up_y: float
    up_z: float
    sd_mg: float  # of |a|, two seconds
    gait: float  # 0..1; 0 where there is none, -1 where it cannot be known
    band: Band | None  # at the last second of a minute


class Band(NamedTuple):
    """One minute between 0.1 and 0.7 Hz."""

    rms_mg: float  # B, vector RMS
    noise_mg: float  # N, what white noise of the level found at 2 to 4 Hz would show there
    peak: float  # power of three neighbouring lines over that of the noise there, the highest


@dataclass(slots=True)
class FeatureState:
    """The last seconds that later ones look back at."""

    epoch: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))  # [<=65]
    block_n: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, BLOCKS_PER_FRAME), np.int32))
    block_mean: Int64Array = field(default_factory=lambda: np.zeros((0, BLOCKS_PER_FRAME, 3), np.int64))
    n: int = 0  # of the last frame, with its sums, for the two-second SD
    norm_sum: int = 0
    norm_sumsq: int = 0


_FREQUENCY_HZ = np.fft.rfftfreq(MINUTE_BLOCKS, 1.0 / BLOCKS_PER_FRAME)
_BAND, _NOISE = (  # lines of the spectrum
    slice(*np.searchsorted(_FREQUENCY_HZ, (low_hz - 1e-9, high_hz + 1e-9)).tolist())
    for low_hz, high_hz in (BREATHING_HZ, NOISE_HZ)
)
_BAND_HZ = _FREQUENCY_HZ[_BAND]
_BAND_LINES, _NOISE_LINES = _BAND.stop - _BAND.start, _NOISE.stop - _NOISE.start
# white noise stays white in block means: what the boxcar takes from a line, aliasing gives back
# a two-sided spectrum to power in mg²
_TO_MG2 = 2.0 / (MINUTE_BLOCKS * UNITS_PER_MG) ** 2
_RAMP = np.arange(MINUTE_BLOCKS) - (MINUTE_BLOCKS - 1) / 2.0
_RAMP_SQ = float((_RAMP**2).sum())


@dataclass(frozen=True, slots=True)
class Columns:
    """The features of some seconds, one array each."""

    epoch: Int64Array  # [k]
    mean_g: NDArray[np.float64]  # [k, 3]
    norm_g: NDArray[np.float64]  # [k]
    up: NDArray[np.float64]  # [k, 3]
    sd_mg: NDArray[np.float64]  # [k]
    gait: NDArray[np.float64]  # [k]
    bands: dict[int, Band | None]  # by index, for the seconds that end a minute


def rows_of(state: FeatureState, frames: Frames) -> list[Row]:
    """The rows of these frames; `state` moves on."""
    if not len(frames.epoch):
        return []
    return rows_in(columns_of(state, frames))


def rows_in(found: Columns) -> list[Row]:
    """The same features, second by second."""
    bands: list[Band | None] = [None] * len(found.epoch)
    for i, band in found.bands.items():
        bands[i] = band
    columns = (found.epoch, *found.mean_g.T, found.norm_g, *found.up.T, found.sd_mg, found.gait)
    return list(map(Row._make, zip(*(c.tolist() for c in columns), bands, strict=True)))


def columns_of(state: FeatureState, frames: Frames) -> Columns:
    """The features of at least one frame, as arrays; `state` moves on."""
    kept = len(state.epoch)
    epoch = np.concatenate([state.epoch, frames.epoch])
    block_n = np.concatenate([state.block_n, frames.block_n])
    mean = np.rint(frames.block_sum / np.maximum(frames.block_n, 1)[:, :, None]).astype(np.int64)
    block_mean = np.concatenate([state.block_mean, mean])

    n = frames.n
    mean_g = frames.block_sum.sum(axis=1) / (n * float(UNITS_PER_G))[:, None]
    norm_g = np.sqrt(mean_g[:, 0] ** 2 + mean_g[:, 1] ** 2 + mean_g[:, 2] ** 2)
    up = mean_g / np.where(norm_g > NO_GRAVITY_G, norm_g, np.inf)[:, None]
    sd_mg = _spread_mg(state, frames, int(epoch[kept - 1]) if kept else None)
    gait = _gait(epoch, block_n, block_mean, kept, sd_mg)
    bands = _bands_of(epoch, block_n, block_mean, kept)

    state.epoch, state.block_n, state.block_mean = epoch[-KEEP_S:], block_n[-KEEP_S:], block_mean[-KEEP_S:]
    state.n, state.norm_sum, state.norm_sumsq = int(n[-1]), int(frames.norm_sum[-1]), int(frames.norm_sumsq[-1])
    return Columns(frames.epoch, mean_g, norm_g, up, sd_mg, gait, bands)


def _spread_mg(state: FeatureState, frames: Frames, last_epoch: int | None) -> NDArray[np.float64]:
    """SD of |a| over this and the previous second; over this one alone after a gap."""
    n = frames.n.astype(np.float64)
    s, q = frames.norm_sum.astype(np.float64), frames.norm_sumsq.astype(np.float64)
    n0 = np.concatenate([[float(state.n)], n[:-1]])
    s0 = np.concatenate([[float(state.norm_sum)], s[:-1]])
    q0 = np.concatenate([[float(state.norm_sumsq)], q[:-1]])
    before = np.concatenate([[-10 if last_epoch is None else last_epoch], frames.epoch[:-1]])
    follows = frames.epoch - before == 1
    n2 = n + np.where(follows, n0, 0.0)
    m = (s + np.where(follows, s0, 0.0)) / n2
    return np.sqrt(np.maximum((q + np.where(follows, q0, 0.0)) / n2 - m * m, 0.0)) / UNITS_PER_MG


def _gait(
    epoch: Int64Array, block_n: NDArray[np.int32], block_mean: Int64Array, kept: int, sd_mg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Periodicity of a walk for each new second, where it moves at all."""
    gait = np.zeros(len(epoch) - kept)
    candidates = np.flatnonzero(sd_mg >= GAIT_MIN_SD_MG) + kept
    filled = (block_n > 0).sum(axis=1) >= FILLED_BLOCKS
    run = np.convolve(filled, np.ones(GAIT_WINDOW_S, np.int64))[: len(epoch)] == GAIT_WINDOW_S
    first = candidates - (GAIT_WINDOW_S - 1)
    usable = (first >= 0) & run[candidates]
    usable &= epoch[candidates] - epoch[np.maximum(first, 0)] == GAIT_WINDOW_S - 1
    gait[candidates[~usable] - kept] = -1.0
    candidates, first = candidates[usable], first[usable]
    for start in range(0, len(candidates), 2048):  # bounded memory
        part = candidates[start : start + 2048]
        window = block_mean[first[start : start + 2048, None] + np.arange(GAIT_WINDOW_S)]
        gait[part - kept] = _periodicity(window.reshape(len(part), -1, 3))
    return gait


def _periodicity(window: Int64Array) -> NDArray[np.float64]:
    """[m, 50, 3] block means -> the highest peak of the autocorrelation, 0 where it has none."""
    blocks = window.shape[1]
    centred = window * blocks - window.sum(axis=1, keepdims=True)
    centred >>= 6  # keeps the sums of squares below 2^63
    energy = np.cumsum((centred**2).sum(axis=2), axis=1)
    correlation = np.empty((len(window), len(_LAGS)))
    for column, lag in enumerate(_LAGS):
        product = np.einsum("mtc,mtc->m", centred[:, :-lag], centred[:, lag:])
        ahead, behind = energy[:, -1 - lag], energy[:, -1] - energy[:, lag - 1]
        scale = np.sqrt(ahead.astype(np.float64)) * np.sqrt(behind.astype(np.float64))
        correlation[:, column] = product / np.maximum(scale, 1.0)
    inner = correlation[:, 1:-1]
    peak = (inner >= correlation[:, :-2]) & (inner >= correlation[:, 2:])
    # a slow turn is similar to itself at any short lag: only a peak that rises out of a dip is a rhythm
    dip = np.minimum.accumulate(correlation, axis=1)[:, :-2]
    rise = np.where(peak, inner - np.maximum(dip, 0.0) * 0.5, 0.0)
    found = np.where((inner - dip >= GAIT_RISE) & peak, np.minimum(inner, rise), 0.0)
    highest: NDArray[np.float64] = np.clip(found.max(axis=1), 0.0, 1.0)
    return highest


def _bands_of(
    epoch: Int64Array, block_n: NDArray[np.int32], block_mean: Int64Array, kept: int
) -> dict[int, Band | None]:
    """The bands of the minutes that end with a new second, by its index; None where too little of one was seen."""
    ends = np.flatnonzero(epoch[kept:] % MINUTE_S == MINUTE_S - 1).tolist()
    bands: dict[int, Band | None] = dict.fromkeys(ends)
    for start in range(0, len(ends), MINUTES_AT_ONCE):
        part = ends[start : start + MINUTES_AT_ONCE]
        found = [(end, _minute(epoch, block_n, block_mean, kept + end)) for end in part]
        seen = {end: minute for end, minute in found if minute is not None}
        if seen:
            bands.update(zip(seen, _bands(np.stack(list(seen.values()))), strict=True))
    return bands


def _bands(blocks: NDArray[np.float64]) -> list[Band]:
    """[m, 3, 600] block means of whole minutes -> the band of each; `blocks` is used up."""
    blocks -= blocks.sum(axis=2, keepdims=True) / MINUTE_BLOCKS
    blocks -= _RAMP * ((blocks * _RAMP).sum(axis=2, keepdims=True) / _RAMP_SQ)
    spectrum = np.fft.rfft(blocks)[:, :, : _NOISE.stop]
    squared = spectrum.real**2 + spectrum.imag**2
    power = squared[:, 0] + squared[:, 1] + squared[:, 2]
    in_band = power[:, _BAND]
    floor = power[:, _NOISE].sum(axis=1) / _NOISE_LINES  # of one line
    # below a corner the noise of such a sensor grows as 1/f; the median does not see a few lines of breathing
    flicker = np.median((in_band - floor[:, None]) * _BAND_HZ, axis=1) / MEDIAN_OF_NOISE
    noise = floor[:, None] + np.maximum(flicker, 0.0)[:, None] / _BAND_HZ
    rms_mg = np.sqrt(in_band.sum(axis=1) * _TO_MG2)
    noise_mg = np.sqrt(floor * _BAND_LINES * _TO_MG2)
    peak = (_threes(in_band) / np.maximum(_threes(noise), 1e-9)).max(axis=1)
    return list(map(Band, rms_mg.tolist(), noise_mg.tolist(), peak.tolist()))


def _threes(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m, k] lines -> the sums of three neighbours each, from the slowest that counts."""
    return lines[:, SLOWEST_LINE:-2] + lines[:, SLOWEST_LINE + 1 : -1] + lines[:, SLOWEST_LINE + 2 :]


def _minute(
    epoch: Int64Array, block_n: NDArray[np.int32], block_mean: Int64Array, last: int
) -> NDArray[np.float64] | None:
    """The block means of the minute that ends with row `last`, [3, 600]."""
    first = last - MINUTE_S + 1
    part = slice(first, last + 1)
    if first >= 0 and epoch[last] - epoch[first] == MINUTE_S - 1 and block_n[part].all():
        return block_mean[part].reshape(MINUTE_BLOCKS, 3).T.astype(np.float64, order="C")
    return _patched_minute(epoch, block_n, block_mean, last)


def _patched_minute(
    epoch: Int64Array, block_n: NDArray[np.int32], block_mean: Int64Array, last: int
) -> NDArray[np.float64] | None:
    """A minute with holes, [3, 600]: each empty block repeats the one before."""
    first = max(last - MINUTE_S + 1, 0)
    while epoch[first] < epoch[last] - MINUTE_S + 1:
        first += 1
    if last - first + 1 < MINUTE_S - 3 or int((block_n[first : last + 1] > 0).sum()) < MINUTE_BLOCKS // 2:
        return None
    start = (epoch[first : last + 1] - epoch[last] + MINUTE_S - 1)[:, None] * BLOCKS_PER_FRAME
    index = start + np.arange(BLOCKS_PER_FRAME)
    has = block_n[first : last + 1].ravel() > 0
    at = np.zeros(MINUTE_BLOCKS, np.int64)  # for each block of the minute the latest filled one
    where = index.ravel()[has]
    at[where] = np.arange(len(where))
    np.maximum.accumulate(at, out=at)
    patched: NDArray[np.float64] = block_mean[first : last + 1].reshape(-1, 3)[has][at].T.astype(np.float64, order="C")
    return patched
