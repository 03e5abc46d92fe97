"""Lead the wearer through the poses: what to do now, how far it leans meanwhile, what it is worth."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from posturewatch.calibrating.judging import Outcome, join, judge, judge_walk, measure_stillest
from posturewatch.core.calibration import ADVICE, Fault, angle_deg, find_pose_faults
from posturewatch.types import Placement

if TYPE_CHECKING:
    from posturewatch.calibrating.capturing import Captured
    from posturewatch.calibrating.streams import Stream
    from posturewatch.core.calibration import Pose
    from posturewatch.core.settings import Vector
    from posturewatch.terminal.dialogue import Dialogue

SIT_S, STAND_S, WALK_S, BEND_S, LONG_WALK_S = 8.0, 6.0, 9.0, 5.0, 25.0
LEAST_ROWS = 3  # of a sensor that speaks every few seconds
MOST_S = 40.0
WALKING_HZ = 8.0  # slower sensors show no steps
READY_S = 3.0
GLIMPSE_S = 0.5
BAR_DEG, BAR_WIDTH = 60.0, 30


class Guide:
    """One calibration of one sensor."""

    def __init__(self, talk: Dialogue, stream: Stream, placement: Placement, *, ready_s: float = READY_S) -> None:
        """`ready_s`: how long somebody who cannot press Enter has to get into a pose."""
        self._talk, self._stream, self._placement, self._ready_s = talk, stream, placement, ready_s
        self._upright: Vector | None = None
        self._rate_hz = 0.0

    async def lead(self, *, bend: bool | None = None) -> Outcome:
        """Through all poses, again if it is worth it and wanted.  `bend` None: ask."""
        while True:
            outcome = await self._lead_once(bend)
            for remark in outcome.remarks:
                self._talk.say(f"  {remark}")
            grade = outcome.grade
            self._talk.say("no calibration" if grade is None else f"calibrated, grade {grade}")
            if grade in ("A", "B") or not await self._talk.confirm("once more?", default=not self._talk.unattended):
                return outcome

    async def _lead_once(self, bend: bool | None) -> Outcome:
        self._upright = None
        if self._placement is not Placement.THIGH:
            trouble = await self._sit()
            if trouble is not None:
                return Outcome(None, (trouble,))
        stand = await self._hold("stand upright, as you usually do, and hold still", STAND_S)
        if Fault.NOT_STILL in find_pose_faults(stand):
            self._talk.say(f"  {ADVICE[Fault.NOT_STILL]}")
            stand = await self._hold("stand once more, and hold still", STAND_S)
        if Fault.NOT_STILL in find_pose_faults(stand) and self._rate_hz >= WALKING_HZ:
            self._talk.say("  then from walking")
            return judge_walk(join(await self._take(f"walk about for {LONG_WALK_S:g} s", LONG_WALK_S)))
        if find_pose_faults(stand):
            return judge(stand)
        self._upright = stand.direction
        return await self._compare(stand, bend)

    async def _sit(self) -> str | None:
        """How the wearer usually sits: shown, and a look at the sensor itself; what is wrong with that, if anything."""
        sit = await self._hold("sit as you usually do, and hold still", SIT_S)
        wrong = [fault for fault in find_pose_faults(sit) if fault is not Fault.NOT_STILL]
        if wrong:
            return ADVICE[wrong[0]]
        self._talk.say(f"  the sensor reads {sit.norm_g:.2f} g at rest: good")
        return None

    async def _compare(self, stand: Pose, bend: bool | None) -> Outcome:
        """What confirms or improves the upright pose."""
        walk = None
        if self._rate_hz >= WALKING_HZ:
            walk = join(await self._take("walk ten steps", WALK_S))
        if self._placement is Placement.THIGH:
            return judge(stand, walk)
        if bend is None:
            self._talk.say("bending forward once tells leaning forward from leaning back, and makes it grade A")
            bend = await self._talk.confirm("bend?", default=not self._talk.unattended)
        if not bend:
            return judge(stand, walk)
        bent = await self._hold("bend forward from the hips, about half way to flat, and hold still", BEND_S)
        again = await self._hold("stand upright again, and hold still", BEND_S)
        return judge(stand, walk, bent, again)

    async def _hold(self, what: str, seconds: float) -> Pose:
        return measure_stillest(await self._take(what, seconds))

    async def _take(self, what: str, seconds: float) -> list[Captured]:
        """One pose or walk, with the tilt shown while it lasts."""
        await self._talk.wait_for_enter(what)
        if self._talk.unattended:
            await asyncio.sleep(self._ready_s)
        await self._stream.glimpse(GLIMPSE_S)  # of the time before
        parts: list[Captured] = []
        while (seen_s := sum(part.seconds for part in parts)) < MOST_S and (
            seen_s < seconds or sum(len(part.acc_10ug) for part in parts) < LEAST_ROWS
        ):
            parts.append(await self._stream.glimpse(GLIMPSE_S))
            self._show(parts[-1], seconds - seen_s)
        self._talk.show("")
        self._rate_hz = sum(len(part.acc_10ug) for part in parts) / max(seen_s, GLIMPSE_S)
        return parts

    def _show(self, part: Captured, left_s: float) -> None:
        direction = part.measure().direction
        if not all(math.isfinite(x) for x in direction):
            return
        if self._upright is None:
            self._upright = direction
        tilt_deg = angle_deg(self._upright, direction)
        filled = round(min(tilt_deg / BAR_DEG, 1.0) * BAR_WIDTH)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self._talk.show(f"  {max(left_s, 0.0):4.1f} s  tilt {tilt_deg:5.1f} degrees  {bar}")
