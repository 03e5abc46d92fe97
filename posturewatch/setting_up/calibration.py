"""Where up is, for the sensor that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posturewatch.calibrating.guide import Guide
from posturewatch.calibrating.streams import DaemonStream, open_sensor
from posturewatch.config import read_kept
from posturewatch.core.posture import POSTURAL
from posturewatch.errors import CommandError, SourceError
from posturewatch.requests.control_socket import NoDaemon
from posturewatch.sources.simulated import SimulatedSensor, find_upright
from posturewatch.types import Placement

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.setting_up.draft import Answers, Draft
    from posturewatch.terminal.dialogue import Dialogue

LATER = "to calibrate it later: posturewatch calibrate"


async def calibrate(talk: Dialogue, answers: Answers, draft: Draft, door: Path | None = None) -> None:
    """Put a calibration into the draft, where the placement has use for one.

    `door` is that of a daemon that runs: it holds the sensors that are configured already.
    """
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
    elif answers.calibrate or await _wants_it(talk, draft):
        await _guide(talk, draft, placement, door)
    else:
        talk.say(LATER)


async def _wants_it(talk: Dialogue, draft: Draft) -> bool:
    known = read_kept(draft.load().state_folder(), draft.sensor or "") if draft.is_kept else None
    if known is not None:
        return await talk.confirm(f"it is calibrated, grade {known.grade}; calibrate it again?", default=False)
    return await talk.confirm("calibrate it now? about a minute", default=not talk.unattended)


async def _guide(talk: Dialogue, draft: Draft, placement: Placement, door: Path | None) -> None:
    """A sensor that does not answer now can be calibrated later."""
    assert draft.sensor is not None  # the step before chose it
    try:
        if draft.is_kept and door is not None:
            outcome = await Guide(talk, DaemonStream(door, draft.wearer, draft.sensor), placement).lead()
        else:
            async with open_sensor(draft.load(), draft.sensor) as stream:
                outcome = await Guide(talk, stream, placement).lead()
    except (SourceError, CommandError, NoDaemon) as error:
        if talk.unattended:
            raise
        talk.say(f"{error}\n{LATER}")
        return
    draft.calibration = outcome.calibration
