"""On which scale a model adds up its modalities: EMAP looks for a sum there, and goes back to scores.

A fusion that averages probabilities is a sum of probabilities, and no sum of their logarithms: on the wrong scale an
additive model shows interaction that it does not have. In: scores of classes (logits). Out: what is summed; and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plait.explain.measure import EPS, softmax


@dataclass(frozen=True)
class Scale:
    """One scale.

    Attributes:
        words: What is summed, in words; None: the subject's own scores.
        of_scores: Scores ``[N, C]`` to what is summed ``[N, C]``.
        to_scores: Back; a projection that left the range of the scale is cut to it.
        is_relative: Whether the same number added to all classes changes no answer.
    """

    words: str | None
    of_scores: Callable[[np.ndarray], np.ndarray]
    to_scores: Callable[[np.ndarray], np.ndarray]
    is_relative: bool


def growth_of_evidence(logits_NC: np.ndarray) -> np.ndarray:
    """g_c = log(1 + e_c / C) of logits log(1 + e_c): what evidential fusion adds up."""
    return np.log1p(np.expm1(np.maximum(logits_NC, 0.0)) / logits_NC.shape[1])


def logits_of_growth(growth_NC: np.ndarray) -> np.ndarray:
    """log(1 + e_c) of g_c = log(1 + e_c / C), written so that it does not overflow."""
    growth_NC, count = np.maximum(growth_NC, 0.0), growth_NC.shape[1]
    logits: np.ndarray = growth_NC + np.log(count - (count - 1) * np.exp(-growth_NC))
    return logits


def evidence(logits_NC: np.ndarray) -> np.ndarray:
    """e_c of logits log(1 + e_c): what is averaged where opinions are not multiplied."""
    return np.expm1(np.maximum(logits_NC, 0.0))


def logits_of_evidence(evidence_NC: np.ndarray) -> np.ndarray:
    """log(1 + e_c) of evidence e_c."""
    return np.log1p(np.maximum(evidence_NC, 0.0))


SCALES = {
    "logits": Scale(None, lambda s: s, lambda s: s, is_relative=True),
    "probabilities": Scale(
        "probabilities, which this fusion averages", softmax, lambda p: np.log(np.clip(p, EPS, None)), is_relative=True
    ),
    "evidence": Scale(
        "the log growth of evidence, which this fusion adds up", growth_of_evidence, logits_of_growth, is_relative=False
    ),
    "mean evidence": Scale("evidence, which this fusion averages", evidence, logits_of_evidence, is_relative=False),
}
