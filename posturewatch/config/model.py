"""Every key of the configuration: its unit in its name, its range, its default, and a word on what it does.

`config/posturewatch.toml` and `config/schema.json` are generated from here.  The models stop at the border:
`core_settings.py` turns them into the core's own records.
"""

from __future__ import annotations

import difflib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from posturewatch.config.quiet import read_period
from posturewatch.core.settings import Limits
from posturewatch.errors import ConfigError
from posturewatch.mqtt.settings import is_loopback
from posturewatch.publishing.payloads import HAPPENINGS
from posturewatch.radio import check_name
from posturewatch.types import Placement

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,32}$")]
BaseTopic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=128)]
Rung = Annotated[int, Field(ge=0, le=3)]
_LIMITS = Limits()  # the core says how long, with the source
PROMPTS = ("shift_due", "break_due", "break_due_firm")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, or no name of a zone at all
        raise ValueError(f"no such time zone: {name!r}; write it like 'Europe/Berlin'") from error
    return name


def _check_period(period: str) -> str:
    read_period(period)
    return period


def _check_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise ValueError(f"not a day: {day!r}; write it like '2026-12-24'") from None


def _check_radio(name: str) -> str:
    try:
        check_name(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return name


def _check_event(name: str) -> str:
    words = (*PROMPTS, *HAPPENINGS)
    if name not in words:
        near = difflib.get_close_matches(name, words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"possible are: {', '.join(words)}"
        raise ValueError(f"no such event: {name!r}; {hint}")
    return name


RadioName = Annotated[str, AfterValidator(_check_radio)]
TimeZone = Annotated[str, AfterValidator(_check_zone)]
Period = Annotated[str, AfterValidator(_check_period)]
Day = Annotated[str, AfterValidator(_check_day)]
EventName = Annotated[str, AfterValidator(_check_event)]


class Section(BaseModel):
    """What all tables have in common: no unknown keys, no change afterwards, no guessing of types."""

    # A table inside another needs nothing built of its own.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Broker(Section):
    """The MQTT broker: an embedded one on this machine, or yours."""

    embedded: bool = Field(default=True, description="start a broker of our own on 127.0.0.1; off when `host` is set")
    host: str | None = Field(
        default=None, min_length=1, max_length=253, description="name or address of your broker", examples=["localhost"]
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="TCP port; without it 1883, with TLS 8883", examples=[1883]
    )
    protocol: Literal[5, 311] | None = Field(
        default=None,
        description="MQTT version: 5, or 311 for 3.1.1; without it 5, and 3.1.1 where the broker does not speak 5",
        examples=[5],
    )
    username: str | None = Field(default=None, description="user name at the broker", examples=["posturewatch"])
    password: SecretStr | None = Field(
        default=None, description="password; better in a file of its own", examples=["change me"]
    )
    password_file: Path | None = Field(
        default=None, description="file that holds the password", examples=["/run/secrets/mqtt_password"]
    )
    tls: bool = Field(default=False, description="encrypt, and check the broker's certificate")
    tls_cafile: Path | None = Field(
        default=None, description="certificates to trust instead of the system's", examples=["/etc/ssl/mqtt-ca.pem"]
    )
    tls_certfile: Path | None = Field(
        default=None, description="our own certificate, if the broker wants one", examples=["/etc/ssl/mqtt-client.pem"]
    )
    tls_keyfile: Path | None = Field(
        default=None, description="the key of our own certificate", examples=["/etc/ssl/mqtt-client.key"]
    )
    insecure: bool = Field(default=False, description="allow a broker on another machine without TLS")
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="name at the broker, one per daemon; without it one is made from machine and state folder",
        examples=["posturewatch-desk"],
    )
    base_topic: BaseTopic = Field(default="posturewatch", description="first part of every topic")

    @property
    def is_embedded(self) -> bool:
        """Whether the daemon starts the broker itself."""
        return self.host is None and self.embedded

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.host is None and not self.embedded:
            raise ValueError("embedded = false needs the host of your broker")
        if self.host is not None and self.embedded and "embedded" in self.model_fields_set:
            raise ValueError("embedded = true and host exclude each other: remove one")
        if self.password and self.password_file:
            raise ValueError("password and password_file exclude each other: remove one")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username: set username")
        if bool(self.tls_certfile) != bool(self.tls_keyfile):
            raise ValueError("tls_certfile and tls_keyfile belong together: set both or none")
        if (self.tls_cafile or self.tls_certfile) and not self.tls:
            raise ValueError("tls_cafile, tls_certfile and tls_keyfile need tls = true")
        if self.host and not (self.tls or self.insecure or is_loopback(self.host)):
            raise ValueError(f"{self.host} is another machine: set tls = true, or insecure = true to do without")
        return self


class HomeAssistant(Section):
    """Home Assistant, on the same broker: it learns of the wearers by itself."""

    discovery: bool = Field(default=True, description="describe the wearers to it; false removes them")
    prefix: BaseTopic = Field(default="homeassistant", description="its discovery prefix, as set in Home Assistant")


class Sensor(Section):
    """One accelerometer on a wearer's body."""

    id: Id = Field(description="name of the sensor, in topics: a-z 0-9 _ -", examples=["chest"])
    placement: Placement = Field(description="where it is worn", examples=["chest"])
    source: Literal["mqtt", "ble", "simulated"] = Field(
        default="mqtt",
        description="mqtt: a gateway sends samples to <base_topic>/sensor/<id>/samples; ble: over Bluetooth",
    )
    family: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,64}$", description="ble: which kind of sensor", examples=["polar"]
    )
    address: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Za-z:_.-]{4,64}$",
        description="ble: its address or serial number, as `posturewatch scan` shows it",
        examples=["A0:9E:1A:00:00:01"],
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="ble: its advertised name, if it has no lasting address",
        examples=["Polar H10 12345678"],
    )
    range_g: float | None = Field(
        default=None, gt=0, le=64, description="ble: range to ask for; without it the family's", examples=[2.0]
    )
    clipped: bool = Field(default=False, description="ble: clipped to cloth, without touching the skin")
    scenario: str = Field(default="office-day", pattern=r"^[a-z0-9_-]{1,64}$", description="simulated: which script")
    seed: int = Field(default=1, ge=0, le=2**63 - 1, description="simulated: same seed, same samples")
    device: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,64}$", description="simulated: which device", examples=["polar_h10"]
    )
    step_mg: float | None = Field(
        default=None, gt=0, le=250, description="size of one digit; without it estimated", examples=[0.98]
    )
    noise_mg: float | None = Field(
        default=None, ge=0, le=250, description="RMS noise in 0.1-0.7 Hz; without it from the data", examples=[0.3]
    )
    rate_hz: float | None = Field(
        default=None, gt=0, le=3200, description="samples a second; without it estimated", examples=[50.0]
    )
    calibration_file: Path | None = Field(
        default=None, description="where up and forward point, as JSON", examples=["chest.calibration.json"]
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_ble = sorted(self.model_fields_set & {"family", "address", "name", "range_g", "clipped"})
        if self.source != "ble" and only_ble:
            raise ValueError(f'{", ".join(only_ble)}: only with source = "ble"')
        if self.source == "ble" and self.family is None:
            raise ValueError('source = "ble" needs a family, such as "polar": `posturewatch scan` names it')
        if self.source == "ble" and (self.address is None) == (self.name is None):
            raise ValueError('source = "ble" needs either an address or a name: `posturewatch scan` shows them')
        return self


class DetectionOverrides(Section):
    """Thresholds for those who know why they change them."""

    supported: bool = Field(default=False, description="the trunk is fully supported (head and back rest)")
    theta_out_deg: float = Field(default=10.0, ge=5, le=45, description="turning this far leaves the posture")
    theta_in_deg: float = Field(default=7.0, ge=2, le=40, description="this near is back in it; below theta_out_deg")
    real_break_s: int = Field(default=120, ge=30, le=180, description="movement in three minutes that is a real break")
    standing_break_s: int = Field(
        default=300, ge=60, le=1800, description="standing that is a real break (thigh sensor)"
    )
    fatigue_index: bool = Field(default=False, description="also compute the modelled fatigue index")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.theta_in_deg >= self.theta_out_deg:
            raise ValueError(f"theta_in_deg {self.theta_in_deg:g} must be below theta_out_deg {self.theta_out_deg:g}")
        return self


class RemindingManners(Section):
    """How loudly and how often; rungs: 0 dashboard only, 1 silent push, 2 push, 3 speaker."""

    enabled: bool = Field(default=True, description="give reminders at all")
    top_rung: Rung = Field(default=2, description="nothing is ever louder than this")
    shift_rung: Rung = Field(default=1, description="loudness of `change something`")
    soft_rung: Rung = Field(default=2, description="loudness of the first `get up`")
    firm_rung: Rung = Field(default=2, description="loudness of the second `get up`")
    grace_min: float = Field(default=10.0, ge=0, le=120, description="silence after putting the sensor on")
    min_gap_min: float = Field(default=10.0, ge=1, le=120, description="between two prompts of one level")
    escalate_min: float = Field(default=5.0, ge=1, le=60, description="until an unanswered prompt is repeated")
    max_escalations: int = Field(default=2, ge=0, le=5, description="how often it is repeated")
    snooze_minutes: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(
        default=(5, 10, 15), min_length=1, max_length=5, description="what a snooze may last, min"
    )
    snoozes_per_cycle: int = Field(default=2, ge=0, le=10, description="snoozes of one reminder")
    snoozes_per_day: int = Field(default=12, ge=0, le=100, description="snoozes a day")
    shift_per_hour: int = Field(default=3, ge=0, le=12, description="most `change something` prompts an hour")
    break_per_hour: int = Field(default=2, ge=0, le=12, description="most `get up` prompts an hour")
    break_per_day: int = Field(default=10, ge=0, le=100, description="most `get up` prompts a day")
    max_hold_min: float = Field(default=240.0, ge=5, le=720, description="longest hold (do not disturb)")
    prompt_expires_min: float = Field(default=10.0, ge=1, le=60, description="a prompt unseen for this long is void")
    quiet_hours: tuple[Period, ...] = Field(
        default=("20:00-07:00",),
        max_length=16,
        description="local times without prompts, each with or without the days on which it begins; [] for none",
        examples=[["mon-fri 17:30-08:00", "sat,sun 00:00-24:00"]],
    )
    holidays: tuple[Day, ...] = Field(
        default=(), max_length=200, description="local days without prompts", examples=[["2026-12-24"]]
    )


class Condition(Section):
    """What another device says about the wearer, on any topic: a camera in use, a calendar, presence at the desk."""

    topic: str = Field(
        min_length=1,
        max_length=256,
        pattern=r"^[^+#$][^+#]*$",
        description="where it is said",
        examples=["home/camera"],
    )
    effect: Literal["hold", "only_when"] = Field(
        default="hold", description="hold: no prompts while it is on; only_when: prompts only while it is on"
    )
    pointer: str | None = Field(
        default=None,
        max_length=128,
        pattern=r"^/",
        description="where in a JSON payload, as a JSON pointer; without it the whole payload counts",
        examples=["/state"],
    )
    on: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = Field(
        default=("on", "true", "1"),
        min_length=1,
        max_length=16,
        description="values that mean on; case does not matter",
    )
    reason: str | None = Field(
        default=None, min_length=1, max_length=60, description="shown while it lasts", examples=["in a meeting"]
    )
    settle_s: float = Field(default=15.0, ge=0, le=600, description="silence ends only after so long without a relapse")
    silent_after_min: float = Field(
        default=240.0, ge=1, le=1440, description="a topic that says nothing for so long no longer counts"
    )


class Wearer(Section):
    """One person; repeat the table for more."""

    id: Id = Field(description="name of the wearer, in topics: a-z 0-9 _ -", examples=["me"])
    time_zone: TimeZone | None = Field(
        default=None, description="local midnight and quiet hours; without it the machine's", examples=["Europe/Berlin"]
    )
    static_limit_min: float = Field(
        default=_LIMITS.static_limit_s / 60, ge=5, le=60, description="one posture this long: change something"
    )
    sedentary_limit_min: float = Field(
        default=_LIMITS.sedentary_limit_s / 60,
        ge=15,
        le=120,
        description="no real break this long: get up; twice this is the firm prompt",
    )
    detection: DetectionOverrides = Field(default=DetectionOverrides(), description="thresholds")
    reminding: RemindingManners = Field(default=RemindingManners(), description="budgets and manners")
    condition: tuple[Condition, ...] = Field(default=(), max_length=8, description="when not to prompt")
    sensor: tuple[Sensor, ...] = Field(min_length=1, max_length=8, description="the wearer's sensors")


class Bluetooth(Section):
    """The radio for sensors with source = "ble"."""

    radio: RadioName = Field(
        default="bluez", description="bluez, or hci:TRANSPORT for a controller without the operating system"
    )
    adapter: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]{1,32}$", description="which of several adapters", examples=["hci0"]
    )
    max_connections: int = Field(
        default=7, ge=1, le=64, description="how many sensors the adapter can hold connected: 5 to 10 for most"
    )
    active_scan: bool = Field(default=True, description="ask for names while scanning; some sensors need it")
    acquire_notify: bool = Field(
        default=False,
        description="BlueZ hands packets over by AcquireNotify: for sensors that lose some; it may miss the first",
    )

    @property
    def radio_name(self) -> str:
        """Radio and adapter in one word."""
        return self.radio if self.adapter is None else f"{self.radio}:{self.adapter}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.adapter is not None and self.radio != "bluez":
            raise ValueError('adapter: only with radio = "bluez"')
        if not self.active_scan and self.radio == "bluez":
            raise ValueError("active_scan = false: BlueZ scans passively for fixed patterns only; leave it on")
        if self.acquire_notify and self.radio != "bluez":
            raise ValueError('acquire_notify: only with radio = "bluez"')
        return self


