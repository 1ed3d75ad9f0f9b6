"""Teachers by similarity: votes of the nearest labelled rows, and labels that spread over a graph of all rows.

    knn              q_u = votes of the k nearest labelled rows, weighted by exp(cosine / .07)
    propagation      F <- a S F + (1 - a) Y,     S = D^-1/2 W D^-1/2,     W: 10 nearest, exp((cosine - 1) / .1)

Each modality is standardised by the labelled training rows and made unit length; a missing one is zero.

Reference: Wu et al. 2018, equation 8 (votes); Zhou, Bousquet, Lal, Weston and Schoelkopf 2004 (learning with local and
global consistency), equation 4 and its iteration.
"""

from __future__ import annotations

import numpy as np

from plait.ensemble.linear import RowFeatures
from plait.ensemble.scale import AnswerScale
from plait.ensemble.teachers.base import TEACHERS, Lesson, Taught, Teacher
from plait.metrics.knn import knn_classify

NEIGHBOURS = (1, 3, 5, 9, 15)
SPREAD = (0.5, 0.9, 0.99)  # a: how much a row listens to its neighbours
GRAPH_NEIGHBOURS = 10
GRAPH_WIDTH = 0.1
PASSES = 50
MOST_GRAPH_ROWS = 10_000
CHUNK = 512
SMOOTHING = 0.05  # share of the votes that all classes split, so that no answer is certain


def nearest(lesson: Lesson) -> Taught | None:
    """Votes of the nearest labelled rows; how many vote is chosen on held-out rows."""
    own, others = _unit(lesson, lesson.labelled), _unit(lesson, lesson.unlabelled)
    there_T, there_U = own.any(1), others.any(1)
    best: tuple[float, np.ndarray, int] | None = None
    for k in NEIGHBOURS:
        held_out = np.full((len(own), lesson.num_outputs), np.nan)
        for inside, outside in lesson.folds:
            inside, outside = inside[there_T[inside]], outside[there_T[outside]]
            if len(inside) < k or len(outside) == 0:
                continue
            held_out[outside] = _votes(lesson, own[outside], own[inside], lesson.labelled.target[inside], k)
        loss = _loss(lesson.scale, held_out, lesson.labelled.target)
        if loss is not None and (best is None or loss < best[0]):
            best = loss, held_out, k
    if best is None:
        return None
    outputs = np.full((len(others), lesson.num_outputs), np.nan)
    if there_U.any():
        known = lesson.labelled.target[there_T]
        outputs[there_U] = _votes(lesson, others[there_U], own[there_T], known, best[2])
    return Taught(best[1], outputs, {"neighbours": best[2]})


def propagation(lesson: Lesson) -> Taught | None:
    """Labels spread over a graph; how far is chosen on held-out rows, whose labels a fold hides."""
    own, others = _unit(lesson, lesson.labelled), _unit(lesson, lesson.unlabelled)
    room = max(0, MOST_GRAPH_ROWS - len(own))
    sampled = np.arange(len(others))
    if len(others) > room:
        sampled = np.sort(np.random.default_rng(lesson.seed).choice(len(others), room, replace=False))
    graph = _graph(np.concatenate([own, others[sampled]]))
    best: tuple[float, np.ndarray, np.ndarray, float] | None = None
    for share in SPREAD:
        held_out = np.full((len(own), lesson.num_outputs), np.nan)
        spread = np.zeros((len(sampled), lesson.num_outputs))
        for inside, outside in lesson.folds:
            start = np.zeros((len(own) + len(sampled), lesson.num_outputs))
            start[inside, lesson.labelled.target[inside].astype(np.int64)] = 1.0
            found = _shares(_spread(graph, start, share))
            held_out[outside] = found[outside]
            spread += found[len(own) :] / len(lesson.folds)
        loss = _loss(lesson.scale, held_out, lesson.labelled.target)
        if loss is not None and (best is None or loss < best[0]):
            best = loss, held_out, spread, share
    if best is None:
        return None
    outputs = np.full((len(others), lesson.num_outputs), np.nan)
    outputs[sampled] = best[2]
    facts = {"spread": best[3], **({"sampled": len(sampled)} if len(sampled) < len(others) else {})}
    return Taught(best[1], outputs, facts)


