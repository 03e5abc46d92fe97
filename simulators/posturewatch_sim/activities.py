"""What people (and forgotten sensors) do: poses, how much each body part moves in them, what is true meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

PLACEMENTS = ("chest", "torso", "upper_back", "low_back", "neck", "head", "waist", "thigh", "wrist")
HEAD_NOD_DEG = 6.0  # the head hangs a little more than the trunk
PARTS = ("trunk", "head", "thigh", "wrist")


def part_of(placement: str) -> str:
    """The body part that carries a sensor at this placement."""
    return placement if placement in PARTS else "trunk"


@dataclass(frozen=True)
class Pose:
    """How a body part is turned away from standing: forwards, to the side, and about its own length."""

    flexion_deg: float = 0.0
    lateral_deg: float = 0.0
    roll_deg: float = 0.0

    def up(self) -> tuple[float, float, float]:
        """The direction of up in the part's own axes (x forward, y left, z along the part towards the head)."""
        f, p, r = (math.radians(a) for a in (self.flexion_deg, self.lateral_deg, self.roll_deg))
        x, y, z = -math.sin(f), math.cos(f) * math.sin(p), math.cos(f) * math.cos(p)
        return x * math.cos(r) - y * math.sin(r), x * math.sin(r) + y * math.cos(r), z

    def moved(self, flexion_deg: float = 0.0, lateral_deg: float = 0.0, roll_deg: float = 0.0) -> Pose:
        """This pose, turned further."""
        return Pose(self.flexion_deg + flexion_deg, self.lateral_deg + lateral_deg, self.roll_deg + roll_deg)


@dataclass(frozen=True)
class Stir:
    """How one body part moves while its pose is held; amplitudes are RMS unless they say otherwise."""

    sway_deg: float = 0.0  # per axis, up to about 0.3 Hz
    slow_deg: float = 0.0  # per axis, over minutes
    breath_deg: float = 0.0  # peak
    heart_mg: float = 0.0  # peak
    tremor_mg: float = 0.0  # 2 to 9 Hz
    gesture_deg: float = 0.0  # while gesturing, about 0.5 Hz
    gesture_frac: float = 0.0  # part of the time
    gait_mg: float = 0.0  # along the part
    swing_deg: float = 0.0  # peak, once per stride
    handle_deg: float = 0.0  # a sensor in the hand
    shake_mg: float = 0.0  # 2 to 12 Hz, a vehicle

    def scaled(self, sway: float, gait: float) -> Stir:
        """More or less of everything that is not breath, heart or vehicle."""
        grown = {n: getattr(self, n) * sway for n in ("sway_deg", "slow_deg", "tremor_mg", "gesture_deg")}
        return replace(self, **grown, gait_mg=self.gait_mg * gait, swing_deg=self.swing_deg * gait)


STIR_NAMES = tuple(f.name for f in fields(Stir))

# Tuned until benchmarks/body_statistics.py finds the simulated minutes inside the range of recorded ones.
STIRS: dict[str, dict[str, Stir]] = {
    "seated": {
        "trunk": Stir(sway_deg=0.55, slow_deg=0.9, breath_deg=0.35, heart_mg=3.0, tremor_mg=5.5),
        "head": Stir(sway_deg=0.8, slow_deg=1.2, breath_deg=0.2, heart_mg=2.0, tremor_mg=3.0),
        "thigh": Stir(sway_deg=0.2, slow_deg=0.4, breath_deg=0.03, heart_mg=0.5, tremor_mg=1.5),
        "wrist": Stir(
            sway_deg=0.5,
            slow_deg=1.3,
            breath_deg=0.1,
            heart_mg=1.0,
            tremor_mg=4.0,
            gesture_deg=12.0,
            gesture_frac=0.35,
        ),
    },
    "standing": {
        "trunk": Stir(sway_deg=1.2, slow_deg=0.9, breath_deg=0.35, heart_mg=2.0, tremor_mg=12.0),
        "head": Stir(sway_deg=1.4, slow_deg=1.0, breath_deg=0.2, heart_mg=2.0, tremor_mg=10.0),
        "thigh": Stir(sway_deg=0.8, slow_deg=0.8, breath_deg=0.05, heart_mg=1.0, tremor_mg=3.5),
        "wrist": Stir(
            sway_deg=1.5,
            slow_deg=1.5,
            breath_deg=0.1,
            heart_mg=1.0,
            tremor_mg=12.0,
            gesture_deg=6.0,
            gesture_frac=0.3,
        ),
    },
    "lying": {
        "trunk": Stir(sway_deg=0.1, slow_deg=0.2, breath_deg=0.65, heart_mg=2.0, tremor_mg=0.5),
        "head": Stir(sway_deg=0.1, slow_deg=0.2, breath_deg=0.1, heart_mg=2.0, tremor_mg=0.5),
        "thigh": Stir(sway_deg=0.1, slow_deg=0.15, breath_deg=0.03, heart_mg=0.5, tremor_mg=1.0),
        "wrist": Stir(sway_deg=0.02, slow_deg=0.05, breath_deg=0.05, heart_mg=0.5, tremor_mg=0.5),
    },
    "walking": {
        "trunk": Stir(sway_deg=2.8, slow_deg=1.2, tremor_mg=40.0, gait_mg=230.0, swing_deg=2.0),
        "head": Stir(sway_deg=1.8, slow_deg=1.5, tremor_mg=30.0, gait_mg=200.0, swing_deg=1.5),
        "thigh": Stir(sway_deg=0.9, slow_deg=0.4, tremor_mg=150.0, gait_mg=480.0, swing_deg=20.0),
        "wrist": Stir(sway_deg=5.5, slow_deg=2.0, tremor_mg=60.0, gait_mg=190.0, swing_deg=15.0),
    },
    "handled": {part: Stir(tremor_mg=250.0, handle_deg=60.0) for part in PARTS},
    "carried": {part: Stir(sway_deg=4.0, slow_deg=3.0, tremor_mg=60.0, gait_mg=260.0, swing_deg=6.0) for part in PARTS},
    "lying_about": {part: Stir() for part in PARTS},
}

