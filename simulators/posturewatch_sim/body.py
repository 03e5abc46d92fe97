"""A plan becomes what an ideal accelerometer on that body part would feel: specific force over time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import numpy as np

from posturewatch_sim.activities import STIR_NAMES, STIRS, Stir
from posturewatch_sim.noise import TAU, Floats, Rhythm, Tones, generator, wander
from posturewatch_sim.plan import Piece, Plan

SETTLE_S = 1.6  # from one pose to the next
HANDLE_SETTLE_S = 0.6
CROOKED_DEG = {"thigh": 8.0, "wrist": 50.0}  # how far a mount may be off; elsewhere 20 degrees
# the sensor's x lies along the body part, its z looks forward
STRAIGHT = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
COLUMN = {name: k for k, name in enumerate((*STIR_NAMES, "step_hz", "slip_deg"))}


class Body:
    """One wearer's body part with a sensor on it."""

    def __init__(self, plan: Plan) -> None:
        """Draw from the plan's seed what is this body's own: rhythms, tremor, how the sensor was put on."""
        self.plan = plan
        key = plan.key
        self.key = key
        self.mount = _mount(plan.part, key)
        self.breath = Rhythm.around(float(generator(key, "breaths").uniform(0.22, 0.28)), 0.08, key, "breath")
        self.heart = Rhythm.around(float(generator(key, "beats").uniform(1.0, 1.25)), 0.04, key, "heart")
        self.step = Rhythm.around(1.0, 0.02, key, "step")
        self.tremor = Tones.between(2.0, 9.0, key, "tremor")
        self.shake = Tones.between(2.0, 12.0, key, "shake")

    def force_g(self, t_s: Floats) -> Floats:
        """Specific force [n, 3] in g, in the sensor's own axes, at rising times that lie close together."""
        pieces = self.plan.until(float(t_s[-1]) + 1e-9)
        up, levels = self._levels(pieces, t_s)
        amounts = {name: levels[:, k] for name, k in COLUMN.items()}
        force = up + self._moving(t_s, amounts) * 1e-3
        pitch, side = self._turning(t_s, amounts, pieces)
        turned = _turned(force, np.radians(pitch + amounts["slip_deg"]), np.radians(side))
        return np.asarray(turned @ self.mount.T)

    def _levels(self, pieces: list[Piece], t_s: Floats) -> tuple[Floats, Floats]:
        """Up [n, 3] and every amplitude [n, k], passing smoothly from piece to piece."""
        first, last = (bisect_right(pieces, float(t), key=lambda p: p.start_s) for t in (t_s[0], t_s[-1]))
        chosen = pieces[max(first - 2, 0) : last]  # and the one before, from which the body comes
        starts, ends = np.array([(p.start_s, p.end_s) for p in chosen]).T
        index = np.searchsorted(starts, t_s, side="right") - 1
        rows = np.array([self._row(p) for p in chosen])
        ups = np.array([(p.up_from, p.up_to) for p in chosen])
        slips = np.array([(p.slip_from_deg, p.slip_to_deg) for p in chosen])
        abrupt = np.array([p.activity.stir in ("handled", "lying_about") for p in chosen])
        settle = np.where(abrupt, HANDLE_SETTLE_S, SETTLE_S)
        before = np.clip(index - 1, 0, None)
        done = ((t_s - starts[index]) / (ends - starts)[index]).clip(0.0, 1.0)[:, None]
        x = ((t_s - starts[index]) / settle[index]).clip(0.0, 1.0)[:, None]
        x = np.where((index == before)[:, None], 1.0, x * x * (3.0 - 2.0 * x))
        up = ups[index, 0] * (1.0 - done) + ups[index, 1] * done
        up = up * x + ups[before, 1] * (1.0 - x) + 1e-9
        up /= np.linalg.norm(up, axis=1)[:, None]
        levels = rows[index] * x + rows[before] * (1.0 - x)
        levels[:, COLUMN["step_hz"]] = rows[index, COLUMN["step_hz"]]
        levels[:, COLUMN["slip_deg"]] = slips[index, 0] * (1.0 - done[:, 0]) + slips[index, 1] * done[:, 0]
        return up, levels

    def _row(self, piece: Piece) -> list[float]:
        """The amplitudes of one piece in the order of `COLUMN`."""
        activity, options = piece.activity, piece.options
        stir: Stir = STIRS[activity.stir][self.plan.part]
        stir = stir.scaled(activity.sway * options.get("sway", 1.0), activity.gait * options.get("gait", 1.0))
        stir = replace(
            stir,
            breath_deg=options.get("breathing_deg", stir.breath_deg) if activity.worn else 0.0,
            gesture_frac=min(0.9, stir.gesture_frac * activity.gesture * options.get("gesture", 1.0)),
            shake_mg=options.get("shake_mg", activity.shake_mg) if activity.worn else 0.0,
        )
        step_hz = options.get("step_hz", activity.step_hz)
        return [*(float(getattr(stir, name)) for name in STIR_NAMES), step_hz, 0.0]

    def _moving(self, t_s: Floats, amounts: dict[str, Floats]) -> Floats:
        """Linear acceleration [n, 3] in mg: heart, tremor, vehicle, gait."""
        out = np.zeros((len(t_s), 3))
        if amounts["heart_mg"].any():
            beat = np.cos(self.heart.at(t_s)) ** 5  # narrower than a sine
            out += (amounts["heart_mg"] * beat)[:, None] * np.array([0.7, 0.2, 1.0])
        if amounts["tremor_mg"].any():
            burst = np.abs(wander(t_s, 3.0, self.key, "bursts"))[:, 0] * 0.8 + 0.35
            busy = 1.0 + 2.0 * amounts["gesture_frac"]  # a hand at work
            out += self.tremor.at(t_s) * (amounts["tremor_mg"] * burst * busy)[:, None]
        if amounts["shake_mg"].any():
            out += self.shake.at(t_s) * (amounts["shake_mg"] * 0.577)[:, None]
        if amounts["gait_mg"].any():
            out += self._gait(t_s, amounts)
        return out

    def _gait(self, t_s: Floats, amounts: dict[str, Floats]) -> Floats:
        """Two unequal steps a stride, with harmonics; the heel's blow is in the higher ones."""
        p = self.step.at(t_s * amounts["step_hz"])
        draw = generator(self.key, "gait")
        a, b, c, d = draw.uniform(0.0, TAU, 4)
        along = np.cos(p) + 0.45 * np.cos(2 * p + a) + 0.25 * np.cos(3 * p + b) + 0.2 * np.cos(p / 2 + c)
        forward = 0.5 * np.cos(p + d) + 0.25 * np.cos(2 * p + a)
        aside = 0.45 * np.cos(p / 2 + b) + 0.15 * np.cos(1.5 * p + c)
        strength = amounts["gait_mg"] * (1.0 + 0.12 * wander(t_s, 6.0, self.key, "pace")[:, 0]) / 0.81
        return np.stack([forward, aside, along], axis=1) * strength[:, None]

    def _turning(self, t_s: Floats, amounts: dict[str, Floats], pieces: list[Piece]) -> tuple[Floats, Floats]:
        """Small rotations in degrees about the part's left and forward axes."""
        key = self.key
        angles = wander(t_s, 2.0, key, "sway", 2) * amounts["sway_deg"][:, None]
        angles += wander(t_s, 45.0, key, "slow", 2) * amounts["slow_deg"][:, None]
        if amounts["gesture_deg"].any():
            part = np.clip(amounts["gesture_frac"], 1e-3, 0.95)
            often = np.log(part / (1.0 - part)) / 1.702  # the normal quantile, nearly
            gate = 1.0 / (1.0 + np.exp(-8.0 * (wander(t_s, 9.0, key, "gate")[:, 0] + often)))
            angles += wander(t_s, 0.9, key, "gesture", 2) * (amounts["gesture_deg"] * gate)[:, None]
        if amounts["handle_deg"].any():
            angles += wander(t_s, 0.8, key, "handling", 2) * amounts["handle_deg"][:, None]
        pitch, side = angles[:, 0], angles[:, 1]
        pitch = pitch + amounts["breath_deg"] * np.sin(self.breath.at(t_s))
        if amounts["swing_deg"].any():
            swing = np.sin(self.step.at(t_s * amounts["step_hz"]) / 2) + 0.15 * wander(t_s, 0.9, key, "stride")[:, 0]
            pitch = pitch + amounts["swing_deg"] * swing
        return self._fidgeted(t_s, pitch, side, pieces)

    def _fidgeted(self, t_s: Floats, pitch: Floats, side: Floats, pieces: list[Piece]) -> tuple[Floats, Floats]:
        for piece in reversed(pieces):
            if piece.end_s < t_s[0]:
                break
            for fidget in piece.fidgets:
                x = (t_s - fidget.start_s) / fidget.length_s
                if x[0] < 1.0 and x[-1] > 0.0:
                    hump = np.where((x > 0.0) & (x < 1.0), np.sin(np.pi * x) ** 2, 0.0)
                    pitch = pitch + hump * fidget.flexion_deg
                    side = side + hump * fidget.lateral_deg
        return pitch, side


def _turned(vectors: Floats, pitch: Floats, side: Floats) -> Floats:
    """Vectors [n, 3] as a part leaning forwards by `pitch` and sideways by `side` (rad) sees them."""
    c, s = np.cos(pitch), np.sin(pitch)
    x = vectors[:, 0] * c - vectors[:, 2] * s
    z = vectors[:, 0] * s + vectors[:, 2] * c
    c, s = np.cos(side), np.sin(side)
    return np.stack([x, vectors[:, 1] * c + z * s, z * c - vectors[:, 1] * s], axis=1)


def _mount(part: str, seed: int) -> Floats:
    """From the part's axes to those of a sensor put on by a hurried person (Rodrigues' rotation formula)."""
    draw = generator(seed, "mount")
    axis = draw.standard_normal(3)
    axis /= np.linalg.norm(axis)
    angle = np.radians(CROOKED_DEG.get(part, 20.0)) * draw.uniform(0.2, 1.0)
    k = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    crooked = np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * (k @ k)
    return np.asarray(crooked @ STRAIGHT)
