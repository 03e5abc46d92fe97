"""The operations and statuses of Polar's control point, and the settings of a start command read strictly."""

from __future__ import annotations

from collections.abc import Mapping

from posturewatch_sim.packets import polar

GET_SETTINGS, START, STOP = 0x01, 0x02, 0x03
SDK_MODE = 9
SUCCESS, INVALID_OP, INVALID_TYPE, NOT_SUPPORTED, INVALID_LENGTH, INVALID_PARAMETER = range(6)
ALREADY_IN_STATE, INVALID_RESOLUTION, INVALID_RATE, INVALID_RANGE, INVALID_MTU, INVALID_CHANNELS = range(6, 12)
REFUSALS = {
    polar.RESOLUTION: INVALID_RESOLUTION,
    polar.RATE: INVALID_RATE,
    polar.RANGE: INVALID_RANGE,
    polar.CHANNELS: INVALID_CHANNELS,
}
Allowed = Mapping[int, tuple[int, ...]]


def read_settings(parameters: bytes, allowed: Allowed) -> tuple[int, dict[int, int]]:
    """Each setting once, with one of the allowed values."""
    chosen: dict[int, int] = {}
    while parameters:
        kind, count = (*parameters[:2], 0)[:2]
        size = polar.SETTING_BYTES.get(kind, 0)
        value, parameters = parameters[2 : 2 + size], parameters[2 + size :]
        if kind not in allowed or count != 1 or len(value) != size or kind in chosen:
            return INVALID_PARAMETER, chosen
        chosen[kind] = int.from_bytes(value, "little")
        if chosen[kind] not in allowed[kind]:
            return REFUSALS[kind], chosen
    return SUCCESS if chosen.keys() == allowed.keys() else INVALID_PARAMETER, chosen
