"""Did the direction change between two windows?  Likelihood ratio on the sphere (von Mises-Fisher), for offline use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resultant_excess(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """How much longer the two resultants are apart than together, |S1| + |S2| - |S1 + S2|, for unit rows [n, 3].

    For n equal directions on each side, Δ apart, it is 2 n (1 - cos(Δ/2)).
    """
    first, second = before.sum(axis=0), after.sum(axis=0)
    return float(np.linalg.norm(first) + np.linalg.norm(second) - np.linalg.norm(first + second))


def sphere_glr(before: NDArray[np.float64], after: NDArray[np.float64], sigma_deg: float) -> float:
    """The statistic G = κ · excess, κ = 2 / sigma², sigma the RMS angle in a posture; above 12 something changed."""
    return 2.0 / math.radians(sigma_deg) ** 2 * resultant_excess(before, after)
