"""What can go wrong between a body and a gateway, as a typed record and a parser for its short notation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posturewatch_sim.noise import Floats, generator

AXES = "xyz"
SECONDS_OF = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
HOW = {
    "drop": "5%",
    "gap": "90s@14:00 (for 90 s, 14 minutes after the start)",
    "kick": "12:00 (link lost, back within seconds)",
    "drift": "20mg/h",
    "clock_skew": "200ppm",
    "clock_jump": "-1h@12:00",
    "stuck_axis": "x@10:00",
    "flip_axis": "y@10:00",
    "battery_low": "10:00 (of virtual Bluetooth sensors)",
}
REPEATED = ("gap", "kick", "clock_jump", "stuck_axis", "flip_axis")


class FaultError(ValueError):
    """A fault that cannot be read: which, what was given, how it is written."""


@dataclass(frozen=True)
class Faults:
    """Times are seconds since the first sample."""

    drop_frac: float = 0.0  # of all packets
    gaps: tuple[tuple[float, float], ...] = ()  # (start_s, length_s)
    kicks_s: tuple[float, ...] = ()
    drift_mg_per_h: float = 0.0
    clock_skew_ppm: float = 0.0
    clock_jumps: tuple[tuple[float, float], ...] = ()  # (at_s, by_s)
    stuck: tuple[tuple[int, float], ...] = ()  # (axis, from_s)
    flipped: tuple[tuple[int, float], ...] = ()
    battery_low_s: float | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Faults:
        """Read the notation of the command line and of scenario files; several of a kind come as a list."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in given.items():
            if name not in HOW:
                raise FaultError(f"unknown fault {name!r}; there are {', '.join(HOW)}")
            several = isinstance(value, Sequence) and not isinstance(value, str)
            found[name] = tuple(str(v) for v in value) if several else (str(value),)
            if name not in REPEATED and len(found[name]) > 1:
                raise FaultError(f"{name} can be given once only")
        one = {name: values[0] for name, values in found.items() if values}
        return cls(
            drop_frac=_number("drop", one["drop"], "%", 0.0, 100.0) / 100.0 if "drop" in one else 0.0,
            gaps=tuple(_gap(v) for v in found.get("gap", ())),
            kicks_s=tuple(_moment("kick", v) for v in found.get("kick", ())),
            drift_mg_per_h=_number("drift", one["drift"], "mg/h", -1e4, 1e4) if "drift" in one else 0.0,
            clock_skew_ppm=_number("clock_skew", one["clock_skew"], "ppm", -1e5, 1e5) if "clock_skew" in one else 0.0,
            clock_jumps=tuple(_jump(v) for v in found.get("clock_jump", ())),
            stuck=tuple(_axis("stuck_axis", v) for v in found.get("stuck_axis", ())),
            flipped=tuple(_axis("flip_axis", v) for v in found.get("flip_axis", ())),
            battery_low_s=_moment("battery_low", one["battery_low"]) if "battery_low" in one else None,
        )

    def joined(self, other: Faults | None) -> Faults:
        """Both together."""
        if other is None:
            return self
        return Faults(
            1.0 - (1.0 - self.drop_frac) * (1.0 - other.drop_frac),
            self.gaps + other.gaps,
            self.kicks_s + other.kicks_s,
            self.drift_mg_per_h + other.drift_mg_per_h,
            self.clock_skew_ppm + other.clock_skew_ppm,
            self.clock_jumps + other.clock_jumps,
            self.stuck + other.stuck,
            self.flipped + other.flipped,
            self.battery_low_s if other.battery_low_s is None else other.battery_low_s,
        )

    def silences(self, seed: int) -> tuple[tuple[float, float], ...]:
        """All stretches without data as (start_s, end_s); being kicked costs 3 to 9 s."""
        kicked = [(at, at + float(generator(seed, "kick", i).uniform(3.0, 9.0))) for i, at in enumerate(self.kicks_s)]
        return tuple(sorted([(start, start + length) for start, length in self.gaps] + kicked))

    def kept(self, t_s: Floats, packet: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
        """Which samples arrive."""
        keep = np.ones(len(t_s), dtype=bool)
        for start, end in self.silences(seed):
            keep &= (t_s < start) | (t_s >= end)
        if self.drop_frac > 0.0:
            numbers = np.unique(packet)
            lost = np.array([generator(seed, "drop", int(n)).random() < self.drop_frac for n in numbers], dtype=bool)
            keep &= ~np.isin(packet, numbers[lost])
        return keep

    def clock_error_s(self, t_s: Floats) -> Floats:
        """What the stamping clock is ahead of true time."""
        error = t_s * (self.clock_skew_ppm * 1e-6)
        for at, by in self.clock_jumps:
            error = error + np.where(t_s >= at, by, 0.0)
        return np.asarray(error)


def moment_s(text: str) -> float:
    """`90`, `90s`, `2h`, `14:00` (minutes:seconds) or `1:30:00` as seconds."""
    parts = text.strip().split(":")
    if len(parts) > 1:
        if len(parts) > 3 or not all(re.fullmatch(r"\d+(\.\d+)?", p) for p in parts):  # noqa: PLR2004  # h:m:s
            raise ValueError(text)
        return sum(float(p) * 60.0**k for k, p in enumerate(reversed(parts)))
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)\s*([a-z]*)", parts[0])
    if match is None or (match[2] or "s") not in SECONDS_OF:
        raise ValueError(text)
    return float(match[1]) * SECONDS_OF[match[2] or "s"]


def _wrong(name: str, text: str) -> FaultError:
    return FaultError(f"{name} {text!r} cannot be read; write it like {HOW[name]}")


def _moment(name: str, text: str) -> float:
    try:
        at = moment_s(text)
    except ValueError:
        raise _wrong(name, text) from None
    if at < 0.0:
        raise _wrong(name, text)
    return at


def _number(name: str, text: str, unit: str, low: float, high: float) -> float:
    try:
        value = float(text.strip().removesuffix(unit))
    except ValueError:
        raise _wrong(name, text) from None
    if not math.isfinite(value) or not low <= value <= high:
        raise FaultError(f"{name} {text!r} is not within {low:g} to {high:g} {unit}")
    return value


def _at(name: str, text: str) -> tuple[str, float]:
    what, sign, when = text.partition("@")
    if not sign:
        raise _wrong(name, text)
    return what, _moment(name, when)


def _gap(text: str) -> tuple[float, float]:
    what, at = _at("gap", text)
    return at, _moment("gap", what)


def _jump(text: str) -> tuple[float, float]:
    what, at = _at("clock_jump", text)
    try:
        return at, moment_s(what)
    except ValueError:
        raise _wrong("clock_jump", text) from None


def _axis(name: str, text: str) -> tuple[int, float]:
    what, at = _at(name, text if "@" in text else f"{text}@0")
    if what not in AXES or len(what) != 1:
        raise _wrong(name, text)
    return AXES.index(what), at
