"""From the user's file to Bluetooth sensors: names become families, and what cannot work is said before the start."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from posturewatch.drivers import USER_FOLDER, Options, find_family
from posturewatch.drivers.bound import BoundSensor
from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from posturewatch.config.model import Config
    from posturewatch.config.places import Path as KeyPath
    from posturewatch.config.wearer import Sensor
    from posturewatch.drivers import Family


def bind_sensors(config: Config, folder: Path | None, origin: Callable[[KeyPath], str]) -> dict[str, BoundSensor]:
    """All Bluetooth sensors by id.  `ConfigError`, naming the place, for an unknown family or too many of them."""
    wanted = [(path, sensor) for path, sensor in _walk(config) if sensor.source == "ble"]
    if not wanted:
        return {}
    known = _find_families({sensor.family or "" for _, sensor in wanted}, folder)
    bound = {sensor.id: _bind(sensor, known, origin((*path, "family"))) for path, sensor in wanted}
    _refuse_shared(wanted, origin)
    connected = [name for name, sensor in bound.items() if not sensor.family.capabilities.is_advertised]
    most = config.bluetooth.max_connections
    if len(connected) > most:
        raise ConfigError(
            f"{len(connected)} sensors need a connection ({', '.join(connected)}) and bluetooth.max_connections is "
            f"{most}: use sensors that only advertise, or raise it if your adapter holds more"
        )
    return bound


def _find_families(names: set[str], folder: Path | None) -> Mapping[str, Family]:
    """Those of `names`, or all there are: reading presets costs a tenth of a start, and most need none."""
    found = {name: family for name in names if (family := find_family(name)) is not None}
    if len(found) == len(names) and (folder is None or not any((folder / USER_FOLDER).glob("*.toml"))):
        return found
    from posturewatch.drivers.preset_files import families  # noqa: PLC0415  for who has presets, or a mistake

    return families(folder)


def _walk(config: Config) -> Iterator[tuple[KeyPath, Sensor]]:
    for i, wearer in enumerate(config.wearer):
        for j, sensor in enumerate(wearer.sensor):
            yield ("wearer", i, "sensor", j), sensor


def _bind(sensor: Sensor, known: Mapping[str, Family], place: str) -> BoundSensor:
    family = known.get(sensor.family or "")
    if family is None:
        near = difflib.get_close_matches(sensor.family or "", known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
        raise ConfigError(f"{place}: sensor {sensor.id}: there is no family {sensor.family!r}; {hint}")
    options = Options(rate_hz=sensor.rate_hz, range_g=sensor.range_g, is_clipped=sensor.clipped)
    return BoundSensor(sensor.id, family, sensor.address, sensor.name, options)


def _refuse_shared(wanted: list[tuple[KeyPath, Sensor]], origin: Callable[[KeyPath], str]) -> None:
    seen: dict[str, str] = {}
    for path, sensor in wanted:
        key = "address" if sensor.address is not None else "name"
        which = str(getattr(sensor, key)).upper()
        if which in seen:
            raise ConfigError(f"{origin((*path, key))}: sensors {seen[which]} and {sensor.id} are the same device")
        seen[which] = sensor.id
