"""A feature set: encoded items in the order of a table's rows, handed out in batches.

Positions come in, torch tensors go out; a position of -1, or an item that could not be encoded, gives
zeros and a False mask. Sets below a limit are copied into contiguous memory, larger ones are read
from the mapped segments batch by batch. Nothing is encoded here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from plait.data.memory import available_memory
from plait.inputs.feature_store.segment import Segment

RAM_LIMIT = 2 * 1024**3
FREE_SHARE = 4  # a quarter of what is left: several columns may be copied


class FeatureSet:
    """Features of N items; get one from `Space.gather`, `encode_items` or `FeatureSet.from_arrays`.

    Args:
        segments: where the rows lie.
        where: int64 [N, 2], segment number and row of each item; -1 for an absent one.
        ram_limit: bytes up to which the set is copied into memory, a quarter of what is free at most.
        has_tokens: False leaves tokens out; None keeps them if there are any.

    Example:
        >>> import numpy as np
        >>> features = FeatureSet.from_arrays(np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32))
        >>> features.take(np.array([1, -1]))["vector_BD"].tolist()
        [[3.0, 4.0], [0.0, 0.0]]
    """

    engine = "torch"  # what encoded it, as encode_items says

    def __init__(
        self,
        segments: Sequence[Segment],
        where: np.ndarray,
        *,
        ram_limit: int = RAM_LIMIT,
        has_tokens: bool | None = None,
    ) -> None:
        self._segments, self._where, self.ram_limit = list(segments), where, ram_limit
        first = self._segments[0] if self._segments else None
        self.vector_dim = first.vector_dim if first is not None else 0
        self.token_dim = first.token_dim if first is not None and has_tokens is not False else None
        if has_tokens and self.token_dim is None:
            raise ValueError("these features hold no tokens; encode with encode_items(..., with_tokens=True)")
        self._unique, slot = np.unique(where, axis=0, return_inverse=True)
        num_absent = int((self._unique[:, 0] < 0).sum())  # sorts first: 0 or 1 rows
        self._unique = self._unique[num_absent:]
        self._slot = slot.reshape(-1) - num_absent  # item -> row of _unique, -1 = absent
        self._lengths = self._count_tokens()
        self.num_bytes = len(self._unique) * self.vector_dim * 4
        if self.token_dim is not None:
            self.num_bytes += int(self._lengths.sum()) * self.token_dim * 2
        self.is_in_memory = self.num_bytes <= min(ram_limit, available_memory() // FREE_SHARE)
        if self.is_in_memory:
            self._vectors, self._tokens = self._read(np.arange(len(self._unique)))
            self._starts = np.cumsum(self._lengths) - self._lengths

    @classmethod
    def from_arrays(cls, vectors: np.ndarray, tokens: Sequence[np.ndarray] | None = None) -> FeatureSet:
        """A set from arrays in memory: vectors [N, D] and, if any, tokens [T, Dt] for each item."""
        vectors = np.asarray(vectors, dtype=np.float32)
        flat = offsets = None
        if tokens is not None:
            if len(tokens) != len(vectors):
                raise ValueError(f"{len(vectors)} vectors came with {len(tokens)} token arrays; give one for each")
            offsets = np.concatenate([[0], np.cumsum([len(item) for item in tokens])]).astype(np.int64)
            flat = np.concatenate(list(tokens)).astype(np.float16)
        where = np.stack([np.zeros(len(vectors), dtype=np.int64), np.arange(len(vectors))], axis=1)
        return cls([Segment(None, None, vectors, flat, offsets)], where)

    def __len__(self) -> int:
        return len(self._where)

    @property
    def has_tokens(self) -> bool:
        """Whether `take` gives tokens."""
        return self.token_dim is not None

    def is_present(self, index_B: np.ndarray | None = None) -> np.ndarray:
        """Which positions hold an encoded item, bool [B]; of all N items without an argument."""
        index = np.arange(len(self)) if index_B is None else self._check(index_B)
        return self._slots(index) >= 0

    @property
    def token_counts(self) -> np.ndarray:
        """Tokens of each item, int64 [N]; 0 for an absent one, and for all where there are none."""
        if not len(self._lengths) or not self.has_tokens:
            return np.zeros(len(self), dtype=np.int64)
        return np.where(self._slot >= 0, self._lengths[self._slot], 0)

    def select(self, has_tokens: bool) -> FeatureSet:
        """The same items with or without their tokens.

        Raises:
            ValueError: tokens are asked for and there are none.
        """
        if has_tokens == self.has_tokens:
            return self
        return FeatureSet(self._segments, self._where, ram_limit=self.ram_limit, has_tokens=has_tokens)

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """A batch of items.

        Args:
            index_B: int64 positions [B]; -1 is absent.

        Returns:
            `vector_BD` float32; `mask_BT` bool, True where a token is real; `tokens_BTD` float32, padded
            with zeros to the longest in the batch. Without tokens there is no `tokens_BTD` and
            `mask_BT` is [B, 1]: whether the item is present.

        Raises:
            IndexError: a position lies outside -1..N-1.
        """
        slots = self._slots(self._check(index_B))
        present = np.flatnonzero(slots >= 0)
        if self.is_in_memory:
            vectors, tokens, rows = self._vectors, self._tokens, slots[present]
        else:
            unique, rows = np.unique(slots[present], return_inverse=True)
            vectors, tokens = self._read(unique)
        if len(present) == len(slots) > 0:  # as nearly always: one gather, nothing to fill
            vector_BD = vectors.index_select(0, torch.from_numpy(rows))
        else:
            vector_BD = torch.zeros(len(slots), self.vector_dim)
            if len(present):
                vector_BD[torch.from_numpy(present)] = vectors[torch.from_numpy(rows)]
        if not self.has_tokens:
            return {"vector_BD": vector_BD, "mask_BT": torch.from_numpy(slots >= 0)[:, None]}
        if self.is_in_memory:
            lengths, starts = self._lengths, self._starts
        else:
            lengths = self._lengths[unique]
            starts = np.cumsum(lengths) - lengths
        assert tokens is not None
        length_B = np.zeros(len(slots), dtype=np.int64)
        start_B = np.zeros(len(slots), dtype=np.int64)
        if len(present):
            length_B[present], start_B[present] = lengths[rows], starts[rows]
        # at least one step wide, for attention cannot work on none
        steps_T = np.arange(max(1, int(length_B.max(initial=0))))
        mask_BT = torch.from_numpy(steps_T[None, :] < length_B[:, None])
        where_BT = torch.from_numpy(start_B[:, None] + steps_T[None, :])
        if len(slots) and bool(mask_BT.all()):
            tokens_BTD = tokens.index_select(0, where_BT.reshape(-1)).float().view(*mask_BT.shape, -1)
        else:
            tokens_BTD = torch.zeros(*mask_BT.shape, self.token_dim)
            tokens_BTD[mask_BT] = tokens.index_select(0, where_BT[mask_BT]).float()
        return {"vector_BD": vector_BD, "tokens_BTD": tokens_BTD, "mask_BT": mask_BT}

    def _check(self, index_B: np.ndarray) -> np.ndarray:
        index = np.asarray(index_B)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise TypeError(f"positions must be whole numbers [B], got {index.dtype}{index.shape}")
        index = index.astype(np.int64)
        if index.size and (index.min() < -1 or index.max() >= len(self)):
            raise IndexError(
                f"positions run from {index.min()} to {index.max()}; there are {len(self)} items (-1: absent)"
            )
        return index

    def _slots(self, index: np.ndarray) -> np.ndarray:
        if not len(self._slot):
            return np.full(len(index), -1, dtype=np.int64)
        return np.where(index >= 0, self._slot[index], -1)

    def _count_tokens(self) -> np.ndarray:
        lengths = np.zeros(len(self._unique), dtype=np.int64)
        if self.token_dim is not None:
            for number, at in self._by_segment(np.arange(len(self._unique))):
                rows = self._unique[at, 1]
                offsets = self._segments[number].offsets
                assert offsets is not None
                lengths[at] = offsets[rows + 1] - offsets[rows]
        return lengths

    def _by_segment(self, unique: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Segment number and positions within `unique` (sorted, so each segment is one run)."""
        numbers = self._unique[unique, 0]
        edges = np.flatnonzero(np.diff(numbers)) + 1
        runs = np.split(np.arange(len(unique)), edges)
        return [(int(numbers[run[0]]), run) for run in runs if len(run)]

    def _read(self, unique: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Copy rows out of the segments: vectors [U, D] and all their tokens in one [sum of T, Dt]."""
        vectors = np.empty((len(unique), self.vector_dim), dtype=np.float32)
        tokens, filled = None, 0
        if self.token_dim is not None:
            tokens = np.empty((int(self._lengths[unique].sum()), self.token_dim), dtype=np.float16)
        for number, run in self._by_segment(unique):
            segment, rows = self._segments[number], self._unique[unique[run], 1]
            vectors[run] = segment.vectors[rows]
            if tokens is None:
                continue
            for row in rows:
                item = segment.token_rows(int(row))
                tokens[filled : filled + len(item)] = item
                filled += len(item)
        return torch.from_numpy(vectors), None if tokens is None else torch.from_numpy(tokens)
