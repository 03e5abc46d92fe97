"""What will be written, and what the options answered: everything in memory until the files are due."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from posturewatch.config import Config, LoadedConfig
from posturewatch.config.loading import load
from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from posturewatch.core.settings import Calibration


@dataclass(frozen=True, slots=True)
class Answers:
    """What was given on the command line; None: ask."""

    simulated: bool = False
    gateway: bool = False
    scenario: str = "office-day"
    sensor: str | None = None  # address of a Bluetooth sensor
    radio: str | None = None
    wearer: str = "me"
    placement: str | None = None
    add: bool = False
    calibrate: bool | None = None
    broker: str | None = None  # embedded, find, or HOST:PORT
    username: str | None = None
    password_file: Path | None = None
    base_topic: str | None = None
    tls: bool = False
    tls_cafile: Path | None = None
    insecure: bool = False
    desktop: bool | None = None
    service: bool | None = None
    test_reminder: bool | None = None


@dataclass(slots=True)
class Draft:
    """A configuration in the making."""

    path: Path
    tree: dict[str, Any]  # as `tomllib` would give it
    is_new: bool
    wearer: str
    sensor: str | None = None  # id of the sensor that is being set up
    is_kept: bool = False  # it is the one of a former time
    calibration: Calibration | None = None
    password: str | None = field(default=None, repr=False)  # to be kept in a file of its own

    @property
    def broker(self) -> dict[str, Any]:
        """The table of the broker."""
        table: dict[str, Any] = self.tree.setdefault("broker", {})
        return table

    def sensors(self) -> list[dict[str, Any]]:
        """The sensors of the wearer whom we set up."""
        found: list[dict[str, Any]] = self._wearer().setdefault("sensor", [])
        return found

    def _wearer(self) -> dict[str, Any]:
        wearers: list[dict[str, Any]] = self.tree.setdefault("wearer", [])
        for wearer in wearers:
            if wearer.get("id") == self.wearer:
                return wearer
        wearers.append({"id": self.wearer})
        return wearers[-1]

    def put_sensor(self, sensor: dict[str, Any], *, add: bool) -> None:
        """Use this sensor: in place of the wearer's others, or beside those worn elsewhere."""
        wearer = self._wearer()
        others = [known for known in wearer.get("sensor", []) if add and known.get("id") != sensor["id"]]
        wearer["sensor"] = [*others, sensor]
        self.sensor = sensor["id"]

    def taken_ids(self) -> set[str]:
        """Ids of sensors of other wearers: ids differ within a daemon."""
        wearers = self.tree.get("wearer", [])
        return {sensor["id"] for wearer in wearers if wearer.get("id") != self.wearer for sensor in wearer["sensor"]}

    def load(self) -> LoadedConfig:
        """The same as a configuration; `ConfigError` if it is none."""
        try:
            config = Config.model_validate_json(json.dumps(self.tree, default=str))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise ConfigError(f"{place}: {problem['msg'].removeprefix('Value error, ')}") from None
        return LoadedConfig(config, {}, self.path)


def open_draft(path: Path, wearer: str) -> Draft:
    """From the file of a former time, if there is one; a broken one is said and must be mended or moved away."""
    if not path.exists():
        return Draft(path, {}, is_new=True, wearer=wearer)
    load(path, {})
    return Draft(path, tomllib.loads(path.read_text("utf-8")), is_new=False, wearer=wearer)
