"""Arrays of few values: those of pyarrow, made without pandas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plait.data import small_arrays
from plait.data.small_arrays import positions, small_array, small_numbers

GIVEN = [
    (["a", None, "", "\u00e9\u4f60\U0001f44d\U0001f3fd", "e\u0301", "x" * 300], pa.string()),
    (["a", None, "\x00"], pa.large_string()),
    ([], pa.string()), ([None, None], pa.string()), ([], pa.int64()), ([None], pa.float64()),
    ([1, None, -(2**63), 2**63 - 1, 0], pa.int64()),
    ([1.5, None, float("nan"), float("-inf"), -0.0, 5e-324], pa.float64()),
    ([True, None, False] * 7, pa.bool_()),
    ([1, 2.5], pa.float64()), ([b"a"], pa.binary()), ([[1], None], pa.list_(pa.int64())),
]  # fmt: skip


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pandas", raising=False)  # other tests import it


def same(one: pa.Array, other: pa.Array) -> bool:
    """Alike in type, nulls and every bit of the values (NaN and -0.0 included)."""
    if one.type != other.type or one.is_null().to_pylist() != other.is_null().to_pylist():
        return False
    return [repr(v) for v in one.to_pylist()] == [repr(v) for v in other.to_pylist()]


@pytest.mark.parametrize(("values", "kind"), GIVEN, ids=lambda given: str(given)[:30])
def test_values_are_those_of_pyarrow(values: list[Any], kind: pa.DataType) -> None:
    made = small_array(values, kind)
    made.validate(full=True)
    assert same(made, pa.array(values, kind)) and made.null_count == pa.array(values, kind).null_count


def test_numbers_and_positions() -> None:
    values = np.array([0.1, np.nan, -0.0, np.inf])
    for is_null in (np.isnan(values), np.zeros(4, dtype=bool), np.ones(4, dtype=bool)):
        assert same(small_numbers(values, is_null), pa.array(values, mask=is_null))
    assert same(positions([2, 0, 1]), pa.array([2, 0, 1])) and len(positions([])) == 0


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["\ud800"], pa.string()),
        ([True, 2], pa.int64()),
        ([2**63], pa.int64()),
        (["a"], pa.int64()),
        ([1], pa.string()),
    ],
)
def test_what_pyarrow_refuses_is_refused_alike(values: list[Any], kind: pa.DataType) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011  whichever it is
        pa.array(values, kind)
    with pytest.raises(type(theirs.value)):
        small_array(values, kind)


def test_more_than_few_are_made_by_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_arrays, "FEW", 2)
    monkeypatch.setattr(small_arrays, "_put_together", lambda *_: pytest.fail("put together by hand"))
    assert small_array([1, 2, 3], pa.int64()).to_pylist() == [1, 2, 3]


def test_pandas_stays_out() -> None:
    code = (
        "import sys, pyarrow as pa\nfrom plait.data.small_arrays import small_array, positions\n"
        "from plait.data.table import read_table\n"
        "table = pa.table({'a': small_array(['x', None], pa.string()), 'b': small_array([1.0, 2.0], pa.float64())})\n"
        "table.take(positions([1]))\nassert 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
