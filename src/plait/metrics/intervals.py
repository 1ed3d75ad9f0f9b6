"""How sure a number is: bootstrap intervals by row or by group, and paired differences of two models.

Rows that belong together (five captions of one photo) are not independent; with ``groups`` whole groups are
drawn, which is the cluster bootstrap. Intervals are percentiles of the resampled values. One unit alone says
nothing about its standard deviation, so it gets ``(None, None)``; so does a metric that is undefined on more than half
of the resamples.

Reference: Efron and Tibshirani 1993, chapters 13 (percentile) and 8 (other data structures); Wilson 1927 for
shares of 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bounds = tuple[float | None, float | None]
Groups = Sequence[Hashable] | NDArray[Any]
MetricOfRows = Callable[[Ints], float | None]
# From how often each row was drawn [R, N], and names, to each named metric [R], NaN where it is undefined.
Resampled = Callable[[Floats, Collection[str]], Mapping[str, Floats]]

_CHUNK_CELLS = 2_000_000
_CACHED_CELLS = 250_000  # of draws that are measured at once


def bootstrap_interval(
    fn_or_per_row: MetricOfRows | ArrayLike,
    n: int,
    *,
    groups: Groups | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Bounds:
    """Interval of a metric.

    Args:
        fn_or_per_row: A function of row positions ``[n]`` (with repeats) to the metric or None; or one number
            per row, of which the mean is the metric (much faster).
        n: Number of rows.
        groups: A group name per row; rows of a group are drawn together.
        resamples: How many times to draw.
        seed: Seed of the draws.
        level: Coverage, 0.95 for a 95% interval.

    Returns:
        ``(low, high)``, or ``(None, None)`` where no interval can be given.

    Raises:
        ValueError: Lengths that disagree, NaN among the values per row, or a level outside 0 to 1.

    Example:
        >>> low, high = bootstrap_interval([1, 1, 0, 1, 1, 0, 1, 1], 8)
        >>> 0.3 < low < 0.75 < high <= 1.0
        True
    """
    units = units_of_rows(n, groups)
    check_draws(resamples, level)
    if len(units) < 2:
        return None, None
    if callable(fn_or_per_row):
        drawn = [fn_or_per_row(rows) for rows in _draws(units, resamples, seed)]
        return percentiles(drawn, level)
    values_N = _per_row(fn_or_per_row, n, "the values per row")
    first = float(values_N[0])
    if first in (0.0, 1.0) and bool((values_N == first).all()):
        # Every resample of "always right" is the same: the bootstrap would claim certainty from ten rows.
        return _wilson(first, len(units), level)
    return percentiles(_resampled_means(values_N, units, resamples, seed), level)


def metric_intervals(
    fn: Callable[[Ints], Mapping[str, Any]],
    n: int,
    *,
    groups: Groups | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    shares: Collection[str] = ("accuracy", "exact_match"),
    resampled: Resampled | None = None,
    only: Collection[str] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Every metric of a dict with its interval, all from the same draws.

    Args:
        fn: Row positions to a dict of metrics; entries that are not numbers (``notes``) are left out.
        n: Number of rows.
        groups: A group name per row; rows of a group are drawn together.
        resamples: How many times to draw.
        seed: Seed of the draws.
        level: Coverage.
        shares: Metrics that are a share of rows; at exactly 0 or 1 they get the Wilson interval.
        resampled: The same metrics on many draws at once (``plait.metrics.resampled``), which is much faster.
        only: Metrics that are wanted; None: all.

    Returns:
        For each metric ``{"value": ..., "low": ..., "high": ...}``, None where undefined.

    Raises:
        ValueError: As ``bootstrap_interval``.

    Example:
        >>> sorted(metric_intervals(lambda rows: {"size": float(len(rows))}, 4, resamples=5)["size"].items())
        [('high', 4.0), ('low', 4.0), ('value', 4.0)]
    """
    units = units_of_rows(n, groups)
    check_draws(resamples, level)
    point = fn(np.arange(n, dtype=np.int64))
    names = [k for k, v in point.items() if v is None or isinstance(v, int | float)]
    names = [k for k in names if only is None or k in only]
    drawn: Mapping[str, Sequence[float | None] | Floats] = {name: [] for name in names}
    if len(units) > 1 and resampled is not None:
        drawn = on_resamples(resampled, units, n, resamples, seed, names)
    elif len(units) > 1:
        each = [fn(rows) for rows in _draws(units, resamples, seed)]
        drawn = {name: [d.get(name) for d in each] for name in names}
    result: dict[str, dict[str, float | None]] = {}
    for name in names:
        value = point[name]
        low, high = percentiles(drawn[name], level) if value is not None else (None, None)
        if name in shares and value in (0.0, 1.0) and len(units) > 1:
            low, high = _wilson(float(value), len(units), level)
        result[name] = {"value": value if value is None else float(value), "low": low, "high": high}
    return result