class Storage(Section):
    """Where the daemon keeps its state."""

    folder: Path | None = Field(
        default=None,
        description="state folder, one daemon each; without it the platform's",
        examples=["/var/lib/posturewatch"],
    )
    snapshot_s: float = Field(default=30.0, ge=1, le=30, description="how often the state is saved")


class Log(Section):
    """What the daemon says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least level that is shown")
    format: Literal["text", "json"] = Field(default="text", description="text for people, json for machines")


class Desktop(Section):
    """Notifications on the desktop of this machine; they need the extra `desktop`."""

    enabled: bool = Field(default=False, description="show them")
    wearers: tuple[Id, ...] = Field(
        default=(), max_length=100, description="whose; without it everybody's", examples=[["me"]]
    )
    least_rung: int = Field(
        default=1, ge=1, le=3, description="the quietest to show: 1 also the silent ones, 2 only those with buttons"
    )
    sound: bool = Field(default=False, description="with the desktop's sound, except for silent ones")


class Hook(Section):
    """A program of yours, started when something happens; repeat the table for more."""

    command: tuple[Annotated[str, StringConstraints(min_length=1, max_length=4096)], ...] = Field(
        min_length=1,
        max_length=64,
        description="the program and its arguments; no shell reads them",
        examples=[["notify-send", "Time to move"]],
    )
    on: tuple[EventName, ...] = Field(
        default=("break_due", "break_due_firm"), min_length=1, max_length=32, description="prompts or events"
    )
    wearers: tuple[Id, ...] = Field(
        default=(), max_length=100, description="whose events; without it everybody's", examples=[["me"]]
    )
    timeout_s: float = Field(default=10.0, ge=0.1, le=300, description="it is ended after so long")
    most_per_min: int = Field(default=6, ge=1, le=60, description="how often it is started in a minute")


class Config(Section):
    """The whole configuration."""

    broker: Broker = Field(default=Broker(), description="the MQTT broker")
    home_assistant: HomeAssistant = Field(default=HomeAssistant(), description="what Home Assistant is told")
    bluetooth: Bluetooth = Field(default=Bluetooth(), description="the radio for Bluetooth sensors")
    storage: Storage = Field(default=Storage(), description="where the state is kept")
    log: Log = Field(default=Log(), description="the daemon's log")
    desktop: Desktop = Field(default=Desktop(), description="notifications on this machine")
    hook: tuple[Hook, ...] = Field(default=(), max_length=32, description="programs to start")
    wearer: tuple[Wearer, ...] = Field(default=(), max_length=10_000, description="who is watched over")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_twice("wearer", [wearer.id for wearer in self.wearer])
        _refuse_twice("sensor", [sensor.id for wearer in self.wearer for sensor in wearer.sensor])
        known = {wearer.id for wearer in self.wearer}
        for table, named in [("desktop", self.desktop.wearers), *(("hook", hook.wearers) for hook in self.hook)]:
            for name in named:
                if name not in known:
                    raise ValueError(f"{table}.wearers: there is no wearer {name!r}")
        return self


def _refuse_twice(what: str, ids: list[str]) -> None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise ValueError(f"two {what}s are called {name!r}: ids must differ")
        seen.add(name)
