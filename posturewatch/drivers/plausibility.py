"""Whether a sensor reads gravity: at rest every accelerometer reads 1 g, whatever its direction.

It finds wrong scales and units, dead axes and sensors that take gravity out, which a posture must not be told from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from posturewatch.types import NS_PER_S, UNITS_PER_G

if TYPE_CHECKING:
    from posturewatch.types import Int32Array

WINDOW_NS = 5 * NS_PER_S
LEAST_SAMPLES = 3
OVER_RANGE = 1.25  # times the range: more than a wrong calibration
STILL_10UG = UNITS_PER_G // 20  # each axis stays within this: nothing but gravity acts
REST_G = (0.85, 1.15)
SURE = 3  # so many windows in a row
STUCK_SAMPLES = 50
STUCK_MOVES_10UG = 3 * UNITS_PER_G // 10  # both other axes turned this far and one showed nothing at all
STUCK_WINDOWS = 2


class Plausibility:
    """Looks at windows of samples; `fault` says in words what is wrong with the sensor, if anything is."""

    def __init__(self, range_g: float | None = None) -> None:
        """Nothing is wrong so far.  `range_g` is the largest value that the sensor can have, if that is known."""
        self._most_10ug = None if range_g is None else OVER_RANGE * range_g * UNITS_PER_G
        self._range_g = range_g
        self.fault: str | None = None
        self._began_ns = 0
        self._parts: list[Int32Array] = []
        self._doubts = 0
        self._stuck: dict[int, int] = {}

    def look(self, acc_10ug: Int32Array, at_ns: int) -> None:
        """Take samples in; judge at the end of each window."""
        if not self._parts or not 0 <= at_ns - self._began_ns < 2 * WINDOW_NS:
            self._began_ns, self._parts = at_ns, []
        self._parts.append(acc_10ug)
        if at_ns - self._began_ns >= WINDOW_NS:
            window = np.concatenate(self._parts)
            self._began_ns, self._parts = at_ns, []
            if len(window) >= LEAST_SAMPLES:
                self._judge(window)

    def _judge(self, window: Int32Array) -> None:
        spread = window.max(axis=0).astype(np.int64) - window.min(axis=0)
        stuck = self._find_stuck(window, spread)
        if stuck is not None:
            self.fault = f"its {'xyz'[stuck]} axis is stuck"
            return
        if self._is_beyond_range(window):
            self._doubts += 1
            if self._doubts >= SURE:
                self.fault = f"it reads more than {self._range_g:g} g, which it cannot measure: wrong scale or unit"
            return
        if int(spread.max()) > STILL_10UG:
            if self.fault is not None and "stuck" in self.fault:
                self.fault = None  # the axis moves again
            return  # other forces act: nothing can be told
        mean = window.mean(axis=0)
        norm_g = float(np.sqrt((mean * mean).sum())) / UNITS_PER_G
        if REST_G[0] <= norm_g <= REST_G[1]:
            self._doubts, self.fault = 0, None
            return
        self._doubts += 1
        if self._doubts >= SURE:
            self.fault = f"it reads {norm_g:.2f} g at rest instead of 1 g: wrong scale or unit, or a broken axis"

    def _is_beyond_range(self, window: Int32Array) -> bool:
        """Whether most samples cannot be: nobody moves so hard for so long, and a chip would not show it."""
        if self._most_10ug is None:
            return False
        return 2 * int((np.abs(window.astype(np.int64)).max(axis=1) > self._most_10ug).sum()) > len(window)

    def _find_stuck(self, window: Int32Array, spread: Int32Array) -> int | None:
        """An axis that shows exactly nothing while the two others turn, window after window."""
        for axis in range(3):
            others = [int(spread[other]) for other in range(3) if other != axis]
            if int(spread[axis]) == 0 and min(others) > STUCK_MOVES_10UG and len(window) >= STUCK_SAMPLES:
                self._stuck[axis] = self._stuck.get(axis, 0) + 1
                if self._stuck[axis] >= STUCK_WINDOWS:
                    return axis
            elif int(spread[axis]) != 0:
                self._stuck.pop(axis, None)
        return None
