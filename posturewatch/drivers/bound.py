"""A family's sensor that the user bound to a place on a body, and how to know it among others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.drivers import NO, Options, Silence

if TYPE_CHECKING:
    from posturewatch.drivers import Advert, Family

SPARE_S = 1.0  # a packet may be this much later than usual
MISSED_PACKETS = 4  # so many advertisements in a row may be missed, and the time between them is still filled


@dataclass(frozen=True, slots=True)
class BoundSensor:
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

    @property
    def rate_hz(self) -> float:
        """Samples a second, as it will be asked for: the nearest allowed rate at or above the wish."""
        wanted, capabilities = self.options.rate_hz, self.family.capabilities
        if wanted is None or not capabilities.rates_hz:
            return capabilities.rate_hz
        return min((rate for rate in capabilities.rates_hz if rate >= wanted), default=max(capabilities.rates_hz))

    @property
    def lateness_s(self) -> float:
        """How late its samples may come: with the packet, or with the read that shows that nothing changed."""
        capabilities = self.family.capabilities
        if capabilities.silence is Silence.HOLD and capabilities.read_every_s is not None:
            return capabilities.read_every_s + SPARE_S
        if capabilities.silence is Silence.SPARSE:  # some packets are missed
            return MISSED_PACKETS * capabilities.expected_every_s + SPARE_S
        return capabilities.expected_every_s + SPARE_S
