"""Many methods on the same rows: intervals, differences, corrections for many pairs, and places with intervals.

Rows are drawn once and every method is measured on the same draws, so what is common to all methods (hard rows,
easy rows) leaves the differences. A metric is given as a function of how often each row was drawn; where a method
was trained with several seeds its metric is the mean over them inside each draw. With ``groups`` whole groups are
drawn. The intervals speak of other test rows, not of other seeds: the standard deviation over seeds is a number of its
own.

Reference: Efron and Tibshirani 1993 (bootstrap); Westfall and Young 1993 and Romano and Wolf 2005 (max-T: one limit
for all pairs at once, taken from the same draws, so that correlated methods cost less than under Bonferroni); Mogstad,
Romano, Shaikh and Wilhelm 2024 (places from differences that hold at once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from plait.metrics.intervals import Bounds, Floats, Groups, Ints, check_draws, drawn_counts, percentiles, units_of_rows
from plait.metrics.resampled import RankedColumns

MetricOfCounts = Callable[[Floats], Floats]

_DRAWS = 32  # at once, where running sums should stay in the cache
_TIE = 1e-9


@dataclass(frozen=True)
class Resampled:
    """Every method on all rows and on every draw of them.

    Attributes:
        names: Methods, in order.
        point_M: Metric on the rows as they are; NaN where undefined.
        drawn_RM: Metric on each draw; NaN where undefined.
        num_units: How many rows or groups were drawn from.
    """

    names: tuple[str, ...]
    point_M: Floats  # noqa: N815  shape letters
    drawn_RM: Floats  # noqa: N815
    num_units: int


class Difference(TypedDict):
    """First method minus second, in the unit of the metric.

    ``real``: its own interval leaves zero out. ``holds``: so does the wider interval that covers all pairs at once.
    """

    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    real: bool
    wide_low: float | None
    wide_high: float | None
    holds: bool
    adjusted_p: float | None


class Rank(TypedDict):
    """Place of a method, 1 the best, ties sharing the mean place; ``first``: share of draws that it wins.

    ``low`` and ``high`` are the places it may truly have: one below all that are surely better, and above all that
    are surely worse, by the intervals that cover all pairs at once. They hold for all methods together.
    """

    value: float
    low: float | None
    high: float | None
    first: float | None


def mean_of_rows(values_N: ArrayLike) -> MetricOfCounts:
    """A metric that is a mean over rows, such as accuracy, from its value on each row."""
    values = np.asarray(values_N, dtype=np.float64)
    return lambda counts_RN: (counts_RN @ values) / counts_RN.sum(axis=1)


def r2_of_rows(
    truth_N: ArrayLike, squared_error_N: ArrayLike, variation: MetricOfCounts | None = None
) -> MetricOfCounts:
    """R2 from the truth and the squared error of each row; NaN on draws whose truth is constant.

    Args:
        truth_N: The truth.
        squared_error_N: Squared error of each row.
        variation: ``variation_of_rows(truth_N)``, shared by methods that are measured on the same draws.
    """
    error = np.asarray(squared_error_N, dtype=np.float64)
    variation = variation or variation_of_rows(truth_N)
    return lambda counts_RN: 1.0 - (counts_RN @ error) / variation(counts_RN)


def variation_of_rows(truth_N: ArrayLike) -> MetricOfCounts:
    """Sum of squares of the truth around its mean in each draw, NaN where it is constant.

    The last answer is kept: every method asks about the same draws.
    """
    truth = np.asarray(truth_N, dtype=np.float64)
    truth = truth - truth.mean()  # keeps the difference of squares below exact enough
    last: list[Floats] = []

    def measure(counts_RN: Floats) -> Floats:
        if not last or last[0] is not counts_RN:
            is_drawn_RN = counts_RN > 0
            one_R = truth[is_drawn_RN.argmax(axis=1)]
            varies_R = (is_drawn_RN & (truth[None] != one_R[:, None])).any(axis=1)
            variation_R = counts_RN @ truth**2 - (counts_RN @ truth) ** 2 / counts_RN.sum(axis=1)
            last[:] = [counts_RN, np.where(varies_R, variation_R, np.nan)]
        return last[1]

    return measure


def mean_average_precision_of_rows(truth_NC: ArrayLike, scores_NC: ArrayLike) -> MetricOfCounts:
    """Mean over the labels of average precision, of those with a positive row in the draw; NaN where none has one.

    Rows are sorted once a label, so that a draw costs two running sums and no sort.
    """
    ranked = RankedColumns(np.asarray(truth_NC) > 0, np.asarray(scores_NC, dtype=np.float64))

    def measure(counts_RN: Floats) -> Floats:
        return np.concatenate([ranked(counts_RN[i : i + _DRAWS])[1] for i in range(0, len(counts_RN), _DRAWS)])

    return measure


def metric_of_rows(fn: Callable[[Ints], float | None]) -> MetricOfCounts:
    """Any metric, from a function of row positions (with repeats); slow, one call a draw."""

    def measure(counts_RN: Floats) -> Floats:
        rows = np.arange(counts_RN.shape[1], dtype=np.int64)
        values = [fn(np.repeat(rows, counts_N)) for counts_N in counts_RN.astype(np.int64)]
        return np.array([np.nan if v is None else float(v) for v in values])

    return measure


def mean_over_seeds(metrics: Sequence[MetricOfCounts]) -> MetricOfCounts:
    """The mean of several metrics inside each draw."""
    if not metrics:
        raise ValueError("a mean over seeds needs at least one seed; none was given")
    return lambda counts_RN: np.mean([m(counts_RN) for m in metrics], axis=0)


def resample_methods(
    metrics: Mapping[str, MetricOfCounts],
    n: int,
    *,
    groups: Groups | None = None,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Resampled:
    """Draw the rows once, measure every method on each draw.

    Args:
        metrics: A metric per method, of how often each row was drawn.
        n: Number of rows.
        groups: A group name per row; rows of a group are drawn together.
        resamples: How many times to draw.
        seed: Seed of the draws.
        progress: Called with (draws measured, draws to measure, "resampling"), each method's draws counted.

    Raises:
        ValueError: No method, no rows or lengths that disagree.

    Example:
        >>> both = {"a": mean_of_rows([1, 1, 1, 0]), "b": mean_of_rows([1, 0, 1, 0])}
        >>> resample_methods(both, 4, resamples=3).point_M.tolist()
        [0.75, 0.5]
    """
    if not metrics:
        raise ValueError("there is no method to measure; give at least one")
    check_draws(resamples, 0.95)
    units = units_of_rows(n, groups)
    whole = np.ones((1, n))
    point = np.array([m(whole)[0] for m in metrics.values()])
    drawn = np.zeros((resamples if len(units) > 1 else 0, len(metrics)))
    start = 0
    for counts_RN in drawn_counts(units, n, len(drawn), seed):
        stop = start + len(counts_RN)
        for m, metric in enumerate(metrics.values()):
            drawn[start:stop, m] = metric(counts_RN)
            if progress is not None:
                done = start * len(metrics) + (stop - start) * (m + 1)
                progress(done, drawn.size, "resampling")
        start = stop
    return Resampled(tuple(metrics), point, drawn, len(units))


def method_intervals(resampled: Resampled, *, level: float = 0.95) -> dict[str, Bounds]:
    """The interval of each method's own metric."""
    return {name: percentiles(resampled.drawn_RM[:, m], level) for m, name in enumerate(resampled.names)}