def paired_difference(
    per_row_a: ArrayLike,
    per_row_b: ArrayLike,
    groups: Groups | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float | None, float | None]:
    """Mean of ``a - b`` with its interval, both measured on the same rows.

    Pairing removes what is common to both, so it finds differences that two separate intervals would hide.

    Args:
        per_row_a: A number per row for the first model (for example 1 where it is right).
        per_row_b: The same for the second.
        groups: A group name per row; rows of a group are drawn together.
        resamples: How many times to draw.
        seed: Seed of the draws.
        level: Coverage.

    Returns:
        ``(difference, low, high)``.

    Raises:
        ValueError: No rows, lengths that disagree or NaN.

    Example:
        >>> paired_difference([1, 1, 1, 0], [1, 0, 1, 0])[0]
        0.25
    """
    n = int(np.asarray(per_row_a).shape[0]) if np.asarray(per_row_a).ndim == 1 else -1
    difference_N = _per_row(per_row_a, n, "per_row_a") - _per_row(per_row_b, n, "per_row_b")
    units = units_of_rows(n, groups)
    check_draws(resamples, level)
    if len(units) < 2:
        return float(difference_N.mean()), None, None
    low, high = percentiles(_resampled_means(difference_N, units, resamples, seed), level)
    return float(difference_N.mean()), low, high


def paired_metric_difference(
    fn_a: MetricOfRows,
    fn_b: MetricOfRows,
    n: int,
    *,
    groups: Groups | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    resampled: Callable[[Floats], Floats] | None = None,
) -> tuple[float | None, float | None, float | None]:
    """Difference of a metric that is no mean over rows (F1, AUROC, R2), drawn in pairs.

    Args:
        fn_a: Row positions to the metric of the first model, None where undefined.
        fn_b: The same for the second model.
        n: Number of rows.
        groups: A group name per row; rows of a group are drawn together.
        resamples: How many times to draw.
        seed: Seed of the draws.
        level: Coverage.
        resampled: From how often each row was drawn [R, N] to the difference on each draw [R], NaN where it is
            undefined: what the functions give, much faster.

    Returns:
        ``(difference, low, high)``, None where undefined.

    Raises:
        ValueError: As ``bootstrap_interval``.

    Example:
        >>> paired_metric_difference(lambda rows: 0.9, lambda rows: 0.4, 10, resamples=10)
        (0.5, 0.5, 0.5)
    """

    def difference(rows: Ints) -> float | None:
        a, b = fn_a(rows), fn_b(rows)
        return None if a is None or b is None else float(a) - float(b)

    units, point = units_of_rows(n, groups), difference(np.arange(n, dtype=np.int64))
    check_draws(resamples, level)
    if resampled is None or len(units) < 2:
        low, high = bootstrap_interval(difference, n, groups=groups, resamples=resamples, seed=seed, level=level)
        return point, low, high
    drawn = on_resamples(lambda counts, names: {"": resampled(counts)}, units, n, resamples, seed, [""])[""]
    return point, *percentiles(drawn, level)


