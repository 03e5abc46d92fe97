"""Where up is, for the sensor that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.calibrating.guide import Guide
from posturewatch.calibrating.streams import open_sensor
from posturewatch.core.posture import POSTURAL
from posturewatch.errors import SourceError
from posturewatch.sources.simulated import SimulatedSensor, find_upright
from posturewatch.types import Placement

if TYPE_CHECKING:
    from posturewatch.dialogue import Dialogue
    from posturewatch.setting_up.draft import Answers, Draft

LATER = "to calibrate it later: posturewatch calibrate"


async def calibrate(talk: Dialogue, answers: Answers, draft: Draft) -> None:
    """Put a calibration into the draft, where the placement has use for one."""
    sensor = next(sensor for sensor in draft.sensors() if sensor["id"] == draft.sensor)
    placement, source = Placement(sensor["placement"]), sensor.get("source", "mqtt")
    if answers.calibrate is False or sensor.get("calibration_file") is not None:
        return
    if placement not in POSTURAL:
        talk.say("worn there it needs no calibration")
    elif source == "simulated":
        scenario, seed = sensor.get("scenario", answers.scenario), sensor.get("seed", 1)
        draft.calibration = find_upright(SimulatedSensor(sensor["id"], scenario, seed, placement, sensor.get("device")))
        talk.say("the simulated wearer knows what is upright: calibrated")
    elif source == "mqtt":
        talk.say("a gateway's sensor is calibrated when the daemon hears it: posturewatch calibrate")
    elif answers.calibrate or await talk.confirm("calibrate it now? about a minute", default=not talk.unattended):
        await _guide(talk, draft, placement)
    else:
        talk.say(LATER)


async def _guide(talk: Dialogue, draft: Draft, placement: Placement) -> None:
    """A sensor that does not answer now can be calibrated later."""
    assert draft.sensor is not None  # the step before chose it
    try:
        async with open_sensor(draft.load(), draft.sensor) as stream:
            outcome = await Guide(talk, stream, placement).lead()
    except SourceError as error:
        if talk.unattended:
            raise
        talk.say(f"{error}\n{LATER}")
        return
    draft.calibration = outcome.calibration
