"""Accelerometers as their data sheets and the recordings describe them: noise, steps, range, rate, bias, drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posturewatch_sim.noise import Floats, generator, wander

UNITS_PER_MG = 100.0  # 10 µg
KELVIN_SPAN = 8.0  # warming on the skin, cooling on the desk


@dataclass(frozen=True)
class SensorModel:
    """One kind of accelerometer, set as its usual firmware sets it."""

    name: str
    rate_hz: float
    density_ug: float  # white noise, µg/√Hz per axis
    step_mg: float
    range_g: float
    bias_mg: float = 15.0  # SD between specimens, per axis
    gain_frac: float = 0.008
    flicker_mg: float = 0.05  # RMS of the slow part that white noise does not show
    warming_mg_per_k: float = 0.1
    rate_error_frac: float = 0.01  # SD between specimens: 97 to 103 Hz occur where 100 are promised
    packet: int = 10  # samples that travel, and are lost, together
    jitter_ms: float = 0.0  # of the time stamps, as a gateway sets them


def _models(*models: SensorModel) -> dict[str, SensorModel]:
    return {m.name: m for m in models}


MODELS = _models(
    SensorModel("polar_h10", 50.0, 130.0, 1.0, 8.0, packet=36, jitter_ms=0.5),
    SensorModel("verity_sense", 52.0, 130.0, 0.24, 8.0, packet=36, jitter_ms=0.5),
    SensorModel("axivity_ax3", 100.0, 560.0, 3.90625, 8.0, packet=120, rate_error_frac=0.015),
    SensorModel("axivity_ax3_coarse", 100.0, 560.0, 15.625, 8.0, packet=120, rate_error_frac=0.015),
    SensorModel("empatica_e4", 32.0, 450.0, 15.625, 2.0, packet=32, rate_error_frac=0.002),
    SensorModel("lis2dh12", 25.0, 220.0, 1.0, 2.0, bias_mg=20.0),
    SensorModel("lis2dh12_8bit", 25.0, 400.0, 16.0, 2.0, bias_mg=20.0),
    SensorModel("adxl330", 25.0, 400.0, 1.0, 3.0, bias_mg=20.0),
    SensorModel("beastreamer", 52.0, 1200.0, 2.73, 3.0, rate_error_frac=0.0),
    SensorModel("lsm6dsox", 26.0, 90.0, 0.061, 2.0),
    SensorModel("lsm6dsox_12hz", 12.5, 90.0, 0.061, 2.0, packet=5),
    SensorModel("lsm6dsox_52hz", 52.0, 90.0, 0.061, 2.0),
    SensorModel("bma421", 12.5, 180.0, 0.98, 2.0, packet=1, jitter_ms=8.0),
)


@dataclass(frozen=True)
class Specimen:
    """One sensor of its kind, with the errors it happens to have."""

    model: SensorModel
    seed: int
    bias_mg: Floats
    gain: Floats
    rate_hz: float
    warming: Floats

    @classmethod
    def drawn(cls, model: SensorModel, seed: int) -> Specimen:
        """Take one out of the box."""
        draw = generator(seed, "specimen", model.name)
        errors = draw.standard_normal(10).clip(-2.0, 2.0)
        return cls(
            model,
            seed,
            errors[0:3] * model.bias_mg,
            1.0 + errors[3:6] * model.gain_frac,
            model.rate_hz * (1.0 + errors[6] * model.rate_error_frac),
            errors[7:10] * model.warming_mg_per_k,
        )

    def digitise(self, t_s: Floats, acc_g: Floats, tile: int, drift_mg_per_h: float = 0.0) -> NDArray[np.int32]:
        """Readings [n, 3] in units of 10 µg of the true specific force at these times."""
        model = self.model
        white = generator(self.seed, "white", tile).standard_normal(acc_g.shape)
        acc_mg = acc_g * (1000.0 * self.gain) + self.bias_mg
        acc_mg += white * (model.density_ug * 1e-3 * np.sqrt(model.rate_hz / 2.0))
        acc_mg += wander(t_s, 5.0, self.seed, "flicker", 3) * model.flicker_mg
        warmth = 1.0 - np.exp(-t_s / 600.0)
        acc_mg += (KELVIN_SPAN * warmth)[:, None] * self.warming + (t_s / 3600.0 * drift_mg_per_h)[:, None]
        digits = np.rint(acc_mg / model.step_mg)
        most = np.floor(model.range_g * 1000.0 / model.step_mg)
        digits = np.clip(digits, -most, most - 1.0)
        return np.rint(digits * (model.step_mg * UNITS_PER_MG)).astype(np.int32)

    def jitter_s(self, n: int, tile: int) -> Floats:
        """How late the stamps are; never enough to change their order."""
        if self.model.jitter_ms == 0.0:
            return np.zeros(n)
        late = np.abs(generator(self.seed, "jitter", tile).standard_normal(n)) * (self.model.jitter_ms * 1e-3)
        return np.asarray(late.clip(0.0, 0.8 / self.rate_hz))
