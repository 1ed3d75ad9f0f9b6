"""Linear models refitted on stored features, so that every row is answered by one that has not seen it.

The rows are dealt into folds (rows of one unit stay together, classes are spread). Features of each modality are
standardised, turned to their first principal directions and scaled to one size, which needs no label; a logistic
regression is fitted on all folds but one and answers that one. A missing modality stands at the mean. Asked to, it is
repeated on folds that are dealt anew, and the answers are averaged.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

FOLDS = 5
MOST_ROWS = 20_000
DIRECTIONS = 128  # of a modality
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # C of scikit-learn: the larger, the weaker the penalty


@dataclass
class Refitted:
    """Answers of linear models that did not see the row.

    Attributes:
        probability_NC: Probabilities [N, C].
        log_loss: Their mean log loss.
        num_folds: How many models.
    """

    probability_NC: np.ndarray  # noqa: N815  shape letters
    log_loss: float
    num_folds: int


def refit_classes(
    features: dict[str, np.ndarray], present_NM: np.ndarray, label: np.ndarray, num_classes: int, *,
    unit: np.ndarray | None = None, num_folds: int = FOLDS, repeats: int = 1, seed: int = 0,
) -> Refitted | None:  # fmt: skip
    """Out-of-fold probabilities of the classes; None where there are too few rows or units.

    Args:
        features: By modality, in the order of the columns of ``present_NM``, [N, D].
        present_NM: What is there.
        label: Class of each row, 0 to C - 1.
        num_classes: C.
        unit: Rows with equal numbers stay in one fold; None: each row alone.
        num_folds: How many folds.
        repeats: How many times folds are dealt; the first chooses the strength of the penalty.
        seed: Of the folds.
    """
    unit = np.arange(len(label)) if unit is None else unit
    count = min(num_folds, len(np.unique(unit)), int(np.bincount(label).max()))
    if count < 2 or len(features) == 0 or len(np.unique(label)) < 2:
        return None
    parts = [directions(values, there) for values, there in zip(features.values(), present_NM.T, strict=True)]
    values_ND = np.concatenate(parts, axis=1)
    folds = _dealt(values_ND, label, unit, count, seed)
    made, chosen = _out_of_fold(values_ND, label, num_classes, folds, STRENGTHS[0]), STRENGTHS[0]
    for strength in STRENGTHS[1:]:
        other = _out_of_fold(values_ND, label, num_classes, folds, strength)
        if _log_loss(other, label) >= _log_loss(made, label):
            break
        made, chosen = other, strength
    for repeat in range(1, repeats):
        folds = _dealt(values_ND, label, unit, count, seed + 1000 * repeat)
        made = made + (_out_of_fold(values_ND, label, num_classes, folds, chosen) - made) / (repeat + 1)
    return Refitted(made, _log_loss(made, label), count)


def _dealt(
    values_ND: np.ndarray, label: np.ndarray, unit: np.ndarray, count: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold

    dealt = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
        return list(dealt.split(values_ND, label, unit))


def _log_loss(probability_NC: np.ndarray, label: np.ndarray) -> float:
    return -float(np.log(np.maximum(probability_NC[np.arange(len(label)), label], 1e-7)).mean())


def directions(values_ND: np.ndarray, there_N: np.ndarray, most: int = DIRECTIONS) -> np.ndarray:
    """Standardised features along their first principal directions, of total variance 1; zeros where missing [N, P]."""
    from sklearn.decomposition import PCA

    known = values_ND[there_N].astype(np.float64)
    made = np.zeros((len(values_ND), min(most, *values_ND.shape)))
    if len(known) < 2:
        return made
    deviation = known.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(np.abs(known).max(axis=0), 1e-12)
    known = np.where(varies, (known - known.mean(axis=0)) / np.where(varies, deviation, 1.0), 0.0)
    width = min(made.shape[1], len(known))
    turned = (
        known if known.shape[1] <= width else PCA(width, svd_solver="randomized", random_state=0).fit_transform(known)
    )
    scale = float(np.sqrt(turned.var(axis=0).sum()))
    made[there_N, : turned.shape[1]] = turned / (scale if scale > 0 else 1.0)
    return made


def _out_of_fold(
    values_ND: np.ndarray, label: np.ndarray, num_classes: int, folds: list[tuple[np.ndarray, np.ndarray]],
    strength: float,
) -> np.ndarray:  # fmt: skip
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(label), num_classes))
    for inside, outside in folds:
        classes = np.unique(label[inside])
        if len(classes) < 2:
            found[outside, classes[0]] = 1.0
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # many classes, few rows
            model = LogisticRegression(C=strength, max_iter=200).fit(values_ND[inside], label[inside])
        found[np.ix_(outside, model.classes_)] = model.predict_proba(values_ND[outside])
    return found
