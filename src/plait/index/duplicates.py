"""Near duplicates: every pair of contents whose cosine reaches a threshold, and the groups that such pairs make.

The search is exact (``metrics.trust.near_pairs``). Items with the very same bytes are one content and always in one
group. Groups are chains (single linkage): a and c may be further apart than the threshold when b lies between them; the
lowest cosine among the pairs found is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from plait.index.storage import CONTENT, ID, View
from plait.metrics.trust.near_pairs import similar_pairs


@dataclass(frozen=True)
class DuplicateGroup:
    """Items that show nearly the same.

    Attributes:
        ids: The items, by content in the order in which they came.
        contents: How many different contents are among them; 1 when all are equal byte by byte.
        lowest: The lowest cosine among the pairs found, threshold to 1; 1 when the bytes are equal.
    """

    ids: tuple[str, ...]
    contents: int
    lowest: float

    def to_json(self) -> dict[str, Any]:
        """The group as JSON values."""
        return {**asdict(self), "ids": list(self.ids), "lowest": round(self.lowest, 6)}


def near_duplicates(
    view: View, threshold: float = 0.95, *, progress: Callable[[int, int, str], None] | None = None
) -> list[DuplicateGroup]:
    """All groups of two items or more, the largest first.

    Args:
        view: The living items of an index.
        threshold: Cosine from which two contents count as alike, above -1 up to 1.
        progress: Called with (done, total, what), in blocks of rows.

    Raises:
        ValueError: A threshold outside that range.
    """
    if not -1 < threshold <= 1:
        raise ValueError(f"the threshold is {threshold}; expected a cosine such as 0.95, at most 1")
    living = np.flatnonzero(view.alive)
    left, right, cosine = similar_pairs(view.directions(living), threshold, progress=progress)
    parent = np.arange(len(living))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        a, b = root(a), root(b)
        parent[max(a, b)] = min(a, b)
    lowest: dict[int, float] = {}
    for a, c in zip(left.tolist(), cosine.tolist(), strict=True):
        lowest[root(a)] = min(lowest.get(root(a), 1.0), c)
    shown: dict[int, list[str]] = {}
    if len(living):
        place = np.searchsorted(living, view.items.column(CONTENT).to_numpy())
        for number, name in zip(place.tolist(), view.items.column(ID).to_pylist(), strict=True):
            shown.setdefault(number, []).append(name)
    members: dict[int, list[int]] = {}
    for number in range(len(living)):
        members.setdefault(root(number), []).append(number)
    made = [
        DuplicateGroup(tuple(name for n in numbers for name in shown[n]), len(numbers), lowest.get(first, 1.0))
        for first, numbers in members.items()
        if len(numbers) > 1 or len(shown[numbers[0]]) > 1
    ]
    return sorted(made, key=lambda group: (-len(group.ids), group.ids[0]))
