"""Whether two samples of vectors come from one source: a classifier told to tell them apart, and mean embeddings.

Both tests are exact where rows are exchangeable: the classifier is fitted on one half of the rows and judged on the
other by ranks, and the discrepancy is compared with that of shuffled rows. Rows that belong together (captions of one
photo) are no independent rows; give one of them.

Reference: Lopez-Paz and Oquab 2017 (classifier two-sample tests); Gretton et al. 2012 (a kernel two-sample test),
equation 3 (unbiased).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.label import area_under_roc

Floats = NDArray[np.float64]
LEAST_ROWS = 20
MOST_ROWS = 1000  # of a sample, for the kernel matrix
DIRECTIONS = 50


class TwoSampleTest(NamedTuple):
    """One test.

    Attributes:
        value: AUROC of the classifier (0.5: cannot tell them apart), or the squared discrepancy.
        p: Chance of a value so large where both come from one source, 0 to 1.
        low: Lower end of the 95 % interval of the AUROC; None for the discrepancy.
        high: Its upper end.
    """

    value: float
    p: float
    low: float | None = None
    high: float | None = None


def classifier_test(a_ND: ArrayLike, b_MD: ArrayLike, *, seed: int = 0) -> TwoSampleTest:
    """How well a linear classifier tells rows of A from rows of B that it has not seen.

    Args:
        a_ND: Rows of A ``[N, D]``.
        b_MD: Rows of B ``[M, D]``.
        seed: Of the halves.

    Returns:
        The AUROC on held-out halves, its one-sided p value (Mann-Whitney, exact ranks with ties) and the interval of
        DeLong et al. 1988.

    Raises:
        ValueError: Fewer than 20 rows, other widths, NaN.
    """
    from scipy.stats import mannwhitneyu
    from sklearn.linear_model import LogisticRegression

    a, b = _pair(a_ND, b_MD)
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(len(x)) for x in (a, b)]
    fit = np.concatenate([x[h[: len(h) // 2]] for x, h in zip((a, b), halves, strict=True)])
    is_b = np.repeat([0, 1], [len(a) // 2, len(b) // 2])
    mean, scale = _scaling(fit)
    turn_DP = _directions((fit - mean) / scale)
    model = LogisticRegression(C=1.0, max_iter=200, class_weight="balanced")
    model.fit((fit - mean) / scale @ turn_DP, is_b)
    of_a, of_b = (
        model.decision_function((x[h[len(h) // 2 :]] - mean) / scale @ turn_DP)
        for x, h in zip((a, b), halves, strict=True)
    )
    scores, truth = np.concatenate([of_a, of_b]), np.repeat([False, True], [len(of_a), len(of_b)])
    auroc = area_under_roc(scores, truth)
    assert auroc is not None
    p = float(mannwhitneyu(of_b, of_a, alternative="greater", method="asymptotic").pvalue)
    low, high = _delong(of_a, of_b, auroc)
    return TwoSampleTest(auroc, p, low, high)


def discrepancy_test(a_ND: ArrayLike, b_MD: ArrayLike, *, shuffles: int = 500, seed: int = 0) -> TwoSampleTest:
    """Maximum mean discrepancy under a Gaussian kernel as wide as the median distance.

    Args:
        a_ND: Rows of A ``[N, D]``; of more than 1,000 a sample.
        b_MD: Rows of B ``[M, D]``; likewise.
        shuffles: Shuffled samples to compare with; the smallest p is 1 / (shuffles + 1).
        seed: Of samples and shuffles.
    """
    a, b = _pair(a_ND, b_MD)
    rng = np.random.default_rng(seed)
    a, b = (x if len(x) <= MOST_ROWS else x[rng.choice(len(x), MOST_ROWS, replace=False)] for x in (a, b))
    both = np.concatenate([a, b])
    mean, scale = _scaling(both)
    both = (both - mean) / scale
    size = np.square(both).sum(axis=1)
    squared = np.maximum(size[:, None] + size[None] - 2 * both @ both.T, 0.0)
    middle = float(np.median(squared[np.triu_indices(len(both), 1)]))
    kernel = np.exp(-squared / (middle if middle > 0 else 1.0))
    np.fill_diagonal(kernel, 0.0)
    n, m = len(a), len(b)
    sides = np.repeat([[1.0], [0.0]], [n, m], axis=0)
    drawn = np.concatenate([sides, *(rng.permutation(sides) for _ in range(shuffles))], axis=1)
    into_a = kernel @ drawn
    of_a, total = (drawn * into_a).sum(axis=0), kernel.sum()
    across = into_a.sum(axis=0) - of_a
    of_b = total - of_a - 2 * across
    value = of_a / (n * (n - 1)) + of_b / (m * (m - 1)) - 2 * across / (n * m)
    p = (1 + int((value[1:] >= value[0] - 1e-15).sum())) / (shuffles + 1)
    return TwoSampleTest(float(value[0]), float(p))


def holm(p_values: ArrayLike) -> Floats:
    """P values corrected for how many there are: each stays the chance of any false alarm (Holm 1979) [K].

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    made = np.empty_like(p)
    made[order] = np.minimum(stepped, 1.0)
    return made


def _pair(a_ND: ArrayLike, b_MD: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(a_ND, dtype=np.float64), np.asarray(b_MD, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"samples have shapes {a.shape} and {b.shape}; expected rows of one width")
    if min(len(a), len(b)) < LEAST_ROWS:
        raise ValueError(f"samples of {len(a)} and {len(b)} rows; {LEAST_ROWS} of each are needed to tell them apart")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("samples hold NaN or infinite numbers")
    return a, b


def _scaling(values: Floats) -> tuple[Floats, Floats]:
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 1e-12, deviation, 1.0)


def _directions(values: Floats) -> Floats:
    """The first principal directions [D, P], of length 1; few rows cannot tell many apart."""
    if values.shape[1] <= DIRECTIONS:
        return np.eye(values.shape[1])
    from sklearn.decomposition import PCA

    width = min(DIRECTIONS, max(2, len(values) // 4))
    return np.asarray(PCA(width, svd_solver="randomized", random_state=0).fit(values).components_.T)


def _delong(of_a: Floats, of_b: Floats, auroc: float) -> tuple[float, float]:
    """The 95 % interval of an AUROC, from the variance of its placements, inside 0 to 1."""
    below = np.array([(np.mean(of_a < x) + np.mean(of_a <= x)) / 2 for x in of_b])
    above = np.array([(np.mean(of_b > x) + np.mean(of_b >= x)) / 2 for x in of_a])
    reach = 1.96 * float(np.sqrt(below.var(ddof=1) / len(below) + above.var(ddof=1) / len(above)))
    return max(0.0, auroc - reach), min(1.0, auroc + reach)
