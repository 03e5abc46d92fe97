"""What sensors say.  One file, one family of sensors; found by looking into this folder.

A family's module has exactly one constant `FAMILIES`, a tuple of objects with the shape of `Family`.  Everything here
is pure: bytes in, numbers out, `DecodeError` for bytes that the protocol does not allow.  A driver for a connected
sensor never talks to the radio itself: it is a plain generator that asks for one step after the other (`Request`), and
gets the bytes of the answer back.  Whoever holds the connection (`sources/ble/connection.py`) carries the steps out,
each with a time limit.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from posturewatch.drivers.units import NO_SAMPLES
from posturewatch.errors import DecodeError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from posturewatch.types import Int32Array

BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"  # one byte, percent (Battery Service 1.1)
USER_FOLDER = "sensors"  # inside the folder of the configuration: presets of the user
SURE, LIKELY, NO = 100, 50, 0  # how well an advertisement fits a family


class Silence(StrEnum):
    """What it means when nothing comes."""

    FAULT = "fault"  # the sensor streams without end: silence is a lost link
    HOLD = "hold"  # it speaks on change only: the value is still the last one, as long as reads are answered
    SPARSE = "sparse"  # advertisements: some are never heard


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement with its scan response, whoever received it."""

    address: str
    name: str | None
    rssi_dbm: int | None
    manufacturer: Mapping[int, bytes] = field(default_factory=dict)  # by company identifier
    service_data: Mapping[str, bytes] = field(default_factory=dict)  # by UUID, 128 bits, lower case
    service_uuids: frozenset[str] = frozenset()  # 128 bits, lower case


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the family's sensors are like: for the connection, and for the wear and gap logic."""

    is_advertised: bool  # samples come in advertisements: there is no connection
    rate_hz: float  # fresh samples a second, as we ask for them
    rates_hz: tuple[float, ...] = ()  # that can be asked for; empty: it is what it is
    range_g: float | None = None  # the largest value that it shows, unless another was asked for
    step_mg: float | None = None  # one digit; None: estimated from the data
    silence: Silence = Silence.FAULT
    expected_every_s: float = 1.0  # between packets, in the usual case
    read_every_s: float | None = None  # HOLD: how often to prove that it lives
    min_mtu: int = 23
    is_exclusive: bool = True  # invisible while another central, such as a phone, holds it
    switches_off_unworn: bool = False  # unless it streams; when it is put on, it advertises again


@dataclass(frozen=True, slots=True)
class Packet:
    """What one packet says; who sent it and when it arrived is known from elsewhere."""

    acc_10ug: Int32Array  # [n, 3], oldest first; n = 0: news about something else
    rate_hz: float  # nominal, of these samples
    device_ns: int | None = None  # the device's own clock at the last sample; only differences mean something
    seq: int | None = None  # counts packets
    seq_modulus: int = 0  # where the counter wraps; 0: it does not
    invalid: int = 0  # samples that the device itself marked as not valid, left out above
    has_moved: bool | None = None  # the device's own motion counter went up since its last packet
    battery_pct: int | None = None
    battery_mv: int | None = None

    @classmethod
    def without_samples(cls, rate_hz: float, battery_pct: int | None = None) -> Packet:
        """News about something else."""
        return cls(NO_SAMPLES, rate_hz, battery_pct=battery_pct)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user wants of one bound sensor."""

    rate_hz: float | None = None  # None: the family's usual rate; the nearest allowed one at or above it is taken
    range_g: float | None = None
    is_clipped: bool = False  # worn without skin contact: Polar optical sensors need their SDK mode then


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A GATT characteristic inside its service; both UUIDs have 128 bits and are in lower case."""

    service: str
    uuid: str


BATTERY = Characteristic(BATTERY_SERVICE, BATTERY_LEVEL)


@dataclass(frozen=True, slots=True)
class Read:
    """Answered with the value."""

    char: Characteristic


@dataclass(frozen=True, slots=True)
class Write:
    """Answered with nothing (b'')."""

    char: Characteristic
    data: bytes
    response: bool = True


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Notifications or indications from now on; each goes to the driver's `decode`.  Answered with nothing."""

    char: Characteristic


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """No more of them.  Answered with nothing."""

    char: Characteristic


