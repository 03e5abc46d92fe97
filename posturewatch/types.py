"""The records that cross module borders: what comes into the core, and what comes out of it.

Units are in the names.  Time is int64 nanoseconds of UTC (`_ns`).  Acceleration is int32 in units of 10 µg
(`acc_10ug`, 1 g = 100 000), specific force: a sensor at rest reads +1 g along the axis that points up.  Both are
exact, so every sum over them is exact and independent of its order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Int16Array = NDArray[np.int16]
    Int32Array = NDArray[np.int32]
    Int64Array = NDArray[np.int64]

NS_PER_S = 1_000_000_000
UNITS_PER_G = 100_000  # 10 µg
BLOCKS_PER_FRAME = 10  # 100 ms blocks in a 1 s frame


class Placement(StrEnum):
    """Where on the body a sensor is worn; it decides what may be published."""

    CHEST = "chest"
    TORSO = "torso"
    UPPER_BACK = "upper_back"
    LOW_BACK = "low_back"
    NECK = "neck"
    HEAD = "head"
    WAIST = "waist"
    THIGH = "thigh"
    WRIST = "wrist"
    UNKNOWN = "unknown"


class Link(StrEnum):
    OK = "ok"
    GAP = "gap"
    LOST = "lost"


class Wear(StrEnum):
    WORN = "worn"
    UNKNOWN = "unknown"
    OFF_BODY = "off_body"


class Motion(StrEnum):
    STILL = "still"
    MICRO = "micro"
    MOVING = "moving"
    WALKING = "walking"
    UNKNOWN = "unknown"  # no data: never reported as stillness


class Posture(StrEnum):
    SITTING = "sitting"
    STANDING = "standing"
    LYING = "lying"
    UPRIGHT_UNKNOWN = "upright_unknown"
    UNKNOWN = "unknown"


class BoutPhase(StrEnum):
    STATIC = "static"
    EXCURSION = "excursion"
    NONE = "none"


class BreakKind(StrEnum):
    MICRO = "micro"
    REAL = "real"


class ClosedBy(StrEnum):
    SHIFT = "shift"
    BREAK = "break"
    OFF_BODY = "off_body"
    CENSORED = "censored"


class Level(StrEnum):
    SHIFT = "shift"  # change something
    BREAK = "break"  # get up and move


class ReminderPhase(StrEnum):
    """The states of one wearer's reminder."""

    OFF = "off"
    NOT_WORN = "not_worn"
    UNKNOWN = "unknown"
    OK = "ok"
    BUILDING = "building"
    DUE = "due"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    HELD = "held"
    ON_BREAK = "on_break"


class Verb(StrEnum):
    """What a wearer or a dashboard may ask for."""

    ACK = "ack"
    SNOOZE = "snooze"
    SKIP = "skip"
    START_BREAK = "start_break"
    COUNT_BREAK = "count_break"
    HOLD = "hold"
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"
    CALIBRATE = "calibrate"
    SET = "set"
    TEST_REMINDER = "test_reminder"


# ---------------------------------------------------------------- incoming


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Samples of one sensor on the UTC clock; time stamps never decrease inside a batch, a gap is just a gap."""

    sensor: str
    t_ns: Int64Array  # [n]
    acc_10ug: Int32Array  # [n, 3]


@dataclass(frozen=True, slots=True)
class RawSamples:
    """Decoded samples that still need a time: `core/timebase.py` turns them into a `SampleBatch`."""

    sensor: str
    arrived_ns: int
    acc_10ug: Int32Array  # [n, 3], oldest first
    rate_hz: float
    last_ns: int | None = None  # the sender's own UTC time of the last sample
    seq: int | None = None  # counts batches; a repeated or older one is dropped
    seq_modulus: int = 0  # where the counter wraps; 0: it does not


@dataclass(frozen=True, slots=True)
class Frames:
    """Closed seconds of one sensor, one row each, as exact integer sums in units of 10 µg.

    `epoch` is UTC seconds, strictly rising.  Sums run over the samples whose time stamp lies in the second; the
    ten blocks are its 100 ms parts.  A second without samples has no row.
    """

    sensor: str
    epoch: Int64Array  # [k]
    n: Int32Array  # [k]
    block_n: Int32Array  # [k, 10]
    block_sum: Int64Array  # [k, 10, 3]
    sumsq: Int64Array  # [k, 3]   sum of squares of each axis
    norm_sum: Int64Array  # [k]   sum of |a|, rounded per sample
    norm_sumsq: Int64Array  # [k] sum of |a|², of the rounded |a|
    clipped: Int32Array  # [k]    samples that were beyond ±16 g


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes; how silence becomes visible to a pure core."""

    now_ns: int


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A sensor was lost or came back: information, not an exception."""

    sensor: str
    t_ns: int
    up: bool
    reason: str = ""


class Channel(StrEnum):
    """Where a reminder is shown, and where an answer may come from."""

    DASHBOARD = "dashboard"
    PUSH = "push"
    SPEAKER = "speaker"
    DESKTOP = "desktop"
    HOOK = "hook"


@dataclass(frozen=True, slots=True)
class Command:
    """One request of the wearer or a dashboard.  A command that names an old cycle is answered `stale`."""

    t_ns: int
    verb: Verb
    request: str | None = None
    cycle: str | None = None
    minutes: float | None = None  # snooze, hold, pause: for how long
    until_ns: int | None = None  # hold, pause: until when
    reason: str | None = None  # hold: why; release: which hold, without it all
    key: str | None = None  # set: which setting; calibrate: which sensor
    value: float | str | bool | None = None  # set: its new value
    rung: int | None = None  # test_reminder: how loud
    channel: Channel | None = None  # where the wearer answered


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the wearer's other devices say: no prompts for this reason until this moment; no reason: go ahead."""

    t_ns: int
    why: str | None
    until_ns: int


