"""Should these modalities be fused at all? What two of them say about the target alone, both alike, only together.

Features of frozen encoders come in, before anything is trained. Each modality becomes a few values in two ways:
clusters of its features, and the class that a linear model refitted fold by fold answers; the way that says more is
kept. Shares are in bits, less those of shuffled targets, since few rows make every count look telling.

Reference: Liang et al. 2023 (quantifying and modeling multimodal interactions); see
``metrics.trust.partial_information``.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from plait.evaluation.trust.refits import directions, refit_classes
from plait.metrics.trust.partial_information import PartialInformation, joint_counts, partial_information
from plait.registry import counted

MOST_CLUSTERS = 12
ROWS_A_CELL = 5  # of the table of both modalities and the target
DIRECTIONS = 32
SHUFFLES = 5
SMALL = 0.02  # of the target's entropy: shares below it are called none


def interaction_shares(
    features: dict[str, np.ndarray], present_NM: np.ndarray, label: np.ndarray, num_classes: int, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Shares of each pair of modalities, on rows that have both.

    Args:
        features: By modality, in the order of the columns of ``present_NM``, [N, D].
        present_NM: What is there.
        label: Class of each row.
        num_classes: C.
        seed: Of clusters, folds and shuffles.

    Returns:
        The pair that shows most only in both together first. For each ``pair``, ``rows``, ``entropy`` of the target in
        bits, ``redundancy``, ``unique`` (by modality), ``synergy``, ``way`` ("clusters" or "answers"), ``advice``, and
        all of it in a ``sentence``.
    """
    names, found = list(features), []
    for i, j in combinations(range(len(names)), 2):
        rows = np.flatnonzero(present_NM[:, i] & present_NM[:, j])
        if len(rows) < ROWS_A_CELL * 4 * num_classes:
            continue
        pair, target = (names[i], names[j]), label[rows]
        ways = _values([features[name][rows] for name in pair], target, num_classes, seed)
        measured = {way: _less_chance(*values, target, seed) for way, values in ways.items()}
        way = max(measured, key=lambda w: measured[w].total)
        share = np.bincount(target) / len(target)
        entropy = float(-(share[share > 0] * np.log2(share[share > 0])).sum())
        found.append(_told(pair, len(rows), entropy, measured[way], way))
    return sorted(found, key=lambda p: (-p["synergy"], -p["redundancy"]))


def interactions_table(found: list[dict[str, Any]]) -> str:
    """The pairs as lines of a table, each with what it advises below it, for the terminal.

    Args:
        found: What :func:`interaction_shares` returned.
    """
    names = [" + ".join(one["pair"]) for one in found]
    width = max(len("pair"), *map(len, names))
    lines = [
        f"bits about the target, of {found[0]['entropy']:.2f}, most of it only together first",
        f"    {'pair':{width}}  {'rows':>6}  {'only together':>13}  {'both alike':>10}  only one of them",
    ]
    for name, one in zip(names, found, strict=True):
        alone = ", ".join(f"{part} {value:.2f}" for part, value in one["unique"].items())
        lines.append(
            f"    {name:{width}}  {one['rows']:6,}  {one['synergy']:13.2f}  {one['redundancy']:10.2f}  {alone}"
        )
        lines.append(f"      {one['advice']}")
    return "\n".join(lines)


def _values(parts: list[np.ndarray], target: np.ndarray, num_classes: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Each modality as whole numbers, in both ways."""
    from sklearn.cluster import KMeans

    there = np.ones((len(target), 1), dtype=bool)
    count = int(np.clip((len(target) / (ROWS_A_CELL * num_classes)) ** 0.5, 2, MOST_CLUSTERS))
    clusters = []
    for part in parts:
        reduced = directions(part, there[:, 0], DIRECTIONS)
        kept = min(count, len(np.unique(reduced.round(9), axis=0)))
        clusters.append(KMeans(kept, n_init=4, random_state=seed).fit_predict(reduced))
    refitted = [refit_classes({"x": part}, there, target, num_classes, seed=seed) for part in parts]
    answers = [r.probability_NC.argmax(axis=1) for r in refitted if r is not None]
    return {"clusters": clusters, **({"answers": answers} if len(answers) == 2 else {})}


def _less_chance(first: np.ndarray, second: np.ndarray, target: np.ndarray, seed: int) -> PartialInformation:
    """Shares less the mean shares of shuffled targets, none below 0."""
    rng = np.random.default_rng(seed)
    own = np.array(partial_information(joint_counts(first, second, target), steps=200, tolerance=1e-5))
    chance = [
        partial_information(joint_counts(first, second, rng.permutation(target)), steps=200, tolerance=1e-5)
        for _ in range(SHUFFLES)
    ]
    return PartialInformation(*np.maximum(own - np.mean(chance, axis=0), 0.0).tolist())


def _told(pair: tuple[str, str], rows: int, entropy: float, shares: PartialInformation, way: str) -> dict[str, Any]:
    first, second = pair
    parts = {
        "both alike": shares.redundancy, f"only {first}": shares.unique_1, f"only {second}": shares.unique_2,
        "only together": shares.synergy,
    }  # fmt: skip
    numbers = ", ".join(f"{what} {value:.2f}" for what, value in parts.items())
    small = SMALL * entropy
    if shares.total < small:
        said = "neither says anything that frozen features show"
    elif shares.synergy > max(small, 0.25 * shares.total):
        said = "much of it shows only in both together: fuse them, with a fusion that multiplies"
    elif min(shares.unique_1, shares.unique_2) > small:
        said = "each says something of its own: fuse them, adding is enough"
    elif max(shares.unique_1, shares.unique_2) > small:
        more = first if shares.unique_1 > shares.unique_2 else second
        said = f"{more} says all that both say: fusing may not pay"
    else:
        said = "both say the same: either is enough"
    return {
        "pair": list(pair), "rows": rows, "entropy": entropy, "redundancy": shares.redundancy,
        "unique": {first: shares.unique_1, second: shares.unique_2}, "synergy": shares.synergy, "way": way,
        "advice": said,
        "sentence": f"{first} and {second} ({counted(rows, 'row')}, bits of {entropy:.2f}): {numbers}; {said}",
    }  # fmt: skip