@dataclass(frozen=True, slots=True)
class Ask:
    """Write, and wait for the first notification that `is_answer`; answered with it.  Needs a `Subscribe` before."""

    write_to: Characteristic
    data: bytes
    answer_on: Characteristic
    is_answer: Callable[[bytes], bool]
    response: bool = True
    timeout_s: float = 5.0
    is_decoded: bool = False  # the answer stands in the stream: `decode` gets it, too


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass.  Answered with nothing."""

    seconds: float


Request = Read | Write | Subscribe | Unsubscribe | Ask | Pause

if TYPE_CHECKING:
    Steps = Generator[Request, bytes, None]


@dataclass(frozen=True, slots=True)
class Offered:
    """The characteristics that a connected sensor has."""

    chars: frozenset[Characteristic]

    def has(self, char: Characteristic) -> bool:
        """Whether the sensor has it."""
        return char in self.chars


class GattDriver(Protocol):
    """One connected sensor; a new one for each connection."""

    def start(self, offered: Offered) -> Steps:
        """Make it stream; `SensorRefused` with the fix when it is the wrong device or will not."""
        ...

    def stop(self) -> Steps:
        """Leave it as it was found: no stream goes on running, no setting stays changed."""
        ...

    def keep_alive(self) -> Steps:
        """What to do every `read_every_s`; nothing for most."""
        ...

    def decode(self, char: Characteristic, payload: bytes) -> Packet | None:
        """One notification, or the value that a `Read` of `keep_alive` gave; None if it says nothing new.

        `DecodeError` for bytes that the protocol does not allow: one bad packet is none, the next may be good.
        `StreamEnded` when the sensor says that it stopped by itself.
        """
        ...


class AdvertDriver(Protocol):
    """One sensor that is only listened to."""

    def decode(self, advert: Advert) -> Packet | None:
        """One advertisement; None if it says nothing new: repeated, another format, nothing valid."""
        ...


class Family(Protocol):
    """One kind of sensor: how to know it, and how to make the driver of one."""

    @property
    def id(self) -> str:
        """Its name in configuration and on the command line: a-z 0-9 _."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What to expect of it."""
        ...

    def match(self, advert: Advert) -> int:
        """How well it fits: `NO`, `LIKELY`, `SURE`, or between."""
        ...

    def identity(self, advert: Advert) -> str:
        """What stays the same for this one sensor: a serial number or address in the payload, else the address."""
        ...

    def create(self, options: Options) -> GattDriver | AdvertDriver:
        """The driver of one sensor."""
        ...

    def decode(self, payload: bytes, factor: float | None = None) -> Packet:
        """One packet out of context, for tinkerers and tests; `factor` scales counts where the packet does not say."""
        ...


def decode_battery(value: bytes) -> int:
    """Percent of the battery level characteristic (Battery Service 1.1: one byte, 0 to 100)."""
    if not value or value[0] > 100:  # noqa: PLR2004  percent
        raise DecodeError(f"battery level {value[:4].hex() or 'of no bytes'}: one byte from 0 to 100 is allowed")
    return value[0]


def read_battery(offered: Offered) -> Generator[Request, bytes, int | None]:
    """Steps that give the percent, or None: a sensor without it, or that keeps it to itself, is as good as any."""
    if not offered.has(BATTERY):
        return None
    try:
        return decode_battery((yield Read(BATTERY)))
    except (
        SourceError,
        DecodeError,
    ):  # thrown in; if the connection is lost, the next step meets it
        return None


def ask_battery() -> Generator[Request, bytes, bool]:
    """Steps that read the battery in a running stream; whether to ask again: its refusal must not end the stream."""
    try:
        yield Read(BATTERY)
    except SourceError:  # thrown in; if the connection is lost, whoever follows it sees that
        return False
    return True


def find_family(name: str) -> Family | None:
    """The family `name` if a module of this folder is called like it; no other module is imported for it."""
    if name not in {module.name for module in pkgutil.iter_modules(__path__)}:
        return None
    found: tuple[Family, ...] = getattr(importlib.import_module(f"{__name__}.{name}"), "FAMILIES", ())
    return next((family for family in found if family.id == name), None)


def discover() -> dict[str, Family]:
    """All families of this folder by id; modules without `FAMILIES` are none."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return {family.id: family for module in modules for family in getattr(module, "FAMILIES", ())}
