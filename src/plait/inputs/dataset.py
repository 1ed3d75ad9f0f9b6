"""Batches: from row numbers to the tensors the model takes, for training and for prediction.

The dataset answers whole batches at once (``__getitems__``), so that a batch of cached features is one
gather, not one Python call a row.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from plait.encoders.sets import pool_set

if TYPE_CHECKING:
    from plait.processors import Processor

MAX_REDRAWS = 20
KEPT_BYTES = 2**30


class Source(Protocol):
    """Gives the tensors of items by number; -1 is a missing item.

    One that processes items each time has ``is_live``: its batches may be large, see ``RowBatches.is_live``.
    """

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Tensors of these items."""


class TensorSource:
    """Items that are tensors already (numbers and categories)."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Rows of the tensors; a missing item gives zeros."""
        index = torch.from_numpy(index_B)
        taken = {}
        for name, tensor in self.tensors.items():
            if len(tensor) == 0:
                taken[name] = torch.zeros((len(index_B), *tensor.shape[1:]), dtype=tensor.dtype)
                continue
            rows = tensor[index.clamp(min=0)]
            rows[index < 0] = 0
            taken[name] = rows
        return taken


class LiveSource:
    """Items that are processed each time, for encoders that are trained."""

    is_live = True

    def __init__(self, processor: Processor, load: Callable[[int], Any], blank: Any) -> None:
        self.processor = processor
        self.load = load
        self.blank = blank

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Processor tensors; a missing item gives those of a blank one, which the model masks."""
        items = [self.load(int(i)) if i >= 0 else self.blank for i in index_B]
        return cast(Any, self.processor).process(items)  # type: ignore[no-any-return]


class KeptSource:
    """Items processed one by one and then kept, the first of them up to a limit, for sounds: decoding is slow.

    Args:
        processor: With ``process`` and ``join``.
        load: Gives item i.
        limit: Bytes to keep.
        num_items: Items of higher numbers, which are changed copies of one epoch, are not kept; None: all are.
    """

    is_live = True

    def __init__(
        self, processor: Processor, load: Callable[[int], Any], limit: int = KEPT_BYTES, num_items: int | None = None
    ) -> None:
        self.processor = processor
        self.load = load
        self.limit = limit
        self.num_items = num_items
        self._kept: dict[int, dict[str, Tensor]] = {}
        self._num_bytes = 0

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Processor tensors; a missing item gives those of ``None``, which the model masks."""
        return cast(Any, self.processor).join([self._one(int(i)) for i in index_B])  # type: ignore[no-any-return]

    def _one(self, number: int) -> dict[str, Tensor]:
        if number in self._kept:
            return self._kept[number]
        item = self.load(number) if number >= 0 else None
        made: dict[str, Tensor] = cast(Any, self.processor).process([item])
        num_bytes = sum(tensor.nbytes for tensor in made.values())
        if self._num_bytes + num_bytes <= self.limit and (self.num_items is None or number < self.num_items):
            self._kept[number] = made
            self._num_bytes += num_bytes
        return made


class SetSource:
    """Sets of encoded items: the members' vectors as tokens, and their mean.

    Args:
        features: Of the unique members.
        members: Numbers of the members of each set.
        has_tokens: Whether the vectors are handed out beside their mean.
    """

    def __init__(self, features: Source, members: list[list[int]], *, has_tokens: bool = True) -> None:
        self.features = features
        self.members = members
        self.has_tokens = has_tokens

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Pooled sets; a missing one is empty."""
        rows = [self.members[int(i)] if i >= 0 else [] for i in index_B]
        number_BK, mask_BK = pad_members(rows)
        vectors_ND = self.features.take(number_BK.reshape(-1))["vector_BD"]
        encoded = pool_set(vectors_ND.view(*number_BK.shape, -1), torch.from_numpy(mask_BK))
        if not self.has_tokens:
            return {"vector_BD": encoded.vector_BD}
        return {"vector_BD": encoded.vector_BD, "tokens_BTD": encoded.tokens_BTD, "mask_BT": encoded.mask_BT}  # type: ignore[dict-item]

    def select(self, has_tokens: bool) -> SetSource:
        """The same sets with or without their tokens."""
        return SetSource(self.features, self.members, has_tokens=has_tokens)


class LiveSetSource:
    """Sets of items that are processed each time, for encoders that are trained: tensors [B, K, ...] and ``mask_BK``.

    Args:
        source: Of the unique members.
        members: Numbers of the members of each set.
    """

    is_live = True

    def __init__(self, source: Source, members: list[list[int]]) -> None:
        self.source = source
        self.members = members

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Processor tensors of the members; places behind the last one hold a blank."""
        number_BK, mask_BK = pad_members([self.members[int(i)] if i >= 0 else [] for i in index_B])
        taken = self.source.take(number_BK.reshape(-1))
        shaped = {name: tensor.view(*number_BK.shape, *tensor.shape[1:]) for name, tensor in taken.items()}
        return {**shaped, "mask_BK": torch.from_numpy(mask_BK)}


