"""Which rows differ most from each other: farthest first, k-means++ on gradients, the best of each cluster.

Pure functions of vectors [N, D]; positions in the order of choice come out, the same ones for the same seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_ROUNDS = 30  # of k-means
Distances = Callable[[int], np.ndarray]


def squared_distances(vectors_ND: np.ndarray, to_ED: np.ndarray, block: int = 256) -> np.ndarray:
    """Squared Euclidean distance of each row to the nearest of some others [N]; infinite where there are none."""
    nearest_N = np.full(len(vectors_ND), np.inf)
    norm_N = (vectors_ND**2).sum(1)
    for start in range(0, len(to_ED), block):
        part_ED = to_ED[start : start + block]
        square_NE = norm_N[:, None] + (part_ED**2).sum(1)[None] - 2.0 * vectors_ND @ part_ED.T
        nearest_N = np.minimum(nearest_N, np.maximum(square_NE, 0.0).min(1))
    return nearest_N


def farthest_first(
    vectors_ND: np.ndarray, count: int, start_ED: np.ndarray, first: int = 0
) -> tuple[list[int], list[float]]:
    """k-centre greedy: each row the one farthest from those before it and from where it starts.

    Its largest distance to a centre is at most twice the smallest there can be (Gonzalez 1985).

    Args:
        vectors_ND: Rows to choose from.
        count: How many.
        start_ED: Vectors that count as chosen before the first, such as labelled rows; may be empty.
        first: Position that is chosen first where nothing is chosen before.

    Returns:
        Positions, and the distance of each to the nearest one chosen before it (infinite for a first one).

    Reference: Sener and Savarese, ICLR 2018 (core-set, greedy).

    Example:
        >>> farthest_first(np.array([[0.0], [1.0], [10.0], [4.0]]), 3, np.empty((0, 1)))[0]
        [0, 2, 3]
    """
    nearest_N = squared_distances(vectors_ND, start_ED)
    chosen: list[int] = []
    distances: list[float] = []
    taken_N = np.zeros(len(vectors_ND), dtype=bool)
    for _ in range(min(count, len(vectors_ND))):
        place = first if not chosen and len(start_ED) == 0 else int(np.argmax(np.where(taken_N, -1.0, nearest_N)))
        chosen.append(place)
        distances.append(float(np.sqrt(nearest_N[place])))
        taken_N[place] = True
        nearest_N = np.minimum(nearest_N, squared_distances(vectors_ND, vectors_ND[place : place + 1]))
    return chosen, distances


def gradient_plus_plus(
    residual_NC: np.ndarray, vectors_ND: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """k-means++ on the gradients of the last layer, if each answer were the truth: uncertain and diverse at once.

    The gradient of a row is the outer product of residual and vector, of C times D numbers; it is never made, since the
    inner product of two is the product of their inner products. The first row is that with the largest gradient.

    Args:
        residual_NC: Probabilities minus the answer as one-hot vector.
        vectors_ND: What the last layer reads.
        count: How many rows.
        rng: Draws them.

    Reference: Ash et al., ICLR 2020 (BADGE).
    """
    norm_N = (residual_NC**2).sum(1) * (vectors_ND**2).sum(1)
    nearest_N = np.full(len(norm_N), np.inf)
    chosen: list[int] = []
    left_N = np.ones(len(norm_N), dtype=bool)
    for _ in range(min(count, len(norm_N))):
        if not chosen:
            place = int(np.argmax(norm_N))
        else:
            mass_N = np.where(left_N, nearest_N, 0.0)
            total = float(mass_N.sum())
            place = int(rng.choice(len(mass_N), p=mass_N / total)) if total > 0 else int(np.argmax(left_N))
        chosen.append(place)
        left_N[place] = False
        inner_N = (residual_NC @ residual_NC[place]) * (vectors_ND @ vectors_ND[place])
        nearest_N = np.minimum(nearest_N, np.maximum(norm_N + norm_N[place] - 2.0 * inner_N, 0.0))
    return chosen


def best_of_clusters(
    vectors_ND: np.ndarray, score_N: np.ndarray, count: int, seed: int
) -> tuple[list[int], np.ndarray]:
    """The row with the highest score of each of so many clusters (k-means, rows weighed by their score).

    Args:
        vectors_ND: Rows to choose from.
        score_N: What decides inside a cluster, 0 or more; ties go to the earlier row.
        count: How many clusters.
        seed: Of the first centres.

    Returns:
        Positions, the highest score first, fewer than ``count`` where fewer differ; and the size of each's cluster.

    Reference: Zhdanov, 2019 (diverse mini-batch active learning), who takes the row nearest to each centre.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1]])
        >>> best_of_clusters(rows, np.array([0.2, 0.9, 0.8, 0.1]), 2, 0)[0]
        [1, 2]
    """
    rng = np.random.default_rng(seed)
    count = min(count, len(vectors_ND))
    weight_N = score_N + max(1e-9, 1e-3 * float(score_N.max(initial=0.0)))
    centres_ED = vectors_ND[_first_centres(vectors_ND, weight_N, count, rng)].astype(np.float64)
    cluster_N = np.full(len(vectors_ND), -1)
    for _ in range(MOST_ROUNDS):
        square_NE = (centres_ED**2).sum(1)[None] - 2.0 * vectors_ND @ centres_ED.T
        found_N = square_NE.argmin(1)
        if (found_N == cluster_N).all():
            break
        cluster_N = found_N
        for number in np.unique(cluster_N):
            inside = cluster_N == number
            centres_ED[number] = np.average(vectors_ND[inside], axis=0, weights=weight_N[inside])
    best = [np.flatnonzero(cluster_N == number) for number in np.unique(cluster_N)]
    chosen = [int(rows[np.argmax(score_N[rows])]) for rows in best]
    order = sorted(range(len(chosen)), key=lambda i: (-score_N[chosen[i]], chosen[i]))
    return [chosen[i] for i in order], np.array([len(best[i]) for i in order])


def _first_centres(vectors_ND: np.ndarray, weight_N: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Positions of centres to begin with: the heaviest row, then k-means++ draws."""
    chosen = [int(np.argmax(weight_N))]
    nearest_N = squared_distances(vectors_ND, vectors_ND[chosen])
    while len(chosen) < count:
        mass_N = nearest_N * weight_N
        total = float(mass_N.sum())
        if total <= 0:
            break
        chosen.append(int(rng.choice(len(mass_N), p=mass_N / total)))
        nearest_N = np.minimum(nearest_N, squared_distances(vectors_ND, vectors_ND[chosen[-1:]]))
    return chosen