Incoming = RawSamples | SampleBatch | Frames | Tick | LinkChanged | Command | Surroundings

# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class WearChanged:
    """From `t_ns` on the wear state is `state`, as far as could be known when it was emitted."""

    t_ns: int
    state: Wear


@dataclass(frozen=True, slots=True)
class WearRevised:
    """Looking back, the wear state has been `state` since `from_ns`; earlier events after it are superseded."""

    t_ns: int
    from_ns: int
    state: Wear


@dataclass(frozen=True, slots=True)
class MotionChanged:
    t_ns: int
    state: Motion


@dataclass(frozen=True, slots=True)
class PostureChanged:
    t_ns: int
    state: Posture


@dataclass(frozen=True, slots=True)
class StaticEnded:
    """One posture was held from `start_ns` to `end_ns`."""

    t_ns: int
    start_ns: int
    end_ns: int
    closed_by: ClosedBy
    inclination_deg: float | None
    drift_deg: float
    fidgets: int


@dataclass(frozen=True, slots=True)
class Drifted:
    """The posture sagged slowly by more than θ_out since the bout began; it does not end the bout."""

    t_ns: int
    drift_deg: float


@dataclass(frozen=True, slots=True)
class SedentaryEnded:
    t_ns: int
    start_ns: int
    end_ns: int
    closed_by: ClosedBy


@dataclass(frozen=True, slots=True)
class BreakEnded:
    """One break, once, with its final kind."""

    t_ns: int
    kind: BreakKind
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class RuleDue:
    """The moment a rule became due, before quiet hours, holds, grace and budgets."""

    t_ns: int
    rule: str
    level: Level
    id: str
    reason: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The wearer is asked for something, now."""

    t_ns: int
    event_type: str  # shift_due | break_due | break_due_firm
    id: str
    cycle: str
    rule: str
    level: Level
    rung: int  # 0 dashboard, 1 silent push, 2 push with buttons, 3 speaker
    reason: Mapping[str, float | str]
    expires_ns: int
    repeat: int = 0  # 0 first, 1.. escalations
    test: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Open notifications of this cycle are to disappear."""

    t_ns: int
    cycle: str
    why: str


@dataclass(frozen=True, slots=True)
class Concluded:
    """Of a reminder: it was answered, by a request or by moving, or missed.  Once for each."""

    t_ns: int
    cycle: str
    is_answered: bool
    channel: Channel | None = None  # of a request that says where it came from


@dataclass(frozen=True, slots=True)
class Happened:
    """Something for the logbook."""

    t_ns: int
    event_type: str
    cycle: str | None = None
    detail: Mapping[str, float | str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silenced:
    """A rule was due and no prompt was given; why."""

    t_ns: int
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class CommandResult:
    t_ns: int
    verb: str
    ok: bool
    request: str | None = None
    error: str | None = None
    value: float | str | bool | None = None
    key: str | None = None  # set: which setting; calibrate: which sensor


Event = (
    WearChanged
    | WearRevised
    | MotionChanged
    | PostureChanged
    | StaticEnded
    | Drifted
    | SedentaryEnded
    | BreakEnded
    | RuleDue
    | Prompt
    | Withdrawn
    | Concluded
    | Happened
    | Silenced
    | CommandResult
)

# ---------------------------------------------------------------- outgoing


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to publish.  `key` names its slot: a newer message replaces an unsent older one of the same key."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    key: str | None = None  # None: every message counts (bouts, events)
    expires_ns: int | None = None  # dropped unsent after this moment
    expiry_s: int | None = None  # MQTT 5 message expiry interval
    schema: str | None = None  # MQTT 5 user property
    correlation: bytes | None = None  # MQTT 5: what a request asked to have back with its answer