LAID = {"down": (-1.0, 0.04, 0.03), "up": (1.0, -0.03, 0.05), "edge": (0.05, 1.0, 0.02)}


@dataclass(frozen=True)
class Activity:
    """One word of a script: its poses by body part, how things stir, and what a perfect detector would say."""

    stir: str
    motion: str  # still | micro | moving | walking
    posture: str  # sitting | standing | lying | unknown: what the wearer does, whatever a sensor can see
    trunk: Pose = Pose()
    thigh: Pose = Pose()
    wrist: Pose = Pose(20.0)
    worn: bool = True
    carried: bool = False  # off body, yet moving
    asleep: bool = False  # nobody needs a reminder, and nobody would notice it
    gesture: float = 1.0  # times the usual gestures of the hand
    sway: float = 1.0
    step_hz: float = 1.8
    gait: float = 1.0
    fidgets_per_h: float = 0.0
    shifts_per_h: float = 0.0
    shake_mg: float = 0.0

    def pose(self, part: str) -> Pose:
        """The usual pose of one body part."""
        if part == "head":
            return self.trunk.moved(flexion_deg=HEAD_NOD_DEG)
        return {"trunk": self.trunk, "thigh": self.thigh, "wrist": self.wrist}[part]


_SEAT = Pose(88.0)
_DESK = Pose(72.0, 0.0, 15.0)


def _seated(flexion_deg: float, lateral_deg: float = 0.0, **more: float) -> Activity:
    trunk = Pose(flexion_deg, lateral_deg)
    return Activity("seated", "still", "sitting", trunk, _SEAT, _DESK, **more)  # type: ignore[arg-type]  # all floats


# Trunk poses differ by 6 degrees or less (not a shift) or by 14 or more (a shift): no truth hangs on a degree.
ACTIVITIES: dict[str, Activity] = {
    "sit": _seated(4.0, fidgets_per_h=12.0, gesture=0.1),
    "type": _seated(6.0, fidgets_per_h=16.0, gesture=0.6),
    "write": _seated(24.0, 3.0, fidgets_per_h=20.0, gesture=1.5),
    "talk": _seated(3.0, fidgets_per_h=20.0, gesture=1.8, sway=1.2),
    "lean": _seated(30.0, fidgets_per_h=12.0),
    "recline": _seated(-18.0, fidgets_per_h=8.0),
    "slump": _seated(4.0, fidgets_per_h=12.0),
    "fidget": _seated(6.0, fidgets_per_h=60.0, shifts_per_h=30.0, gesture=1.5, sway=1.3),
    "drive": _seated(-16.0, fidgets_per_h=6.0, gesture=0.3, shake_mg=40.0),
    "stand": Activity("standing", "still", "standing", Pose(2.0), Pose(2.0), Pose(15.0), fidgets_per_h=20.0),
    "stand_talk": Activity(
        "standing", "still", "standing", Pose(2.0), Pose(3.0), Pose(45.0), gesture=3.0, sway=1.2, fidgets_per_h=30.0
    ),
    "walk": Activity("walking", "walking", "standing", Pose(3.0), Pose(6.0), Pose(18.0)),
    "stairs": Activity("walking", "walking", "standing", Pose(7.0), Pose(16.0), Pose(20.0), step_hz=1.6, gait=1.1),
    "lie": Activity("lying", "still", "lying", Pose(-88.0), Pose(-88.0), Pose(-85.0, 0.0, 30.0)),
    "sleep": Activity(
        "lying", "still", "lying", Pose(-88.0), Pose(-86.0), Pose(-82.0, 0.0, 40.0), asleep=True, shifts_per_h=2.0
    ),
    "put_on": Activity("handled", "moving", "standing", worn=False),
    "take_off": Activity("handled", "moving", "standing", worn=False),
    "on_desk": Activity("lying_about", "still", "unknown", worn=False),
    "on_charger": Activity("lying_about", "still", "unknown", worn=False),
    "in_bag": Activity("carried", "walking", "unknown", worn=False, carried=True),
}
