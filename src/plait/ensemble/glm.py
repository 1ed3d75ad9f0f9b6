"""Generalised linear models with an L2 penalty: softmax, sigmoid or identity link, dense or sparse features.

    minimise  sum_n w_n loss(W x_n + b, y_n) / sum_n w_n + (penalty / 2) |W|^2        b is not penalised

Solved by L-BFGS from the solution of the stronger penalty before, so that a path of penalties costs little more than
one. The solution lies in the span of the rows (representer theorem; Kimeldorf and Wahba 1971). Where that is narrow, of
fewer rows than features, or of rows that repeat, such as many questions about each of few pictures, an orthonormal
basis of it is solved in instead, which has the same penalty and takes less.

In: features [N, D] (a numpy array or a SciPy CSR matrix) and targets [N, C]. Out: weights [D, C] and bias [C].
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

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

    one_thread = _blas_of_scipy()
    for penalty in sorted(penalties, reverse=True):
        with one_thread.limit(limits=1):
            solved = minimize(
                _objective(features, target_NC, link, penalty, weight_N), begin, jac=True, method="L-BFGS-B",
                callback=halt, options={"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "gtol": 1e-5},
            )  # fmt: skip
        begin = solved.x
        weight_DC = begin[: width * outputs].reshape(outputs, width).T
        weight_DC = np.ascontiguousarray(weight_DC if basis_DR is None else basis_DR @ weight_DC)
        yield penalty, weight_DC, begin[width * outputs :].copy()


@functools.cache
def _blas_of_scipy() -> ThreadpoolController:
    """The BLAS that SciPy brings along, empty where it shares that of NumPy.

    Its threads wait busily between the solver's tiny products, on the cores that NumPy's large ones need: with two
    threads each, a path takes four times as long as with one of SciPy's.
    """
    from threadpoolctl import ThreadpoolController  # only fitting needs it

    found = ThreadpoolController()
    return found.select(filepath=[one["filepath"] for one in found.info() if "scipy.libs" in one["filepath"]])


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
    """Value and slope at weights and biases that stand in one row: [C * D] and then [C].

    The few outputs come first in every product, which BLAS multiplies up to three times as fast as few columns.
    """
    width, outputs = features.shape[1], target_NC.shape[1]
    share_N1 = (weight_N / weight_N.sum())[:, None]
    turned = features.T.tocsr() if hasattr(features, "tocsr") else None

    def evaluate(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight_CD = flat[: width * outputs].reshape(outputs, width)
        scores_NC = (weight_CD @ features.T).T if turned is None else np.asarray(features @ weight_CD.T)
        loss_N, error_NC = _loss(scores_NC + flat[width * outputs :], target_NC, link)
        error_NC = error_NC * share_N1
        slope_CD = error_NC.T @ features if turned is None else np.asarray(turned @ error_NC).T
        value = float(loss_N @ share_N1[:, 0]) + 0.5 * penalty * float((weight_CD**2).sum())
        return value, np.concatenate([(slope_CD + penalty * weight_CD).reshape(-1), error_NC.sum(axis=0)])

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
