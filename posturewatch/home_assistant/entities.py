"""The entities that a dashboard gets: what each is called, what it measures, where its value is.

Names and keys stay for ever, since histories and automations hang on them.  A name and its key make the same entity id,
so that releases that derive the id from the name and those that are told it agree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from posturewatch.core.reminding.settable import HIGHEST_RUNG, SEDENTARY_MIN, STATIC_MIN
from posturewatch.publishing.payloads import HAPPENINGS, Reminder
from posturewatch.types import Channel, Level, Motion, Posture, ReminderPhase, Verb, Wear

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DIAGNOSTIC, CONFIG = "diagnostic", "config"
ON_DASHBOARD = json.dumps({"channel": Channel.DASHBOARD})  # where the answer came from
NEEDS_BOUTS = frozenset({"static_s", "shifts_per_h", "static_limit_min"})
NEEDS_HEALTH = frozenset({"battery_pct"})  # only sensors that tell how they do
NEEDS_ANGLE = frozenset({"inclination_deg", "hold_dose_pct"})


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity: its platform, its key in our messages or commands, its name, and the options of the platform."""

    platform: str
    key: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    leaf: str = ""  # its own topic, where it is not that of the device
    command: str = ""  # where to send what is asked of it
    without_sensor: bool = False  # usable or true while no data flows
    goes_stale: bool = False  # a daemon that hangs keeps its connection
    attributes: str = ""  # a template that makes an object of the same message


def _value(key: str) -> str:
    return f"{{{{ value_json.{key} }}}}"


def _flag(key: str, on: str = "ON", off: str = "OFF") -> str:
    """`null` becomes `None`, which is unknown."""
    return f"{{{{ {{true: '{on}', false: '{off}'}}.get(value_json.{key}) }}}}"


def _sensor(
    key: str, name: str, icon: str | None = None, *, leaf: str = "", goes_stale: bool = False, **options: Any
) -> Entity:
    shown = {} if icon is None else {"icon": f"mdi:{icon}"}
    shown |= {"value_template": _value(key), **options}
    return Entity("sensor", key, name, shown, leaf=leaf, goes_stale=goes_stale)


def _words(key: str, name: str, words: Iterable[str], icon: str, **options: Any) -> Entity:
    return _sensor(key, name, icon, device_class="enum", options=[str(word) for word in words], **options)


def _number_of(key: str, name: str, icon: str, unit: str | None = None, **options: Any) -> Entity:
    """A figure worth long-term statistics."""
    measured: dict[str, Any] = {"state_class": "measurement", "suggested_display_precision": 0}
    if unit is not None:
        measured["unit_of_measurement"] = unit
    return _sensor(key, name, icon, **measured, **options)


def _span(key: str, name: str, icon: str, **options: Any) -> Entity:
    """Seconds, shown in minutes like the limits: not all releases can be told a unit to show."""
    known = f"(value_json.{key} / 60) | round(1) if value_json.{key} is not none else none"
    template = f"{{{{ {known} }}}}"
    return _number_of(key, name, icon, "min", device_class="duration", value_template=template, **options)


def _moment(key: str, name: str, icon: str | None = None, **options: Any) -> Entity:
    return _sensor(key, name, icon, device_class="timestamp", **options)


def _total(key: str, name: str, icon: str) -> Entity:
    """Something counted since the daemon started."""
    return _sensor(key, name, icon, state_class="total_increasing", entity_category=DIAGNOSTIC)


STATES: tuple[Entity, ...] = (
    _words("reminder", "Reminder state", ReminderPhase, "bell-outline"),
    _words("level", "Reminder level", Level, "stairs"),
    Entity("binary_sensor", "due", "Reminder due", {"value_template": _flag("due"), "icon": "mdi:bell-alert-outline"}),
    _sensor("reason", "Reason", "comment-question-outline"),
    _sensor("cycle", "Reminder cycle", "identifier", entity_category=DIAGNOSTIC, enabled_by_default=False),
    _words("posture", "Posture", Posture, "human", goes_stale=True),
    _words("motion", "Motion", Motion, "run"),
    _words("wear", "Wear", Wear, "tshirt-crew-outline"),
    _span("static_s", "Static for", "human-handsdown", goes_stale=True),
    _span("sedentary_s", "Sedentary for", "seat-outline"),
    _number_of("load_pct", "Load", "gauge", "%"),
    _number_of("hold_dose_pct", "Hold dose", "angle-acute", "%"),
    _number_of("inclination_deg", "Inclination", "angle-acute", "°"),
    _moment("next_break", "Next break", "clock-alert-outline"),
    _moment("last_break", "Last break", "clock-check-outline"),
    _number_of("break_progress_pct", "Break progress", "progress-clock", "%"),
    _sensor("breaks_today", "Breaks today", "walk", state_class="total_increasing"),
    _number_of("shifts_per_h", "Shifts per hour", "swap-horizontal", "1/h"),
    _number_of("prompts_left_today", "Prompts left today", "bell-badge-outline"),
    _number_of("snoozes_left", "Snoozes left", "bell-sleep-outline"),
    replace(
        _number_of("response_rate_pct", "Response rate", "reply-outline", "%", entity_category=DIAGNOSTIC),
        attributes="{{ value_json.responses | to_json }}",
    ),
    replace(
        _sensor("decision", "Last decision", "head-question-outline", entity_category=DIAGNOSTIC),
        attributes="{{ dict(decided=value_json.decided) | to_json }}",
    ),
    _sensor("hold_reason", "Hold reason", "bell-off-outline"),
    _moment("hold_until", "Hold until", "bell-off-outline"),
    _sensor(
        "battery_pct",
        "Battery",
        device_class="battery",
        state_class="measurement",
        unit_of_measurement="%",
        entity_category=DIAGNOSTIC,
    ),
    Entity(
        "binary_sensor",
        "data",
        "Data",
        {
            "payload_on": "online",
            "payload_off": "offline",
            "device_class": "connectivity",
            "entity_category": DIAGNOSTIC,
        },
        leaf="availability",
        without_sensor=True,
    ),
    Entity(
        "binary_sensor",
        "simulated",
        "Simulated",
        {"value_template": _flag("simulated"), "icon": "mdi:test-tube", "entity_category": DIAGNOSTIC},
    ),
)

