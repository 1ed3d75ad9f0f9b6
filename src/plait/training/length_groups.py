"""Batches of rows of about equal length, for training a writer: padding costs what words cost, and teaches nothing.

In come rows and their lengths; an item is a batch of rows of like length. Each epoch rows are mixed, sorted within a
pool of several batches and cut; whoever trains draws the batches at random. So which rows meet differs from epoch to
epoch, and long and short batches follow one another in no order.

A writer's loss is the mean over a batch's answer tokens. Batches of rows mixed at random hold about as many of them
each; among batches sorted by length, a token of a short answer would count more than one of a long answer. ``weight``
makes the mean over an epoch's batches the mean over its answer tokens.

Reference: Khomenko et al. 2016, "Accelerating recurrent neural network training using sequence bucketing and
    multi-GPU data parallelization".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from plait.inputs.dataset import RowBatches

POOL = 4  # batches that are mixed before their rows are sorted by length


def sorted_in_pools(order_N: np.ndarray, length_N: np.ndarray, pool: int) -> np.ndarray:
    """Row numbers in the given order, each run of ``pool`` of them sorted by length; equals keep their order.

    Example:
        >>> sorted_in_pools(np.array([3, 0, 2, 1]), np.array([5, 9, 1, 7]), 2).tolist()
        [0, 3, 2, 1]
    """
    parts = [order_N[start : start + pool] for start in range(0, len(order_N), pool)]
    return np.concatenate([part[np.argsort(length_N[part], kind="stable")] for part in parts]) if parts else order_N


class GroupedBatches(Dataset[dict[str, Any]]):
    """Rows whose targets are answers, as batches of like length; an item is a batch.

    Lengths are those of the answers (of several answers of a row their mean) and of the stored tokens of its items;
    of encoders that are trained nothing is known before, and their tokens count nothing.

    Args:
        rows: Of one answer or more each: targets are token ids [N, R, L], negative behind the end.
        batch_size: Rows of a batch.
        seed: Of the mixing.
    """

    def __init__(self, rows: RowBatches, batch_size: int, seed: int) -> None:
        assert rows.target is not None
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        real_NR = (rows.target.numpy() >= 0).sum(2)
        self.answer_N = real_NR.sum(1) / (real_NR > 0).sum(1).clip(min=1)
        self.length_N = self.answer_N + _stored_tokens(rows)
        self.tokens_a_batch = float(self.answer_N.sum()) / max(1, len(self))
        self.batches = self._compose(0)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Compose the batches of an epoch; a resumed run composes what the straight run did."""
        self.rows.set_epoch(epoch)
        self.batches = self._compose(epoch)

    def _compose(self, epoch: int) -> list[list[int]]:
        mixed_N = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
        order = sorted_in_pools(mixed_N, self.length_N, POOL * self.batch_size).tolist()
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.rows.__getitems__(self.batches[number])

    def __getitems__(self, numbers: list[int]) -> dict[str, Any]:
        """The one batch that a step asks for."""
        assert len(numbers) == 1
        return self[numbers[0]]

    def weight(self, batch: dict[str, Tensor]) -> float:
        """Answer tokens of a batch over their mean a batch: what its mean loss counts."""
        return float(self.answer_N[batch["rows"].cpu().numpy()].sum()) / max(self.tokens_a_batch, 1e-9)


def _stored_tokens(rows: RowBatches) -> np.ndarray:
    """How many tokens the items of each row have in the feature store, all modalities together [N]."""
    total_N = np.zeros(len(rows))
    for m, source in enumerate(rows.sources.values()):
        counts = getattr(source, "token_counts", None)
        if counts is not None and len(counts):
            index_N = rows.index_NM[:, m]
            total_N += np.where(index_N >= 0, counts[index_N.clip(min=0)], 0)
    return total_N
