"""All that is remembered of one wearer, how it is copied, and how it is moved to another clock."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from posturewatch.core import reminding
from posturewatch.core.body import Body
from posturewatch.core.bouts import BoutState
from posturewatch.core.breaks import BreakState
from posturewatch.core.features import FeatureState, Row
from posturewatch.core.framing import FramingState
from posturewatch.core.loads import LoadState
from posturewatch.core.motion import MotionState
from posturewatch.core.posture import PostureState
from posturewatch.core.sedentary import SedentaryState
from posturewatch.core.timebase import TimebaseState
from posturewatch.core.wear import WearState
from posturewatch.types import NS_PER_S, Motion

if TYPE_CHECKING:
    from collections.abc import Callable

    from posturewatch.core.bouts import Direction
    from posturewatch.core.reminding import ReminderState
    from posturewatch.core.settings import Settings


@dataclass(slots=True)
class SensorState:
    """One sensor: from samples to what one second of it says."""

    timebase: TimebaseState = field(default_factory=TimebaseState)
    framing: FramingState = field(default_factory=FramingState)
    features: FeatureState = field(default_factory=FeatureState)
    wear: WearState = field(default_factory=WearState)
    motion: MotionState = field(default_factory=MotionState)
    posture: PostureState = field(default_factory=PostureState)
    rows: list[Row] = field(default_factory=list)  # wait for the other sensors of the wearer
    last_epoch: int = 0  # of the last second used
    silent: bool = False  # nothing came for longer than a gap may be: the others do not wait for it
    # what the last second said
    now_motion: Motion = Motion.UNKNOWN
    up: Direction | None = None  # None where it cannot be trusted
    cos_inclination: float | None = None
    posture_epoch: int = 0  # since when the posture is what it is


@dataclass(slots=True)
class State:
    """All that is remembered of one wearer.  Nothing else is."""

    sensors: list[SensorState]
    reminding: ReminderState
    bouts: BoutState = field(default_factory=BoutState)
    breaks: BreakState = field(default_factory=BreakState)
    sedentary: SedentaryState = field(default_factory=SedentaryState)
    loads: LoadState = field(default_factory=LoadState)
    body: Body = field(default_factory=Body)
    last_epoch: int = 0  # the last second used
    off_epoch: int = 0  # off body since; 0: not
    flagged: bool = False  # the body carries flags of the second before
    real_break: bool = False
    link_up: bool = True


def initial(settings: Settings) -> State:
    """A wearer of whom nothing is known yet."""
    return State([SensorState() for _ in settings.sensors], reminding.initial(settings))


T = TypeVar("T")


def copied(value: T) -> T:
    """A copy that shares nothing that `advance` changes: nested states and lists; arrays are never changed in place."""
    copier = _COPIERS[type(value)]
    result: T = value if copier is None else copier(value)
    return result


class _Copiers(dict[type, "Callable[[Any], Any] | None"]):
    """How a value of each type is copied; None: it never changes, so it is shared.  Found once for each type."""

    def __missing__(self, kind: Any) -> Callable[[Any], Any] | None:
        copier: Callable[[Any], Any] | None = None
        if kind is list:
            copier = _copied_list
        elif kind is dict:
            copier = dict.copy
        elif is_dataclass(kind) and not _is_frozen(kind):
            copier = _make_copier(kind)
        self[kind] = copier
        return copier


_COPIERS = _Copiers()


def _make_copier(kind: Any) -> Callable[[Any], Any]:
    get = attrgetter(*(f.name for f in fields(kind)))
    copiers = _COPIERS

    def copy(value: Any) -> Any:
        return kind(*[v if (copier := copiers[type(v)]) is None else copier(v) for v in get(value)])

    return copy


def _copied_list(values: list[Any]) -> list[Any]:
    copier = _COPIERS[type(values[0])] if values else None
    return values[:] if copier is None else [copier(v) for v in values]


def _is_frozen(kind: Any) -> bool:
    return bool(kind.__dataclass_params__.frozen)


def shift_times(value: Any, delta_s: int) -> None:
    """Move every remembered moment (`_ns`, `_epoch`) by `delta_s`; what is 0 means `never` and stays."""
    for f in fields(value):
        at = getattr(value, f.name)
        if is_dataclass(at) and not isinstance(at, type):
            if _is_frozen(type(at)) or isinstance(at, FramingState | TimebaseState):
                continue  # these two follow the clock by themselves
            shift_times(at, delta_s)
        elif isinstance(at, list):
            for item in at:
                if is_dataclass(item) and not isinstance(item, type) and not _is_frozen(type(item)):
                    shift_times(item, delta_s)
        elif isinstance(at, int) and at > 0 and (f.name.endswith("_epoch") or f.name in _EPOCHS):
            setattr(value, f.name, at + delta_s)
        elif isinstance(at, int) and at > 0 and f.name.endswith("_ns"):
            setattr(value, f.name, at + delta_s * NS_PER_S)


_EPOCHS = frozenset({"last_active", "run_start"})