TEACHERS.add("knn", Teacher(nearest))
TEACHERS.add("propagation", Teacher(propagation))


def _unit(lesson: Lesson, rows: RowFeatures) -> np.ndarray:
    """Vectors side by side, each modality standardised by the labelled rows and of unit length [N, D]."""
    found = []
    for m, part in rows.parts.items():
        known = lesson.labelled.parts[m][lesson.labelled.present_NM[:, m]].astype(np.float64)
        there = rows.present_NM[:, m]
        if len(known) == 0:
            continue
        std = known.std(0)
        vectors = (part - known.mean(0)) / np.where(std > 0, std, 1.0) * (std > 0)
        size = np.linalg.norm(vectors, axis=1, keepdims=True)
        found.append(np.where(there[:, None] & (size > 0), vectors / np.maximum(size, 1e-12), 0.0))
    return np.concatenate(found, axis=1) if found else np.zeros((len(rows.target), 1))


def _votes(lesson: Lesson, query: np.ndarray, gallery: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    shares = knn_classify(
        query, gallery, labels.astype(np.int64), min(k, len(gallery)), weights="distance",
        num_classes=lesson.num_outputs,
    )[1]  # fmt: skip
    return _shares(shares)


def _shares(votes_NC: np.ndarray) -> np.ndarray:
    """Votes to probabilities; a row without any has all classes alike."""
    total = votes_NC.sum(1, keepdims=True)
    classes = votes_NC.shape[1]
    shares = np.where(total > 0, votes_NC / np.where(total > 0, total, 1.0), 1.0 / classes)
    return (1.0 - SMOOTHING) * shares + SMOOTHING / classes


def _loss(scale: AnswerScale, held_out: np.ndarray, target: np.ndarray) -> float | None:
    seen = ~np.isnan(held_out).any(1)
    return float(scale.loss(held_out[seen], target[seen]).mean()) if seen.any() else None


def _graph(vectors_ND: np.ndarray) -> object:
    """The normalised graph of nearest neighbours, a sparse matrix [N, N]."""
    from scipy.sparse import coo_matrix, diags  # only fitting needs it

    count = len(vectors_ND)
    k = min(GRAPH_NEIGHBOURS, count - 1)
    rows, columns, values = [], [], []
    size = np.linalg.norm(vectors_ND, axis=1)
    unit = vectors_ND / np.where(size > 0, size, 1.0)[:, None]
    for start in range(0, count, CHUNK):
        cosine = unit[start : start + CHUNK] @ unit.T
        cosine[np.arange(len(cosine)), start + np.arange(len(cosine))] = -np.inf
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k] if k > 0 else np.zeros((len(cosine), 0), dtype=int)
        rows.append(np.repeat(start + np.arange(len(cosine)), k))
        columns.append(near.reshape(-1))
        values.append(np.exp((np.take_along_axis(cosine, near, axis=1).reshape(-1) - 1.0) / GRAPH_WIDTH))
    pairs = (np.concatenate(rows), np.concatenate(columns))
    weights = coo_matrix((np.concatenate(values), pairs), shape=(count, count)).tocsr()
    weights = weights.maximum(weights.T)
    degree = np.asarray(weights.sum(1)).reshape(-1)
    scaled = diags(np.where(degree > 0, 1.0 / np.sqrt(np.where(degree > 0, degree, 1.0)), 0.0))
    return scaled @ weights @ scaled


def _spread(graph: object, start_NC: np.ndarray, share: float) -> np.ndarray:
    found = start_NC
    for _ in range(PASSES):
        found = share * np.asarray(graph @ found) + (1.0 - share) * start_NC  # type: ignore[operator]
    return found
