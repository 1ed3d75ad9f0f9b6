"""Shapley values and interaction indices: the glove game, the axioms, an outside oracle, and what is refused."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from plait.metrics.shapley import interaction_indices, shapley_values

GLOVES = [0, 0, 0, 0, 0, 1, 1, 1]  # players 0 and 1 hold left gloves, 2 a right one; a pair is worth 1


def by_orders(game: np.ndarray, num_players: int) -> np.ndarray:
    """The definition itself: mean contribution over every order of arrival."""
    total = np.zeros(num_players)
    orders = list(permutations(range(num_players)))
    for order in orders:
        present = 0
        for player in order:
            total[player] += game[present | 1 << player] - game[present]
            present |= 1 << player
    return total / len(orders)


def test_glove_game() -> None:
    np.testing.assert_allclose(shapley_values(GLOVES), [1 / 6, 1 / 6, 2 / 3], atol=1e-15)
    expected = [[0, -0.5, 0.5], [-0.5, 0, 0.5], [0.5, 0.5, 0]]
    np.testing.assert_allclose(interaction_indices(GLOVES), expected, atol=1e-15)


def test_xor_by_hand() -> None:
    """v = 0.5 for all but both together: each gets a quarter, and all of it is interaction."""
    game = [0.5, 0.5, 0.5, 1.0]
    assert shapley_values(game).tolist() == [0.25, 0.25]
    assert interaction_indices(game).tolist() == [[0.0, 0.5], [0.5, 0.0]]


@pytest.mark.parametrize("num_players", [1, 2, 3, 4, 5, 6])
def test_axioms_on_random_games(num_players: int) -> None:
    rng = np.random.default_rng(num_players)
    game, other = rng.normal(size=(2, 1 << num_players))
    phi = shapley_values(game)
    np.testing.assert_allclose(phi, by_orders(game, num_players), atol=1e-12)
    assert phi.sum() == pytest.approx(game[-1] - game[0], abs=1e-12)  # efficiency
    mixed = 2.0 * game - 3.0 * other
    np.testing.assert_allclose(shapley_values(mixed), 2 * phi - 3 * shapley_values(other), atol=1e-12)  # linearity
    order = rng.permutation(num_players)  # renaming players renames values and indices
    renamed = np.empty_like(game)
    for s in range(len(game)):
        renamed[sum(1 << int(order[p]) for p in range(num_players) if s >> p & 1)] = game[s]
    np.testing.assert_allclose(shapley_values(renamed)[order], phi, atol=1e-12)
    pairs, again = interaction_indices(game), interaction_indices(renamed)
    np.testing.assert_allclose(again[np.ix_(order, order)], pairs, atol=1e-12)
    assert np.array_equal(pairs, pairs.T) and not pairs.diagonal().any()


@pytest.mark.parametrize("num_players", [2, 3, 4, 5, 6])
def test_a_dummy_gets_exactly_nothing(num_players: int) -> None:
    """Not a rounding error: exactly 0, for every place of the player and for its pairs."""
    rng = np.random.default_rng(0)
    for dummy in range(num_players):
        game = rng.normal(size=1 << num_players)
        for s in range(len(game)):
            game[s] = game[s & ~(1 << dummy)]
        assert shapley_values(game)[dummy] == 0.0
        assert not interaction_indices(game)[dummy].any()


def test_symmetric_players_get_the_same() -> None:
    game = np.random.default_rng(1).normal(size=16)
    for s in range(16):  # players 1 and 3 may be swapped
        swapped = s & 0b0101 | (s >> 1 & 1) << 3 | (s >> 3 & 1) << 1
        game[max(s, swapped)] = game[min(s, swapped)]
    phi = shapley_values(game)
    assert phi[1] == pytest.approx(phi[3], abs=1e-12)


def test_an_additive_game_has_no_interaction() -> None:
    worth = np.array([0.5, -2.0, 3.0, 0.25])
    game = [sum(worth[p] for p in range(4) if s >> p & 1) for s in range(16)]
    np.testing.assert_allclose(shapley_values(game), worth, atol=1e-12)
    np.testing.assert_allclose(interaction_indices(game), 0, atol=1e-12)


def test_a_game_per_row_at_once() -> None:
    games = np.random.default_rng(2).normal(size=(8, 5, 2))
    phi, pairs = shapley_values(games), interaction_indices(games)
    assert phi.shape == (3, 5, 2) and pairs.shape == (3, 3, 5, 2)
    for i in range(5):
        np.testing.assert_allclose(phi[:, i, 1], shapley_values(games[:, i, 1]), atol=1e-15)
        np.testing.assert_allclose(pairs[:, :, i, 1], interaction_indices(games[:, i, 1]), atol=1e-15)


def test_subsets_by_number_or_by_players() -> None:
    by_number = dict(enumerate(GLOVES))
    by_players = {frozenset(p for p in range(3) if s >> p & 1): v for s, v in by_number.items()}
    for given in (by_number, by_players):
        assert np.array_equal(shapley_values(given), shapley_values(GLOVES))


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (np.zeros(512), "at most 8"),
        (np.zeros(6), "6 values; expected one for each"),
        (np.zeros(1), "2\\^M"),
        (0.5, "2\\^M"),
        ([0.0, np.nan], "first in subset 1"),
        ([0.0, np.inf, 0.0, 0.0], "1 values are NaN or infinite"),
        ({0: 0.0, 2: 1.0}, "no value for subset 1"),
        ({(0,): 0.0, 1: 1.0}, "given twice"),
        ({-1: 0.0, 0: 1.0}, "below 0"),
        ({"ab": 0.0, 0: 1.0}, "tuple of player numbers"),
    ],
)
def test_refusals(game: object, message: str) -> None:
    for function in (shapley_values, interaction_indices):
        with pytest.raises(ValueError, match=message):
            function(game)  # type: ignore[arg-type]


@pytest.mark.oracle
@pytest.mark.parametrize("num_players", [2, 3, 4, 5])
def test_equals_shapiq(num_players: int) -> None:
    shapiq = pytest.importorskip("shapiq", reason="extra dev")
    rng = np.random.default_rng(num_players)

    class Planted(shapiq.Game):  # type: ignore[misc, name-defined]
        def __init__(self, values: np.ndarray) -> None:
            self.values = values
            super().__init__(n_players=num_players, normalize=False, normalization_value=float(values[0]))

        def value_function(self, coalitions: np.ndarray) -> np.ndarray:
            return self.values[np.asarray(coalitions).astype(int) @ (1 << np.arange(num_players))]

    for _ in range(5):
        values = rng.normal(size=1 << num_players)
        exact = shapiq.ExactComputer(n_players=num_players, game=Planted(values))
        theirs = exact("SV", order=1).dict_values
        phi, pairs = shapley_values(values), interaction_indices(values)
        np.testing.assert_allclose(phi, [theirs[(p,)] for p in range(num_players)], atol=1e-10)
        theirs = exact("SII", order=2).dict_values
        for a in range(num_players):
            for b in range(a + 1, num_players):
                assert pairs[a, b] == pytest.approx(theirs[(a, b)], abs=1e-10)
