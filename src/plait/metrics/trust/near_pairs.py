"""Pairs that are nearly the same: vectors by their cosine, texts by the character shingles they share. Exact.

Vectors: all pairs, block by block, N^2 D / 2 products and one block of memory. Texts: a pair with a Jaccard similarity
of t shares one of the rarest (1 - t) of either text's shingles (prefix filtering), so only such pairs are compared.

Reference: Broder 1997 (on the resemblance and containment of documents: shingles); Chaudhuri, Ganti and Kaushik 2006
(prefix filtering).
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints, Floats]  # i < j, and how alike
ROWS = 1024  # vectors a side of a block of pairs: 4 MiB of scores
SHINGLE = 5  # characters


def similar_pairs(
    vectors_ND: np.ndarray, threshold: float, *, progress: Callable[[int, int, str], None] | None = None
) -> Pairs:
    """All pairs i < j of unit vectors with a cosine of at least the threshold: i, j and the cosine in float64.

    Args:
        vectors_ND: Unit vectors [N, D] float32.
        threshold: Cosine, -1 to 1.
        progress: Called with (done, total, what), in blocks of rows.
    """
    vectors = np.ascontiguousarray(vectors_ND, dtype=np.float32)
    rounding = vectors.shape[1] * 2.0**-23
    found: list[Pairs] = []
    for low in range(0, len(vectors), ROWS):
        for start in range(low, len(vectors), ROWS):
            scores = vectors[low : low + ROWS] @ vectors[start : start + ROWS].T
            i, j = np.nonzero(scores >= threshold - rounding)
            i, j = i + low, j + start
            i, j = i[i < j], j[i < j]
            for part in range(0, len(i), 65536):
                a, b = i[part : part + 65536], j[part : part + 65536]
                exact = (vectors_ND[a].astype(np.float64) * vectors_ND[b]).sum(axis=1)
                # unit in float32 means within a rounding of 1: equal vectors must reach a threshold of 1
                near = exact >= threshold - 1e-6
                found.append((a[near], b[near], np.minimum(exact[near], 1.0)))
        if progress is not None:
            progress(min(low + ROWS, len(vectors)), len(vectors), "comparing")
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    left, right, cosine = (np.concatenate(part) for part in zip(*found, strict=True))
    return left, right, cosine


def folded(text: str) -> str:
    r"""A text without what spaces, case and Unicode form make of it.

    Example:
        >>> folded("Two  BOATS\n")
        'two boats'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shingles(text: str) -> frozenset[str]:
    """Runs of five characters of the folded text; the whole text where it is shorter."""
    clean = folded(text)
    return frozenset(clean[i : i + SHINGLE] for i in range(max(1, len(clean) - SHINGLE + 1))) if clean else frozenset()


def similar_texts(texts: Sequence[str], threshold: float = 0.8) -> Pairs:
    """All pairs i < j of texts whose shingles have a Jaccard similarity of at least the threshold, with it.

    Args:
        texts: The texts; one without a character is like none.
        threshold: Above 0, up to 1.

    Raises:
        ValueError: A threshold outside that range.

    Example:
        >>> [part.tolist() for part in similar_texts(["two boats", "Two  boats", "a dog"])]
        [[0], [1], [1.0]]
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is {threshold}; expected a similarity such as 0.8, above 0 and at most 1")
    sets = [shingles(text) for text in texts]
    count = Counter(shingle for one in sets for shingle in one)
    with_prefix: dict[str, list[int]] = {}
    pairs: dict[tuple[int, int], float] = {}
    for j, one in enumerate(sets):
        rarest = sorted(one, key=lambda s: (count[s], s))
        prefix = rarest[: len(rarest) - math.ceil(threshold * len(rarest) - 1e-9) + 1]
        for i in {i for shingle in prefix for i in with_prefix.get(shingle, ())}:
            small, large = sorted((len(sets[i]), len(one)))
            if small < threshold * large - 1e-9:
                continue
            shared = len(sets[i] & one)
            alike = shared / (small + large - shared)
            if alike >= threshold - 1e-12:
                pairs[i, j] = alike
        for shingle in prefix:
            with_prefix.setdefault(shingle, []).append(j)
    ordered = sorted(pairs)
    left, right = (np.array([pair[side] for pair in ordered], dtype=np.int64) for side in (0, 1))
    return left, right, np.array([pairs[pair] for pair in ordered])
