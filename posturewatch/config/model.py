"""Every key of the configuration: its unit in its name, its range, its default, and a word on what it does.

`config/posturewatch.toml` and `config/schema.json` are generated from here and from `wearer.py`, the largest table.
The models stop at the border: `core_settings.py` turns them into the core's own records.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from posturewatch.config.values import BaseTopic, EventName, Id, RadioName, Section
from posturewatch.config.wearer import Wearer
from posturewatch.mqtt.settings import is_loopback


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
