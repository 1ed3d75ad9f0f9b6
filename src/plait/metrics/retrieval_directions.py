"""Rows as retrieval tasks: each modality of a row searched by every other, with what may ask and what may be found.

In: item numbers and groups of rows, and the modalities' unit vectors in one space. Out: one record a direction, and
the metrics of its queries. The gallery of a modality are its different items; an item that two groups show counts once
for each. A query whose group has nothing in the gallery is left out and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.metrics.ranking import PerQuery, embedding_query_metrics

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Direction:
    """One modality searched by another.

    Attributes:
        query: Name of the modality that asks.
        gallery: Name of the modality that is searched.
        sides: Their numbers.
        queries: Positions of the rows whose items ask, those left out that have nothing to find.
        items: Positions of the rows whose items are searched.
        num_unanswered: How many queries have nothing to find.
        is_measurable: Whether a query is left and the gallery shows two groups that can be distinguished.
    """

    query: str
    gallery: str
    sides: tuple[int, int]
    queries: Ints
    items: Ints
    num_unanswered: int
    is_measurable: bool

    @property
    def name(self) -> str:
        """As ``text_to_image``."""
        return direction_name(self.query, self.gallery)


def direction_name(query: str, gallery: str) -> str:
    """How a direction is called in every report."""
    return f"{query}_to_{gallery}"


def distinct_items(index_N: Ints, group_N: NDArray[Any]) -> Ints:
    """Positions of rows that show each item of a modality once a group, in order; missing items are left out.

    Example:
        >>> distinct_items(np.array([7, 7, 8, -1, 7]), np.array([0, 0, 0, 1, 1])).tolist()
        [0, 2, 4]
    """
    there = np.flatnonzero(index_N >= 0)
    pairs = np.stack([index_N[there], group_N[there]], axis=1)
    return there[np.sort(np.unique(pairs, axis=0, return_index=True)[1])]


def directions_of(names: Sequence[str], index_NM: Ints, group_N: NDArray[Any]) -> list[Direction]:
    """Every modality searched by every other.

    Args:
        names: Of the modalities.
        index_NM: Item number of each modality in each row ``[N, M]``, -1 where missing.
        group_N: Group of each row; items of one group are right for each other.
    """
    items = [distinct_items(index_NM[:, m], group_N) for m in range(len(names))]
    found = []
    for a, b in permutations(range(len(names)), 2):
        answered = np.isin(group_N[items[a]], group_N[items[b]])
        queries = items[a][answered]
        is_measurable = len(queries) > 0 and len(np.unique(group_N[items[b]])) > 1
        found.append(Direction(names[a], names[b], (a, b), queries, items[b], int((~answered).sum()), is_measurable))
    return found


def measure_direction(direction: Direction, unit_NMD: NDArray[Any], group_N: NDArray[Any]) -> PerQuery:
    """Metrics of each query of a measurable direction, see ``embedding_query_metrics``.

    Args:
        direction: One of ``directions_of``.
        unit_NMD: Unit vectors of all rows.
        group_N: Group of each row.
    """
    (a, b), queries, items = direction.sides, direction.queries, direction.items
    return embedding_query_metrics(unit_NMD[queries, a], unit_NMD[items, b], group_N[queries], group_N[items])