EVENTS: tuple[Entity, ...] = (
    Entity(
        "event",
        "prompt",
        "Prompt",
        {
            "event_types": list(get_args(Reminder.model_fields["event_type"].annotation)),
            "icon": "mdi:bell-ring-outline",
        },
        leaf="reminder",
        without_sensor=True,
    ),
    Entity(
        "event",
        "happening",
        "Happening",
        {"event_types": list(HAPPENINGS), "icon": "mdi:timeline-text-outline"},
        leaf="event",
        without_sensor=True,
    ),
)


def _setting(platform: str, key: str, name: str, icon: str, **options: Any) -> Entity:
    """Something that can be set and is kept."""
    template = _flag(key) if platform == "switch" else _value(key)
    shown = {"value_template": template, "icon": f"mdi:{icon}", "entity_category": CONFIG, **options}
    own_key = "lowest_level" if key == "level" else key  # the state has a level, too
    return Entity(platform, own_key, name, shown, leaf="settings", command=f"set/{key}", without_sensor=True)


def _minutes(limits: tuple[float, float]) -> dict[str, Any]:
    low, high = limits
    return {"min": low, "max": high, "step": 1, "unit_of_measurement": "min", "device_class": "duration", "mode": "box"}


def _silence(key: str, verb: Verb, name: str, icon: str) -> Entity:
    """A silence that can be switched on and off and ends by itself."""
    shown = {"value_template": _flag(key), "icon": f"mdi:{icon}"}
    return Entity("switch", key, name, shown, command=f"do/{verb}", without_sensor=True)


SETTINGS: tuple[Entity, ...] = (
    _setting("number", "static_limit_min", "Static limit", "timer-outline", **_minutes(STATIC_MIN)),
    _setting("number", "sedentary_limit_min", "Sedentary limit", "timer-outline", **_minutes(SEDENTARY_MIN)),
    _setting("select", "level", "Lowest level", "stairs", options=[str(level) for level in Level]),
    _setting("number", "top_rung", "Loudest rung", "volume-high", min=0, max=HIGHEST_RUNG, step=1, mode="slider"),
    _setting("text", "quiet_hours", "Quiet hours", "weather-night", max=40),
    _setting("switch", "reminders", "Reminders", "bell-cog-outline"),
    _silence("on_hold", Verb.HOLD, "Hold", "bell-sleep-outline"),
    _silence("paused", Verb.PAUSE, "Pause", "pause-circle-outline"),
)


def _button(verb: Verb, name: str, icon: str, **options: Any) -> Entity:
    shown = {"icon": f"mdi:{icon}", **options}
    return Entity("button", str(verb), name, shown, command=f"do/{verb}", without_sensor=True)


COMMANDS: tuple[Entity, ...] = (
    _button(Verb.ACK, "Acknowledge", "check", payload_press=ON_DASHBOARD),
    _button(Verb.SNOOZE, "Snooze", "alarm-snooze"),  # one for each time that may be chosen
    _button(Verb.SKIP, "Skip", "skip-next", payload_press=ON_DASHBOARD),
    _button(Verb.START_BREAK, "Start break", "walk"),
    _button(Verb.COUNT_BREAK, "Count break", "plus-circle-outline"),
    _button(Verb.CALIBRATE, "Calibrate", "axis-arrow", entity_category=CONFIG),
    _button(Verb.TEST_REMINDER, "Test reminder", "bell-ring-outline", entity_category=DIAGNOSTIC),
)

SENSOR: tuple[Entity, ...] = (
    Entity(
        "binary_sensor",
        "connected",
        "Connected",
        {
            "value_template": _flag("connected"),
            "device_class": "connectivity",
            "entity_category": DIAGNOSTIC,
        },
    ),
    _sensor("fault", "Fault", "alert-circle-outline", entity_category=DIAGNOSTIC),
    _number_of(
        "rssi_dbm",
        "Signal",
        "signal",
        "dBm",
        device_class="signal_strength",
        entity_category=DIAGNOSTIC,
        enabled_by_default=False,
    ),
    _number_of(
        "rate_hz",
        "Rate",
        "sine-wave",
        "Hz",
        device_class="frequency",
        entity_category=DIAGNOSTIC,
        enabled_by_default=False,
    ),
    _total("reconnects", "Reconnects", "bluetooth-connect"),
)  # of a sensor that tells how it does; its id is added to key and name

BRIDGE: tuple[Entity, ...] = (
    Entity(
        "binary_sensor",
        "connection",
        "Connection",
        {
            "payload_on": "online",
            "payload_off": "offline",
            "device_class": "connectivity",
            "entity_category": DIAGNOSTIC,
            "availability": [],  # so that it says off instead of unavailable
        },
        leaf="state",
    ),
    _moment("started", "Started", leaf="info", entity_category=DIAGNOSTIC),
    _number_of("wearers_online", "Wearers online", "account-multiple-outline", entity_category=DIAGNOSTIC),
    _total("messages_lost", "Messages lost", "message-alert-outline"),
    _total("samples_lost", "Samples lost", "chart-scatter-plot"),
    _total("connections", "Connections", "connection"),
)
