"""Whether a column holds other values in one table than in another: Kolmogorov-Smirnov for numbers, chi-squared for
categories, a share of empty cells for both.

Reference: Smirnov 1948; Pearson 1900. P values are not corrected here (``two_samples.holm`` does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LEAST_EXPECTED = 5.0  # rows of a category in the smaller table; rarer ones count together


class ColumnTest(NamedTuple):
    """One column.

    Attributes:
        test: "ks", "chi2" or "missing".
        value: Largest gap of the cumulative shares, or half the summed gaps of the shares (total variation), 0 to 1.
        p: Chance of so large a value where both come from one source.
        detail: What changed most, in words.
    """

    test: str
    value: float
    p: float
    detail: str


def number_test(a: Sequence[float | None], b: Sequence[float | None]) -> ColumnTest | None:
    """Numbers of a column in both tables; None where one has fewer than two."""
    from scipy.stats import ks_2samp

    x, y = (np.array([v for v in side if v is not None and np.isfinite(v)], dtype=np.float64) for side in (a, b))
    if min(len(x), len(y)) < 2:
        return None
    found = ks_2samp(x, y, method="auto" if len(x) * len(y) < 10_000_000 else "asymp")
    detail = f"median {np.median(x):.4g} in A, {np.median(y):.4g} in B"
    return ColumnTest("ks", float(found.statistic), float(found.pvalue), detail)


def category_test(a: Sequence[Any], b: Sequence[Any]) -> ColumnTest | None:
    """Categories of a column in both tables, rare ones together; None where there are fewer than two."""
    from scipy.stats import chi2_contingency

    x, y = (Counter(str(v) for v in side if v is not None) for side in (a, b))
    n, m = x.total(), y.total()
    if min(n, m) < 2:
        return None
    share = min(n, m) / (n + m)
    rows, rare = [], np.zeros(2)
    for name in sorted(set(x) | set(y)):
        pair = np.array([x[name], y[name]], dtype=np.float64)
        if pair.sum() * share >= LEAST_EXPECTED:
            rows.append((name, pair))
        else:
            rare += pair
    if rare.sum() > 0:
        rows.append(("rare ones", rare))
    if len(rows) < 2:
        return None
    counts = np.array([pair for _, pair in rows])
    gaps = counts[:, 1] / m - counts[:, 0] / n
    most = int(np.abs(gaps).argmax())
    detail = f"{rows[most][0]} {counts[most, 0] / n:.1%} of A, {counts[most, 1] / m:.1%} of B"
    p = float(chi2_contingency(counts, correction=False).pvalue)
    return ColumnTest("chi2", float(np.abs(gaps).sum() / 2), p, detail)


def missing_test(a: Sequence[bool], b: Sequence[bool]) -> ColumnTest | None:
    """Empty cells of a column in both tables (True: empty), by Fisher's exact test; None where none or all are."""
    from scipy.stats import fisher_exact

    x, y = int(np.sum(a)), int(np.sum(b))
    if x + y in (0, len(a) + len(b)):
        return None
    p = float(fisher_exact([[x, len(a) - x], [y, len(b) - y]]).pvalue)
    gap = y / len(b) - x / len(a)
    return ColumnTest("missing", abs(gap), p, f"empty in {x / len(a):.1%} of A, {y / len(b):.1%} of B")
