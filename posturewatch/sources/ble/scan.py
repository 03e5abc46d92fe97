"""A scan for people: who is there, for a while, and how it feels to connect to the nearest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from posturewatch.clock import read_wall_ns
from posturewatch.errors import SourceError
from posturewatch.radio import open_radio
from posturewatch.sources.ble.adapter import Adapter
from posturewatch.sources.ble.ears import Ears
from posturewatch.sources.ble.trial import feel

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.sources.ble.survey import Survey

REFRESH_S = 0.5
MOST_FELT = 5  # so many are connected to, one after the other
FIRST_LOOK_S = 5.0  # at most, before the first of them


async def look_around(  # noqa: PLR0913  # one parameter per wish
    survey: Survey, radio: str, seconds: float, stop: asyncio.Event, refresh: Callable[[], None], *, shake: bool
) -> list[str]:
    """Fill `survey`, calling `refresh` now and then; gives what went wrong with single sensors.

    `RadioUnavailable` if there is no radio to hear with.
    """
    loop = asyncio.get_running_loop()
    troubles: list[str] = []
    async with open_radio(radio) as opened:
        adapter = Adapter(opened)
        ears = Ears(adapter)
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(ears.run())]
        try:
            with ears.listening(lambda heard: survey.take(heard, loop.time())):
                if shake:
                    tasks.append(asyncio.create_task(_feel_nearest(survey, adapter, seconds, troubles)))
                end_s = loop.time() + seconds
                while not stop.is_set() and (loop.time() < end_s or not all(task.done() for task in tasks[1:])):
                    if ears.trouble is not None and not ears.heard:
                        raise ears.trouble
                    refresh()
                    await asyncio.sleep(REFRESH_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    return troubles


async def _feel_nearest(survey: Survey, adapter: Adapter, seconds: float, troubles: list[str]) -> None:
    await asyncio.sleep(min(seconds / 3, FIRST_LOOK_S))
    for found in survey.sensors()[:MOST_FELT]:
        try:
            await feel(found, adapter, read_wall_ns)
        except SourceError as error:
            troubles.append(str(error))
