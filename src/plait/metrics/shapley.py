"""Exact Shapley values and pairwise Shapley interaction indices of small games.

In: the value of every subset of M players (here: modalities), each a number or an array of any shape, such as
one value per row. Out: one value per player, or per pair. Every subset is looked at, nothing is sampled, so M
is at most 8 (256 subsets). Subsets are numbered by bits: player m is in subset S where ``S >> m & 1``.

Reference: Shapley 1953 (the value); Grabisch and Roubens 1999, after Owen 1972 (the interaction index).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MAX_PLAYERS = 8


def shapley_values(values: ArrayLike | Mapping[Any, ArrayLike]) -> Floats:
    """Share of each player: its contribution averaged over all orders in which the players can arrive.

    Args:
        values: Value of every subset: an array ``[2^M, ...]`` in bit order, or a mapping from the number of a
            subset, or from the players in it (a tuple or frozenset of 0 to M - 1), to its value.

    Returns:
        ``[M, ...]``; they add up to the value of all players less that of none.

    Raises:
        ValueError: Not a value for each of 2^M subsets, NaN or infinite values, or M above 8.

    Reference:
        Shapley 1953: phi_i = sum over S without i of |S|! (M - |S| - 1)! / M! (v(S + i) - v(S)).

    Example:
        >>> shapley_values([0, 0, 0, 0, 0, 1, 1, 1]).round(4).tolist()  # two left gloves and one right
        [0.1667, 0.1667, 0.6667]
    """
    game = subset_values(values)
    num_players = count_players(len(game))
    result = np.empty((num_players, *game.shape[1:]))
    for player in range(num_players):
        without, weights = _subsets_without(num_players, (player,))
        # Differences first, weights after: a player that changes nothing gets exactly 0, not a rounding error.
        gained = game[without | 1 << player] - game[without]
        result[player] = np.tensordot(weights, gained, axes=1)
    return result


def interaction_indices(values: ArrayLike | Mapping[Any, ArrayLike]) -> Floats:
    """What each pair gains by being together, beyond what its members gain apart.

    Args:
        values: As for :func:`shapley_values`.

    Returns:
        ``[M, M, ...]``, symmetric, zero on the diagonal; above zero where two players need each other, below
        zero where one can stand in for the other.

    Raises:
        ValueError: As :func:`shapley_values`.

    Reference:
        Grabisch and Roubens 1999: I_ij = sum over S without i, j of |S|! (M - |S| - 2)! / (M - 1)!
        (v(S + ij) - v(S + i) - v(S + j) + v(S)).

    Example:
        >>> interaction_indices([0, 0, 0, 0, 0, 1, 1, 1])[0].tolist()  # glove game: L and L, L and R
        [0.0, -0.5, 0.5]
    """
    game = subset_values(values)
    num_players = count_players(len(game))
    result = np.zeros((num_players, num_players, *game.shape[1:]))
    for a in range(num_players):
        for b in range(a + 1, num_players):
            with_a, with_b = 1 << a, 1 << b
            others, weights = _subsets_without(num_players, (a, b))
            gained_beside = game[others | with_a | with_b] - game[others | with_b]
            gained_alone = game[others | with_a] - game[others]
            result[a, b] = result[b, a] = np.tensordot(weights, gained_beside - gained_alone, axes=1)
    return result


def subset_values(values: ArrayLike | Mapping[Any, ArrayLike]) -> Floats:
    """Check the values of all subsets and return them as ``[2^M, ...]`` in bit order.

    Raises:
        ValueError: As :func:`shapley_values`.
    """
    if isinstance(values, Mapping):
        by_number = {_number_of(key): np.asarray(value, dtype=np.float64) for key, value in values.items()}
        if len(by_number) != len(values):
            raise ValueError("a subset is given twice; give each one value")
        missing = sorted(set(range(len(by_number))) - set(by_number))
        if missing:
            raise ValueError(
                f"no value for subset {missing[0]} ({_players_in(missing[0]) or 'nobody'}) among {len(by_number)};"
                " give one for every subset, the empty one too"
            )
        count_players(len(by_number))
        game = np.stack([by_number[number] for number in range(len(by_number))])
    else:
        game = np.asarray(values, dtype=np.float64)
        count_players(len(game) if game.ndim else 0)
    bad = ~np.isfinite(game)
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        raise ValueError(
            f"{int(bad.sum())} values are NaN or infinite, first in subset {first} ({_players_in(first) or 'nobody'});"
            " a game needs a number for every subset"
        )
    return game


def count_players(num_subsets: int) -> int:
    """M of 2^M subsets.

    Raises:
        ValueError: Not a power of two from 2 to 256.
    """
    num_players = max(num_subsets, 1).bit_length() - 1
    if num_subsets < 2 or num_subsets != 1 << num_players:
        raise ValueError(f"{num_subsets} values; expected one for each of the 2^M subsets of M players (2, 4, 8, ...)")
    if num_players > MAX_PLAYERS:
        raise ValueError(
            f"{num_players} players have {num_subsets} subsets; every one is measured, so at most {MAX_PLAYERS} "
            f"players ({1 << MAX_PLAYERS} subsets) are taken. Join some of them"
        )
    return num_players


@functools.cache
def _subsets_without(num_players: int, players: tuple[int, ...]) -> tuple[np.ndarray, Floats]:
    """Numbers of the subsets without these players, and the weight of each; the same for every game of a bootstrap."""
    together = sum(1 << player for player in players)
    subsets = np.array([s for s in range(1 << num_players) if not s & together], dtype=np.int64)
    return subsets, _weights_by_size(num_players, len(players))[[int(s).bit_count() for s in subsets]]


def _weights_by_size(num_players: int, joining: int) -> Floats:
    """Chance that exactly the first s others stand before ``joining`` players who arrive as one, for every s."""
    rest = num_players - joining
    counts = [factorial(size) * factorial(rest - size) for size in range(rest + 1)]
    return np.asarray(counts, dtype=np.float64) / factorial(rest + 1)


def _number_of(key: Any) -> int:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if key < 0:
            raise ValueError(f"subset {key} is below 0; number subsets by bits, from 0 for the empty one")
        return int(key)
    if not isinstance(key, Iterable) or isinstance(key, str):
        raise ValueError(f"a subset is given as {key!r}; expected its number or a tuple of player numbers")
    number = 0
    for player in key:
        if not isinstance(player, int | np.integer) or not 0 <= player < 64:
            raise ValueError(f"a subset holds player {player!r}; players are numbered from 0")
        number |= 1 << int(player)
    return number


def _players_in(subset: int) -> str:
    return ", ".join(str(p) for p in range(subset.bit_length()) if subset >> p & 1)
