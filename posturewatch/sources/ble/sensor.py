"""What the configuration says of one Bluetooth sensor, and how to know it among others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.drivers import NO, Options

if TYPE_CHECKING:
    from posturewatch.drivers import Advert, Family


@dataclass(frozen=True, slots=True)
class BleSensor:
    """One sensor of a wearer; it is bound by its address, by what its payload calls it, or by its name."""

    id: str
    family: Family
    address: str | None = None
    name: str | None = None
    options: Options = field(default_factory=Options)

    def is_meant(self, advert: Advert) -> bool:
        """Whether this advertisement is of this sensor, and not of somebody else's."""
        if self.address is None:
            return self.name is not None and advert.name == self.name
        wanted = self.address.upper()
        if advert.address.upper() == wanted:
            return True
        return self.family.match(advert) > NO and self.family.identity(advert).upper() == wanted

    @property
    def is_named(self) -> bool:
        """Whether another sensor could answer to the same name."""
        return self.address is None
