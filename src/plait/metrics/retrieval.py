"""Retrieval as it is reported: means over queries, both directions between modalities, bootstrap intervals.

The numbers per query come from ``ranking``, where each is defined. Here they become one dict per direction, keyed
by the names of the modalities, with the count of queries that have nothing to find, and intervals from drawing
queries while the gallery stays whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.intervals import Groups, metric_intervals
from plait.metrics.ranking import KS, Gain, Ids, PerQuery, embedding_query_metrics, query_metrics
from plait.metrics.retrieval_directions import direction_name
from plait.metrics.similarity import CHUNK_ROWS, similarity_matrix

Ints = NDArray[np.int64]
NoRelevant = Literal["zero", "leave_out"]

_SUMMARY_NAMES = {"first_rank": "median_rank", "reciprocal_rank": "mrr", "average_precision": "map"}


def retrieval_summary(per_query: Mapping[str, ArrayLike], *, no_relevant: NoRelevant = "zero") -> dict[str, Any]:
    """Mean over queries of what ``query_metrics`` returned.

    Args:
        per_query: Arrays ``[N]`` by name.
        no_relevant: A query that has no relevant item scores 0 (``zero``) or is not counted (``leave_out``).

    Returns:
        Means, with ``mrr`` for the reciprocal rank, ``map`` for the average precision and ``median_rank`` for the
        median of the first rank; ``queries`` (N) and ``no_relevant``, how many of them have no relevant item. A
        metric is None where no query is left to count.

    Raises:
        ValueError: An unknown policy.

    Example:
        >>> found = query_metrics([[0.9, 0.5], [0.2, 0.3]], [[1, 0], [1, 0]])
        >>> retrieval_summary(found)["mrr"]
        0.75
    """
    if no_relevant not in ("zero", "leave_out"):
        raise ValueError(f"no_relevant is {no_relevant!r}; expected 'zero' or 'leave_out'")
    num_relevant = np.asarray(per_query["num_relevant"])
    kept_N = np.ones(len(num_relevant), dtype=np.bool_) if no_relevant == "zero" else num_relevant > 0
    summary: dict[str, Any] = {}
    for name, values in per_query.items():
        if name == "num_relevant":
            continue
        kept = np.asarray(values, dtype=np.float64)[kept_N]
        middle = np.median if name == "first_rank" else np.mean
        summary[_SUMMARY_NAMES.get(name, name)] = float(middle(kept)) if len(kept) else None
    summary["queries"] = len(num_relevant)
    summary["no_relevant"] = int((num_relevant == 0).sum())
    return summary


def retrieval_metrics(
    vectors: Mapping[str, ArrayLike],
    groups: Mapping[str, Ids],
    *,
    ks: Sequence[int] = KS,
    no_relevant: NoRelevant = "zero",
    chunk: int = CHUNK_ROWS,
) -> dict[str, Any]:
    """Retrieval in every direction between modalities that share a space.

    Args:
        vectors: Embeddings ``[N, D]`` by modality, each modality with its own N.
        groups: An id per row, for the same modalities; equal ids are relevant.
        ks: Depths.
        no_relevant: What a query without a relevant item scores, see ``retrieval_summary``.
        chunk: Queries to take at once.

    Returns:
        ``{"text_to_image": {...}, "image_to_text": {...}, "rsum": ...}``: a summary with ``gallery`` (M) for each
        direction, and the sum of all hit rates in per cent (at most 600 for two modalities and three depths).

    Raises:
        ValueError: Names that disagree or fewer than two, and as ``embedding_query_metrics``.

    Example:
        >>> same = {"text": [[1.0, 0.0], [0.0, 1.0]], "image": [[2.0, 0.0], [0.0, 3.0]]}
        >>> retrieval_metrics(same, {"text": [7, 8], "image": [7, 8]}, ks=[1])["rsum"]
        200.0
    """
    if set(vectors) != set(groups) or len(vectors) < 2:
        raise ValueError(
            f"vectors are of {sorted(vectors)} and groups of {sorted(groups)}; give both for the same two or more "
            "modalities"
        )
    pairs = {direction_name(a, b): (a, b) for a, b in permutations(vectors, 2)}
    found = {
        name: embedding_query_metrics(vectors[a], vectors[b], groups[a], groups[b], ks=ks, chunk=chunk)
        for name, (a, b) in pairs.items()
    }
    sizes = {name: len(groups[b]) for name, (_, b) in pairs.items()}
    return _directions(found, sizes, no_relevant)


def matrix_retrieval_metrics(
    similarity_NM: ArrayLike,
    relevant_NM: ArrayLike | None = None,
    *,
    rows: str,
    columns: str,
    row_groups: Ids | None = None,
    column_groups: Ids | None = None,
    ks: Sequence[int] = KS,
    gain: Gain = "linear",
    no_relevant: NoRelevant = "zero",
    chunk: int = CHUNK_ROWS,
) -> dict[str, Any]:
    """As ``retrieval_metrics``, from one matrix of scores that is read along its rows and along its columns.

    Args:
        similarity_NM: Finite scores ``[N, M]``, higher is closer.
        relevant_NM: True or grades ``[N, M]``; or leave it out and give both groups.
        rows: Name of the modality along the rows.
        columns: Name of the modality along the columns.
        row_groups: An id per row ``[N]``.
        column_groups: An id per column ``[M]``.
        ks: Depths.
        gain: See ``query_metrics``.
        no_relevant: See ``retrieval_summary``.
        chunk: Queries to take at once.

    Returns:
        As ``retrieval_metrics``.

    Raises:
        ValueError: As ``query_metrics``, or twice the same name.

    Example:
        >>> found = matrix_retrieval_metrics([[0.9, 0.1], [0.8, 0.2]], [[1, 0], [0, 1]], rows="text", columns="image")
        >>> found["text_to_image"]["hit_rate@1"], found["image_to_text"]["hit_rate@1"]
        (0.5, 1.0)
    """
    if rows == columns:
        raise ValueError(f"rows and columns are both named {rows!r}; give two names")
    scores = similarity_matrix(similarity_NM)
    across = None if relevant_NM is None else np.asarray(relevant_NM).T
    to, back = direction_name(rows, columns), direction_name(columns, rows)
    found = {
        to: query_metrics(
            scores, relevant_NM, query_groups=row_groups, gallery_groups=column_groups, ks=ks, gain=gain, chunk=chunk
        ),
        back: query_metrics(
            scores.T, across, query_groups=column_groups, gallery_groups=row_groups, ks=ks, gain=gain, chunk=chunk
        ),
    }
    return _directions(found, {to: scores.shape[1], back: scores.shape[0]}, no_relevant)


def retrieval_intervals(
    per_query: Mapping[str, ArrayLike],
    *,
    groups: Groups | None = None,
    no_relevant: NoRelevant = "zero",
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, dict[str, float | None]]:
    """Each metric of one direction with its bootstrap interval.

    Queries (or whole groups of them, such as the five captions of a photo) are drawn; the gallery stays whole, for
    a smaller gallery is an easier one. The interval therefore speaks of other queries to this gallery.

    Args:
        per_query: What ``query_metrics`` or ``embedding_query_metrics`` returned.
        groups: An id per query ``[N]``; queries of a group are drawn together.
        no_relevant: See ``retrieval_summary``.
        resamples: How many times to draw.
        seed: Seed of the draws.
        level: Coverage.

    Returns:
        For each metric ``{"value": ..., "low": ..., "high": ...}``. A mean of exactly 0 or 1 gets the Wilson
        interval: all queries right in a sample of ten is no certainty.

    Raises:
        ValueError: As ``metric_intervals``.

    Example:
        >>> found = query_metrics(np.eye(8), np.eye(8))
        >>> low = retrieval_intervals(found, resamples=20)["hit_rate@1"]["low"]
        >>> 0.6 < low < 0.7
        True
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in per_query.items()}

    def measure(rows: Ints) -> dict[str, Any]:
        summary = retrieval_summary({name: a[rows] for name, a in arrays.items()}, no_relevant=no_relevant)
        return {name: value for name, value in summary.items() if name not in ("queries", "no_relevant")}

    n = len(arrays["num_relevant"])
    shares = {_SUMMARY_NAMES.get(name, name) for name in arrays} - {"median_rank"}
    return metric_intervals(measure, n, groups=groups, resamples=resamples, seed=seed, level=level, shares=shares)


def _directions(found: Mapping[str, PerQuery], sizes: Mapping[str, int], no_relevant: NoRelevant) -> dict[str, Any]:
    result: dict[str, Any] = {}
    hits: list[float] = []
    for name, per_query in found.items():
        result[name] = {**retrieval_summary(per_query, no_relevant=no_relevant), "gallery": sizes[name]}
        hits += [value for key, value in result[name].items() if key.startswith("hit_rate@")]
    result["rsum"] = 100.0 * math.fsum(hits)
    return result
