"""Robustness to missing modalities: the area under a curve of scores, and a metric per pattern of what is there.

Levels (the fraction that is missing, 0 for clean) and the score at each come in, one number goes out that does not
depend on how many levels were measured or how they are spaced: areas are trapezoids divided by the span of the
levels. Larger is more robust, for errors too. Nothing is normalised by what other methods scored.

Reference: Liang et al. 2021 (MultiBench: relative and effective robustness, there with a fixed step); Taori et al.
2020 (effective robustness).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.breakdown import Slice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class MissingPattern(NamedTuple):
    """Rows in which exactly these modalities are present."""

    names: tuple[str, ...]
    present: tuple[bool, ...]
    rows: Ints


def relative_robustness(levels: ArrayLike, scores: ArrayLike, *, higher_is_better: bool = True) -> float:
    """How much of its clean quality a model keeps over the levels, on average.

    The mean height of q(s) over the levels s, where q is score / clean score when higher is better and clean
    score / score when lower is better (an error that doubles keeps a half). Between two levels q is taken as a
    straight line.

    Args:
        levels: Fractions missing ``[L]``, 0 to 1, rising, the first 0 (clean), at least two.
        scores: The metric at each level ``[L]``.
        higher_is_better: False for errors such as MAE.

    Returns:
        1 for a model that loses nothing, less where it loses, above 1 where it gains.

    Raises:
        ValueError: Levels that are unsorted, repeated, outside 0 to 1 or without 0; NaN; a ratio that is undefined
            or means nothing (a clean score of 0 or less, an error of 0 or less).

    Example:
        >>> relative_robustness([0.0, 0.5, 1.0], [0.8, 0.6, 0.4])
        0.75
    """
    levels_L = _levels(levels)
    scores_L = _scores(scores, len(levels_L), "scores")
    if scores_L[0] <= 0.0:
        raise ValueError(
            f"the clean score is {scores_L[0]:.6g}; a ratio to it means nothing, so use a metric that is above 0 or "
            "effective_robustness, which takes differences"
        )
    if higher_is_better:
        return _mean_height(levels_L, scores_L / scores_L[0])
    if (scores_L <= 0.0).any():
        level = float(levels_L[(scores_L <= 0.0).argmax()])
        raise ValueError(
            f"the error at level {level:.6g} is 0 or less; clean / error is undefined, so use effective_robustness"
        )
    return _mean_height(levels_L, scores_L[0] / scores_L)


def effective_robustness(
    levels: ArrayLike, scores: ArrayLike, baseline: ArrayLike, *, higher_is_better: bool = True
) -> float:
    """How much slower a model decays than a baseline, usually late fusion measured in the same experiment.

    The baseline's curve is shifted so that both start at the model's clean score; the result is the mean gap between
    the two. A better clean score alone therefore earns nothing.

    Args:
        levels: Fractions missing ``[L]``, 0 to 1, rising, the first 0 (clean), at least two.
        scores: The metric of the model at each level ``[L]``.
        baseline: The metric of the baseline at the same levels ``[L]``.
        higher_is_better: False for errors; the sign is then turned, so that larger stays better.

    Returns:
        The gap in units of the metric: 0 for the baseline itself, above 0 where the model decays more slowly.

    Raises:
        ValueError: As ``relative_robustness`` for levels and NaN.

    Example:
        >>> round(effective_robustness([0.0, 1.0], [0.9, 0.7], [0.8, 0.5]), 9)
        0.05
    """
    levels_L = _levels(levels)
    scores_L = _scores(scores, len(levels_L), "scores")
    baseline_L = _scores(baseline, len(levels_L), "baseline")
    gap_L = (scores_L - scores_L[0]) - (baseline_L - baseline_L[0])
    return _mean_height(levels_L, gap_L if higher_is_better else -gap_L) + 0.0  # -0.0 would read as a loss


def missing_patterns(present_NM: ArrayLike, names: Sequence[str]) -> list[MissingPattern]:
    """Every combination of present modalities that occurs.

    Args:
        present_NM: True where a modality is there ``[N, M]``.
        names: Modality of each column ``[M]``.

    Returns:
        The patterns, commonest first, of equally common ones the fullest, then by the order of ``names``. Every row
        is in exactly one; rows with nothing present are a pattern without names.

    Raises:
        ValueError: Values that are not true or false, no rows, or names that do not fit the columns.

    Example:
        >>> [(p.names, p.rows.tolist()) for p in missing_patterns([[1, 1], [0, 1], [1, 1]], ["text", "image"])]
        [(('text', 'image'), [0, 2]), (('image',), [1])]
    """
    present = _present(present_NM, names)
    kinds_PM, pattern_N = np.unique(present, axis=0, return_inverse=True)
    place_N = pattern_N.reshape(-1)
    found = [
        MissingPattern(
            names=tuple(name for name, is_there in zip(names, kind, strict=True) if is_there),
            present=tuple(bool(x) for x in kind),
            rows=np.flatnonzero(place_N == p).astype(np.int64),
        )
        for p, kind in enumerate(kinds_PM)
    ]
    return sorted(found, key=lambda p: (-len(p.rows), -len(p.names), tuple(not x for x in p.present)))


def pattern_metrics(
    present_NM: ArrayLike, names: Sequence[str], measure: Callable[[Ints], Mapping[str, Any]]
) -> list[Slice]:
    """Metrics on the rows of each pattern alone.

    Args:
        present_NM: True where a modality is there ``[N, M]``.
        names: Modality of each column ``[M]``.
        measure: Gets the row positions of a pattern, returns its metrics.

    Returns:
        A slice per pattern, with the present modalities as its value (``text + image``, or ``(none)``), its number of
        rows and its metrics; in the order of ``missing_patterns``.

    Raises:
        ValueError: As ``missing_patterns``.

    Example:
        >>> rows = pattern_metrics([[1, 1], [0, 1]], ["text", "image"], lambda rows: {"first": int(rows[0])})
        >>> [(r["value"], r["rows"], r["metrics"]) for r in rows]
        [('text + image', 1, {'first': 0}), ('image', 1, {'first': 1})]
    """
    return [
        Slice(
            column="present modalities",
            value=" + ".join(pattern.names) or "(none)",
            rows=len(pattern.rows),
            metrics=dict(measure(pattern.rows)),
        )
        for pattern in missing_patterns(present_NM, names)
    ]


def _mean_height(levels_L: Floats, heights_L: Floats) -> float:
    areas = (heights_L[1:] + heights_L[:-1]) / 2.0 * np.diff(levels_L)
    return float(areas.sum() / (levels_L[-1] - levels_L[0]))


def _levels(values: ArrayLike) -> Floats:
    levels = np.asarray(values, dtype=np.float64)
    if levels.ndim != 1 or len(levels) < 2:
        raise ValueError(
            f"levels have shape {levels.shape}; expected at least two fractions in a row, such as 0, 0.5, 1"
        )
    if not np.isfinite(levels).all() or levels.min() < 0.0 or levels.max() > 1.0:
        raise ValueError(f"levels are {levels.tolist()}; expected fractions missing, 0 to 1 (0.3, not 30)")
    if (np.diff(levels) == 0.0).any():
        twice = float(levels[1:][np.diff(levels) == 0.0][0])
        raise ValueError(f"level {twice:.6g} stands twice; average its scores first and give each level once")
    if (np.diff(levels) < 0.0).any():
        raise ValueError(f"levels are {levels.tolist()}; sort them (and the scores with them) in rising order")
    if levels[0] != 0.0:
        raise ValueError(f"the first level is {levels[0]:.6g}; expected 0, the clean score to which all is compared")
    return levels


def _scores(values: ArrayLike, num_levels: int, name: str) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != (num_levels,):
        raise ValueError(f"{name} have shape {scores.shape}; expected one score for each of {num_levels} levels")
    if not np.isfinite(scores).all():
        raise ValueError(f"{name} hold {int((~np.isfinite(scores)).sum())} NaN or infinite of {num_levels} values")
    return scores


def _present(values: ArrayLike, names: Sequence[str]) -> NDArray[np.bool_]:
    raw = np.asarray(values)
    if raw.ndim != 2 or len(raw) == 0:
        raise ValueError(f"present_NM has shape {raw.shape}; expected [rows, modalities] with at least one row")
    if raw.shape[1] != len(names) or len(set(names)) != len(names):
        raise ValueError(f"names are {list(names)} for {raw.shape[1]} columns of present_NM; give one each, none twice")
    if raw.dtype.kind not in "biuf" or not bool(((raw == 0) | (raw == 1)).all()):
        raise ValueError(f"present_NM holds {raw.dtype} values other than true and false; expected true where present")
    return raw.astype(np.bool_)
