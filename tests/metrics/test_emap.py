"""EMAP: sums are reproduced, products are not, and the projection is the one of the paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from plait.metrics.emap import emap_scores, evaluations, project_cube

RNG = np.random.default_rng(0)
TERMS = RNG.normal(size=(6, 40, 3))  # a score per modality, row and class


def summed(rows: np.ndarray) -> np.ndarray:
    return sum(TERMS[m][rows[:, m]] for m in range(rows.shape[1]))  # type: ignore[return-value]


def multiplied(rows: np.ndarray) -> np.ndarray:
    return np.prod([TERMS[m][rows[:, m]] for m in range(rows.shape[1])], axis=0)


def true_rows(f: Callable[[np.ndarray], np.ndarray], num_modalities: int, num_rows: int = 40) -> np.ndarray:
    return f(np.arange(num_rows)[:, None].repeat(num_modalities, axis=1))


def test_by_hand() -> None:
    """f = 4 only where both are 1: rows 0 and 1 have means 0 and 2 on each side, 1 over all."""
    assert project_cube([[0.0, 0.0], [0.0, 4.0]]).tolist() == [-1.0, 3.0]


def test_the_cube_is_the_least_squares_sum() -> None:
    """Against another way to the same: regression of all N^2 values on one indicator per row and side."""
    n = 7
    cube = RNG.normal(size=(n, n))
    design = np.zeros((n * n, 2 * n))
    for i in range(n):
        for j in range(n):
            design[i * n + j, [i, n + j]] = 1.0
    solution = np.linalg.lstsq(design, cube.reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(project_cube(cube), solution[:n] + solution[n:], atol=1e-10)


@pytest.mark.parametrize("num_modalities", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("options", [{}, {"block": 7}, {"block": 16, "rounds": 3}, {"block": 2}])
def test_a_sum_is_reproduced(num_modalities: int, options: dict[str, int]) -> None:
    got = emap_scores(summed, 40, num_modalities, **options)
    np.testing.assert_allclose(got, true_rows(summed, num_modalities), atol=1e-12)


@pytest.mark.parametrize("num_modalities", [2, 3, 4])
def test_a_product_is_not(num_modalities: int) -> None:
    got = emap_scores(multiplied, 40, num_modalities)
    assert np.abs(got - true_rows(multiplied, num_modalities)).mean() > 0.1


def test_a_product_model_loses_its_accuracy() -> None:
    sign = np.repeat([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], 10, axis=0)
    truth = (sign[:, 0] * sign[:, 1] < 0).astype(int)

    def model(rows: np.ndarray) -> np.ndarray:
        product = sign[rows[:, 0], 0] * sign[rows[:, 1], 1]
        return np.stack([product, -product], axis=1)

    full = (model(np.arange(40)[:, None].repeat(2, axis=1)).argmax(1) == truth).mean()
    projected = (emap_scores(model, 40, 2).argmax(1) == truth).mean()
    assert full == 1.0 and projected == 0.5


def test_three_modalities_approach_the_exact_projection() -> None:
    """With many partners the sampled means approach those over the full cube of 40^3."""
    everything = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cube = multiplied(everything).reshape(40, 40, 40, 3)
    exact = cube.mean((1, 2)) + cube.mean((0, 2)) + cube.mean((0, 1)) - 2 * cube.mean((0, 1, 2))
    errors = [np.abs(emap_scores(multiplied, 40, 3, rounds=r, seed=1) - exact).mean() for r in (1, 100)]
    assert errors[1] < 0.06 and errors[1] < errors[0] / 4


def test_a_product_of_two_among_three_projects_onto_nearly_nothing() -> None:
    """Every value is a partner equally often, so planted XOR keeps a constant only, the noise of the partners."""
    sign = np.tile([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]], (10, 1))
    got = emap_scores(lambda rows: (sign[rows[:, 0], 0] * sign[rows[:, 1], 1])[:, None], 40, 3)
    np.testing.assert_allclose(got[:, 0], got[0, 0], atol=1e-12)
    assert abs(got[0, 0]) < 0.2


def test_seeds_blocks_and_counting() -> None:
    asked = []

    def counted(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return multiplied(rows)

    progress: list[tuple[int, int]] = []
    first = emap_scores(counted, 40, 3, block=20, seed=4, progress=lambda a, b: progress.append((a, b)))
    assert sum(asked) == 2 * evaluations(20, 3) == progress[-1][0] == progress[-1][1]
    assert np.array_equal(first, emap_scores(multiplied, 40, 3, block=20, seed=4))
    assert not np.array_equal(first, emap_scores(multiplied, 40, 3, block=20, seed=5))
    assert evaluations(20, 2) == 400 and evaluations(20, 1) == 20
    whole = emap_scores(multiplied, 40, 2)  # one block of all rows does not depend on the seed
    np.testing.assert_allclose(whole, emap_scores(multiplied, 40, 2, seed=9), atol=1e-12)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        project_cube([[0.0, np.nan], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"\[N, N\]"):
        project_cube(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="1 of 3 scores are NaN"):
        emap_scores(lambda rows: np.array([[0.0], [np.nan], [0.0]]), 3, 1)
    with pytest.raises(ValueError, match="one line for each row"):
        emap_scores(lambda rows: np.zeros((2, 1)), 3, 2)
    for given in ({"num_rows": 0}, {"num_modalities": 0}, {"block": 1}, {"rounds": 0}):
        options = {"num_rows": 5, "num_modalities": 3, **given}
        with pytest.raises(ValueError, match=next(iter(given))):
            emap_scores(summed, **options)  # type: ignore[arg-type]
