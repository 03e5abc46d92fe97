"""Where up is, for the sensor that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.sources.simulated import SimulatedSensor, find_upright
from posturewatch.types import Placement

if TYPE_CHECKING:
    from posturewatch.dialogue import Dialogue
    from posturewatch.setting_up.draft import Answers, Draft


async def calibrate(talk: Dialogue, answers: Answers, draft: Draft) -> None:
    """Put a calibration into the draft, where the placement has use for one."""
    if answers.calibrate is False:
        return
    sensor = next(sensor for sensor in draft.sensors() if sensor["id"] == draft.sensor)
    if sensor.get("source") == "simulated":
        about = SimulatedSensor(sensor["id"], sensor["scenario"], sensor.get("seed", 1), Placement(sensor["placement"]))
        draft.calibration = find_upright(about)
        talk.say("the simulated wearer knows what is upright: calibrated")
