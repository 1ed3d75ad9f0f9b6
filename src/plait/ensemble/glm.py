"""Generalised linear models with an L2 penalty: softmax, sigmoid or identity link, dense or sparse features.

    minimise  sum_n w_n loss(W x_n + b, y_n) / sum_n w_n + (penalty / 2) |W|^2        b is not penalised

Solved by L-BFGS from the solution of the stronger penalty before, so that a path of penalties costs little more than
one. The solution lies in the span of the rows (representer theorem; Kimeldorf and Wahba 1971). Where that is narrow, of
fewer rows than features, or of rows that repeat, such as many questions about each of few pictures, an orthonormal
basis of it is solved in instead, which has the same penalty and takes less.

In: features [N, D] (a numpy array or a SciPy CSR matrix) and targets [N, C]. Out: weights [D, C] and bias [C].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

MAX_STEPS = 200
WIDE = 512  # features from which the width of the span is looked at
NARROW = 0.6  # share of the features below which a span of many rows is narrow
NOTHING = 1e-12  # of the largest eigenvalue: a direction that no row has
Stops = Callable[[], bool]  # whether a fit that tries one thing after the other ends with what it has


def never() -> bool:
    """A fit that has all the time it needs."""
    return False


def linear_path(
    features: Any, target_NC: np.ndarray, link: str, penalties: Sequence[float], stops: Stops = never,
    weight_N: np.ndarray | None = None,
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:  # fmt: skip
    """Penalty, weights [D, C] and bias [C], the strongest penalty first.

    Args:
        features: [N, D].
        target_NC: One-hot classes, labels 0 and 1, or numbers.
        link: "softmax", "sigmoid" or "identity".
        penalties: Any order.
        stops: Asked after each step of the solver; True: the solution is what it stands at, and none follows.
        weight_N: How much each row counts, 0 or more; None: all alike.
    """
    from scipy.optimize import minimize  # only fitting needs it

    basis_DR = _basis_of_span(features) if isinstance(features, np.ndarray) else None
    if basis_DR is not None:
        features = features @ basis_DR
    width, outputs = features.shape[1], target_NC.shape[1]
    begin = np.zeros((width + 1) * outputs)
    weight_N = np.ones(len(target_NC)) if weight_N is None else weight_N
    begin[width * outputs :] = _first_bias(target_NC, link, weight_N)

    def halt(intermediate_result: Any) -> None:
        if stops():
            raise StopIteration  # how SciPy is told to end with what it has

    for penalty in sorted(penalties, reverse=True):
        solved = minimize(
            _objective(features, target_NC, link, penalty, weight_N), begin, jac=True, method="L-BFGS-B", callback=halt,
            options={"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "gtol": 1e-5},
        )  # fmt: skip
        begin = solved.x
        weight_DC = begin[: width * outputs].reshape(width, outputs)
        yield penalty, weight_DC.copy() if basis_DR is None else basis_DR @ weight_DC, begin[width * outputs :].copy()


def _basis_of_span(features_ND: np.ndarray) -> np.ndarray | None:
    """An orthonormal basis of the span of the rows [D, R]; None where it is about as wide as the features."""
    rows, width = features_ND.shape
    if rows < width:
        return np.asarray(np.linalg.qr(features_ND.T)[0])
    if width < WIDE:
        return None
    values, vectors = np.linalg.eigh(features_ND.T @ features_ND)
    is_there = values > NOTHING * values[-1]
    return vectors[:, is_there] if is_there.sum() < NARROW * width else None


def activate(scores_NC: np.ndarray, link: str) -> np.ndarray:
    """Scores to outputs."""
    if link == "identity":
        return scores_NC
    scores = torch.as_tensor(scores_NC)
    return np.asarray(scores.softmax(dim=1) if link == "softmax" else scores.sigmoid())


def _objective(
    features: Any, target_NC: np.ndarray, link: str, penalty: float, weight_N: np.ndarray
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    width, outputs = features.shape[1], target_NC.shape[1]
    share_N1 = (weight_N / weight_N.sum())[:, None]
    turned = features.T.tocsr() if hasattr(features, "tocsr") else features.T

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight_DC = flat[: width * outputs].reshape(width, outputs)
        scores_NC = np.asarray(features @ weight_DC) + flat[width * outputs :]
        loss_N, error_NC = _loss(scores_NC, target_NC, link)
        error_NC = error_NC * share_N1
        slope_DC = np.asarray(turned @ error_NC) + penalty * weight_DC
        value = float(loss_N @ share_N1[:, 0]) + 0.5 * penalty * float((weight_DC**2).sum())
        return value, np.concatenate([slope_DC.reshape(-1), error_NC.sum(axis=0)])

    return evaluate


def _loss(scores_NC: np.ndarray, target_NC: np.ndarray, link: str) -> tuple[np.ndarray, np.ndarray]:
    """Loss of each row [N] and its slope by the scores [N, C]."""
    from scipy.special import expit, log_expit, log_softmax

    if link == "softmax":
        log_NC = log_softmax(scores_NC, axis=1)
        return -(log_NC * target_NC).sum(1), np.exp(log_NC) - target_NC
    if link == "sigmoid":
        loss_NC = -(target_NC * log_expit(scores_NC) + (1 - target_NC) * log_expit(-scores_NC))
        return loss_NC.sum(1), expit(scores_NC) - target_NC
    error_NC = scores_NC - target_NC
    return 0.5 * (error_NC**2).sum(1), error_NC


def _first_bias(target_NC: np.ndarray, link: str, weight_N: np.ndarray) -> np.ndarray:
    mean_C = np.average(target_NC, axis=0, weights=weight_N)
    if link == "identity":
        return np.asarray(mean_C)
    mean_C = np.clip(mean_C, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(mean_C) if link == "softmax" else np.log(mean_C) - np.log(1 - mean_C))
