"""Metrics of cross-modal retrieval: how far up the right items stand, one number per query.

Scores with what is relevant come in, either as a matrix ``[N, M]`` or as embeddings of which the cosine is taken
chunk by chunk, so that the full matrix is never held; both give the same bits. What is relevant is a matrix too
(true or false, or graded from 0 up), or an id per query and per item: equal ids belong together, so a photo has
five right captions and each caption one right photo.

Two numbers that are often mixed up have their own names. ``hit_rate@K`` is the share of queries with at least
one right item among the first K, which is what CLIP papers print as R@K. ``recall@K`` is the fraction of the
right items found there, as libraries of information retrieval mean it.

Ties: every value is the expectation over random orders of equally scored items (``tied_ranks``), so a collapsed
model scores chance. ``first_rank`` is the expected rank of the first relevant item, ``average_precision`` is
taken over the whole gallery at each relevant item's rank, ``ndcg`` averages the gain of tied items as
scikit-learn does. NaN and infinite scores raise.

Reference: Jarvelin and Kekalainen 2002 (nDCG, linear gain); Burges et al. 2005 (exponential gain); McSherry and
Najork 2008 (ties).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.similarity import CHUNK_ROWS, cosine_chunks, matrix_chunks, similarity_matrix, unit_pair
from plait.metrics.tied_ranks import (
    Blocks,
    discounted_gains,
    expected_reciprocal,
    hit_chance,
    ideal_gains,
    precision_sums,
    relevant_items,
    tied_blocks,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ids = Sequence[Hashable] | NDArray[Any]
PerQuery = dict[str, Floats]
Gain = Literal["linear", "exponential"]

KS = (1, 5, 10)


def query_metrics(
    similarity_NM: ArrayLike,
    relevant_NM: ArrayLike | None = None,
    *,
    query_groups: Ids | None = None,
    gallery_groups: Ids | None = None,
    ks: Sequence[int] = KS,
    gain: Gain = "linear",
    chunk: int = CHUNK_ROWS,
) -> PerQuery:
    """Metrics of each query by itself, from a matrix of scores.

    Args:
        similarity_NM: A row of finite scores per query ``[N, M]``, higher is closer.
        relevant_NM: True where relevant ``[N, M]``, or grades of 0 and more; or leave it out and give both groups.
        query_groups: An id per query ``[N]``.
        gallery_groups: An id per item ``[M]``; equal ids are relevant, None and NaN match nothing.
        ks: Depths; one may be larger than the gallery.
        gain: What a grade g is worth in nDCG: ``linear`` g, ``exponential`` 2^g - 1 (the same for true and false).
        chunk: Queries to take at once; changes memory, never a value.

    Returns:
        Arrays ``[N]``: ``hit_rate@K``, ``recall@K`` and ``ndcg@K`` for each K, ``first_rank`` (1 is best),
        ``reciprocal_rank``, ``average_precision``, ``ndcg`` and ``num_relevant``. All lie in 0 to 1 but the ranks
        and counts. A query without a relevant item has 0 everywhere and first rank M + 1.

    Raises:
        ValueError: NaN or infinite scores, shapes that disagree, negative grades, or no relevant item at all.

    Example:
        >>> query_metrics([[0.9, 0.5, 0.1]], [[False, True, True]], ks=[2])["recall@2"].tolist()
        [0.5]
    """
    scores = similarity_matrix(similarity_NM)
    num_queries, num_items = scores.shape
    if (relevant_NM is None) == (query_groups is None or gallery_groups is None):
        raise ValueError("give either relevant_NM or both query_groups and gallery_groups")
    if relevant_NM is None:
        assert query_groups is not None and gallery_groups is not None
        grades_of = _grades_by_group(query_groups, gallery_groups, num_queries, num_items)
    else:
        grades_of = _grades_by_matrix(relevant_NM, num_queries, num_items)
    return _measure(matrix_chunks(scores, chunk), grades_of, ks, gain)


def embedding_query_metrics(
    query_ND: ArrayLike,
    gallery_MD: ArrayLike,
    query_groups: Ids,
    gallery_groups: Ids,
    *,
    ks: Sequence[int] = KS,
    chunk: int = CHUNK_ROWS,
) -> PerQuery:
    """As ``query_metrics`` of the cosine of embeddings, without ever holding the full matrix.

    Args:
        query_ND: A vector per query ``[N, D]``, of any length but zero.
        gallery_MD: A vector per item ``[M, D]``.
        query_groups: An id per query ``[N]``.
        gallery_groups: An id per item ``[M]``; equal ids are relevant.
        ks: Depths.
        chunk: Queries to take at once; memory grows with chunk times M, values never change.

    Returns:
        As ``query_metrics``, bit for bit what it gives for ``cosine_similarity(query, gallery)``.

    Raises:
        ValueError: As ``query_metrics``, and vectors of zeros only.

    Example:
        >>> photos, texts = [[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.8, 0.6]]
        >>> embedding_query_metrics(texts, photos, ["a", "b"], ["a", "b"])["first_rank"].tolist()
        [1.0, 2.0]
    """
    query, gallery = unit_pair(query_ND, gallery_MD)
    grades_of = _grades_by_group(query_groups, gallery_groups, len(query), len(gallery))
    return _measure(cosine_chunks(query, gallery, chunk), grades_of, ks, "linear")


def _measure(
    chunks: Iterable[tuple[int, Floats]],
    grades_of: Callable[[int, int], Floats],
    ks: Sequence[int],
    gain: Gain,
) -> PerQuery:
    if not ks or any(k < 1 or k != int(k) for k in ks):
        raise ValueError(f"ks is {list(ks)}; expected depths of 1 and more, such as (1, 5, 10)")
    if gain not in ("linear", "exponential"):
        raise ValueError(f"gain is {gain!r}; expected 'linear' or 'exponential'")
    parts: list[PerQuery] = []
    for start, scores_CM in chunks:
        grades_CM = grades_of(start, start + len(scores_CM))
        gains_CM = grades_CM if gain == "linear" else np.exp2(grades_CM) - 1.0
        parts.append(_measure_chunk(scores_CM, gains_CM, [int(k) for k in ks]))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if not found["num_relevant"].any():
        raise ValueError(
            "no query has a relevant item, so there is nothing to rank; if you gave groups, look whether both sides "
            "hold the same ids of the same type (the number 1 is not the text '1')"
        )
    return found


def _measure_chunk(scores_CM: Floats, gains_CM: Floats, ks: list[int]) -> PerQuery:
    num_queries, num_items = scores_CM.shape
    relevant = relevant_items(gains_CM)
    blocks = tied_blocks(scores_CM, relevant)
    total_C = _per_query(blocks, blocks.relevant.astype(np.float64), num_queries)
    divisor_C = np.maximum(total_C, 1.0)
    first_B = np.flatnonzero(blocks.found == 0)
    asked = blocks.query[first_B]
    first = blocks.above[first_B], blocks.size[first_B], blocks.relevant[first_B]

    def for_all(values_Q: Floats, otherwise: float = 0.0) -> Floats:
        values_C = np.full(num_queries, otherwise)
        values_C[asked] = values_Q
        return values_C

    found: PerQuery = {f"hit_rate@{k}": for_all(hit_chance(*first, k)) for k in ks}
    for k in ks:
        inside_B = np.clip(k - blocks.above, 0, blocks.size) * blocks.relevant / blocks.size
        found[f"recall@{k}"] = _per_query(blocks, inside_B, num_queries) / divisor_C
    found["first_rank"] = for_all(
        np.asarray(first[0] + (first[1] + 1.0) / (first[2] + 1.0), dtype=np.float64), num_items + 1.0
    )
    found["reciprocal_rank"] = for_all(expected_reciprocal(*first))
    found["average_precision"] = _per_query(blocks, precision_sums(blocks, num_items), num_queries) / divisor_C
    for name, depth in [("ndcg", num_items), *((f"ndcg@{k}", k) for k in ks)]:
        ideal_C = ideal_gains(relevant, depth, num_queries)
        gained_C = _per_query(blocks, discounted_gains(blocks, depth, num_items), num_queries)
        found[name] = np.divide(gained_C, ideal_C, out=np.zeros(num_queries), where=ideal_C > 0)
    found["num_relevant"] = total_C
    return found


def _per_query(blocks: Blocks, values_B: Floats, num_queries: int) -> Floats:
    return np.bincount(blocks.query, weights=values_B, minlength=num_queries).astype(np.float64)


def _grades_by_matrix(relevant_NM: ArrayLike, num_queries: int, num_items: int) -> Callable[[int, int], Floats]:
    raw = np.asarray(relevant_NM)
    if raw.shape != (num_queries, num_items):
        raise ValueError(f"relevant_NM has shape {raw.shape}; expected [{num_queries}, {num_items}] as the similarity")
    grades = raw if raw.dtype.kind == "b" else similarity_matrix(raw, "relevant_NM")
    if grades.dtype.kind == "f" and bool((grades < 0).any()):
        raise ValueError(f"relevant_NM holds {int((grades < 0).sum())} negative grades; expected 0 and more")
    return lambda start, stop: grades[start:stop].astype(np.float64)


def _grades_by_group(
    query_groups: Ids, gallery_groups: Ids, num_queries: int, num_items: int
) -> Callable[[int, int], Floats]:
    for name, ids, n in (("query_groups", query_groups, num_queries), ("gallery_groups", gallery_groups, num_items)):
        if len(ids) != n:
            raise ValueError(f"{name} has {len(ids)} entries for {n} rows; give one id per row")
    number_of: dict[Hashable, int] = {}
    query_N = _numbered(query_groups, number_of, -1)
    item_M = _numbered(gallery_groups, number_of, -2)
    return lambda start, stop: (query_N[start:stop, None] == item_M[None, :]).astype(np.float64)


def _numbered(ids: Ids, number_of: dict[Hashable, int], empty: int) -> Ints:
    plain = ids.tolist() if isinstance(ids, np.ndarray) else ids
    return np.asarray(
        [
            empty if x is None or (isinstance(x, float) and math.isnan(x)) else number_of.setdefault(x, len(number_of))
            for x in plain
        ],
        dtype=np.int64,
    )
