"""Which sensor, and where it is worn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from posturewatch.drivers.preset_files import families
from posturewatch.errors import RadioUnavailable, UsageError
from posturewatch.sources.ble.scan import look_around
from posturewatch.sources.ble.survey import Survey, describe_use, propose_placement
from posturewatch.types import Placement

if TYPE_CHECKING:
    from posturewatch.setting_up.draft import Answers, Draft
    from posturewatch.sources.ble.survey import Found
    from posturewatch.terminal.dialogue import Dialogue

SCAN_S = 15.0
SETTLE_S = 3.0  # after the wanted address was heard, for what else its advertisements say
MOST_LISTED = 12
AGAIN, GATEWAY, SIMULATED, KEEP = "a", "g", "s", "k"
OTHER_WAYS = {
    GATEWAY: "a gateway that publishes samples over MQTT (ESPHome and others)",
    SIMULATED: "none yet: a simulated wearer, marked as such everywhere",
}
PLACES = {
    "chest": "a strap, or clipped below the collar bone",
    "upper_back": "between the shoulder blades",
    "neck": "collar or nape",
    "head": "cap or headphones",
    "waist": "belt",
    "low_back": "back of the belt",
    "thigh": "front of the thigh: tells sitting from standing",
    "wrist": "no posture: wear, movement and breaks only",
}


async def choose_sensor(talk: Dialogue, answers: Answers, draft: Draft, *, may_connect: bool) -> None:
    """Put the wearer's sensor into the draft, or leave those of a former time.

    `may_connect`: to feel which one is shaken; it would take away those of a daemon that runs.
    """
    kept = [] if draft.is_new else draft.sensors()
    wants_none = not (answers.simulated or answers.gateway or answers.sensor)
    if kept and wants_none:
        names = ", ".join(f"{sensor['id']} ({sensor.get('source', 'mqtt')})" for sensor in kept)
        choices = {KEEP: f"keep {names}", "n": "set up another one"}
        if await talk.choose("the sensors are set up already", choices, KEEP) == KEEP:
            draft.sensor, draft.is_kept = kept[0]["id"], True
            return
    draft.tree["wearer"] = [w for w in draft.tree.get("wearer", []) if w.get("sensor") or w.get("id") != draft.wearer]
    sensor = await _find(talk, answers, draft, may_connect)
    places = PLACES if answers.placement is None else {str(place): "" for place in Placement}
    asked = answers.placement or propose_placement(sensor.get("family"))
    place = await talk.choose("where is it worn?", PLACES, asked) if answers.placement is None else asked
    if place not in places:
        raise UsageError(f"--placement {place}: allowed are {', '.join(places)}")
    sensor["placement"] = place
    sensor["id"] = _free_id(place, draft)
    draft.put_sensor(sensor, add=answers.add)


def _free_id(place: str, draft: Draft) -> str:
    taken = draft.taken_ids()
    names = [place, *(f"{draft.wearer}-{place}"[:32], *(f"{place}-{number}" for number in range(2, 100)))]
    return next(name for name in names if name not in taken)


async def _find(talk: Dialogue, answers: Answers, draft: Draft, may_connect: bool) -> dict[str, Any]:
    if answers.simulated:
        return _simulated(answers)
    if answers.gateway:
        return {"source": "mqtt"}
    if answers.radio is not None:
        _use_radio(draft, answers.radio)
    while True:
        survey = await _scan(talk, answers, draft, may_connect)
        if survey is not None and (found := await _pick(talk, answers, survey)):
            return _bluetooth(found)
        if talk.unattended and survey is not None:
            raise UsageError(_say_nothing_heard(survey, answers))
        choices = {AGAIN: "look again", **OTHER_WAYS}
        way = await talk.choose("what now?", choices, AGAIN, option="--simulated or --gateway")
        if way == SIMULATED:
            return _simulated(answers)
        if way == GATEWAY:
            return {"source": "mqtt"}


async def _scan(talk: Dialogue, answers: Answers, draft: Draft, may_connect: bool) -> Survey | None:
    """Everybody near; nothing, said, where there is no radio to hear with."""
    survey = Survey(families(draft.path.parent))
    shake = may_connect and answers.sensor is None
    radio = draft.load().config.bluetooth.radio_name
    talk.say(f"looking for Bluetooth sensors for {SCAN_S:g} s: wear it or hold it near, and shake it now ...")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    wanted_s: float | None = None

    def refresh() -> None:
        nonlocal wanted_s
        talk.show(f"{len(survey.sensors())} sensors, {len(survey.others())} other devices")
        if answers.sensor is not None and _match(survey, answers.sensor) is not None:
            wanted_s = loop.time() if wanted_s is None else wanted_s
            if loop.time() - wanted_s >= SETTLE_S:
                stop.set()

    try:
        for trouble in await look_around(survey, radio, SCAN_S, stop, refresh, shake=shake):
            talk.say(f"({trouble})")
    except RadioUnavailable as error:
        if talk.unattended:
            raise
        talk.say(f"no Bluetooth: {error}")
        return None
    finally:
        talk.show("")
    return survey


async def _pick(talk: Dialogue, answers: Answers, survey: Survey) -> Found | None:
    if answers.sensor is not None:
        return _match(survey, answers.sensor)
    sensors = survey.sensors()[:MOST_LISTED]
    if not sensors:
        talk.say(_say_nothing_heard(survey, answers))
        return None
    shaken = survey.find_shaken(asyncio.get_running_loop().time())
    choices = {str(at): _describe(found, found is shaken) for at, found in enumerate(sensors, 1)}
    usual = shaken if shaken in sensors else sensors[0] if len(sensors) == 1 else None
    default = None if usual is None else str(sensors.index(usual) + 1)
    choices[AGAIN] = "look again, or something else"
    answer = await talk.choose("which one is yours?", choices, default, option="--sensor ADDRESS")
    return None if answer == AGAIN else sensors[int(answer) - 1]


def _match(survey: Survey, wanted: str) -> Found | None:
    for found in survey.sensors():
        if wanted.upper() in (found.binding.upper(), found.heard.advert.address.upper()):
            return found
    return None


def _describe(found: Found, is_shaken: bool) -> str:
    name = "".join(c if c.isprintable() else "?" for c in found.name or "(no name)")
    use = describe_use(found.family.capabilities) if found.family else ""
    mark = "  <- the one you shook" if is_shaken else ""
    return f"{name}, {found.binding}, {found.rssi_dbm} dBm: {use}{mark}"


def _say_nothing_heard(survey: Survey, answers: Answers) -> str:
    if answers.sensor is not None:
        return f"--sensor {answers.sensor}: not heard, or of no known family; `posturewatch scan --all` shows who is"
    others = len(survey.others())
    return (
        f"no sensor of a known family was heard, and {others} other devices: is it on, worn, charged and near, "
        "and not connected to a phone?"
    )


def _bluetooth(found: Found) -> dict[str, Any]:
    assert found.family is not None  # only such ones are offered
    return {"source": "ble", "family": found.family.id, "address": found.binding}


def _simulated(answers: Answers) -> dict[str, Any]:
    return {"source": "simulated", "scenario": answers.scenario}


def _use_radio(draft: Draft, radio: str) -> None:
    kind, _, adapter = radio.partition(":")
    table = {"radio": radio} if kind != "bluez" else {"radio": "bluez", **({"adapter": adapter} if adapter else {})}
    others = {key: value for key, value in draft.tree.get("bluetooth", {}).items() if key not in ("radio", "adapter")}
    draft.tree["bluetooth"] = {**others, **table}
