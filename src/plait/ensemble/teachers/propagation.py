"""Labels that spread over a graph of all rows, joined with a linear model; every unlabelled row teaches.

    W: 10 nearest by cosine, exp((cosine - 1) / .1), symmetric by the larger        S = D^-1/2 W D^-1/2
    Y_i: one-hot of a labelled row, b q_i of another (q: the linear model)          every column divided by its sum
    F = (1 - a) (I - a S)^-1 Y, rows divided by their sum                           g ~ q^(1 - e) F^e

Each modality is standardised by labelled and unlabelled rows together (inputs alone) and made unit length; a missing
one is zero. In a further round the linear model learns from g too, each unlabelled row weighted by its largest g; the
graph stays. Of each fold all of this is done without the labels of its held-out rows; pseudo-labels come of all labels.

Reference: Zhou, Bousquet, Lal, Weston and Schoelkopf 2004 (learning with local and global consistency), equation 4 and
its iteration; Zhu, Ghahramani and Lafferty 2003, section 4 (class mass normalisation) and 5 (external classifiers);
Hinton 2002 (products of experts); Lee 2013 (pseudo-labels).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from plait.ensemble.linear import FittedLinear, RowFeatures, fit_linear
from plait.ensemble.teachers.base import (
    FEWEST_TEACHING,
    TEACHERS,
    Lesson,
    Taught,
    Teacher,
    both,
    most_rows,
    rows_of,
    shared_weight,
)
from plait.ensemble.teachers.neighbours import shares_of, unit_vectors
from plait.ensemble.teachers.threshold import fitted_temperature

SPREAD = 0.9  # a: how much a row listens to its neighbours
GIVEN = 0.1  # b: what the linear model's answer to a row weighs beside a label
GRAPH_SHARE = 0.7  # e: of the graph in the product with the linear model
OTHER_SHARES = (0.0, 0.3, 0.5, 0.9)
GRAPH_NEIGHBOURS = 10
GRAPH_WIDTH = 0.1
PASSES = math.ceil(math.log(1e-4) / math.log(SPREAD))  # after which less than 1e-4 of Y would still move
MOST_GRAPH_ROWS = 10_000
CHUNK = 512
TEACHING = 4  # unlabelled rows a labelled one (or a thousand in all) of which the linear model inside learns
SMALLEST = 1e-6  # of a share, in a product
Part = tuple[np.ndarray, np.ndarray]  # positions of labelled rows that teach, and of those that check


def propagation(lesson: Lesson) -> Taught | None:
    """Answers of graph and linear model together; what the graph weighs, and rounds, are chosen on held-out rows."""
    count, own = len(lesson.unlabelled.target), len(lesson.labelled.target)
    sampled, room = np.arange(count), max(0, MOST_GRAPH_ROWS - own)
    if count > room:
        sampled = np.sort(np.random.default_rng(lesson.seed).choice(count, room, replace=False))
    sampled = sampled[lesson.unlabelled.present_NM[sampled][:, list(lesson.labelled.parts)].any(1)]
    narrowed = replace(lesson, unlabelled=rows_of(lesson.unlabelled, sampled))
    graph = _graph(unit_vectors(lesson.labelled, narrowed.unlabelled))
    parts = [*lesson.folds, (np.arange(own), np.zeros(0, dtype=np.int64))]
    extra: list[RowFeatures | None] = [None] * len(parts)
    best: tuple[float, np.ndarray, np.ndarray, dict[str, Any]] | None = None
    made: FittedLinear | None = None
    for number in range(lesson.settings.rounds + 1):
        made = _linear(narrowed, parts, extra, made)
        if made is None:
            break
        found = _both_answers(narrowed, graph, parts, made)
        share, loss, held_out = _chosen_share(lesson, found)
        if best is not None and loss >= best[0]:
            break
        answers = [product(linear, spread, share)[own:] for linear, spread in found]
        best = loss, held_out, answers[-1], {"rounds": number, "graph_share": share}
        if lesson.stops():
            break
        extra = [_as_rows(narrowed, one) for one in answers]
    if best is None:
        return None
    outputs = np.full((count, lesson.num_outputs), np.nan)
    outputs[sampled] = best[2]
    return Taught(best[1], outputs, best[3] | ({"sampled": len(sampled)} if count > room else {}))


TEACHERS.add("propagation", Teacher(propagation, all_teach=True))


def _linear(
    lesson: Lesson, parts: list[Part], extra: list[RowFeatures | None], like: FittedLinear | None
) -> FittedLinear | None:
    """Linear models, one a part of the labelled rows, which learn from pseudo-labels too where there are some."""
    uses, pairs = tuple(lesson.labelled.parts), []
    for (inside, outside), given in zip(parts, extra, strict=True):
        train = rows_of(lesson.labelled, inside)
        pairs.append((train if given is None else both(train, given), rows_of(lesson.labelled, outside)))
    names = tuple(lesson.names[m] for m in uses)
    return fit_linear(pairs, uses, names, lesson.num_outputs, lesson.scale, stops=lesson.stops, like=like)


def _both_answers(
    lesson: Lesson, graph: object, parts: list[Part], made: FittedLinear
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each part of the labelled rows, what the linear model and the graph say of all rows [T + U, C]."""
    everything, found = both(lesson.labelled, lesson.unlabelled), []
    for member, (inside, _) in zip(made.members, parts, strict=True):
        values = [everything.parts[m].astype(np.float64) for m in everything.parts]
        linear = member.of_features(values, [everything.present_NM[:, m] for m in everything.parts])
        found.append((linear, shares_of(_spread(graph, _start(lesson, inside, linear)), smoothing=0.0)))
    return found


