"""From the numbers of sensors to the 10 µg of the core; what no body can do is left out and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from posturewatch.types import UNITS_PER_G

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from posturewatch.types import Int32Array

STANDARD_GRAVITY = 9.80665  # m/s², by definition
G_PER_UNIT = {"g": 1.0, "mg": 1e-3, "m/s2": 1.0 / STANDARD_GRAVITY}
MAX_ACC_G = 200.0  # beyond it a value is a fault of the sensor or a wrong unit
MAX_PACKET_BYTES = 512  # an attribute value of Bluetooth LE is never longer
NO_SAMPLES: Int32Array = np.zeros((0, 3), dtype=np.int32)
NO_SAMPLES.flags.writeable = False


@np.errstate(invalid="ignore", over="ignore")  # what is no number is left out below, and worth no warning
def convert(rows: ArrayLike, g_per_digit: float) -> tuple[Int32Array, int]:
    """Rows of x, y, z in digits to 10 µg, and how many rows were left out: not finite, or beyond ±200 g."""
    acc_g = np.asarray(rows, dtype=np.float64).reshape(-1, 3) * g_per_digit
    if np.abs(acc_g).max(initial=0.0) <= MAX_ACC_G:  # the usual case; something that is no number is never less
        return np.rint(acc_g * UNITS_PER_G).astype(np.int32), 0
    is_possible = (np.abs(acc_g) <= MAX_ACC_G).all(axis=1)
    kept = acc_g[is_possible]
    return np.rint(kept * UNITS_PER_G).astype(np.int32), len(acc_g) - len(kept)
