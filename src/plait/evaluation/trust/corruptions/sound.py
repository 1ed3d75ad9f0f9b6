"""Sounds damaged: noise at a given ratio of signal to noise, gain, cuts. Samples [T] of about -1 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.trust.corruptions.base import CORRUPTIONS, Corruption

Samples = NDArray[np.float32]


def _noise(samples: Samples, decibels: float, rng: np.random.Generator) -> Samples:
    """White noise; of silence nothing is louder, so it stays silent."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    noise = rng.standard_normal(len(samples)) * (power / 10 ** (decibels / 10)) ** 0.5
    return np.asarray(samples + noise, dtype=np.float32)


def _gain(samples: Samples, decibels: float, rng: np.random.Generator) -> Samples:
    return np.asarray(samples * np.float32(10 ** (-decibels / 20)), dtype=np.float32)


def _cuts(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """One span of silence."""
    length = round(strength * len(samples))
    start = int(rng.random() * (len(samples) - length + 1))
    made = samples.copy()
    made[start : start + length] = 0.0
    return made


for name, strengths, what, apply in (
    ("noise", (20.0, 10.0, 5.0, 0.0, -5.0), "ratio of signal to noise in dB", _noise),
    ("gain", (6.0, 12.0, 18.0, 24.0, 36.0), "dB quieter", _gain),
    ("cuts", (0.05, 0.1, 0.2, 0.35, 0.5), "part of the time", _cuts),
):
    CORRUPTIONS.add(f"audio_{name}", Corruption(("audio",), strengths, what, apply))
