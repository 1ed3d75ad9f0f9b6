"""Rows whose label is probably wrong, from probabilities that models gave which had not seen the row.

Confident learning: a row counts as class j where its probability of j is at least the mean probability that rows
labelled j have of j. Rows labelled i that count as j make up the confident joint, an estimate of how labels were
confused; rows off its diagonal are candidates. Labels of 0 to C - 1 and probabilities come in, positions of rows go
out. Whether a candidate is wrong, a person decides.

Where models are weak, most rows off the diagonal are hard, not wrong. Odds tell the two apart: of candidates whose
suggested class is ``STRONG`` times likelier than the label (10 to the 1.5, from which Jeffreys calls evidence very
strong) four of five planted flips or more were right on every table that the limit was chosen on.

Reference: Northcutt, Jiang and Chuang 2021 (confident learning: estimating uncertainty in dataset labels), section 3;
Jeffreys 1961 (theory of probability), appendix B.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STRONG = 10.0**1.5  # odds against the label from which a candidate is probably wrong


class LabelErrors(NamedTuple):
    """Candidates for wrong labels, the surest first.

    Attributes:
        rows: Positions ``[K]``.
        suggested: The class that each counts as ``[K]``.
        margin: Probability of the suggested class less that of the label, -1 to 1 ``[K]``.
        odds: How many times likelier the suggested class is than the label ``[K]``.
        noise: Estimated fraction of all rows whose label is wrong, 0 to 1; far too high where the models are weak.
        joint_CC: Estimated fraction of rows by label and true class; adds up to 1.
    """

    rows: Ints
    suggested: Ints
    margin: Floats
    odds: Floats
    noise: float
    joint_CC: Floats  # noqa: N815  shape letters


def counted_as(probability_NC: ArrayLike, label: ArrayLike) -> Ints:
    """The class each row counts as, -1 where no class is probable enough [N].

    Args:
        probability_NC: Out-of-sample probabilities ``[N, C]``; rows add up to 1.
        label: Class of each row as labelled, 0 to C - 1 ``[N]``.

    Returns:
        Of the classes whose probability reaches their threshold (the mean over the rows labelled so) the most
        probable. A class that no row is labelled has no threshold, and no row counts as it.
    """
    probability, labels = _checked(probability_NC, label)
    num_classes = probability.shape[1]
    threshold_C = np.full(num_classes, np.inf)
    for c in np.unique(labels):
        threshold_C[c] = probability[labels == c, c].mean()
    reached = np.where(probability >= threshold_C - 1e-12, probability, -1.0)
    best = reached.argmax(axis=1)
    return np.where(reached.max(axis=1) >= 0.0, best, -1).astype(np.int64)


def confident_joint(probability_NC: ArrayLike, label: ArrayLike) -> Floats:
    """Estimated fraction of rows by label (down) and true class (across), adding up to 1 [C, C].

    Counts are scaled so that every label keeps its share of the rows (equation 3 of the paper).

    Example:
        >>> confident_joint([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.9, 0.1]], [0, 0, 1, 1]).round(3).tolist()
        [[0.5, 0.0], [0.25, 0.25]]
    """
    probability, labels = _checked(probability_NC, label)
    num_classes = probability.shape[1]
    place = counted_as(probability, labels)
    counts = np.zeros((num_classes, num_classes))
    known = place >= 0
    np.add.at(counts, (labels[known], place[known]), 1.0)
    of_label = np.bincount(labels, minlength=num_classes).astype(np.float64)
    empty = (counts.sum(axis=1) == 0) & (of_label > 0)
    counts[empty, empty] = 1.0
    scaled = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) * of_label[:, None]
    return np.asarray(scaled / scaled.sum())


def label_errors(probability_NC: ArrayLike, label: ArrayLike) -> LabelErrors:
    """Candidates for wrong labels.

    A candidate counts as another class than its label, that class is its most probable one, and it is among the
    ``round(n * joint[i, j])`` rows of its label i and class j with the largest margin (pruning by noise rate, which
    the paper calls PBNR). Rows that the model merely doubts are not candidates.

    Args:
        probability_NC: Out-of-sample probabilities ``[N, C]``, from models that did not see the row's label.
        label: Class of each row as labelled, 0 to C - 1 ``[N]``.

    Raises:
        ValueError: Other shapes, NaN, rows that do not add up to 1, or labels outside 0 to C - 1.

    Example:
        >>> label_errors([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.9, 0.1]], [0, 0, 1, 1]).rows.tolist()
        [3]
    """
    probability, labels = _checked(probability_NC, label)
    joint_CC = confident_joint(probability, labels)
    place, row = counted_as(probability, labels), np.arange(len(labels))
    margin = probability[row, np.maximum(place, 0)] - probability[row, labels]
    off = (place >= 0) & (place != labels) & (probability.argmax(axis=1) == place)
    chosen: list[int] = []
    for i, j in zip(*np.nonzero(joint_CC), strict=True):
        if i != j:
            cell = np.flatnonzero(off & (labels == i) & (place == j))
            most = int(np.rint(joint_CC[i, j] * len(labels)))
            chosen += cell[np.argsort(-margin[cell], kind="stable")][:most].tolist()
    found = np.array(chosen, dtype=np.int64)
    found = found[np.lexsort((found, -margin[found]))]
    noise = float(1.0 - np.trace(joint_CC))
    own = np.maximum(probability[found, labels[found]], 1e-12)
    return LabelErrors(found, place[found], margin[found], probability[found, place[found]] / own, noise, joint_CC)


def hardest_rows(probability_NC: ArrayLike, label: ArrayLike, count: int) -> Ints:
    """Rows whose label is least probable, the hardest first [at most count]."""
    probability, labels = _checked(probability_NC, label)
    own = probability[np.arange(len(labels)), labels]
    return np.argsort(own, kind="stable")[:count].astype(np.int64)


def most_ambiguous_rows(probability_NC: ArrayLike, count: int) -> Ints:
    """Rows whose two most probable classes are closest, the most ambiguous first [at most count]."""
    top = np.sort(np.asarray(probability_NC, dtype=np.float64), axis=1)
    gap = top[:, -1] - (top[:, -2] if top.shape[1] > 1 else 0.0)
    return np.argsort(gap, kind="stable")[:count].astype(np.int64)


def _checked(probability_NC: ArrayLike, label: ArrayLike) -> tuple[Floats, Ints]:
    probability, labels = np.asarray(probability_NC, dtype=np.float64), np.asarray(label)
    if probability.ndim != 2 or probability.shape[1] < 2 or len(probability) == 0:
        raise ValueError(
            f"probabilities have shape {probability.shape}; expected [rows, classes] of two classes or more"
        )
    if labels.shape != (len(probability),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels are {labels.dtype} of shape {labels.shape}; expected {len(probability)} whole numbers"
        )
    if not np.isfinite(probability).all() or (np.abs(probability.sum(axis=1) - 1.0) > 1e-3).any():
        raise ValueError("probabilities must be finite and add up to 1 in every row")
    if labels.min() < 0 or labels.max() >= probability.shape[1]:
        raise ValueError(f"labels are {labels.min()} to {labels.max()}; expected 0 to {probability.shape[1] - 1}")
    return probability, labels.astype(np.int64)
