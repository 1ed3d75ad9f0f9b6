"""Perceptual score: how much a model loses when the values of one modality are dealt to the wrong rows.

In: the metric on the true rows and on several shufflings. Out: the mean drop, raw and divided by a normaliser, with
its standard deviation over the shufflings. It says what a model *uses*, not what is informative: of two modalities that
carry the same, a model may use one.

Reference: Gat, Schwartz and Schwing 2021, "Perceptual Score: What Data Modalities Does Your Model Perceive?",
NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def perceptual_score(full: float, shuffled: Sequence[float], *, level: float = 0.95) -> dict[str, Any]:
    """Drop of a metric when one modality is shuffled.

    Args:
        full: The metric on the true rows (higher is better).
        shuffled: The metric of each shuffling, at least one.
        level: Share of the shufflings that the interval holds.

    Returns:
        ``raw`` (full less the mean of the shuffled) and ``normalised`` (raw over ``full``, None unless ``full`` is
        above 0), each ``{"value", "low", "high"}``: quantiles over the shufflings, None with fewer than two. Also
        ``spread`` (their standard deviation) and ``permutations`` (how many).

    Raises:
        ValueError: No shuffling, or NaN or infinite numbers.

    Reference:
        Gat et al. 2021; normalised by the metric of the model itself, not by the task.

    Example:
        >>> perceptual_score(0.75, [0.5, 0.5])["raw"]["value"]
        0.25
    """
    drawn = np.asarray(shuffled, dtype=np.float64)
    if drawn.ndim != 1 or len(drawn) == 0:
        raise ValueError("no shuffled metric; give at least one")
    if not np.isfinite(drawn).all() or not np.isfinite(full):
        raise ValueError("a metric is NaN or infinite; the perceptual score needs numbers")
    drops = float(full) - drawn
    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = (float(q) for q in np.quantile(drops, ends)) if len(drops) > 1 else (None, None)
    raw = {"value": float(drops.mean()), "low": low, "high": high}
    normalised: dict[str, float | None] = dict.fromkeys(raw)
    if full > 0:
        normalised = {key: None if value is None else value / full for key, value in raw.items()}
    return {
        "raw": raw,
        "normalised": normalised,
        "spread": float(drops.std(ddof=1)) if len(drops) > 1 else None,
        "permutations": len(drops),
    }


def shuffled_rows(has: Sequence[bool] | NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers ``[N]`` that deal a modality anew among the rows that have it; the others stay as they are.

    Example:
        >>> int(shuffled_rows([True, False, True], np.random.default_rng(0))[1])
        1
    """
    there = np.flatnonzero(np.asarray(has, dtype=bool))
    rows = np.arange(len(has), dtype=np.int64)
    rows[there] = rng.permutation(there)
    return rows
