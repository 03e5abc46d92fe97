"""Scenario files: TOML scripts of activities, read strictly and turned into frozen records."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posturewatch_sim.activities import ACTIVITIES, LAID, PLACEMENTS
from posturewatch_sim.faults import FaultError, Faults
from posturewatch_sim.sensor import MODELS

FOLDER = Path(__file__).parent / "scenarios"
UNITS_S = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}
OPTIONS = {  # what a step may say beside `do` and its duration: the allowed range
    "flexion_deg": (-180.0, 180.0),  # of the trunk
    "lateral_deg": (-90.0, 90.0),
    "to_deg": (-90.0, 90.0),  # the trunk's flexion at the end of the step: a slow slump
    "breathing_deg": (0.0, 5.0),
    "sway": (0.0, 5.0),  # times the usual
    "gesture": (0.0, 10.0),
    "gait": (0.1, 3.0),
    "step_hz": (0.8, 3.0),
    "shake_mg": (0.0, 500.0),
    "fidgets_per_h": (0.0, 120.0),
    "shifts_per_h": (0.0, 40.0),
    "slip_deg": (-90.0, 90.0),  # the sensor turns on the body by so much during the step
}
STEP_KEYS = ("do", "face", *UNITS_S, *OPTIONS)
GROUP_KEYS = ("times", "steps")
WEARER_KEYS = ("id", "placement", "sensor", "script", "endless", "usual")
TOP_KEYS = ("title", "about", "duration_h", "faults", "wearers", *WEARER_KEYS)

Range = tuple[float, float]


class ScenarioError(ValueError):
    """A scenario file that cannot be meant: file, key, what is allowed."""


@dataclass(frozen=True)
class Step:
    """One activity for a while; ranges are drawn from the seed."""

    do: str
    for_s: Range
    options: Mapping[str, Range] = field(default_factory=dict)
    face: str = "down"


@dataclass(frozen=True)
class Group:
    """Steps that are repeated."""

    times: Range
    steps: tuple[Step | Group, ...]


@dataclass(frozen=True)
class Wearer:
    """One body with one sensor."""

    id: str
    placement: str
    sensor: str
    script: tuple[Step | Group, ...]
    endless: tuple[Step | Group, ...] = ()
    usual: Mapping[str, Range] = field(default_factory=dict)  # options of every step that does not say otherwise


@dataclass(frozen=True)
class Scenario:
    """A day, or a minute of it, of one or more wearers."""

    name: str
    title: str
    about: str
    wearers: tuple[Wearer, ...]
    faults: Faults = field(default_factory=Faults)
    duration_s: float | None = None  # of an endless one, if nobody says otherwise

    def wearer(self, wearer: str | None) -> Wearer:
        """The wearer of this name, or the first."""
        if wearer is None:
            return self.wearers[0]
        for candidate in self.wearers:
            if candidate.id == wearer:
                return candidate
        raise ScenarioError(f"{self.name}: no wearer {wearer!r}; it has {', '.join(w.id for w in self.wearers)}")


def available() -> tuple[str, ...]:
    """The names of the built-in scenarios."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Scenario:
    """Read a built-in scenario by name, or any scenario file by path."""
    path = Path(name_or_path)
    if path.suffix != ".toml" and str(name_or_path) in available():
        path = FOLDER / f"{name_or_path}.toml"
    if path.suffix == ".toml" and not path.is_file():
        raise ScenarioError(
            f"no file {str(name_or_path)!r}; name a scenario file, or one of `posturewatch simulate --list`"
        )
    if not path.is_file():
        near = difflib.get_close_matches(str(name_or_path), available(), 3) or available()
        raise ScenarioError(f"no scenario {str(name_or_path)!r}; choose from {', '.join(near)}, or name a .toml file")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ScenarioError(f"{path.name}: not TOML: {wrong}") from None
    return _Reader(path.name).scenario(path.stem, table)


