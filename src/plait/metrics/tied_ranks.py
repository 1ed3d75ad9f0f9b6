"""Expected ranking metrics when scores are tied: the mean over all orders of the tied items, in closed form.

Counting only the items that score strictly higher gives a model whose scores are all equal (or NaN) a perfect
result. Here items with one score form a block whose order is random and uniform; every number is the exact
expectation over these orders, so a collapsed model scores what guessing scores. Sorted scores and the relevant
items come in, one number per query goes out.

Reference: McSherry and Najork 2008 (expectations under ties).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEW = 16


@dataclass(frozen=True)
class Blocks:
    """Blocks of equally scored items that hold a relevant one, of all queries, best block of a query first.

    Arrays ``[B]``: ``query`` is the query of a block, ``above`` counts the items that score higher, ``size`` the
    items in it, ``relevant`` the relevant ones among them, ``gain`` sums their gains and ``found`` counts the
    relevant ones in better blocks.
    """

    query: Ints
    above: Ints
    size: Ints
    relevant: Ints
    gain: Floats
    found: Ints


@dataclass(frozen=True)
class RelevantItems:
    """The items with a gain above 0 (arrays ``[R]``), in the order of their queries."""

    query: Ints
    item: Ints
    gain: Floats


def relevant_items(gains_NM: Floats) -> RelevantItems:
    """Take the relevant items out of gains ``[N, M]``, of which most are usually 0."""
    query_R, item_R = np.nonzero(gains_NM > 0)
    return RelevantItems(query=query_R, item=item_R, gain=gains_NM[query_R, item_R])


def tied_blocks(scores_NM: Floats, relevant: RelevantItems) -> Blocks:
    """Find the blocks.

    Args:
        scores_NM: Finite scores ``[N, M]``, higher is better.
        relevant: The relevant items of these queries.

    Returns:
        The blocks that hold relevant items.
    """
    num_queries, num_items = scores_NM.shape
    query_R, gains_R = relevant.query, relevant.gain
    values_R = scores_NM[query_R, relevant.item]
    ends = np.searchsorted(query_R, np.arange(num_queries + 1))
    above_R = np.zeros(len(query_R), dtype=np.int64)
    size_R = np.zeros(len(query_R), dtype=np.int64)
    for i in range(num_queries):
        own = slice(ends[i], ends[i + 1])
        if ends[i + 1] - ends[i] <= _FEW:  # counting is quicker than sorting, with the same result
            for r in range(ends[i], ends[i + 1]):
                above_R[r] = np.count_nonzero(scores_NM[i] > values_R[r])
                size_R[r] = np.count_nonzero(scores_NM[i] == values_R[r])
            continue
        rising_M = np.sort(scores_NM[i])
        right = np.searchsorted(rising_M, values_R[own], side="right")
        above_R[own] = num_items - right
        size_R[own] = right - np.searchsorted(rising_M, values_R[own], side="left")
    order = np.lexsort((above_R, query_R))
    query_R, above_R, size_R, gains_R = query_R[order], above_R[order], size_R[order], gains_R[order]
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (np.diff(query_R) != 0) | (np.diff(above_R) != 0)
    first_B = np.flatnonzero(is_new)
    block_R = np.cumsum(is_new) - 1
    return Blocks(
        query=query_R[first_B],
        above=above_R[first_B],
        size=size_R[first_B],
        relevant=np.bincount(block_R, minlength=len(first_B)).astype(np.int64),
        gain=np.bincount(block_R, weights=gains_R, minlength=len(first_B)).astype(np.float64),
        found=first_B - ends[query_R[first_B]],
    )


def hit_chance(above_Q: Ints, size_Q: Ints, relevant_Q: Ints, k: int) -> Floats:
    """Chance that the first K hold a relevant item: one less the hypergeometric chance of drawing none.

    Args:
        above_Q: Items above the first block with a relevant item ``[Q]``.
        size_Q: Items in it.
        relevant_Q: Relevant items in it, at least 1.
        k: How far down one looks.

    Returns:
        Chances ``[Q]``, 0 to 1.
    """
    drawn_Q = np.clip(k - above_Q, 0, size_Q)
    # C(t - r, m) / C(t, m) is symmetric in m and r: take the shorter product.
    few_Q, many_Q = np.minimum(drawn_Q, relevant_Q), np.maximum(drawn_Q, relevant_Q)
    none_Q = np.ones(len(above_Q))
    for j in range(int(few_Q.max(initial=0))):
        left_Q = np.maximum(size_Q - many_Q - j, 0) / np.maximum(size_Q - j, 1)
        none_Q = np.where(j < few_Q, none_Q * left_Q, none_Q)
    chance_Q: Floats = np.where(drawn_Q == 0, 0.0, 1.0 - none_Q).astype(np.float64)
    return chance_Q


def expected_reciprocal(above_Q: Ints, size_Q: Ints, relevant_Q: Ints) -> Floats:
    """Expected value of one over the rank of the first relevant item (arguments as ``hit_chance``)."""
    result_Q: Floats = np.asarray(1.0 / (above_Q + 1.0), dtype=np.float64)
    known: dict[tuple[int, int, int], float] = {}
    for q in np.flatnonzero(size_Q > relevant_Q):
        key = int(above_Q[q]), int(size_Q[q]), int(relevant_Q[q])
        if key not in known:
            known[key] = _reciprocal_of_block(*key)
        result_Q[q] = known[key]
    return result_Q


def precision_sums(blocks: Blocks, num_items: int) -> Floats:
    """Expected sum, over the relevant items of each block, of the precision at their ranks ``[B]``.

    A relevant item at place p of its block has ``found + 1`` relevant items at or above it, and each of the
    p - 1 items before it in the block is one of the ``relevant - 1`` others with equal chance.
    """
    n_B, t_B, r_B = blocks.above, blocks.size, blocks.relevant
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, num_items + 1))])
    inverse_B = np.where(t_B == 1, 1.0 / (n_B + 1.0), harmonic[n_B + t_B] - harmonic[n_B])
    others_B = (r_B - 1) / np.maximum(t_B - 1, 1) * (t_B - (n_B + 1) * inverse_B)
    tied_B: Floats = r_B / t_B * ((blocks.found + 1) * inverse_B + others_B)
    return tied_B


def discounted_gains(blocks: Blocks, depth: int, num_items: int) -> Floats:
    """Expected discounted gain of each block ``[B]``, counting ranks up to ``depth``; discount 1/log2(1 + rank)."""
    discount = 1.0 / np.log2(np.arange(2, num_items + 2))
    discount[depth:] = 0.0
    total = np.concatenate([[0.0], np.cumsum(discount)])
    n_B, t_B = blocks.above, blocks.size
    sums_B = np.where(t_B == 1, discount[n_B], total[n_B + t_B] - total[n_B])
    mean_B: Floats = blocks.gain / t_B * sums_B
    return mean_B


def ideal_gains(relevant: RelevantItems, depth: int, num_queries: int) -> Floats:
    """Discounted gain ``[N]`` of the best order, counting ranks up to ``depth``."""
    order = np.lexsort((-relevant.gain, relevant.query))
    place_R = np.arange(len(order)) - np.searchsorted(relevant.query, relevant.query)
    discount_R = np.where(place_R < depth, 1.0 / np.log2(place_R + 2.0), 0.0)
    worth_R = relevant.gain[order] * discount_R
    return np.bincount(relevant.query, weights=worth_R, minlength=num_queries).astype(np.float64)


def _reciprocal_of_block(above: int, size: int, relevant: int) -> float:
    place = np.arange(1, size - relevant + 2, dtype=np.float64)
    # Chance that none of the first p - 1 is relevant, times the chance that the p-th is.
    miss = (size - relevant - place[:-1] + 1.0) / (size - place[:-1] + 1.0)
    chance = np.concatenate([[1.0], np.cumprod(miss)]) * relevant / (size - place + 1.0)
    return float((chance / (above + place)).sum())
