"""Numbers as tokens: the encodings against their equations, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from plait.encoders.numbers import PeriodicNumbers, PiecewiseNumbers
from plait.encoders.tabular import TabularEncoder, build_tabular, embedding_width


def test_piecewise_linear_encoding_is_equation_1() -> None:
    """Edges 0, 1, 3: x = 2 fills the first bin and half of the second; the outer bins are not cut outwards."""
    numbers = PiecewiseNumbers(2, 4, num_bins=2)
    numbers.fit(np.array([[0.0, 5.0], [1.0, 5.0], [3.0, 5.0]]), np.zeros((3, 2)))
    found = numbers.encoded(torch.tensor([[2.0, 5.0], [0.5, 6.0], [-1.0, 4.0], [5.0, 5.0]]))
    assert found[:, 0].tolist() == [[1.0, 0.5], [0.5, 0.0], [-1.0, 0.0], [1.0, 2.0]]
    assert found[:, 1].tolist() == [[5.0, 0.0], [6.0, 0.0], [4.0, 0.0], [5.0, 0.0]]  # constant: the number itself


def test_few_different_values_have_few_bins() -> None:
    numbers = PiecewiseNumbers(1, 4, num_bins=8)
    numbers.fit(np.array([[0.0], [0.0], [0.0], [2.0]]), np.zeros((4, 1)))
    assert torch.isfinite(numbers.encoded(torch.tensor([[1.0]]))).all()
    assert numbers.encoded(torch.tensor([[2.0]])).sum() == pytest.approx(int(numbers.last_F1[0]) + 1.0)


def test_periodic_encoding_is_equation_2() -> None:
    numbers = PeriodicNumbers(1, 4, num_waves=2)
    with torch.no_grad():
        numbers.frequency_FK.copy_(torch.tensor([[0.25, 0.5]]))
    found = numbers.encoded(torch.tensor([[1.0]]))[0, 0].tolist()
    wanted = [math.sin(math.pi / 2), math.sin(math.pi), math.cos(math.pi / 2), math.cos(math.pi)]
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("numbers", ["linear", "piecewise", "periodic"])
def test_the_value_of_a_missing_number_changes_nothing(numbers: str) -> None:
    torch.manual_seed(0)
    encoder = TabularEncoder(2, [3], 8, numbers)
    missing, categories = torch.tensor([[1.0, 0.0]]), torch.tensor([[1]])
    left = encoder(torch.tensor([[5.0, 1.0]]), missing, categories)
    right = encoder(torch.tensor([[float("nan"), 1.0]]), missing, categories)
    assert torch.equal(left.tokens_BTD, right.tokens_BTD) and torch.equal(left.vector_BD, right.vector_BD)
    there = encoder(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2), categories)
    assert not torch.equal(left.vector_BD, there.vector_BD)


@pytest.mark.parametrize("numbers", ["linear", "piecewise", "periodic"])
def test_an_encoder_is_rebuilt_from_its_config(numbers: str) -> None:
    encoder = TabularEncoder(2, [], 8, numbers)
    again = build_tabular(encoder.config())
    again.load_state_dict(encoder.state_dict())
    given = (torch.tensor([[0.3, -2.0]]), torch.zeros(1, 2), torch.zeros(1, 0, dtype=torch.int64))
    assert torch.equal(again(*given).vector_BD, encoder(*given).vector_BD)
    assert ("numbers" in encoder.config()) == (numbers != "linear")  # configs of older folders stay what they were


@pytest.mark.parametrize(("count", "width"), [(1, 2), (7, 5), (46, 14), (466, 50), (10_000, 50)])
def test_the_width_of_an_embedding_follows_the_number_of_categories(count: int, width: int) -> None:
    assert embedding_width(count) == width


def test_compact_categories_are_narrow_and_missing_ones_say_nothing() -> None:
    torch.manual_seed(0)
    encoder = TabularEncoder(0, [47], 8, categories="compact")
    table, to_token = encoder.model["categories"][0]
    assert table.weight.shape == (47, 14)
    nothing = torch.zeros(1, 0)
    found = encoder(nothing, nothing, torch.tensor([[0]])).tokens_BTD[0, 0]
    assert torch.equal(found, to_token.bias)
    again = build_tabular(encoder.config())
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(
        again(nothing, nothing, torch.tensor([[5]])).vector_BD, encoder(nothing, nothing, torch.tensor([[5]])).vector_BD
    )
    assert "categories" not in TabularEncoder(0, [47], 8).config()  # configs of older folders stay what they were
