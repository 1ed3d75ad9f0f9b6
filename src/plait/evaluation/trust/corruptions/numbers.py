"""Numbers damaged: noise as large as a part of the column's spread, and values that go missing.

A column [N] comes in, or the vectors of a column [N, D]; a missing number is NaN and stays so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.trust.corruptions.base import CORRUPTIONS, Corruption

Floats = NDArray[np.float64]


def _noise(values: Floats, strength: float, rng: np.random.Generator) -> Floats:
    known = np.isfinite(values)
    deviation = np.where(known, values, 0.0).std(axis=0, where=known) if known.any() else np.float64(0.0)
    return np.asarray(values + strength * np.nan_to_num(deviation) * rng.standard_normal(values.shape))


def _missing(values: Floats, strength: float, rng: np.random.Generator) -> Floats:
    gone = rng.random(len(values)) < strength
    made = np.array(values, dtype=np.float64)
    made[gone] = np.nan
    return made


CORRUPTIONS.add(
    "number_noise",
    Corruption(("tabular", "vector"), (0.1, 0.2, 0.4, 0.8, 1.6), "standard deviations of the column", _noise),
)
CORRUPTIONS.add(
    "number_missing", Corruption(("tabular", "vector"), (0.05, 0.1, 0.2, 0.4, 0.6), "part of the values", _missing)
)
