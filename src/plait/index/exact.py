"""Exact search: the k vectors with the largest inner product, over blocks that may lie on disk.

Queries [Q, D] and blocks [n, D] come in, scores and positions [Q, k] go out. Scores are computed in float32, block by
block, against a running threshold: the k-th best so far, less what float32 can be wrong by. Whatever passes is scored
again in float64, so that the answer is that of sorting all float64 scores, equal scores in the order of their
positions, whatever the block sizes, the number of threads or the device. Memory stays at one block of scores a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SCORES_BATCH = 2**18  # scores [n, Q] at a time and thread: 1 MiB, which stays in the cache
MOST_ROWS = 2**16  # rows at a time on the CPU, so that threads have parts to share
FIRST_ROWS = 4096  # rows of the first block that give the first threshold
GATHER_BELOW = 0.25  # under this share of allowed rows a block's rows are picked out before scoring


@dataclass(frozen=True)
class TopK:
    """The best of each query: scores float64 [Q, k], descending, and positions int64 [Q, k]."""

    scores_QK: np.ndarray  # noqa: N815
    positions_QK: np.ndarray  # noqa: N815


def top_k(
    blocks: Sequence[np.ndarray | Tensor],
    queries_QD: np.ndarray,
    k: int,
    *,
    allowed: np.ndarray | None = None,
    device: str | torch.device = "cpu",
    max_norm: float = 1.0,
) -> TopK:
    """The k best positions of each query by inner product.

    Args:
        blocks: Vectors [n, D] float32, as arrays in memory, memory maps, or tensors on ``device``; positions count
            through all of them.
        queries_QD: Queries [Q, D].
        k: How many; where fewer rows are allowed, all of them come back.
        allowed: bool [N], False for rows that must not be found; None allows all.
        device: Where scores are computed.
        max_norm: No vector is longer than this (1 for unit vectors); it bounds the rounding of float32.

    Raises:
        ValueError: Widths that disagree, k below 1, values that are not finite, or a mask of another length.

    Example:
        >>> import numpy as np
        >>> found = top_k([np.eye(3, dtype=np.float32)], np.array([[0.0, 0.6, 0.8]], dtype=np.float32), 2)
        >>> found.positions_QK.tolist(), found.scores_QK.round(3).tolist()
        ([[2, 1]], [[0.8, 0.6]])
    """
    queries = np.ascontiguousarray(queries_QD, dtype=np.float32)
    num_rows = sum(len(block) for block in blocks)
    _check(blocks, queries, k, allowed, num_rows)
    k = min(k, num_rows if allowed is None else int(np.count_nonzero(allowed)))
    if k == 0 or not len(queries):
        return TopK(np.zeros((len(queries), k)), np.zeros((len(queries), k), dtype=np.int64))
    rounding = queries.shape[1] * 2.0**-23 * np.linalg.norm(queries, axis=1) * max_norm
    found = _Candidates(blocks, queries, k, rounding)
    scorer = _Scorer(queries, device)
    parts = list(_parts(blocks, scorer.num_rows))
    found.take(_scan(found, scorer, parts[0], allowed))
    threads = min(torch.get_num_threads(), len(parts) - 1) if scorer.device.type == "cpu" else 1
    if threads < 2:
        for part in parts[1:]:
            found.take(_scan(found, scorer, part, allowed))
    else:
        _in_threads(threads, parts[1:], lambda part: _scan(found, scorer, part, allowed), found)
    return found.best()


_Part = tuple[np.ndarray | Tensor, int]
_Passed = tuple[np.ndarray, np.ndarray, np.ndarray]


def _parts(blocks: Sequence[np.ndarray | Tensor], num_rows: int) -> Iterator[_Part]:
    """Blocks cut into parts of so many rows, each with its first position."""
    start = 0
    for block in blocks:
        for low in range(0, len(block), num_rows):
            yield block[low : low + num_rows], start + low
        start += len(block)


def _scan(found: _Candidates, scorer: _Scorer, part: _Part, allowed: np.ndarray | None) -> _Passed:
    """Query, position and score of what passes the threshold in one part."""
    vectors, offset = part
    mask = None if allowed is None else allowed[offset : offset + len(vectors)]
    share = 1.0 if mask is None else np.count_nonzero(mask) / len(mask)
    if share == 0:
        return _NOTHING
    rows = None
    if mask is not None and share < GATHER_BELOW:
        rows = np.flatnonzero(mask)
        vectors = (
            vectors[rows] if isinstance(vectors, np.ndarray) else vectors[torch.from_numpy(rows).to(scorer.device)]
        )
    scores = scorer.score(vectors)
    if mask is not None and rows is None and share < 1:
        scores[torch.from_numpy(~mask).to(scores.device)] = -torch.inf
    return found.passing(scores, offset, rows)


def _in_threads(count: int, parts: list[_Part], scan: Callable[[_Part], _Passed], found: _Candidates) -> None:
    """Parts go to whichever thread is free, each thread with kernels of one thread: none ever waits for another."""
    before = torch.get_num_threads()
    waiting, lock = iter(parts), threading.Lock()

    def work() -> None:
        torch.set_num_threads(1)  # of this thread alone
        while True:
            with lock:
                part = next(waiting, None)
            if part is None:
                return
            passed = scan(part)
            with lock:
                found.take(passed)

    with ThreadPoolExecutor(count, thread_name_prefix="plait-search") as pool:
        try:
            for done in [pool.submit(work) for _ in range(count)]:
                done.result()
        finally:
            torch.set_num_threads(before)  # for threads that begin later


def _check(
    blocks: Sequence[np.ndarray | Tensor], queries: np.ndarray, k: int, allowed: np.ndarray | None, num_rows: int
) -> None:
    if queries.ndim != 2:
        raise ValueError(f"queries have the shape {queries.shape}; expected [Q, D], one row a query")
    if not np.isfinite(queries).all():
        raise ValueError("a query holds NaN or infinity; search with a finite vector")
    if k < 1:
        raise ValueError(f"k is {k}; expected 1 or more hits")
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != queries.shape[1]:
            raise ValueError(f"the vectors are {tuple(block.shape)}, the queries {queries.shape}; their widths differ")
    if allowed is not None and (allowed.dtype != np.bool_ or allowed.shape != (num_rows,)):
        raise ValueError(f"allowed is {allowed.dtype}{allowed.shape}; expected bool[{num_rows}], one a vector")


def device_named(name: str | torch.device) -> torch.device:
    """The device of a name.

    Raises:
        ValueError: There is none.
    """
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is not known; expected cpu or cuda, or cuda:1 of several") from error


class _Scorer:
    """Inner products of one part with all queries, float32 [n, Q].

    The product is taken as [n, D] x [D, Q]. A single query is summed up row by row, which reads the vectors once at
    the speed of the memory; matrix-vector kernels of BLAS do not reach that (docs/decisions/0012-index.md).
    """

    def __init__(self, queries: np.ndarray, device: str | torch.device) -> None:
        self.device = device_named(device)
        self.queries = queries
        self.queries_DQ = torch.from_numpy(queries).to(self.device).T
        self.num_rows = min(MOST_ROWS, max(1024, SCORES_BATCH // len(queries)))
        if self.device.type != "cpu":
            self.num_rows = max(self.num_rows, 2**26 // len(queries))  # a GPU wants large products: 256 MiB of scores

    def score(self, part: np.ndarray | Tensor) -> Tensor:
        if len(self.queries) == 1 and self.device.type == "cpu":
            rows = part if isinstance(part, np.ndarray) else part.numpy()
            rows = np.ascontiguousarray(rows, np.float32)
            return torch.from_numpy(np.vecdot(rows, self.queries[0])[:, None])
        rows_nD = torch.from_numpy(np.ascontiguousarray(part, np.float32)) if isinstance(part, np.ndarray) else part
        return rows_nD.to(self.device) @ self.queries_DQ


_NOTHING: _Passed = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _places(passed_nQ: np.ndarray) -> np.ndarray:
    """Where a bool array is True, counted flat; few are, so eight are looked at at once."""
    flat = passed_nQ.reshape(-1)
    if len(flat) % 8:
        return np.flatnonzero(flat)
    words = np.flatnonzero(flat.view(np.uint64))
    places = (words[:, None] * 8 + np.arange(8)).reshape(-1)
    return places[flat[places]]


class _Candidates:
    """What may still be among the k best of its query."""

    def __init__(
        self, blocks: Sequence[np.ndarray | Tensor], queries: np.ndarray, k: int, rounding_Q: np.ndarray
    ) -> None:
        self.blocks, self.queries, self.k, self.rounding_Q = blocks, queries, k, rounding_Q
        self.edges = np.cumsum([0, *(len(block) for block in blocks)])
        self.limit = len(queries) * (k + max(k, 256))
        self.threshold_Q = np.full(len(queries), -np.inf, dtype=np.float32)
        self.query = np.zeros(0, dtype=np.int64)
        self.position = np.zeros(0, dtype=np.int64)
        self.score = np.zeros(0, dtype=np.float64)
        self.waiting: list[_Passed] = []
        self.num_waiting = 0

    @property
    def has_threshold(self) -> bool:
        """Whether every query has k candidates by now."""
        return bool(np.isfinite(self.threshold_Q).all())

    def passing(self, scores_nQ: Tensor, offset: int, rows: np.ndarray | None = None) -> _Passed:
        """Query, position and score of what passes the threshold; row r is position offset + r, or offset + rows[r]."""
        threshold_Q = self.threshold_Q
        if not self.has_threshold and len(scores_nQ) >= self.k:
            part = scores_nQ[: max(FIRST_ROWS, self.k)]  # the k-th best of any part bounds the k-th best of all
            kth = torch.topk(part.T.contiguous(), self.k, dim=1).values[:, -1].cpu().numpy()
            threshold_Q = np.maximum(threshold_Q, (kth - 2 * self.rounding_Q).astype(np.float32))
        if scores_nQ.device.type == "cpu":
            scores = scores_nQ.numpy()
            row, query = np.divmod(_places(scores >= threshold_Q), scores.shape[1])
            score = scores[row, query].astype(np.float64)
        else:
            passed = (scores_nQ >= torch.from_numpy(threshold_Q).to(scores_nQ.device)).nonzero()
            row, query = passed.cpu().numpy().T
            score = scores_nQ[passed[:, 0], passed[:, 1]].cpu().numpy().astype(np.float64)
        real = score > -np.inf
        position = offset + (row if rows is None else rows[row])
        return query[real], position[real], score[real]

    def take(self, passed: _Passed) -> None:
        """Take up what passed in a part."""
        if not len(passed[0]):
            return
        self.waiting.append(passed)
        self.num_waiting += len(passed[0])
        if not self.has_threshold or self.num_waiting >= len(self.queries) * self.k:
            self._shrink()

    def _collect(self) -> None:
        """What waits joins the candidates, sorted by query, score and position."""
        parts = [(self.query, self.position, self.score), *self.waiting]
        self.query, self.position, self.score = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.waiting, self.num_waiting = [], 0
        self._sort()

    def _shrink(self) -> None:
        """Raise the threshold to the k-th best and forget what lies below; exact scores where ties are many."""
        self._collect()
        kth = self._kth()
        self.threshold_Q = np.maximum(self.threshold_Q, (kth - 2 * self.rounding_Q).astype(np.float32))
        self._keep(self.score >= self.threshold_Q[self.query])
        if len(self.query) > self.limit:
            self._score_exactly()
            self._keep(self._rank() < self.k)

    def _sort(self) -> None:
        self._keep(np.lexsort((self.position, -self.score, self.query)))

    def _keep(self, chosen: np.ndarray) -> None:
        self.query, self.position, self.score = self.query[chosen], self.position[chosen], self.score[chosen]

    def _rank(self) -> np.ndarray:
        """The rank of each candidate within its query; they are sorted."""
        first = np.searchsorted(self.query, np.arange(len(self.queries)))
        return np.arange(len(self.query)) - first[self.query]

    def _kth(self) -> np.ndarray:
        """The k-th best score of each query, -inf where there are fewer; they are sorted."""
        kth = np.full(len(self.queries), -np.inf)
        at = self._rank() == self.k - 1
        kth[self.query[at]] = self.score[at]
        return kth

    def _score_exactly(self) -> None:
        """Score every candidate in float64 and sort again."""
        for low in range(0, len(self.query), 4096):
            part = slice(low, low + 4096)
            rows = self._vectors(self.position[part])
            # row by row in one fixed order of summation: equal vectors get equal scores
            self.score[part] = (rows * self.queries[self.query[part]].astype(np.float64)).sum(axis=1)
        self._sort()

    def _vectors(self, positions: np.ndarray) -> np.ndarray:
        made = np.empty((len(positions), self.queries.shape[1]), dtype=np.float64)
        owner = np.searchsorted(self.edges, positions, side="right") - 1
        for number in np.unique(owner):
            at = np.flatnonzero(owner == number)
            block, rows = self.blocks[number], positions[at] - self.edges[number]
            picked = block[rows] if isinstance(block, np.ndarray) else block[torch.from_numpy(rows).to(block.device)]
            made[at] = picked if isinstance(picked, np.ndarray) else picked.cpu().numpy()
        return made

    def best(self) -> TopK:
        """The k best of each query; every query has as many."""
        self._collect()
        self._score_exactly()
        self._keep(self._rank() < self.k)
        shape = (len(self.queries), self.k)
        return TopK(self.score.reshape(shape), self.position.reshape(shape))
