"""EMAP: the part of a model that is a sum of one score per modality, so that the rest can be measured.

A function f of M modalities is evaluated on rows whose modalities were recombined; out come the scores that its
empirical additive projection gives the true rows. A model that adds up one score per modality is reproduced;
whatever accuracy is lost comes from interactions between modalities. Scores are logits, or probabilities on the
log scale.

Reference: Hessel and Lee 2020, "Does my multimodal model learn cross-modal interactions? It's harder to tell than
you might think!", EMNLP (two modalities; the form for more is stated at :func:`emap_scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ScoresOf = Callable[[Ints], ArrayLike]

_ROWS_AT_ONCE = 8192


def project_cube(scores: ArrayLike) -> Floats:
    """Project a full table of two modalities onto sums, and read off the true rows.

    Args:
        scores: f(a_i, b_j) for every pair of rows, ``[N, N]`` or ``[N, N, C]``.

    Returns:
        ``[N]`` or ``[N, C]``: mean over j of f(a_i, b_j) + mean over j of f(a_j, b_i) - mean of all f.

    Raises:
        ValueError: Not square in its first two axes, empty, or NaN or infinite scores.

    Reference:
        Hessel and Lee 2020, the empirical multimodally-additive projection.

    Example:
        >>> project_cube([[0.0, 0.0], [0.0, 4.0]]).tolist()  # a product is not a sum
        [-1.0, 3.0]
    """
    cube = _checked(scores)
    if cube.ndim < 2 or cube.shape[0] != cube.shape[1] or cube.shape[0] == 0:
        raise ValueError(f"scores have shape {cube.shape}; expected [N, N] or [N, N, C], every pair of N rows")
    projected: Floats = cube.mean(axis=1) + cube.mean(axis=0) - cube.mean(axis=(0, 1))
    return projected


def emap_scores(
    scores_of: ScoresOf,
    num_rows: int,
    num_modalities: int,
    *,
    block: int = 128,
    rounds: int = 1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Scores of every row under the empirical additive projection, block by block.

    The rows are dealt at random into blocks of nearly equal size and each block is projected by itself, because all
    N^2 pairs of many rows are too many; one block of all rows is the projection of the paper.

    For two modalities it is exact within a block: all pairs are evaluated and :func:`project_cube` applied. For more,
    the projection of f onto sums of one function per modality, under independent modalities, is
    sum over m of E[f | x_m] - (M - 1) E[f]. E[f | x_m] is the mean over partner tuples: ``rounds`` times the rows of
    the block, each modality in an order of its own, so that every value is used equally often; E[f] is the mean of
    all E[f | x_m]. Sums are then projected exactly; interactions among the partners carry sampling noise, which falls
    with the rows of a block and with ``rounds``.

    Args:
        scores_of: Row numbers ``[B, M]`` (modality m of the answer's row b is that of row ``[b, m]``) to ``[B, C]``.
        num_rows: N.
        num_modalities: M.
        block: Rows in a block, at most.
        rounds: For three modalities or more, partners per row of the block; two modalities always use all pairs.
        seed: Seed of the dealing and of the partners.
        progress: Called with evaluations done and evaluations in all.

    Returns:
        ``[N, C]``. With one modality the scores themselves.

    Raises:
        ValueError: Counts out of range, or NaN or infinite scores.

    Example:
        >>> a, b = np.arange(6.0), np.arange(6.0) ** 2
        >>> f = lambda rows: (a[rows[:, 0]] + b[rows[:, 1]])[:, None]
        >>> bool(np.allclose(emap_scores(f, 6, 2)[:, 0], a + b, atol=1e-12))
        True
    """
    counts = {"num_rows": num_rows, "num_modalities": num_modalities, "block": block, "rounds": rounds}
    for name, value in counts.items():
        least = 2 if name == "block" else 1
        if value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")
    if num_modalities == 1:
        return _evaluate(scores_of, np.arange(num_rows, dtype=np.int64)[:, None], _Counter(progress, num_rows))
    rng = np.random.default_rng(seed)
    blocks = np.array_split(rng.permutation(num_rows), -(-num_rows // block))
    counter = _Counter(progress, sum(evaluations(len(b), num_modalities, rounds) for b in blocks))
    result: Floats | None = None
    for rows in blocks:
        made = _pairs(scores_of, rows, counter) if num_modalities == 2 else _sampled(
            scores_of, rows, num_modalities, rounds, rng, counter
        )  # fmt: skip
        if result is None:
            result = np.empty((num_rows, *made.shape[1:]))
        result[rows] = made
    assert result is not None
    return result


def evaluations(num_rows: int, num_modalities: int, rounds: int = 1) -> int:
    """How often the model is asked for a block of so many rows."""
    if num_modalities == 1:
        return num_rows
    if num_modalities == 2:
        return num_rows * num_rows
    return num_modalities * num_rows * rounds * num_rows


def _pairs(scores_of: ScoresOf, rows: Ints, counter: _Counter) -> Floats:
    n = len(rows)
    asked = np.stack([np.repeat(rows, n), np.tile(rows, n)], axis=1)
    flat = _evaluate(scores_of, asked, counter)
    return project_cube(flat.reshape(n, n, *flat.shape[1:]))


def _sampled(
    scores_of: ScoresOf, rows: Ints, num_modalities: int, rounds: int, rng: np.random.Generator, counter: _Counter
) -> Floats:
    partners = rounds * len(rows)
    orders = [np.concatenate([rng.permutation(rows) for _ in range(rounds)]) for _ in range(num_modalities)]
    partners_KM = np.stack(orders, axis=1)
    given = []
    for m in range(num_modalities):
        asked = np.tile(partners_KM, (len(rows), 1))
        asked[:, m] = np.repeat(rows, partners)
        flat = _evaluate(scores_of, asked, counter)
        given.append(flat.reshape(len(rows), partners, *flat.shape[1:]).mean(axis=1))
    means_MNC = np.stack(given)
    projected: Floats = means_MNC.sum(axis=0) - (num_modalities - 1) * means_MNC.mean(axis=(0, 1))
    return projected


class _Counter:
    """Counts evaluations for the progress bar."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def _evaluate(scores_of: ScoresOf, asked: Ints, counter: _Counter) -> Floats:
    parts = []
    for chunk in _chunks(asked):
        made = _checked(scores_of(chunk))
        if made.ndim == 0 or len(made) != len(chunk):
            raise ValueError(f"scores of {len(chunk)} rows have shape {made.shape}; expected one line for each row")
        parts.append(made)
        counter.add(len(chunk))
    return np.concatenate(parts)


def _chunks(asked: Ints) -> Iterator[Ints]:
    return (asked[start : start + _ROWS_AT_ONCE] for start in range(0, len(asked), _ROWS_AT_ONCE))


def _checked(scores: ArrayLike) -> Floats:
    array = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{int((~np.isfinite(array)).sum())} of {array.size} scores are NaN or infinite; EMAP averages scores, so "
            "each must be a number (clip log probabilities of 0)"
        )
    return array
