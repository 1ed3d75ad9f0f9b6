"""What the vectors of an index say, and what a score of it means.

A model that corrects for hubs (``heads/hubs.py``) gives vectors whose leading ``plain_dim`` coordinates are the plain
direction, and whose last ones hold the correction. It is right between two sides (text finds picture). Within one side
(picture finds picture) it would only press the cosines together, so there the plain direction is compared.
Both are inner products with the stored vectors, so one exact search serves both; a model without a correction has
``plain_dim`` = ``dim``, and every score of it is the plain cosine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COSINE = "cosine"
CORRECTED = "corrected cosine"


@dataclass(frozen=True)
class Query:
    """What is searched with: the score of a stored vector x is ``vector . x + shift``.

    Attributes:
        vector: Float32 [D], of any length.
        shift: Added to every inner product; it changes no order.
        measure: What the score is: "cosine", "corrected cosine", or a weighted mean of those.
    """

    vector: np.ndarray
    shift: float = 0.0
    measure: str = COSINE


@dataclass(frozen=True)
class VectorSpace:
    """The space of an index.

    Attributes:
        dim: Width D of the vectors.
        plain_dim: Leading coordinates that, made unit, are the plain direction; ``dim`` without a correction.
    """

    dim: int
    plain_dim: int

    def __post_init__(self) -> None:
        tail = self.dim - self.plain_dim
        if self.plain_dim < 1 or tail < 0 or tail % 2 or tail == 2:
            raise ValueError(
                f"vectors of width {self.dim} with a plain direction of {self.plain_dim}; expected the same width, or "
                "2 more for each of two or more modalities"
            )

    @property
    def sides(self) -> int:
        """How many modalities the correction is between; 0 without one."""
        return (self.dim - self.plain_dim) // 2

    def directions(self, vectors_ND: np.ndarray) -> np.ndarray:
        """The plain directions of stored vectors, float32 [N, plain_dim]; cosines of one side are theirs."""
        if not self.sides:
            return np.asarray(vectors_ND, dtype=np.float32)
        leading = vectors_ND[:, : self.plain_dim].astype(np.float64)
        made: np.ndarray = leading / np.maximum(np.linalg.norm(leading, axis=1, keepdims=True), 1e-12)
        return made.astype(np.float32)

    def within(self, vector_D: np.ndarray) -> Query:
        """A query among vectors of its own modality; scores are plain cosines."""
        if not self.sides:
            return Query(np.asarray(vector_D, dtype=np.float32))
        from plait.heads.hub_space import (
            stretch,  # here: the heads bring what a model is made of, and opening needs none
        )

        made = np.zeros(self.dim)
        made[: self.plain_dim] = self.directions(vector_D[None])[0]
        return Query((stretch(self.sides) ** 0.5 * made).astype(np.float32))

    def across(self, vector_D: np.ndarray, side: int) -> Query:
        """A query among vectors of another modality.

        Scores are cos(q, x) + (r(q) - r(x)) / 2, with r the hub scores: the cosine where the item is as much of a hub
        as the query, less where it is more of one.

        Args:
            vector_D: Unit vector of the query.
            side: The number of its modality in the model.
        """
        if not self.sides:
            return Query(np.asarray(vector_D, dtype=np.float32))
        from plait.heads.hub_space import hub_inside, resting, stretch

        length = stretch(self.sides)
        shift = hub_inside(vector_D, self.plain_dim, side) - resting(self.sides)
        return Query((length * vector_D.astype(np.float64)).astype(np.float32), shift, CORRECTED)


def weighted(first: Query, second: Query, weight: float) -> Query:
    """The query whose scores are the weighted mean of two queries' scores; ``weight`` is the share of the first."""
    vector = weight * first.vector.astype(np.float64) + (1 - weight) * second.vector
    shift = weight * first.shift + (1 - weight) * second.shift
    measure = first.measure if first.measure == second.measure else f"mean of {first.measure} and {second.measure}"
    return Query(vector.astype(np.float32), shift, measure)
