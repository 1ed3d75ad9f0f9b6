"""What keeps the items of an index: the contract that the exact folder and LanceDB both meet.

An **item** is a row of a source: an id, the content it shows, metadata. A **content** is what was embedded, under the
sha256 of its bytes: items with the same bytes share one. Searches rank contents; a hit names all its items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from plait.index.manifest import Manifest
from plait.inference.vector_space import VectorSpace

ID, KEY, CONTENT, SOURCE, ROW, STATE = "_id", "_key", "_content", "_source", "_row", "_state"
RESERVED = (ID, KEY, CONTENT, SOURCE, ROW, STATE)


@dataclass(frozen=True)
class Known:
    """What is remembered of an item: the hash of its content, the number of its source, the state of its file."""

    key: str
    source: int
    state: str | None = None


def known_of(items: pa.Table) -> dict[str, Known]:
    """Id -> what is remembered, of the columns ``_id``, ``_key``, ``_source`` and, where it is there, ``_state``."""
    names, keys, sources = (items.column(name).to_pylist() for name in (ID, KEY, SOURCE))
    states = items.column(STATE).to_pylist() if STATE in items.column_names else [None] * len(names)
    return {
        name: Known(key, source, state) for name, key, source, state in zip(names, keys, sources, states, strict=True)
    }


@dataclass
class Change:
    """One commit: all of it happens, or none.

    Attributes:
        vectors: New contents: key -> vector [D].
        items: New items (columns _id, _key, _source, _row, _state, metadata), or None. An id that exists is replaced.
        delete: Ids of items that go.
    """

    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    items: pa.Table | None = None
    delete: Sequence[str] = ()


@dataclass
class View:
    """The living items and their contents, as of one moment.

    Attributes:
        items: Living items; ``_content`` is the position of each one's vector.
        blocks: Vectors [n, D]; positions count through them.
        alive: bool [N], whether a vector has a living item.
        space: What the vectors say.
    """

    items: pa.Table
    blocks: list[np.ndarray]
    alive: np.ndarray
    space: VectorSpace

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The vectors at some positions, float32 [n, D]."""
        edges = np.cumsum([0, *(len(b) for b in self.blocks)])
        made = np.empty((len(positions), self.blocks[0].shape[1] if self.blocks else 0), dtype=np.float32)
        owner = np.searchsorted(edges, positions, side="right") - 1
        for number in np.unique(owner):
            at = owner == number
            made[at] = self.blocks[number][positions[at] - edges[number]]
        return made

    def directions(self, positions: np.ndarray) -> np.ndarray:
        """The plain directions at some positions, float32 [n, plain_dim]: what contents are compared by."""
        return self.space.directions(self.take(positions))


@dataclass(frozen=True)
class Found:
    """One content found by a search: its inner product with the query, and its items that fit, as they came."""

    score: float
    items: list[dict]


class Storage(Protocol):
    """Where an index keeps its items."""

    manifest: Manifest

    def __len__(self) -> int:
        """How many living items."""
        ...

    @property
    def num_contents(self) -> int:
        """How many different living contents."""
        ...

    def known(self) -> dict[str, Known]:
        """Every living id."""
        ...

    def has(self, key: str) -> bool:
        """Whether a content has a vector already."""
        ...

    def rows(self, ids: Sequence[str]) -> list[dict]:
        """The metadata of some living items, in that order."""
        ...

    def where(self, expression: str) -> list[str]:
        """Ids of the living items that fit a filter."""
        ...

    def commit(self, change: Change, manifest: Manifest) -> None:
        """Make a change lasting, together with a new manifest."""
        ...

    def search(self, queries_QD: np.ndarray, k: int, where: str | None, device: str) -> list[list[Found]]:
        """The k best contents of each query."""
        ...

    def view(self) -> View:
        """Everything that lives."""
        ...

    def compact(self) -> None:
        """Give back the room of what was deleted, and merge small files."""
        ...

    def verify(self) -> list[str]:
        """Compute every checksum again; returns what is wrong."""
        ...

    def num_bytes(self) -> int:
        """The room it takes."""
        ...