def on_resamples(
    resampled: Resampled, units: list[Ints], n: int, resamples: int, seed: int, names: Collection[str]
) -> dict[str, Floats]:
    """Named metrics on each of the draws that every interval of this seed has [R]."""
    pieces = drawn_counts(units, n, resamples, seed, cells=_CACHED_CELLS)
    made = [resampled(counts_RN, names) for counts_RN in pieces]
    return {name: np.concatenate([piece[name] for piece in made]) for name in names}


def drawn_counts(
    units: list[Ints], n: int, resamples: int, seed: int, *, cells: int = 4_000_000
) -> Iterator[Floats]:  # fmt: skip
    """How often each row was drawn, [R, N] chunk by chunk; the same draws as every other interval of that seed.

    Counts are floats, as products with them then run through BLAS.

    Args:
        units: Row positions of each thing that is drawn as a whole.
        n: Number of rows.
        resamples: How many times to draw.
        seed: Seed of the draws.
        cells: Of a chunk, about.
    """
    rng = np.random.default_rng(seed)
    unit_N = np.zeros(n, dtype=np.int64)
    for number, rows in enumerate(units):
        unit_N[rows] = number
    step = max(1, cells // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        chosen_RG = rng.integers(0, len(units), size=(size, len(units)))
        flat = (np.arange(size)[:, None] * len(units) + chosen_RG).reshape(-1)
        counts_RG = np.bincount(flat, minlength=size * len(units)).reshape(size, len(units))
        yield counts_RG.astype(np.float64)[:, unit_N]


def units_of_rows(n: int, groups: Groups | None) -> list[Ints]:
    """Row positions of each thing that is drawn as a whole: a row, or a group."""
    if n < 1:
        raise ValueError(f"there are {max(n, 0)} rows in one dimension; expected at least 1")
    if groups is None:
        return list(np.arange(n, dtype=np.int64).reshape(n, 1))
    if len(groups) != n:
        raise ValueError(f"groups has {len(groups)} entries for {n} rows; give one per row")
    rows_of: dict[Hashable, list[int]] = {}
    for i, name in enumerate(groups):
        # A row without a group (None, NaN) is a group of its own, never one big group of strangers.
        is_empty = name is None or (isinstance(name, float) and math.isnan(name))
        rows_of.setdefault(("alone", i) if is_empty else ("group", name), []).append(i)
    return [np.asarray(rows, dtype=np.int64) for rows in rows_of.values()]


def _draws(units: list[Ints], resamples: int, seed: int) -> Iterator[Ints]:
    rng = np.random.default_rng(seed)
    rows_are_units = all(len(unit) == 1 for unit in units)
    flat = np.concatenate(units)
    for _ in range(resamples):
        chosen = rng.integers(0, len(units), size=len(units))
        yield flat[chosen] if rows_are_units else np.concatenate([units[int(k)] for k in chosen])


def _resampled_means(values_N: Floats, units: list[Ints], resamples: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    sums_G = np.asarray([values_N[unit].sum() for unit in units])
    sizes_G = np.asarray([len(unit) for unit in units], dtype=np.float64)
    means: list[Floats] = []
    step = max(1, _CHUNK_CELLS // len(units))
    for start in range(0, resamples, step):
        chosen_RG = rng.integers(0, len(units), size=(min(step, resamples - start), len(units)))
        means.append(sums_G[chosen_RG].sum(axis=1) / sizes_G[chosen_RG].sum(axis=1))
    return np.concatenate(means)


def percentiles(drawn: Sequence[float | None] | Floats, level: float) -> Bounds:
    """The middle ``level`` of resampled values; no bounds where more than half of them are undefined."""
    defined = np.asarray([v for v in drawn if v is not None and math.isfinite(v)], dtype=np.float64)
    if len(defined) == 0 or len(defined) * 2 < len(drawn):
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _wilson(share: float, n: int, level: float) -> Bounds:
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _per_row(values: ArrayLike, n: int, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) != n:
        raise ValueError(f"{name}: shape {array.shape}, expected one number for each of {max(n, 0)} rows")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: {int((~np.isfinite(array)).sum())} of {n} are NaN or infinite")
    return array


def check_draws(resamples: int, level: float) -> None:
    """Refuse a number of resamples or a coverage that makes no interval."""
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1 (1000 is usual)")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95")
