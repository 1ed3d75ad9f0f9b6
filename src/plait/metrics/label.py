"""Metrics of labels and numbers: classification, several labels at once, regression.

Truths and scores come in as arrays, a dict of numbers comes out. A metric that is undefined on the given rows
(one class only, a constant truth) is ``None`` and a sentence under ``"notes"`` says why: it is never replaced
by 0.5 or 0. A score that is not a finite number raises. Written in numpy, because the bootstrap calls these a
thousand times; scikit-learn is the oracle in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
EPS = float(np.finfo(np.float64).eps)


def classification_metrics(y_true: ArrayLike, proba: ArrayLike, *, guess: ArrayLike | None = None) -> dict[str, Any]:
    """Metrics of single-label classification.

    With two classes ``auroc`` and ``average_precision`` are of class 1; with more they are the plain mean
    over classes, each against the rest, of those for which they are defined (a note names the count of the
    others). ``f1_macro`` averages over the classes that occur in the truth or in the predictions,
    ``balanced_accuracy`` over those in the truth. Without ``guess`` the likeliest class is predicted, of equally likely
    ones the first.

    Args:
        y_true: Class numbers ``[N]``, 0 to C - 1.
        proba: Probabilities ``[N, C]``, rows summing to 1.
        guess: Predicted class numbers ``[N]``, where they are not those of the largest probabilities.

    Returns:
        accuracy, balanced_accuracy, f1_macro, f1_weighted, auroc, average_precision, log_loss (each a float
        or None) and notes (list of sentences).

    Raises:
        ValueError: No rows, shapes that disagree, NaN, values that are not probabilities, or a class outside
            0 to C - 1.

    Example:
        >>> classification_metrics([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])["accuracy"]
        0.6666666666666666
    """
    scores_NC = _probabilities(proba, "proba")
    num_rows, num_classes = scores_NC.shape
    truth_N = class_numbers(y_true, num_classes, "y_true")
    if len(truth_N) != num_rows:
        raise ValueError(f"y_true has {len(truth_N)} rows but proba has {num_rows}; give one row of proba per truth")
    totals_N = scores_NC.sum(axis=1)
    if np.abs(totals_N - 1.0).max() > 1e-2:
        worst = int(np.abs(totals_N - 1.0).argmax())
        raise ValueError(
            f"row {worst} of proba sums to {totals_N[worst]:.4g}, not to 1; give the softmax of the logits"
        )
    notes: list[str] = []
    predicted_N = scores_NC.argmax(axis=1) if guess is None else class_numbers(guess, num_classes, "guess")
    if len(predicted_N) != num_rows:
        raise ValueError(f"guess has {len(predicted_N)} rows but proba has {num_rows}; give one class number per row")
    table_CC = np.bincount(truth_N * num_classes + predicted_N, minlength=num_classes**2).reshape(num_classes, -1)
    hits_C, truths_C, guesses_C = table_CC.diagonal(), table_CC.sum(axis=1), table_CC.sum(axis=0)
    f1_C = 2.0 * hits_C / np.maximum(truths_C + guesses_C, 1)
    in_truth_C, seen_C = truths_C > 0, (truths_C + guesses_C) > 0
    chosen_N = scores_NC[np.arange(num_rows), truth_N]
    columns = [1] if num_classes == 2 else list(range(num_classes))
    ranked = [(scores_NC[:, c], truth_N == c) for c in columns]
    if in_truth_C.sum() == 1:
        only = int(in_truth_C.argmax())
        reason = f"every row has class {only}"
        notes += [f"auroc is undefined: {reason}", f"average_precision is undefined: {reason}"]
        ranked = []
    return {
        "accuracy": float(hits_C.sum() / num_rows),
        "balanced_accuracy": float((hits_C[in_truth_C] / truths_C[in_truth_C]).mean()),
        "f1_macro": float(f1_C[seen_C].mean()),
        "f1_weighted": float((f1_C * truths_C).sum() / num_rows),
        "auroc": _mean_over_columns(ranked, area_under_roc, "auroc", "classes", notes),
        "average_precision": _mean_over_columns(ranked, average_precision, "average_precision", "classes", notes),
        "log_loss": float(-np.log(np.clip(chosen_N, np.finfo(np.float64).eps, 1.0)).mean()),
        "notes": notes,
    }


def multilabel_metrics(y: ArrayLike, proba: ArrayLike, *, threshold: ArrayLike = 0.5) -> dict[str, Any]:
    """Metrics when a row may carry several labels, or none.

    ``f1_macro`` leaves out labels that are neither true nor predicted anywhere, ``mAP`` those never true,
    ``auroc_macro`` those always or never true; a note counts them. ``hamming`` is the share of wrong cells
    (lower is better).

    Args:
        y: Truth ``[N, C]`` of 0 and 1.
        proba: Probabilities ``[N, C]`` in 0 to 1, each label by itself.
        threshold: A label is predicted from this probability on; one number, or one for each label ``[C]``.

    Returns:
        f1_micro, f1_macro, mAP, auroc_macro, exact_match, hamming, log_loss (binary, mean over labels; each a float or
        None) and notes.

    Raises:
        ValueError: No rows, shapes that disagree, NaN, or values out of range.

    Example:
        >>> multilabel_metrics([[1, 0], [0, 1]], [[0.9, 0.2], [0.1, 0.4]])["exact_match"]
        0.5
    """
    scores_NC = _probabilities(proba, "proba")
    truth_raw = np.asarray(y)
    if truth_raw.shape != scores_NC.shape:
        raise ValueError(f"y has shape {truth_raw.shape} but proba {scores_NC.shape}; both must be [rows, labels]")
    if not np.isin(truth_raw, (0, 1)).all():
        raise ValueError("y holds values other than 0 and 1; give one 0/1 column per label")
    truth_NC = truth_raw.astype(bool)
    limits_C = np.asarray(threshold, dtype=np.float64)
    if limits_C.shape not in ((), (scores_NC.shape[1],)):
        raise ValueError(f"threshold has shape {limits_C.shape}; expected one number, or one for each label")
    guess_NC = scores_NC >= limits_C
    hits_C = (truth_NC & guess_NC).sum(axis=0)
    sizes_C = truth_NC.sum(axis=0) + guess_NC.sum(axis=0)
    notes: list[str] = []
    seen_C = sizes_C > 0
    if not seen_C.all():
        notes.append(f"f1_macro leaves out {_of(~seen_C)} labels that are never true and never predicted")
    ranked = [(scores_NC[:, c], truth_NC[:, c]) for c in range(truth_NC.shape[1])]
    return {
        "f1_micro": float(2.0 * hits_C.sum() / sizes_C.sum()) if sizes_C.sum() > 0 else None,
        "f1_macro": float((2.0 * hits_C[seen_C] / sizes_C[seen_C]).mean()) if seen_C.any() else None,
        "mAP": _mean_over_columns(ranked, average_precision, "mAP", "labels", notes),
        "auroc_macro": _mean_over_columns(ranked, area_under_roc, "auroc_macro", "labels", notes),
        "exact_match": float((truth_NC == guess_NC).all(axis=1).mean()),
        "hamming": float((truth_NC != guess_NC).mean()),
        "log_loss": float(-np.log(np.clip(np.where(truth_NC, scores_NC, 1.0 - scores_NC), EPS, 1.0)).mean()),
        "notes": notes,
    }


def regression_metrics(y: ArrayLike, pred: ArrayLike) -> dict[str, Any]:
    """Metrics of a predicted number.

    Args:
        y: Truth ``[N]``.
        pred: Prediction ``[N]``.

    Returns:
        mae, rmse, r2, pearson (each a float or None) and notes. ``r2`` is None when the truth is constant,
        ``pearson`` when either side is.

    Raises:
        ValueError: No rows, lengths that disagree, or a value that is not finite.

    Example:
        >>> regression_metrics([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])["r2"]
        0.5
    """
    truth_N, pred_N = _finite(y, "y"), _finite(pred, "pred")
    if truth_N.ndim != 1 or truth_N.shape != pred_N.shape:
        raise ValueError(f"y has shape {truth_N.shape} and pred {pred_N.shape}; both must be [rows]")
    if len(truth_N) == 0:
        raise ValueError("no rows to measure; give at least one truth and one prediction")
    notes: list[str] = []
    error_N = pred_N - truth_N
    # np.ptp compares values exactly: the variance of equal floats may come out a hair above zero.
    truth_varies, pred_varies = bool(np.ptp(truth_N) > 0), bool(np.ptp(pred_N) > 0)
    r2 = pearson = None
    if truth_varies:
        r2 = float(1.0 - (error_N**2).sum() / ((truth_N - truth_N.mean()) ** 2).sum())
    else:
        notes.append("r2 is undefined: the truth is the same number on every row")
    if truth_varies and pred_varies:
        a_N, b_N = truth_N - truth_N.mean(), pred_N - pred_N.mean()
        pearson = float(np.clip((a_N @ b_N) / np.sqrt((a_N @ a_N) * (b_N @ b_N)), -1.0, 1.0))
    else:
        side = "prediction" if truth_varies else "truth"
        notes.append(f"pearson is undefined: the {side} is the same number on every row")
    return {
        "mae": float(np.abs(error_N).mean()),
        "rmse": float(np.sqrt((error_N**2).mean())),
        "r2": r2,
        "pearson": pearson,
        "notes": notes,
    }


def area_under_roc(scores_N: Floats, truth_N: NDArray[np.bool_]) -> float | None:
    """Chance that a random positive row scores above a random negative one, ties counted half; None without
    both kinds.
    """
    num_pos = int(truth_N.sum())
    num_neg = len(truth_N) - num_pos
    if num_pos == 0 or num_neg == 0:
        return None
    _, place_N, counts = np.unique(scores_N, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    return float((ranks[place_N][truth_N].sum() - num_pos * (num_pos + 1) / 2.0) / (num_pos * num_neg))


def average_precision(scores_N: Floats, truth_N: NDArray[np.bool_]) -> float | None:
    """Mean precision over the steps of recall, tied scores taken as one step; None without a positive row."""
    num_pos = int(truth_N.sum())
    if num_pos == 0:
        return None
    order = np.argsort(-scores_N, kind="stable")
    hits_N = np.cumsum(truth_N[order])
    ends = np.flatnonzero(np.append(np.diff(scores_N[order]) != 0, True))
    precision = hits_N[ends] / (ends + 1.0)
    recall_steps = np.diff(np.concatenate([[0], hits_N[ends]])) / num_pos
    return float((precision * recall_steps).sum())


def class_numbers(values: ArrayLike, num_classes: int, name: str) -> Ints:
    """Check class numbers ``[N]`` in 0 to C - 1 and return them as int64."""
    raw = np.asarray(values)
    if raw.ndim != 1:
        raise ValueError(f"{name} has shape {raw.shape}; expected one class number per row")
    if raw.dtype.kind not in "iub" and not (raw.dtype.kind == "f" and np.array_equal(raw, np.round(raw))):
        raise ValueError(f"{name} holds {raw.dtype} values that are no whole numbers; give class numbers")
    numbers = raw.astype(np.int64)
    if len(numbers) > 0 and (numbers.min() < 0 or numbers.max() >= num_classes):
        wrong = int(numbers.min()) if numbers.min() < 0 else int(numbers.max())
        raise ValueError(f"{name} holds class {wrong}, expected 0 to {num_classes - 1}")
    return numbers


def _mean_over_columns(ranked: Any, measure: Any, name: str, what: str, notes: list[str]) -> float | None:
    if not ranked:
        return None
    results = [measure(scores_N, truth_N) for scores_N, truth_N in ranked]
    defined = [r for r in results if r is not None]
    missing = len(results) - len(defined)
    if not defined:
        notes.append(f"{name} is undefined: no {what} with the positive and negative rows it needs")
        return None
    if missing > 0:
        notes.append(f"{name} leaves out {missing} of {len(results)} {what} that lack rows of one kind")
    return float(np.mean(defined))


def _probabilities(values: ArrayLike, name: str) -> Floats:
    array = _finite(values, name)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected [rows, classes]")
    if len(array) == 0:
        raise ValueError(f"{name} has no rows; give at least one")
    if array.min() < -1e-6 or array.max() > 1.0 + 1e-6:
        raise ValueError(f"{name} runs from {array.min():.4g} to {array.max():.4g}; expected probabilities, not logits")
    return array


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        first = int(np.argwhere(bad)[0][0]) if array.ndim > 0 else 0
        raise ValueError(
            f"{name} holds {int(bad.sum())} NaN or infinite values, first in row {first}; expected numbers"
        )
    return array


def _of(mask: NDArray[np.bool_]) -> str:
    return f"{int(mask.sum())} of {len(mask)}"
