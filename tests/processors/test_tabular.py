"""Numbers and categories: hand-worked values, every odd cell counted."""

from __future__ import annotations

import json
import math

import pytest
import torch

from plait.processors import TabularProcessor


def test_standardised_by_hand_and_odd_cells_counted() -> None:
    made = TabularProcessor.fit(
        {"x": [1, 3, None, "5", "n/a", math.inf], "c": ["a", "b", "", None, 3, 3.0]}, ["x"], ["c"]
    )
    assert made.numeric["x"] == pytest.approx((3.0, math.sqrt(8 / 3)))
    assert made.categorical == {"c": ["3", "a", "b"]} and made.cardinalities == [4]
    assert made.num_invalid == {"x": 1}  # n/a is a missing number
    made.num_invalid.clear()
    out = made.process({"x": [5, float("nan"), "oops", -math.inf, 1e300], "c": ["a", "zz", None, 3, " b "]})
    assert out["numeric_BF"][:, 0].tolist() == pytest.approx([2 / math.sqrt(8 / 3), 0, 0, 0, 100])
    assert out["missing_BF"][:, 0].tolist() == [0, 1, 1, 1, 0]
    assert out["categorical_BK"][:, 0].tolist() == [2, 0, 0, 1, 3]
    assert (made.num_invalid, made.num_unknown, made.num_clipped) == ({"x": 2}, {"c": 1}, {"x": 1})


def test_truth_values_are_numbers_only_where_training_held_them() -> None:
    """A column of bools in memory had been read as 0 and 1 among prices, without a word."""
    prices = TabularProcessor.fit({"x": [10, 20, 30]}, ["x"], [])
    assert prices.process({"x": [True, 20]})["missing_BF"][:, 0].tolist() == [1, 0]
    assert [fault.reason for fault in prices.faults] == ["True is no number"]
    flags = TabularProcessor.fit({"x": [True, False, None]}, ["x"], [])
    assert flags.process({"x": [True, 1, False]})["numeric_BF"][:, 0].tolist() == [1, 1, -1]


def test_constant_empty_and_huge_columns_stay_finite() -> None:
    made = TabularProcessor.fit({"k": [0.1] * 7, "e": [None] * 7, "h": [1e300, -1e300, 0, 1, 2, 3, 4]}, ["k", "e", "h"])
    out = made.process({"k": [0.1, 5], "e": [None, 1], "h": [1e300, 0]})
    assert all(value.isfinite().all() for value in out.values())
    assert out["numeric_BF"][0, 0] == 0 and out["missing_BF"][:, 1].tolist() == [1, 0]
    assert out["numeric_BF"][0, 2] == pytest.approx(math.sqrt(7 / 2), rel=1e-5)


def test_absent_columns_are_missing_and_counted() -> None:
    made = TabularProcessor.fit({"x": [1, 2], "c": ["a", "b"]}, ["x"], ["c"])
    out = made.process({"c": ["a", "b"]})
    assert out["missing_BF"].tolist() == [[1], [1]] and made.num_absent == {"x": 2}
    with pytest.raises(ValueError, match="none of the columns x, c"):
        made.process({"y": [1]})
    with pytest.raises(ValueError, match="differ in length"):
        made.process({"x": [1], "c": ["a", "b"]})
    with pytest.raises(ValueError, match="'z' is not in the table"):
        TabularProcessor.fit({"x": [1]}, ["z"])


def test_json_keeps_column_order_and_outputs() -> None:
    made = TabularProcessor.fit({"b": [1, 2], "a": [5, 9], "c": ["x", "y"]}, ["b", "a"], ["c"])
    text = json.dumps(made.to_json(), sort_keys=True)
    again = TabularProcessor.from_json(json.loads(text))
    rows = {"a": [7.5, None], "b": [1, 1], "c": ["y", "q"]}
    for key, value in made.process(rows).items():
        assert torch.equal(value, again.process(rows)[key])
    assert again.fingerprint == made.fingerprint


def test_rare_categories_of_many_share_an_index() -> None:
    """25 common ones, two seen twice, one once: the three share the last index; unknown stays apart, counted."""
    cells = [f"c{i:02d}" for i in range(25) for _ in range(3)] + ["x", "x", "y", "y", "z", None]
    made = TabularProcessor.fit({"c": cells}, categorical=["c"], share_rare=True)
    assert made.cardinalities == [27] and made.rare == {"c": ["x", "y", "z"]}
    found = made.process({"c": ["c00", "c24", "x", "y", "z", "never", None]})["categorical_BK"].flatten().tolist()
    assert found == [1, 25, 26, 26, 26, 0, 0]
    assert made.num_unknown == {"c": 1} and [f.row for f in made.faults] == [5]
    again = TabularProcessor.from_json(made.to_json())
    assert again.process({"c": ["y", "c24"]})["categorical_BK"].flatten().tolist() == [26, 25]
    assert again.fingerprint == made.fingerprint


@pytest.mark.parametrize("cells", [["a"] * 5 + ["b", "c"], [f"c{i:02d}" for i in range(25) for _ in range(3)] + ["x"]])
def test_few_categories_and_a_single_rare_one_keep_their_own_index(cells: list[str]) -> None:
    made = TabularProcessor.fit({"c": cells}, categorical=["c"], share_rare=True)
    assert made.rare == {} and made.to_json() == TabularProcessor.fit({"c": cells}, categorical=["c"]).to_json()