def pairwise_differences(resampled: Resampled, *, level: float = 0.95) -> list[Difference]:
    """Every pair's difference with its own interval and with one that covers all pairs at once (max-T).

    Draws on which any method is undefined count for none. Methods that answer alike on every row have a difference
    of exactly zero and take no part in the correction.
    """
    names, point = resampled.names, resampled.point_M
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    whole = np.isfinite(resampled.drawn_RM).all(axis=1)
    drawn = resampled.drawn_RM[whole]
    enough = len(drawn) > 1 and 2 * len(drawn) >= len(resampled.drawn_RM)
    if not pairs:
        return []
    gap_P = np.array([point[i] - point[j] for i, j in pairs])
    std_P = np.zeros(len(pairs))
    largest_R = np.zeros(len(drawn))
    if enough:
        gap_RP = np.stack([drawn[:, i] - drawn[:, j] for i, j in pairs], axis=1)
        std_P = gap_RP.std(axis=0, ddof=1)
        moving_P = (std_P > _TIE) & np.isfinite(gap_P)
        if moving_P.any():
            away_RP = np.abs(gap_RP[:, moving_P] - gap_P[moving_P]) / std_P[moving_P]
            largest_R = away_RP.max(axis=1)
    limit = float(np.quantile(largest_R, level)) if enough else 0.0
    found: list[Difference] = []
    for p, (i, j) in enumerate(pairs):
        gap, std = float(gap_P[p]), float(std_P[p])
        low, high = percentiles(gap_RP[:, p], level) if enough else (None, None)
        wide = (gap - limit * std, gap + limit * std) if enough else (None, None)
        p_value = None
        if enough and std > _TIE:
            p_value = float((1 + (largest_R >= abs(gap) / std).sum()) / (1 + len(largest_R)))
        real, holds = _leaves_zero_out(low, high), _leaves_zero_out(*wide)
        found.append(
            Difference(
                a=names[i], b=names[j], difference=gap, low=low, high=high, real=real, wide_low=wide[0],
                wide_high=wide[1], holds=real and holds, adjusted_p=p_value,
            )
        )  # fmt: skip
    return found


