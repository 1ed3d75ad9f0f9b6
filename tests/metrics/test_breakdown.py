"""Confusion and slices: every row is counted exactly once."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics import confusion, slices


def size(rows: np.ndarray) -> dict[str, float]:
    return {"n": float(len(rows))}


def test_confusion_by_hand() -> None:
    got = confusion([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2], 4)
    assert got.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    with pytest.raises(ValueError, match="class 4"):
        confusion([4], [0], 4)
    with pytest.raises(ValueError, match="2 rows"):
        confusion([0, 1], [0], 4)


def test_values_by_count_then_name_with_missing_last() -> None:
    got = slices(size, ["b", None, "a", "a", float("nan"), "b", "c"], column="kind")
    assert [(s["value"], s["rows"]) for s in got] == [("a", 2), ("b", 2), ("c", 1), ("(missing)", 2)]
    assert all(s["column"] == "kind" and s["metrics"] == {"n": s["rows"]} for s in got)


def test_rare_values_share_other_and_no_row_is_lost() -> None:
    values = [f"v{i:02d}" for i in range(30) for _ in range(30 - i)]
    got = slices(size, values)
    assert len(got) == 21 and got[-1]["value"] == "other (10 values)"
    assert got[-1]["rows"] == sum(range(1, 11))
    assert sum(s["rows"] for s in got) == len(values)


def test_numbers_by_quartile() -> None:
    seen: list[int] = []

    def keep(rows: np.ndarray) -> dict[str, float]:
        seen.extend(rows.tolist())
        return {}

    values = list(range(100, 0, -1))
    got = slices(keep, values)
    assert [s["value"] for s in got] == ["1 to 25", "26 to 50", "51 to 75", "76 to 100"]
    assert [s["rows"] for s in got] == [25, 25, 25, 25]
    assert sorted(seen) == list(range(100)) and seen[:25] == list(range(75, 100))


def test_few_numbers_by_value_and_skewed_quartiles() -> None:
    assert [s["value"] for s in slices(size, [3, 1.0, 3, 2])] == ["3", "1", "2"]
    skewed = slices(size, [0] * 90 + list(range(1, 11)))
    assert sum(s["rows"] for s in skewed) == 100 and skewed[0]["value"] == "0 to 0"
    with pytest.raises(ValueError, match="numeric=False"):
        slices(size, ["a"], numeric=True)
    assert slices(size, [None, None])[0]["value"] == "(missing)"
    assert slices(size, []) == []
