"""Which advertisements a described sensor is known by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posturewatch.drivers import LIKELY, NO, SURE

if TYPE_CHECKING:
    from posturewatch.drivers import Advert


@dataclass(frozen=True, slots=True)
class Match:
    """What an advertisement must have; every condition that is given must hold."""

    name_prefix: str | None = None
    name_contains: str | None = None
    company: int | None = None
    service_uuid: str | None = None
    service_data_uuid: str | None = None

    def score(self, advert: Advert) -> int:
        """A UUID of 128 bits is sure, a name or a maker is likely; nothing given is no match."""
        name = advert.name or ""
        conditions = {
            LIKELY: [
                self.name_prefix is None or name.startswith(self.name_prefix),
                self.name_contains is None or self.name_contains in name,
                self.company is None or self.company in advert.manufacturer,
            ],
            SURE: [
                self.service_uuid is None or self.service_uuid in advert.service_uuids,
                self.service_data_uuid is None or self.service_data_uuid in advert.service_data,
            ],
        }
        if self == Match() or not all(conditions[LIKELY] + conditions[SURE]):
            return NO
        return LIKELY if self.service_uuid is None and self.service_data_uuid is None else SURE
