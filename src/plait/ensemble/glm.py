"""Generalised linear models with an L2 penalty: softmax, sigmoid or identity link, dense or sparse features.

    minimise  mean_n loss(W x_n + b, y_n) + (penalty / 2) |W|^2        b is not penalised

Solved by L-BFGS from the solution of the stronger penalty before, so that a path of penalties costs little more than
one. In: features [N, D] (a numpy array or a SciPy CSR matrix) and targets [N, C]. Out: weights [D, C] and bias [C].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

MAX_STEPS = 200
Stops = Callable[[], bool]  # whether a fit that tries one thing after the other ends with what it has


def never() -> bool:
    """A fit that has all the time it needs."""
    return False


def linear_path(
    features: Any, target_NC: np.ndarray, link: str, penalties: Sequence[float], stops: Stops = never
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Penalty, weights [D, C] and bias [C], the strongest penalty first.

    Args:
        features: [N, D].
        target_NC: One-hot classes, labels 0 and 1, or numbers.
        link: "softmax", "sigmoid" or "identity".
        penalties: Any order.
        stops: Asked after each step of the solver; True: the solution is what it stands at, and none follows.
    """
    from scipy.optimize import minimize  # only fitting needs it

    width, outputs = features.shape[1], target_NC.shape[1]
    begin = np.zeros((width + 1) * outputs)
    begin[width * outputs :] = _first_bias(target_NC, link)

    def halt(intermediate_result: Any) -> None:
        if stops():
            raise StopIteration  # how SciPy is told to end with what it has

    for penalty in sorted(penalties, reverse=True):
        solved = minimize(
            _objective(features, target_NC, link, penalty), begin, jac=True, method="L-BFGS-B", callback=halt,
            options={"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "gtol": 1e-5},
        )  # fmt: skip
        begin = solved.x
        weight_DC = begin[: width * outputs].reshape(width, outputs)
        yield penalty, weight_DC.copy(), begin[width * outputs :].copy()


def activate(scores_NC: np.ndarray, link: str) -> np.ndarray:
    """Scores to outputs."""
    if link == "identity":
        return scores_NC
    scores = torch.as_tensor(scores_NC)
    return np.asarray(scores.softmax(dim=1) if link == "softmax" else scores.sigmoid())


def _objective(
    features: Any, target_NC: np.ndarray, link: str, penalty: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    rows, (width, outputs) = len(target_NC), (features.shape[1], target_NC.shape[1])
    turned = features.T.tocsr() if hasattr(features, "tocsr") else features.T

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight_DC = flat[: width * outputs].reshape(width, outputs)
        scores_NC = np.asarray(features @ weight_DC) + flat[width * outputs :]
        loss, error_NC = _loss(scores_NC, target_NC, link)
        slope_DC = np.asarray(turned @ error_NC) / rows + penalty * weight_DC
        value = loss / rows + 0.5 * penalty * float((weight_DC**2).sum())
        return value, np.concatenate([slope_DC.reshape(-1), error_NC.mean(axis=0)])

    return evaluate


def _loss(scores_NC: np.ndarray, target_NC: np.ndarray, link: str) -> tuple[float, np.ndarray]:
    """Summed loss and its slope by the scores."""
    from scipy.special import expit, log_expit, log_softmax

    if link == "softmax":
        log_NC = log_softmax(scores_NC, axis=1)
        return -float((log_NC * target_NC).sum()), np.exp(log_NC) - target_NC
    if link == "sigmoid":
        loss = -(target_NC * log_expit(scores_NC) + (1 - target_NC) * log_expit(-scores_NC)).sum()
        return float(loss), expit(scores_NC) - target_NC
    error_NC = scores_NC - target_NC
    return 0.5 * float((error_NC**2).sum()), error_NC


def _first_bias(target_NC: np.ndarray, link: str) -> np.ndarray:
    mean_C = target_NC.mean(axis=0)
    if link == "identity":
        return np.asarray(mean_C)
    mean_C = np.clip(mean_C, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(mean_C) if link == "softmax" else np.log(mean_C) - np.log(1 - mean_C))
