"""What a guided calibration asks of the daemon, through its control socket only: some samples, and to keep the result.

Raw samples leave the daemon here and nowhere else, to its owner, a few seconds at a time.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from posturewatch.calibrating.capturing import Capture, Captured, choose_sensor
from posturewatch.core.settings import Calibration
from posturewatch.errors import CommandError
from posturewatch.types import Happened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from posturewatch.watch import Watch

MOST_S = 5.0
AXES = 3
GRADES = ("A", "B", "C")


class Glimpses:
    """One for all wearers of a daemon."""

    def __init__(
        self, watches: Iterable[Watch], now_ns: Callable[[], int], keep: Callable[[str, Calibration], None]
    ) -> None:
        """`keep` uses a calibration from now on, or says `CommandError` why not."""
        self._watches = {watch.wearer: watch for watch in watches}
        self._now_ns = now_ns
        self._keep = keep

    async def glimpse(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`wearer`, `sensor`, `seconds`: the samples that come from now on."""
        try:
            watch, sensor = self._find(request)
            wanted = request.get("seconds")
            seconds = min(float(wanted), MOST_S) if isinstance(wanted, int | float) and math.isfinite(wanted) else 1.0
            answered: asyncio.Future[Captured] = asyncio.get_running_loop().create_future()

            def tell(captured: Captured) -> None:
                if not answered.done():  # whoever asked may have left
                    answered.set_result(captured)

            watch.capture(Capture(sensor, self._now_ns(), seconds=seconds, least=1, tell=tell))
        except CommandError as error:
            return {"error": str(error)}
        captured = await answered
        return {"acc_10ug": captured.acc_10ug.tolist(), "seconds": captured.seconds}

    async def keep(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`wearer`, `sensor`, `up`, `forward`, `grade`: the calibration to use from now on."""
        try:
            watch, sensor = self._find(request)
            grade = request.get("grade")
            if grade not in GRADES:
                raise CommandError(f"a calibration's grade is one of {', '.join(GRADES)}")
            forward = request.get("forward")
            calibration = Calibration(
                up=_read_unit(request.get("up")),
                forward=None if forward is None else _read_unit(forward),
                source="poses",
                grade=grade,
            )
            self._keep(sensor, calibration)
        except CommandError as error:
            return {"error": str(error)}
        watch.note(Happened(self._now_ns(), "calibrated", None, {"sensor": sensor, "grade": grade}))
        return {}

    def _find(self, request: Mapping[str, Any]) -> tuple[Watch, str]:
        wearer, sensor = request.get("wearer"), request.get("sensor")
        if wearer is None and len(self._watches) == 1:
            wearer = next(iter(self._watches))
        watch = self._watches.get(str(wearer))
        if watch is None:
            raise CommandError(f"no such wearer: name one of {', '.join(sorted(self._watches))[:200]}")
        return watch, choose_sensor(watch.settings.sensors, None if sensor is None else str(sensor))


def _read_unit(vector: Any) -> tuple[float, float, float]:
    numbers = [float(x) for x in vector if isinstance(x, int | float)] if isinstance(vector, list) else []
    length = math.hypot(*numbers)
    if len(numbers) != AXES or not math.isfinite(length) or length == 0:
        raise CommandError("a direction is three numbers that are not all zero")
    return numbers[0] / length, numbers[1] / length, numbers[2] / length
