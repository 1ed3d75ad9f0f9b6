"""Nearest-neighbour classification: how well the labels of a gallery can be read off an embedding space.

A probe that trains nothing: each query takes the vote of its K most similar items. Ties are settled by no order:
items that tie for the last places share those places equally, and of equal classes the first is predicted, so
neither the order of the gallery nor the size of a chunk changes an answer.

Reference: Cover and Hart 1967 (votes); Wu et al. 2018, equation 8 (votes weighted by exp(similarity / temperature)).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.label import class_numbers
from plait.metrics.similarity import CHUNK_ROWS, cosine_chunks, matrix_chunks, similarity_matrix, unit_pair

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Literal["uniform", "distance"]


def knn_classify(
    query_ND: ArrayLike,
    gallery_MD: ArrayLike,
    labels_M: ArrayLike,
    k: int,
    *,
    weights: Weights = "uniform",
    temperature: float = 0.07,
    num_classes: int | None = None,
    chunk: int = CHUNK_ROWS,
) -> tuple[Ints, Floats]:
    """Classify embeddings by the labels of their K nearest neighbours in cosine.

    Args:
        query_ND: A vector per query ``[N, D]``, of any length but zero.
        gallery_MD: A vector per labelled item ``[M, D]``.
        labels_M: Class numbers of the gallery ``[M]``, 0 to C - 1.
        k: Neighbours that vote, 1 to M.
        weights: ``uniform`` gives each neighbour one vote, ``distance`` votes of exp(similarity / temperature).
        temperature: Above 0; the smaller, the more the nearest decides. Read with ``distance`` only.
        num_classes: C; by default the largest label plus one.
        chunk: Queries to take at once; changes memory, never an answer.

    Returns:
        Predicted class numbers ``[N]`` and shares of the vote ``[N, C]``, rows summing to 1.

    Raises:
        ValueError: Bad vectors, labels that do not fit, or k, weights or temperature outside their range.

    Example:
        >>> knn_classify([[1.0, 0.1]], [[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]], [0, 1, 0], k=3)[1].round(2).tolist()
        [[0.67, 0.33]]
    """
    query, gallery = unit_pair(query_ND, gallery_MD)
    chunks = cosine_chunks(query, gallery, chunk)
    return _classify(chunks, len(gallery), labels_M, num_classes, k, weights, temperature)


def knn_classify_matrix(
    similarity_NM: ArrayLike,
    labels_M: ArrayLike,
    k: int,
    *,
    weights: Weights = "uniform",
    temperature: float = 0.07,
    num_classes: int | None = None,
    chunk: int = CHUNK_ROWS,
) -> tuple[Ints, Floats]:
    """As ``knn_classify``, from similarities ``[N, M]`` of any kind (higher is closer).

    Example:
        >>> knn_classify_matrix([[0.9, 0.9, 0.1]], [1, 0, 0], k=1)[1].tolist()
        [[0.5, 0.5]]
    """
    scores = similarity_matrix(similarity_NM)
    chunks = matrix_chunks(scores, chunk)
    return _classify(chunks, scores.shape[1], labels_M, num_classes, k, weights, temperature)


def majority_vote(labels_QK: Ints, scores_QK: Floats, num_labels: int) -> Ints:
    """The commonest label among neighbours that were found already; of equal counts that with the larger sum of scores.

    Args:
        labels_QK: Label numbers of the neighbours ``[Q, K]``, nearest first; -1 counts nothing.
        scores_QK: Their scores ``[Q, K]``, -1 to 1.
        num_labels: How many labels there are.

    Returns:
        A label number per query ``[Q]``.

    Example:
        >>> majority_vote(np.array([[1, 0, 0], [1, 0, -1]]), np.array([[.9, .5, .4], [.9, .8, .7]]), 2).tolist()
        [0, 1]
    """
    query_V, place_V = np.nonzero(labels_QK >= 0)
    # a vote counts one; scores, at most K in sum, break ties without outweighing a vote
    share_V = scores_QK[query_V, place_V] / (2.0 * max(1, labels_QK.shape[1]) + 1)
    shape = (len(labels_QK), num_labels)
    chosen: Ints = _count_votes(query_V, labels_QK[query_V, place_V], 1 + share_V, shape).argmax(axis=1)
    return chosen


def _count_votes(query_V: Ints, label_V: Ints, votes_V: Floats, shape: tuple[int, int]) -> Floats:
    """Sums of votes for each query and label ``[Q, C]``."""
    summed = np.bincount(query_V * shape[1] + label_V, weights=votes_V, minlength=shape[0] * shape[1])
    return summed.astype(np.float64, copy=False).reshape(shape)


def _classify(
    chunks: Iterable[tuple[int, Floats]], num_items: int, labels_M: ArrayLike, num_classes: int | None, k: int,
    weights: Weights, temperature: float,
) -> tuple[Ints, Floats]:  # fmt: skip
    labels, num_classes = _labels(labels_M, num_items, num_classes)
    scale = _scale(k, num_items, weights, temperature)
    parts: list[Floats] = []
    for _, scores_CM in chunks:
        last_C1 = np.partition(scores_CM, num_items - k, axis=1)[:, num_items - k, None]
        is_above_CM, is_tied_CM = scores_CM > last_C1, scores_CM == last_C1
        open_C = k - is_above_CM.sum(axis=1)
        query_V, item_V = np.nonzero(is_above_CM | is_tied_CM)
        share_V = np.where(is_tied_CM[query_V, item_V], (open_C / is_tied_CM.sum(axis=1))[query_V], 1.0)
        best_C = scores_CM.max(axis=1)
        votes_V = share_V * np.exp((scores_CM[query_V, item_V] - best_C[query_V]) * scale)
        votes_CK = _count_votes(query_V, labels[item_V], votes_V, (len(scores_CM), num_classes))
        parts.append(votes_CK / votes_CK.sum(axis=1, keepdims=True))
    proba_NC = np.concatenate(parts)
    # Votes that are equal but for the order in which they were added count as equal: the first class has it.
    is_best_NC = proba_NC >= proba_NC.max(axis=1, keepdims=True) - 1e-12
    return is_best_NC.argmax(axis=1).astype(np.int64), proba_NC


def _labels(labels_M: ArrayLike, num_items: int, num_classes: int | None) -> tuple[Ints, int]:
    raw = np.asarray(labels_M)
    if num_classes is None:
        is_counted = raw.size > 0 and raw.dtype.kind in "iubf" and bool(np.isfinite(raw).all())
        num_classes = int(raw.max()) + 1 if is_counted else 1
    labels = class_numbers(raw, num_classes, "labels_M")
    if len(labels) != num_items:
        raise ValueError(f"labels_M has {len(labels)} entries for {num_items} items of the gallery; give one each")
    return labels, num_classes


def _scale(k: int, num_items: int, weights: str, temperature: float) -> float:
    if not 1 <= k <= num_items:
        raise ValueError(f"k is {k}; expected 1 to {num_items}, the size of the gallery")
    if weights not in ("uniform", "distance"):
        raise ValueError(f"weights is {weights!r}; expected 'uniform' or 'distance'")
    if weights == "uniform":
        return 0.0
    if not temperature > 0.0:
        raise ValueError(f"temperature is {temperature}; expected a number above 0, such as 0.07")
    return 1.0 / temperature
