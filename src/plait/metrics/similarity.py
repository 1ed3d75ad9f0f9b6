"""Cosine similarity that does not depend on how it is cut up: the same bits for a chunk and for the whole.

A matrix product adds up its terms in an order that changes with the shape of the block, so two items with the
very same vector can differ in the last bit and a rank can move with the batch size. Here unit vectors are first
rounded to multiples of 2^-26. Every product is then a multiple of 2^-52 and every partial sum stays below 2, so
float64 holds all of them exactly and no order of adding, thread or chunk can change anything. The price is an
error of about 1e-8 in the cosine, below what float32 vectors carry already: vectors closer than that are tied,
which the metrics of ``ranking`` count as what it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_GRID = 2.0**26
CHUNK_ROWS = 256


def cosine_similarity(query_ND: ArrayLike, gallery_MD: ArrayLike) -> Floats:
    """Cosine of every query with every item of the gallery.

    Args:
        query_ND: One vector per query ``[N, D]``, of any length but zero.
        gallery_MD: One vector per item ``[M, D]``.

    Returns:
        Similarities ``[N, M]``, -1 to 1 (to about 1e-8), independent of the order and number of rows.

    Raises:
        ValueError: Shapes that disagree, no rows, NaN or infinite values, or a vector of zeros only.

    Example:
        >>> cosine_similarity([[3.0, 0.0]], [[1.0, 0.0], [0.0, 2.0], [-5.0, 0.0]]).tolist()
        [[1.0, 0.0, -1.0]]
    """
    query, gallery = unit_pair(query_ND, gallery_MD)
    exact: Floats = query @ gallery.T
    return exact


def cosine_chunks(query_ND: Floats, gallery_MD: Floats, chunk: int) -> Iterator[tuple[int, Floats]]:
    """First row and similarities ``[chunk, M]`` of vectors that ``unit_pair`` made."""
    for start in range(0, len(query_ND), check_chunk(chunk)):
        yield start, query_ND[start : start + chunk] @ gallery_MD.T


def matrix_chunks(similarity_NM: NDArray[np.floating], chunk: int) -> Iterator[tuple[int, Floats]]:
    """First row and float64 values ``[chunk, M]`` of a matrix that ``similarity_matrix`` checked."""
    for start in range(0, len(similarity_NM), check_chunk(chunk)):
        yield start, similarity_NM[start : start + chunk].astype(np.float64)


def unit_pair(query_ND: ArrayLike, gallery_MD: ArrayLike) -> tuple[Floats, Floats]:
    """Both sides as unit vectors on the grid; the first words of an error name the side."""
    query, gallery = _unit_vectors(query_ND, "query"), _unit_vectors(gallery_MD, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"query vectors are {query.shape[1]} wide but gallery vectors {gallery.shape[1]}; "
            "give both from the same shared space"
        )
    return query, gallery


def similarity_matrix(values: ArrayLike, name: str = "similarity") -> NDArray[np.floating]:
    """Check that scores are a finite matrix ``[N, M]`` with at least one row and column.

    Raises:
        ValueError: Another shape, or NaN or infinite scores (how many, and the first row that has one).
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {array.dtype} values; expected numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected [queries, gallery] with at least one of each")
    matrix: NDArray[np.floating] = array if array.dtype.kind == "f" else array.astype(np.float64)
    bad_NM = ~np.isfinite(matrix)
    if bad_NM.any():
        num_nan = int(np.isnan(matrix).sum())
        first = int(bad_NM.any(axis=1).argmax())
        raise ValueError(
            f"{name} holds {num_nan} NaN and {int(bad_NM.sum()) - num_nan} infinite of {matrix.size} values, "
            f"first in row {first}; no rank can be given to them, so look for the cause (a diverged model, fp16)"
        )
    return matrix


def check_chunk(chunk: int) -> int:
    """Refuse a chunk that holds no row."""
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; expected the number of queries to take at once, at least 1")
    return chunk


def _unit_vectors(values: ArrayLike, name: str) -> Floats:
    vectors = np.ascontiguousarray(similarity_matrix(values, name), dtype=np.float64)
    largest_N1 = np.abs(vectors).max(axis=1, keepdims=True)
    zero_N = largest_N1[:, 0] == 0.0
    if zero_N.any():
        raise ValueError(
            f"{name}: {int(zero_N.sum())} of {len(zero_N)} vectors are all zeros, first in row "
            f"{int(zero_N.argmax())}; their cosine is undefined"
        )
    scaled = vectors / largest_N1  # so that squares neither overflow nor vanish
    unit: Floats = scaled / np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
    return np.rint(unit * _GRID) / _GRID