class _Reader:
    """Turns tables into records; every complaint names the file, the key and what is allowed."""

    def __init__(self, file: str) -> None:
        self.file = file

    def wrong(self, where: str, message: str) -> ScenarioError:
        return ScenarioError(f"{self.file}: {where}: {message}")

    def check_keys(self, table: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
        allowed = tuple(allowed)
        for key in table:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(allowed)}"
                raise self.wrong(where, f"unknown key {key!r}; {hint}")

    def word(self, table: Mapping[str, Any], key: str, allowed: Iterable[str], where: str, default: str = "") -> str:
        value = table.get(key, default)
        allowed = tuple(allowed)
        if value not in allowed:
            raise self.wrong(f"{where}.{key}", f"{value!r} is not known; allowed: {', '.join(allowed)}")
        return str(value)

    def span(self, value: Any, where: str, low: float, high: float) -> Range:
        pair = value if isinstance(value, list) else [value, value]
        numbers = [x for x in pair if isinstance(x, int | float) and not isinstance(x, bool)]
        if len(pair) != 2 or len(numbers) != 2:  # noqa: PLR2004  # a range has two ends
            raise self.wrong(where, f"{value!r} is neither a number nor a range [from, to]")
        if not low <= pair[0] <= pair[1] <= high:
            raise self.wrong(where, f"{value!r} is not within {low:g} to {high:g}, or the wrong way round")
        return float(pair[0]), float(pair[1])

    def options(self, table: Mapping[str, Any], where: str) -> dict[str, Range]:
        return {k: self.span(table[k], f"{where}.{k}", *OPTIONS[k]) for k in OPTIONS if k in table}

    def steps(self, value: Any, where: str) -> tuple[Step | Group, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
            raise self.wrong(where, "must be a list of steps, each a table such as { do = 'sit', minutes = 20 }")
        return tuple(self.step(v, f"{where}[{i}]") for i, v in enumerate(value))

    def step(self, table: Mapping[str, Any], where: str) -> Step | Group:
        if "steps" in table:
            self.check_keys(table, GROUP_KEYS, where)
            return Group(
                self.span(table.get("times", 1), f"{where}.times", 1.0, 1000.0),
                self.steps(table["steps"], f"{where}.steps"),
            )
        self.check_keys(table, STEP_KEYS, where)
        units = [u for u in UNITS_S if u in table]
        if len(units) != 1:
            raise self.wrong(where, f"needs exactly one of {', '.join(UNITS_S)}")
        low, high = self.span(table[units[0]], f"{where}.{units[0]}", 0.0, 1e6)
        if low * UNITS_S[units[0]] < 1.0:
            raise self.wrong(f"{where}.{units[0]}", "a step lasts at least one second")
        return Step(
            self.word(table, "do", ACTIVITIES, where),
            (low * UNITS_S[units[0]], high * UNITS_S[units[0]]),
            self.options(table, where),
            self.word(table, "face", LAID, where, "down"),
        )

    def wearer(self, table: Mapping[str, Any], where: str) -> Wearer:
        usual = table.get("usual", {})
        if not isinstance(usual, dict):
            raise self.wrong(f"{where}.usual", "must be a table of step options")
        self.check_keys(usual, OPTIONS, f"{where}.usual")
        if "script" not in table:
            raise self.wrong(where, "has no script: a list of steps such as { do = 'sit', minutes = 20 }")
        return Wearer(
            str(table.get("id", "wearer")),
            self.word(table, "placement", PLACEMENTS, where, "chest"),
            self.word(table, "sensor", MODELS, where, "polar_h10"),
            self.steps(table["script"], f"{where}.script"),
            self.steps(table["endless"], f"{where}.endless") if "endless" in table else (),
            self.options(usual, f"{where}.usual"),
        )

    def scenario(self, name: str, table: Mapping[str, Any]) -> Scenario:
        self.check_keys(table, TOP_KEYS, "top")
        wearers = table.get("wearers")
        if wearers is None:
            bodies: tuple[Wearer, ...] = (self.wearer(table, "top"),)
        else:
            if not isinstance(wearers, list) or not all(isinstance(w, dict) for w in wearers):
                raise self.wrong("wearers", "must be a list of tables: [[wearers]]")
            for i, w in enumerate(wearers):
                self.check_keys(w, WEARER_KEYS, f"wearers[{i}]")
            bodies = tuple(self.wearer(w, f"wearers[{i}]") for i, w in enumerate(wearers))
            if len({w.id for w in bodies}) != len(bodies):
                raise self.wrong("wearers", "two wearers have one id")
        try:
            faults = Faults.parse(table.get("faults", {}))
        except FaultError as wrong:
            raise self.wrong("faults", str(wrong)) from None
        hours = table.get("duration_h")
        duration_s = None if hours is None else self.span(hours, "duration_h", 0.001, 10_000.0)[0] * 3600.0
        return Scenario(name, str(table.get("title", name)), str(table.get("about", "")), bodies, faults, duration_s)
