"""A teacher by similarity: votes of the nearest labelled rows.

    q_u = votes of the k nearest labelled rows by cosine, weighted by exp(cosine / .07)

Each modality is standardised by labelled and unlabelled rows together (inputs alone) and made unit length; a missing
one is zero.

Reference: Wu et al. 2018, equation 8.
"""

from __future__ import annotations

import numpy as np

from plait.ensemble.linear import RowFeatures
from plait.ensemble.scale import AnswerScale
from plait.ensemble.teachers.base import TEACHERS, Lesson, Taught, Teacher, both
from plait.metrics.knn import knn_classify

NEIGHBOURS = (1, 3, 5, 9, 15)
SMOOTHING = 0.05  # share of the votes that all classes split, so that no answer is certain


def nearest(lesson: Lesson) -> Taught | None:
    """Votes of the nearest labelled rows; how many vote is chosen on held-out rows."""
    vectors = unit_vectors(lesson.labelled, lesson.unlabelled)
    own, others = vectors[: len(lesson.labelled.target)], vectors[len(lesson.labelled.target) :]
    there_T, there_U = np.any(own, axis=1), np.any(others, axis=1)
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


TEACHERS.add("knn", Teacher(nearest))


def unit_vectors(labelled: RowFeatures, unlabelled: RowFeatures) -> np.ndarray:
    """Vectors side by side, each modality standardised by all rows and of unit length [T + U, D]."""
    rows, found = both(labelled, unlabelled), []
    for m, part in rows.parts.items():
        there = rows.present_NM[:, m]
        if not there.any():
            continue
        known = part[there].astype(np.float64)
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
    return shares_of(shares)


def shares_of(votes_NC: np.ndarray, smoothing: float = SMOOTHING) -> np.ndarray:
    """Votes to probabilities; a row without any has all classes alike."""
    total = votes_NC.sum(1, keepdims=True)
    classes = votes_NC.shape[1]
    shares = np.where(total > 0, votes_NC / np.where(total > 0, total, 1.0), 1.0 / classes)
    return np.asarray((1.0 - smoothing) * shares + smoothing / classes)


def _loss(scale: AnswerScale, held_out: np.ndarray, target: np.ndarray) -> float | None:
    seen = ~np.isnan(held_out).any(1)
    return float(scale.loss(held_out[seen], target[seen]).mean()) if seen.any() else None
