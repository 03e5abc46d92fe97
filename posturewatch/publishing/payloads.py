"""The JSON that goes over MQTT, version 1: one model per message, the source of the published JSON Schemas.

Units are in the names, times are ISO 8601 in UTC, `null` means unknown, every key is always there.  Keys are only
ever added.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from posturewatch.types import BreakKind, Channel, ClosedBy, Level, Motion, Posture, ReminderPhase, Verb, Wear

CONTRACT = 1
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0)]
Detail = dict[str, float | str | bool]
HAPPENINGS = (
    "posture_shift",
    "break_started",
    "break_completed",
    "break_partial",
    "self_initiated",
    "snoozed",
    "skipped",
    "missed",
    "held",
    "released",
    "mounted",
    "removed",
    "sensor_lost",
    "sensor_back",
    "calibrated",
    "day_summary",
    "battery_low",
    "not_worn",
    "sensor_slipped",
    "few_answers",
)


class Payload(BaseModel):
    """What all messages share: nothing unannounced, nothing that is not a number; built when first used."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_enum_values=True, defer_build=True)


class WearerInfo(Payload):
    """One wearer, as far as the owner lets the bridge tell."""

    id: str
    name: str | None
    model: str | None


class BridgeInfo(Payload):
    """Which daemon this is."""

    contract: int
    version: str
    instance: str
    started: Time
    source: str
    simulated: bool
    pairing: bool
    wearers: list[WearerInfo]


class BridgeEvent(Payload):
    """Something that happened to the daemon rather than to a wearer."""

    type: str
    detail: Detail
    time: Time


class BridgeHealth(Payload):
    """How the daemon does; counts are since its start."""

    uptime_s: Count
    wearers: Count
    wearers_online: Count = Field(description="Of whom data is flowing.")
    connections: Count = Field(description="To the broker.")
    messages_published: Count
    messages_lost: Count = Field(description="Dropped for space, or expired while the broker was away.")
    messages_refused: Count = Field(description="By the broker's access list.")
    samples_lost: Count = Field(description="Dropped because they came faster than they could be used.")
    time: Time


class SensorHealth(Payload):
    """How a Bluetooth sensor does; counts are since the start of the daemon."""

    connected: bool = Field(description="Or, of a sensor that only advertises: heard lately.")
    resting: bool = Field(description="Laid aside: its stream is stopped to spare its battery, until it is worn.")
    battery_pct: Percent | None = Field(le=100)
    battery_mv: Count | None
    rssi_dbm: int | None
    rate_hz: float | None = Field(description="Samples a second, as measured.")
    packets: Count
    samples: Count
    lost: Count = Field(description="Packets that the sensor's own counter says are missing.")
    repeated: Count = Field(description="Packets that came twice or too late.")
    undecodable: Count
    invalid: Count = Field(description="Samples that the sensor itself called invalid.")
    gaps: Count = Field(description="How often it was lost.")
    reconnects: Count
    fault: str | None = Field(description="Why its samples are not used.")
    heard: Time | None
    time: Time


class ChannelResponses(Payload):
    """Reminders of the last seven days that one channel showed, and what became of them."""

    reminders: Count
    answered: Count = Field(description="By moving, or by acknowledging, snoozing or skipping.")
    rate_pct: Percent = Field(le=100)


class WearerState(Payload):
    """How it stands with one wearer, now."""

    reminder: ReminderPhase
    cycle: str | None = Field(description="Names the reminder under way; commands may name it.")
    reason: str | None = Field(description="Why, in a few words.")
    level: Level | None
    due: bool
    wear: Wear
    motion: Motion
    posture: Posture
    inclination_deg: float | None = Field(description="Of the trunk or head; null without calibration.")
    static_s: Count | None = Field(description="Seconds in one posture.")
    sedentary_s: Count | None = Field(description="Seconds without a real break.")
    hold_dose_pct: Percent | None = Field(description="Of the holding time of ISO 11226; null without calibration.")
    load_pct: Percent | None = Field(description="The fullest of the three clocks; 100 is due.")
    next_break: Time | None
    last_break: Time | None
    shifts_per_h: float | None
    breaks_today: Count
    prompts_left_today: Count
    snoozes_left: Count
    hold_reason: str | None
    hold_until: Time | None
    on_hold: bool = Field(description="Whether somebody asked to hold prompts.")
    paused: bool = Field(description="Whether somebody paused the reminders.")
    break_progress_pct: Percent = Field(le=100)
    decision: str | None = Field(description="The last decision, to speak or to be silent, in words.")
    decided: Time | None
    response_rate_pct: Percent | None = Field(
        le=100, description="Reminders of the last seven days that were answered."
    )
    responses: dict[Channel, ChannelResponses] = Field(description="The same for each channel that showed any.")
    battery_pct: Percent | None = Field(le=100)
    simulated: bool
    time: Time


