"""The metrics of labels and numbers on many bootstrap resamples at once.

A resample is how often each row was drawn, ``[R, N]``. Rows are sorted once, and a resample costs sums instead of one
call of ``plait.metrics.label`` each; the numbers are the same. What is undefined on a resample is NaN there. Arrays are
not checked here: the metric of the rows themselves, which is always measured too, does that.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.intervals import Floats, Resampled
from plait.metrics.label import EPS

RANKED = {"auroc", "average_precision", "auroc_macro", "mAP"}


def classification_resampled(y_true: ArrayLike, proba: ArrayLike, guess: ArrayLike) -> Resampled:
    """``classification_metrics`` on resamples of the rows.

    Args:
        y_true: Class numbers ``[N]``.
        proba: Probabilities ``[N, C]``.
        guess: Predicted class numbers ``[N]``.

    Returns:
        From counts ``[R, N]`` and the names of the wanted metrics to each of them ``[R]``, NaN where it is undefined.

    Example:
        >>> on = classification_resampled([0, 1], [[0.9, 0.1], [0.6, 0.4]], [0, 0])
        >>> on(np.array([[1.0, 1.0], [2.0, 0.0]]), ["accuracy"])["accuracy"].tolist()
        [0.5, 1.0]
    """
    truth_N, scores_NC = np.asarray(y_true).astype(np.int64), np.asarray(proba, dtype=np.float64)
    guess_N, num_classes = np.asarray(guess).astype(np.int64), scores_NC.shape[1]
    is_right_N = (truth_N == guess_N).astype(np.float64)
    loss_N = -np.log(np.clip(scores_NC[np.arange(len(truth_N)), truth_N], EPS, 1.0))
    columns = [1] if num_classes == 2 else list(range(num_classes))
    ranked = RankedColumns(truth_N[:, None] == np.array(columns), scores_NC[:, columns])

    def measure(counts_RN: Floats, names: Collection[str]) -> dict[str, Floats]:
        rows_R = counts_RN.sum(axis=1)
        found = {"accuracy": counts_RN @ is_right_N / rows_R, "log_loss": counts_RN @ loss_N / rows_R}
        if not set(names) - set(found):
            return found
        seen_K, place_2N = np.unique(np.concatenate([truth_N, guess_N]), return_inverse=True)
        is_truth_NK, is_guess_NK = np.eye(len(seen_K))[place_2N.reshape(2, -1)]
        truths_RK, sizes_RK = counts_RN @ is_truth_NK, counts_RN @ (is_truth_NK + is_guess_NK)
        hits_RK = counts_RN @ (is_truth_NK * is_guess_NK)
        f1_RK, true_RK = 2.0 * hits_RK / np.maximum(sizes_RK, 1.0), truths_RK > 0
        found |= {
            "balanced_accuracy": (hits_RK / np.maximum(truths_RK, 1.0)).sum(axis=1) / true_RK.sum(axis=1),
            "f1_macro": f1_RK.sum(axis=1) / (sizes_RK > 0).sum(axis=1),
            "f1_weighted": (f1_RK * truths_RK).sum(axis=1) / rows_R,
        }
        if RANKED & set(names):
            has_two_R = true_RK.sum(axis=1) > 1
            for name, mean_R in zip(("auroc", "average_precision"), ranked(counts_RN), strict=True):
                found[name] = np.where(has_two_R, mean_R, np.nan)
        return found

    return measure


def multilabel_resampled(y: ArrayLike, proba: ArrayLike, *, threshold: ArrayLike = 0.5) -> Resampled:
    """``multilabel_metrics`` on resamples of the rows.

    Args:
        y: Truth ``[N, C]`` of 0 and 1.
        proba: Probabilities ``[N, C]``.
        threshold: As there.

    Returns:
        As ``classification_resampled``.
    """
    truth_NC, scores_NC = np.asarray(y).astype(bool), np.asarray(proba, dtype=np.float64)
    guess_NC = scores_NC >= np.asarray(threshold, dtype=np.float64)
    loss_NC = -np.log(np.clip(np.where(truth_NC, scores_NC, 1.0 - scores_NC), EPS, 1.0))
    is_hit_NC = (truth_NC & guess_NC).astype(np.float64)
    size_NC = truth_NC.astype(np.float64) + guess_NC
    per_row = {
        "exact_match": (truth_NC == guess_NC).all(axis=1).astype(np.float64),
        "hamming": (truth_NC != guess_NC).mean(axis=1), "log_loss": loss_NC.mean(axis=1),
    }  # fmt: skip
    ranked = RankedColumns(truth_NC, scores_NC)

    def measure(counts_RN: Floats, names: Collection[str]) -> dict[str, Floats]:
        rows_R = counts_RN.sum(axis=1)
        hits_RC, sizes_RC = counts_RN @ is_hit_NC, counts_RN @ size_NC
        found = {name: counts_RN @ values_N / rows_R for name, values_N in per_row.items()}
        found["f1_micro"] = _over(2.0 * hits_RC.sum(axis=1), sizes_RC.sum(axis=1))
        found["f1_macro"] = _over((2.0 * hits_RC / np.maximum(sizes_RC, 1.0)).sum(axis=1), (sizes_RC > 0).sum(axis=1))
        if RANKED & set(names):
            found["auroc_macro"], found["mAP"] = ranked(counts_RN)
        return found

    return measure


def regression_resampled(y: ArrayLike, pred: ArrayLike) -> Resampled:
    """``regression_metrics`` on resamples of the rows.

    Args:
        y: Truth ``[N]``.
        pred: Prediction ``[N]``.

    Returns:
        As ``classification_resampled``.
    """
    truth_N, pred_N = np.asarray(y, dtype=np.float64), np.asarray(pred, dtype=np.float64)
    error_N = pred_N - truth_N
    # Sums of squares around a mean are taken as differences: near zero, where most rows are, these are exact enough.
    a_N, b_N = truth_N - np.median(truth_N), pred_N - np.median(pred_N)

    def measure(counts_RN: Floats, names: Collection[str]) -> dict[str, Floats]:
        rows_R = counts_RN.sum(axis=1)
        squared_R, sum_a_R, sum_b_R = counts_RN @ error_N**2, counts_RN @ a_N, counts_RN @ b_N
        around_a_R = counts_RN @ a_N**2 - sum_a_R**2 / rows_R
        around_b_R = counts_RN @ b_N**2 - sum_b_R**2 / rows_R
        together_R = counts_RN @ (a_N * b_N) - sum_a_R * sum_b_R / rows_R
        a_varies_R, b_varies_R = _varies(counts_RN, truth_N), _varies(counts_RN, pred_N)
        both_R = np.where(a_varies_R & b_varies_R, around_a_R * around_b_R, 0.0)
        return {
            "mae": counts_RN @ np.abs(error_N) / rows_R,
            "rmse": np.sqrt(squared_R / rows_R),
            "r2": 1.0 - _over(squared_R, np.where(a_varies_R, around_a_R, 0.0)),
            "pearson": np.clip(_over(together_R, np.sqrt(np.maximum(both_R, 0.0))), -1.0, 1.0),
        }

    return measure


def ordinal_resampled(y_true: ArrayLike, y_pred: ArrayLike) -> Resampled:
    """``ordinal_metrics`` on resamples of the rows.

    Args:
        y_true: True ranks ``[N]``.
        y_pred: Predicted ranks ``[N]``.

    Returns:
        As ``classification_resampled``.
    """
    truth_N, pred_N = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    off_N = np.abs(truth_N - pred_N)

    def measure(counts_RN: Floats, names: Collection[str]) -> dict[str, Floats]:
        rows_R = counts_RN.sum(axis=1)
        # The sum over all pairs of (i - j)^2, which the table by chance is weighted with, opened up.
        products_R = (counts_RN @ truth_N) * (counts_RN @ pred_N)
        by_chance_R = counts_RN @ (truth_N**2 + pred_N**2) - 2.0 * products_R / rows_R
        kappa_R = 1.0 - _over(counts_RN @ off_N**2, np.where(by_chance_R > 1e-9, by_chance_R, 0.0))
        return {"rank_mae": counts_RN @ off_N / rows_R, "quadratic_kappa": kappa_R}

    return measure


class _Ranks:
    """One column of scores, sorted once: area under the ROC curve and average precision of any resample of its rows."""

    def __init__(self, scores_N: Floats, truth_N: NDArray[np.bool_]) -> None:
        self.order_N = np.argsort(-scores_N, kind="stable")
        falling_N, self.truth_N = scores_N[self.order_N], truth_N[self.order_N].astype(np.float64)
        self.first_S = np.flatnonzero(np.append(True, np.diff(falling_N) != 0))  # tied scores are one step

    def measure(self, counts_RN: Floats) -> tuple[Floats, Floats]:
        """Area under the ROC curve [R], average precision [R]."""
        sorted_RN = counts_RN[:, self.order_N]
        step_RS = np.add.reduceat(sorted_RN, self.first_S, axis=1)
        hits_RS = np.add.reduceat(sorted_RN * self.truth_N, self.first_S, axis=1)
        seen_RS, found_RS = np.cumsum(step_RS, axis=1), np.cumsum(hits_RS, axis=1)
        positive_R = found_RS[:, -1]
        negative_R = seen_RS[:, -1] - positive_R
        # A positive row scores above the negative ones that come later, and half above those of its own step.
        below_RS = negative_R[:, None] - (seen_RS - found_RS) + (step_RS - hits_RS) / 2.0
        area_R = _over((hits_RS * below_RS).sum(axis=1), positive_R * negative_R)
        precision_RS = found_RS / np.maximum(seen_RS, 1.0)
        return area_R, _over((precision_RS * hits_RS).sum(axis=1), positive_R)


class RankedColumns:
    """Area under the ROC curve and average precision of columns of scores, as means over the columns.

    Args:
        truth_NC: Which rows are positive, one column a label.
        scores_NC: Their scores.
    """

    def __init__(self, truth_NC: NDArray[np.bool_], scores_NC: Floats) -> None:  # noqa: N803  shape letters
        self.truth_NC, self.scores_NC = truth_NC, scores_NC
        self._ranks: list[_Ranks] = []

    def __call__(self, counts_RN: Floats) -> tuple[Floats, Floats]:
        """Means over the columns on which each is defined [R], NaN where it is on none; columns are sorted once."""
        if not self._ranks:
            pairs = zip(self.scores_NC.T, self.truth_NC.T, strict=True)
            self._ranks = [_Ranks(scores_N, truth_N) for scores_N, truth_N in pairs]
        total_2R, defined_2R = np.zeros((2, len(counts_RN))), np.zeros((2, len(counts_RN)))
        for column in self._ranks:
            found_2R = np.stack(column.measure(counts_RN))
            known_2R = np.isfinite(found_2R)
            total_2R += np.where(known_2R, found_2R, 0.0)
            defined_2R += known_2R
        area_R, precision_R = _over(total_2R, defined_2R)
        return area_R, precision_R


def _over(top: Floats, bottom: Floats) -> Floats:
    """The quotient, NaN where the divisor is 0."""
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)


def _varies(counts_RN: Floats, values_N: Floats) -> NDArray[np.bool_]:
    """Whether the rows that were drawn hold more than one value [R]."""
    drawn_RN = counts_RN > 0
    low_R = np.where(drawn_RN, values_N, np.inf).min(axis=1)
    return np.asarray(np.where(drawn_RN, values_N, -np.inf).max(axis=1) > low_R)