def rank_intervals(
    resampled: Resampled, differences: Sequence[Difference], *, higher_is_better: bool = True
) -> dict[str, Rank]:
    """The place of each method, and the places it may truly have.

    Percentiles of the places over the draws do not cover: of methods that are equal one is first in any table, and
    the draws repeat it. The interval is taken from the differences that hold for all pairs at once instead.

    Args:
        resampled: What ``resample_methods`` gave.
        differences: What ``pairwise_differences`` gave for it; its level is that of the intervals.
        higher_is_better: Direction of the metric.
    """
    sign = 1.0 if higher_is_better else -1.0
    place_M = _places(sign * resampled.point_M[None])[0]
    whole = np.isfinite(resampled.drawn_RM).all(axis=1)
    drawn = sign * resampled.drawn_RM[whole]
    is_top_RM = drawn >= drawn.max(axis=1, keepdims=True) - _TIE if len(drawn) else drawn > 0
    names = resampled.names
    num_better, num_worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for d in differences:
        if d["holds"]:
            better, worse = (d["a"], d["b"]) if sign * d["difference"] > 0 else (d["b"], d["a"])
            num_better[worse] += 1
            num_worse[better] += 1
    known = len(drawn) > 0 and all(d["wide_low"] is not None for d in differences)
    found = {}
    for m, name in enumerate(names):
        low, high = (1.0 + num_better[name], float(len(names) - num_worse[name])) if known else (None, None)
        first = float((is_top_RM[:, m] / is_top_RM.sum(axis=1)).mean()) if len(drawn) else None
        found[name] = Rank(value=float(place_M[m]), low=low, high=high, first=first)
    return found


def _places(scores_RM: Floats) -> Floats:
    """Place of each score in its row, 1 for the highest; ties share the mean of their places; NaN is last."""
    scores_RM = np.where(np.isfinite(scores_RM), scores_RM, -np.inf)
    places = np.empty_like(scores_RM)
    for m in range(scores_RM.shape[1]):
        own_R1 = scores_RM[:, m : m + 1]
        better_R = (scores_RM > own_R1 + _TIE).sum(axis=1)
        alike_R = ((scores_RM <= own_R1 + _TIE) & (scores_RM >= own_R1 - _TIE)).sum(axis=1)
        places[:, m] = 1.0 + better_R + (alike_R - 1) / 2.0
    return places


def _leaves_zero_out(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and (low > _TIE or high < -_TIE)