class Reminder(Payload):
    """The prompt: somebody is asked to move, now."""

    event_type: Literal["shift_due", "break_due", "break_due_firm"]
    id: str = Field(description="The same for a repeated delivery of the same prompt.")
    cycle: str
    level: Level
    rung: Annotated[int, Field(ge=0, le=3)] = Field(
        description="0 dashboard, 1 silent push, 2 push with buttons, 3 speaker."
    )
    repeat: Count
    test: bool
    message: str
    reason: Detail
    expires: Time
    simulated: bool
    time: Time


class WearerEvent(Payload):
    """What happened; an automation on it cannot loop, since results of commands go elsewhere."""

    event_type: str = Field(json_schema_extra={"examples": list(HAPPENINGS)})
    cycle: str | None
    detail: Detail
    simulated: bool
    time: Time


class Bout(Payload):
    """A finished stretch: one posture held, time without a real break, or a break."""

    kind: Literal["static", "sedentary", "break"]
    break_kind: BreakKind | None
    start: Time
    end: Time
    duration_s: Count
    closed_by: ClosedBy | None
    inclination_deg: float | None
    drift_deg: float | None
    fidgets: Count | None
    simulated: bool
    time: Time


class Result(Payload):
    """The answer to a command; there always is one."""

    ok: bool
    action: str
    key: str | None = Field(description="set: which setting; calibrate: which sensor.")
    value: float | str | bool | None
    error: str | None
    transaction: str | None
    time: Time


class WearerSettings(Payload):
    """What can be set, as it stands now."""

    static_limit_min: float
    sedentary_limit_min: float
    level: Level = Field(description="The lowest level that prompts: shift means both, break means breaks only.")
    top_rung: Annotated[int, Field(ge=0, le=3)]
    quiet_hours: str = Field(description="20:00-07:00, mon-fri 20:00-07:00, off, or default for the configuration's.")
    reminders: bool


class Asking(Payload):
    """What every command may carry as an object; one plain value does for most."""

    cycle: str | None = Field(default=None, max_length=200, description="Only if this reminder is still the open one.")
    transaction: str | int | None = Field(
        default=None, description="Comes back with the answer; the same one again changes nothing."
    )
    channel: Channel | None = Field(default=None, description="Where the wearer answered a reminder.")


class Command(Asking):
    """A request: snooze takes minutes, hold and pause minutes or until, hold and release a reason.

    Calibrate takes a sensor, test_reminder a rung.
    """

    minutes: float | None = Field(default=None, gt=0)
    until: str | None = Field(default=None, description="1h30, 14:30, morning, or ISO 8601 with its zone.")
    reason: str | None = None
    sensor: str | None = None
    rung: int | None = Field(default=None, ge=0, le=3)


class Setting(Asking):
    """A new value for one of the settings."""

    value: float | str | bool


