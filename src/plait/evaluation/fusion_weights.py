"""The shares that a fusion gives the modalities (``weights_BM``, the gates of a gated one), over judged rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from plait.evaluation.base import EvaluationInputs
from plait.fusion import FusionOutput
from plait.inference.forward import RowBatches, predict_logits

MOST_ROWS = 2000


def fusion_weights(given: EvaluationInputs, seed: int = 0) -> dict[str, Any] | None:
    """Mean and spread of each modality's weight over the rows in which it is there.

    Args:
        given: The judged rows; of more than 2,000 a sample of so many, drawn with the seed.
        seed: Of the sample.

    Returns:
        ``rows`` that were asked, and ``modalities``: ``modality``, ``rows`` in which it is there, ``mean``,
        ``standard_deviation`` over rows, and ``low`` and ``high``, between which nine rows of ten lie (5 % and 95 %
        quantiles; no confidence interval). None: the fusion gives no weights, or there is one modality.
    """
    names = given.model.config.modality_names
    if len(names) < 2 or not len(given.positions):
        return None
    places = np.arange(len(given.positions))
    if len(places) > MOST_ROWS:
        places = np.sort(np.random.default_rng([seed, len(places)]).choice(places, MOST_ROWS, replace=False))
    index_NM = given.prepared.rows.index_NM[given.positions[places]]
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, arguments: tuple[Any, ...], output: FusionOutput) -> None:
        if output.weights_BM is not None:
            seen.append((output.weights_BM.detach().float().cpu(), arguments[1].cpu()))

    hook = given.model.fusion.register_forward_hook(keep)
    try:
        for rows_NM in (index_NM[:2], index_NM):  # two rows tell whether it gives any
            seen.clear()
            predict_logits(given.model, RowBatches(given.prepared.sources, rows_NM))
            if not seen:
                return None
    finally:
        hook.remove()
    weights_NM, present_NM = (np.concatenate([one[k].numpy() for one in seen]) for k in (0, 1))
    return {
        "rows": len(places),
        "modalities": [_of_one(name, weights_NM[present_NM[:, m].astype(bool), m]) for m, name in enumerate(names)],
    }


def _of_one(name: str, weights_N: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"modality": name, "rows": len(weights_N)}
    if not len(weights_N):
        return found | dict.fromkeys(("mean", "standard_deviation", "low", "high"))
    low, high = np.quantile(weights_N, [0.05, 0.95])
    spread = float(weights_N.std(ddof=1)) if len(weights_N) > 1 else None
    return found | {
        "mean": float(weights_N.mean()), "standard_deviation": spread, "low": float(low), "high": float(high),
    }  # fmt: skip