def _chosen_share(
    lesson: Lesson, found: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float, np.ndarray]:  # fmt: skip
    """What the graph weighs, the log loss on held-out rows after a temperature, and the answers to them [T, C].

    The usual share stands unless another is better by more than the standard error of the difference.
    """
    tried = {}
    for share in (GRAPH_SHARE, *OTHER_SHARES):
        held_out = np.full((len(lesson.labelled.target), lesson.num_outputs), np.nan)
        for (_, outside), (linear, spread) in zip(lesson.folds, found[:-1], strict=True):
            held_out[outside] = product(linear[outside], spread[outside], share)
        seen = ~np.isnan(held_out).any(1)
        known, target = held_out[seen], lesson.labelled.target[seen]
        temperature = fitted_temperature(known, target, lesson.scale)
        tried[share] = (
            lesson.scale.loss(lesson.scale.temper(known, np.full((len(known), 1), temperature)), target),
            held_out,
        )
    best = min(tried, key=lambda share: float(tried[share][0].mean()))
    gap = tried[GRAPH_SHARE][0] - tried[best][0]
    if gap.mean() <= gap.std() / math.sqrt(len(gap)):
        best = GRAPH_SHARE
    return best, float(tried[best][0].mean()), tried[best][1]


def _start(lesson: Lesson, inside: np.ndarray, linear_NC: np.ndarray) -> np.ndarray:
    """Labels, and what the linear model says of rows without one; a class weighs one, and nothing without a label."""
    start_NC = GIVEN * linear_NC
    start_NC[inside] = np.eye(lesson.num_outputs)[lesson.labelled.target[inside].astype(np.int64)]
    start_NC[:, start_NC[inside].sum(0) == 0] = 0.0
    return np.asarray(start_NC / np.maximum(start_NC.sum(0), SMALLEST))


def product(linear_NC: np.ndarray, graph_NC: np.ndarray, share: float) -> np.ndarray:
    """q^(1 - e) F^e, renormalised [N, C].

    Example:
        >>> product(np.array([[0.5, 0.5]]), np.array([[0.8, 0.2]]), 0.5).round(3).tolist()
        [[0.667, 0.333]]
    """
    score = (1.0 - share) * np.log(linear_NC + SMALLEST) + share * np.log(graph_NC + SMALLEST)
    made = np.exp(score - score.max(1, keepdims=True))
    return np.asarray(made / made.sum(1, keepdims=True))


def _as_rows(lesson: Lesson, answers_UC: np.ndarray) -> RowFeatures:
    """The unlabelled rows with their pseudo-labels, as a linear model learns from them; of many rows a sample."""
    count, own = len(answers_UC), len(lesson.labelled.target)
    most = min(most_rows(lesson.labelled, lesson.num_outputs), max(FEWEST_TEACHING, TEACHING * own))
    chosen = np.arange(count)
    if count > most:
        chosen = np.sort(np.random.default_rng(lesson.seed).choice(count, most, replace=False))
    rows = rows_of(lesson.unlabelled, chosen, answers_UC[chosen].argmax(1))
    rows.weight_N = shared_weight(answers_UC[chosen].max(1), own)
    return rows


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


def _spread(graph: Any, start_NC: np.ndarray) -> np.ndarray:
    """F <- a S F + (1 - a) Y from F = Y on [N, C]: the series of (1 - a) (I - a S)^-1 Y."""
    found = start_NC
    for _ in range(PASSES):
        found = SPREAD * np.asarray(graph @ found) + (1.0 - SPREAD) * start_NC
    return found