def pad_members(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Member numbers [B, K], -1 behind the last of each row, and which are real; K is at least 1.

    Example:
        >>> pad_members([[4, 2], []])[0].tolist()
        [[4, 2], [-1, -1]]
    """
    number_BK = np.full((len(rows), max(1, max(map(len, rows), default=1))), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        number_BK[place, : len(row)] = row
    return number_BK, number_BK >= 0


class Views(Protocol):
    """Which changed copies of their items rows show."""

    def take(
        self, sources: dict[str, Source], index_BM: np.ndarray, positions_B: np.ndarray, clean_B: np.ndarray, epoch: int
    ) -> dict[str, dict[str, Tensor]]:
        """Tensors per modality of the items [B, M] of rows at positions of the table; as they are where clean."""


class RowBatches(Dataset[dict[str, Any]]):
    """Rows as a dataset of whole batches.

    Args:
        sources: Per modality name, in model order.
        index_NM: Item number of each modality in each row, -1 where missing.
        target: Encoded targets [N] or [N, C], or None.
        group_N: Group number of each row, or None for one group a row.
        fresh_pairs: Re-draw the second modality of wrong pairs (target 0) every epoch.
        seed: Seed of the re-drawing.
    """

    def __init__(
        self,
        sources: dict[str, Source],
        index_NM: np.ndarray,
        target: np.ndarray | None = None,
        group_N: np.ndarray | None = None,
        *,
        fresh_pairs: bool = False,
        seed: int = 0,
    ) -> None:
        self.sources = sources
        self.index_NM = index_NM
        self.views: Views | None = None
        self.positions_N: np.ndarray | None = None
        self.target = None if target is None else torch.from_numpy(target)
        self.group_N = np.arange(len(index_NM)) if group_N is None else group_N
        self.fresh_pairs = fresh_pairs
        self.seed = seed
        self.epoch = 0
        self.hard_NK: np.ndarray | None = None
        self.before_epoch: Callable[[], None] | None = None
        if fresh_pairs:
            assert target is not None
            self.right_rows = np.flatnonzero(target == 1)

    def __len__(self) -> int:
        return len(self.index_NM)

    @property
    def is_live(self) -> bool:
        """Whether items are processed for each batch, which may then hold a hundred megabytes and more."""
        return any(getattr(source, "is_live", False) for source in self.sources.values())

    def with_views(self, views: Views, positions_N: np.ndarray) -> RowBatches:
        """The same rows, which show changed copies of their items; their positions in the table tell which."""
        seen = copy(self)
        seen.views, seen.positions_N = views, positions_N
        return seen

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that wrong pairs are drawn for; a resumed run draws what the straight run drew."""
        self.epoch = epoch
        if self.before_epoch is not None:
            self.before_epoch()

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.__getitems__([row])

    def __getitems__(self, rows: list[int]) -> dict[str, Any]:
        """The batch of these rows, as ``PlaitModel.forward`` takes it."""
        rows_B = self._with_hard_rows(np.asarray(rows, dtype=np.int64))
        index_BM = self.index_NM[rows_B].copy()
        if self.fresh_pairs:
            self._redraw(rows_B, index_BM)
        batch: dict[str, Any] = {
            "inputs": self._take(rows_B, index_BM),
            "present": torch.from_numpy(index_BM >= 0),
        }
        if self.target is not None:
            batch["target"] = self.target[torch.from_numpy(rows_B)]
            batch["group"] = torch.from_numpy(self.group_N[rows_B])
            batch["keys"] = torch.from_numpy(index_BM)
            batch["rows"] = torch.from_numpy(rows_B)
        return batch

    def _take(self, rows_B: np.ndarray, index_BM: np.ndarray) -> dict[str, dict[str, Tensor]]:
        """Tensors per modality; a pair that was drawn anew shows items as they are, which belong to other rows."""
        if self.views is None:
            return {name: source.take(index_BM[:, m]) for m, (name, source) in enumerate(self.sources.items())}
        assert self.positions_N is not None
        clean_B = (index_BM != self.index_NM[rows_B]).any(axis=1)
        return self.views.take(self.sources, index_BM, self.positions_N[rows_B], clean_B, self.epoch)

    def _with_hard_rows(self, rows_B: np.ndarray) -> np.ndarray:
        """The batch with the hard negatives of its first rows in place of its last ones, as many rows as before."""
        if self.hard_NK is None:
            return rows_B
        anchors = rows_B[: -(-len(rows_B) // (1 + self.hard_NK.shape[1]))]
        hard = self.hard_NK[anchors].reshape(-1)
        chosen = dict.fromkeys([*anchors.tolist(), *hard[hard >= 0].tolist(), *rows_B.tolist()])
        return np.fromiter(chosen, dtype=np.int64, count=len(chosen))[: len(rows_B)]

    def _redraw(self, rows_B: np.ndarray, index_BM: np.ndarray) -> None:
        """Give every wrong pair of the batch the second item of another group's right pair."""
        assert self.target is not None
        wrong_B = np.flatnonzero(self.target.numpy()[rows_B] == 0)
        generator = np.random.default_rng([self.seed, self.epoch, int(rows_B[0])])
        for _ in range(MAX_REDRAWS):
            if len(wrong_B) == 0:
                return
            drawn = generator.choice(self.right_rows, size=len(wrong_B))
            fits = self.group_N[drawn] != self.group_N[rows_B[wrong_B]]
            index_BM[wrong_B[fits], 1] = self.index_NM[drawn[fits], 1]
            wrong_B = wrong_B[~fits]


def whole_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """Collate function for datasets that answer whole batches: nothing is left to do."""
    return batch
