"""How foreign a row is to known rows: distances, energies, and how well they tell foreign rows from known ones.

Larger is more foreign, in every function. Foreign rows are the positive class of AUROC; of the false positive rate the
known rows are, as in the papers: of 100 foreign rows so many pass where 95 of 100 known ones do.

Reference: Lee et al. 2018 (Mahalanobis distance to class means, one covariance); Liu et al. 2020 (energy, equation 4);
Ledoit and Wolf 2004 (shrunk covariance); Angiulli and Pizzuti 2002 (mean distance to the k nearest).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.label import area_under_roc

Floats = NDArray[np.float64]
NEAREST = 5


def energy(logits_NC: ArrayLike, temperature: float = 1.0) -> Floats:
    """Free energy of each row, -T log sum exp(logit / T) [N].

    Example:
        >>> energy([[0.0, 0.0]]).round(4).tolist()
        [-0.6931]
    """
    from scipy.special import logsumexp

    logits = np.asarray(logits_NC, dtype=np.float64)
    return np.asarray(-temperature * logsumexp(logits / temperature, axis=1))


@dataclass(frozen=True)
class Mahalanobis:
    """Distance to the nearest class mean under one shrunk covariance.

    Attributes:
        mean_CD: Means of the classes; one row where there are none.
        whiten_DD: Matrix under which the covariance is the identity.
    """

    mean_CD: Floats  # noqa: N815  shape letters
    whiten_DD: Floats  # noqa: N815

    @classmethod
    def fit(cls, features_ND: ArrayLike, label: ArrayLike | None = None) -> Mahalanobis:
        """Learn means and covariance from known rows.

        Args:
            features_ND: Features ``[N, D]``.
            label: Class of each row; None: one mean for all.

        Raises:
            ValueError: Fewer than two rows.
        """
        from sklearn.covariance import LedoitWolf

        features = np.asarray(features_ND, dtype=np.float64)
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"features have shape {features.shape}; expected two rows or more")
        labels = np.zeros(len(features), dtype=np.int64) if label is None else np.asarray(label)
        classes, place = np.unique(labels, return_inverse=True)
        mean_CD = np.stack([features[place == c].mean(axis=0) for c in range(len(classes))])
        covariance = LedoitWolf(assume_centered=True).fit(features - mean_CD[place]).covariance_
        values, vectors = np.linalg.eigh(covariance)
        floor = max(float(values.max()), 1e-300) * 1e-10
        return cls(mean_CD, vectors / np.sqrt(np.maximum(values, floor)))

    def distance(self, features_ND: ArrayLike) -> Floats:
        """Squared distance of each row to its nearest class mean [N]."""
        turned = np.asarray(features_ND, dtype=np.float64) @ self.whiten_DD
        means = self.mean_CD @ self.whiten_DD
        squared = np.square(turned).sum(axis=1)[:, None] + np.square(means).sum(axis=1) - 2 * turned @ means.T
        return np.asarray(np.maximum(squared.min(axis=1), 0.0))


def nearest_distance(known_ND: ArrayLike, rows_MD: ArrayLike | None = None, nearest: int = NEAREST) -> Floats:
    """Mean distance of each row to its k nearest known rows; of known ones each without itself [M]."""
    from sklearn.neighbors import NearestNeighbors

    known = np.asarray(known_ND, dtype=np.float64)
    count = min(nearest, len(known) - 1)
    if count < 1:
        raise ValueError(f"{len(known)} known rows; expected two or more")
    model = NearestNeighbors(n_neighbors=count).fit(known)
    found = model.kneighbors(None if rows_MD is None else np.asarray(rows_MD, dtype=np.float64))[0]
    return np.asarray(found.mean(axis=1))


def foreignness(known: ArrayLike, rows: ArrayLike) -> Floats:
    """For each row the share of known rows that are as foreign or more: a p value, small where a row is foreign [M].

    Example:
        >>> foreignness([1.0, 2.0, 3.0], [2.5, 9.0]).tolist()
        [0.5, 0.25]
    """
    ordered = np.sort(np.asarray(known, dtype=np.float64))
    above = len(ordered) - np.searchsorted(ordered, np.asarray(rows, dtype=np.float64), side="left")
    return np.asarray((above + 1) / (len(ordered) + 1))


def foreign_auroc(known: ArrayLike, foreign: ArrayLike) -> float | None:
    """Chance that a foreign row scores above a known one; None where one side is empty."""
    scores = np.concatenate([np.asarray(known, dtype=np.float64), np.asarray(foreign, dtype=np.float64)])
    return area_under_roc(scores, np.repeat([False, True], [len(np.asarray(known)), len(np.asarray(foreign))]))


def false_positive_rate(known: ArrayLike, foreign: ArrayLike, rate: float = 0.95) -> float | None:
    """Share of foreign rows that pass as known where a share ``rate`` of the known ones does; None without either."""
    a, b = np.sort(np.asarray(known, dtype=np.float64)), np.asarray(foreign, dtype=np.float64)
    if len(a) == 0 or len(b) == 0:
        return None
    limit = a[min(len(a) - 1, int(np.ceil(rate * len(a))) - 1)]
    return float((b <= limit).mean())