class Samples(Payload):
    """What a gateway sends: one batch of acceleration, oldest first.  More keys do no harm."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    seq: Count | None = Field(default=None, description="Counts batches; a repeated or older one is dropped.")
    time: Time | None = Field(default=None, description="Of the last sample; without it the time of arrival counts.")
    rate_hz: float = Field(gt=0, le=3200)
    unit: Literal["g", "mg", "m/s2"]
    acc: list[Annotated[list[float], Field(min_length=3, max_length=3)]] = Field(min_length=1)


class Truth(Payload):
    """What is true of a simulated wearer, told by the simulator when it begins; for testers, never measured."""

    type: Literal["wear", "motion", "posture", "static", "sedentary", "break", "reminder"]
    start_s: float | None = Field(description="Of an interval, in seconds of the simulation.")
    end_s: float | None = Field(description="The simulator knows it beforehand.")
    t_s: float | None = Field(description="Of a reminder: when its rule is due.")
    state: str | None = Field(description="wear, motion, posture: which.")
    kind: BreakKind | None
    closed_by: ClosedBy | None = Field(description="static, sedentary: what will end it.")
    rule: str | None
    level: Level | None
    optional: bool = Field(description="A reminder that may come or not, so close is it.")
    carried: bool = Field(description="Not worn, and moving all the same.")
    asleep: bool
    scenario: str
    seed: int
    wearer: str = Field(description="As the scenario calls them.")
    simulated: Literal[True]
    time: Time = Field(description="Of start_s or t_s.")


# name of the schema, its model, the topic below the base, retained, and whether we publish it
MESSAGES: tuple[tuple[str, type[Payload], str, bool, bool], ...] = (
    ("bridge-info", BridgeInfo, "bridge/info", True, True),
    ("bridge-health", BridgeHealth, "bridge/health", True, True),
    ("bridge-event", BridgeEvent, "bridge/event", False, True),
    ("state", WearerState, "wearer/{wearer}/state", True, True),
    ("reminder", Reminder, "wearer/{wearer}/reminder", False, True),
    ("event", WearerEvent, "wearer/{wearer}/event", False, True),
    ("bout", Bout, "wearer/{wearer}/bout", False, True),
    ("settings", WearerSettings, "wearer/{wearer}/settings", True, True),
    ("command", Command, "wearer/{wearer}/do/{verb}", False, False),
    ("setting", Setting, "wearer/{wearer}/set/{key}", False, False),
    ("result", Result, "wearer/{wearer}/result", False, True),
    ("bridge-result", Result, "bridge/result", False, True),
    ("sensor-health", SensorHealth, "sensor/{sensor}/health", True, True),
    ("samples", Samples, "sensor/{sensor}/samples", False, False),
    ("truth", Truth, "simulator/{sensor}/truth", False, True),
)
PLAIN_WORDS = (("bridge-state", "bridge/state"), ("availability", "wearer/{wearer}/availability"))


def schema_name(name: str) -> str:
    """What the MQTT 5 user property `schema` of such a message says."""
    return f"posturewatch/{name}/{CONTRACT}"


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every message, by name."""
    schemas: dict[str, dict[str, Any]] = {}
    for name, model, topic, _, _ in MESSAGES:
        schema = {"$schema": DIALECT, "$id": schema_name(name), **model.model_json_schema(mode="validation")}
        schema["description"] = f"{(model.__doc__ or '').strip()} Topic: <base>/{topic}"
        schemas[name] = schema
    return schemas


def asyncapi() -> dict[str, Any]:
    """The same contract as one AsyncAPI 3.0 document that refers to the schema files beside it."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, model, topic, retained, ours in MESSAGES:
        message = {
            "name": schema_name(name),
            "contentType": "application/json",
            "summary": (model.__doc__ or "").strip(),
            "payload": {"$ref": f"./{name}.json"},
        }
        channels[name] = channel(topic, message)
        operations[name] = operation(name, retained, ours)
    for name, topic in PLAIN_WORDS:
        words = {"type": "string", "enum": ["online", "offline"]}
        channels[name] = channel(topic, {"name": name, "contentType": "text/plain", "payload": words})
        operations[name] = operation(name, retained=True, ours=True)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "posturewatch", "version": str(CONTRACT), "license": {"name": "MIT"}},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def channel(topic: str, message: dict[str, Any]) -> dict[str, Any]:
    """One AsyncAPI channel with its one message."""
    described: dict[str, Any] = {"address": "{base}/" + topic, "messages": {"message": message}}
    names = ["base", *(n for n in ("wearer", "sensor", "verb", "key") if f"{{{n}}}" in topic)]
    described["parameters"] = {name: _parameter(name) for name in names}
    return described


def _parameter(name: str) -> dict[str, Any]:
    if name == "base":
        return {"default": "posturewatch"}
    if name == "verb":
        return {"enum": [verb.value for verb in Verb if verb is not Verb.SET]}
    if name == "key":
        return {"enum": list(WearerSettings.model_fields)}
    return {"description": f"id of the {name}"}


def operation(name: str, retained: bool, ours: bool) -> dict[str, Any]:
    """Who sends it, and how."""
    return {
        "action": "send" if ours else "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "bindings": {"mqtt": {"qos": 1, "retain": retained, "bindingVersion": "0.2.0"}},
    }
