"""Topic names (contract version 1), and what an id in one may be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from posturewatch.errors import ConfigError

ID_PATTERN = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names below one base, which is unique per daemon."""

    base: str = "posturewatch"

    def __post_init__(self) -> None:
        """Refuse a base that a broker would refuse or that would match other people's topics."""
        levels = self.base.split("/")
        if any(not level or not level.isprintable() or set(level) & set("+# ") for level in levels):
            raise ConfigError(f"base topic {self.base!r}: words separated by single '/', without blanks, '+' or '#'")
        if self.base.startswith("$"):
            raise ConfigError(f"base topic {self.base!r}: topics that begin with '$' belong to the broker")

    def bridge(self, leaf: str) -> str:
        """A topic about the daemon itself."""
        return f"{self.base}/bridge/{leaf}"

    def wearer(self, wearer: str, leaf: str) -> str:
        """A topic about one wearer."""
        return f"{self.base}/wearer/{checked_id(wearer)}/{leaf}"

    def samples(self, sensor: str) -> str:
        """Where a gateway publishes the samples of `sensor`; `+` for every sensor."""
        return f"{self.base}/sensor/{sensor if sensor == '+' else checked_id(sensor)}/samples"

    def truth(self, sensor: str) -> str:
        """Where the simulator says what is true of the wearer of `sensor`."""
        return f"{self.base}/simulator/{checked_id(sensor)}/truth"

    def health(self, sensor: str) -> str:
        """Where we say how `sensor` does."""
        return f"{self.base}/sensor/{checked_id(sensor)}/health"

    def sensor_of(self, topic: str) -> str | None:
        """Which sensor a topic of samples speaks of."""
        prefix, suffix = f"{self.base}/sensor/", "/samples"
        if not (topic.startswith(prefix) and topic.endswith(suffix)):
            return None
        name = topic[len(prefix) : -len(suffix)]
        return name if ID_PATTERN.fullmatch(name) else None


def checked_id(name: str) -> str:
    """An id that is safe in a topic; a pseudonym, never an address."""
    if not ID_PATTERN.fullmatch(name):
        raise ConfigError(f"id {name!r}: 1 to 32 of the characters a-z 0-9 _ -")
    return name
