"""A table predicted chunk by chunk: the same rows, answers and errors as in one piece."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import plait
from plait.data.table import BadRow, Table, read_table


@pytest.fixture(scope="module")
def model(posts_model: Path) -> plait.Plait:
    return plait.load(posts_model)


def without(posts: Path, *gone: int) -> Table:
    """The posts, the pictures of some rows not there."""
    table = read_table(posts)
    images = [f"img/gone{i}.png" if i in gone else cell for i, cell in enumerate(table.column("image"))]
    return table.with_column("image", images)


@pytest.mark.parametrize("policy", ["missing", "skip"])
def test_chunks_are_the_whole(posts: Path, model: plait.Plait, policy: str) -> None:
    table = without(posts, 3, 20, 21)
    whole = model.predict(table, on_bad_row=policy)
    chunks = list(model.predict_chunks(table, on_bad_row=policy, chunk_rows=20))
    assert [len(chunk) for chunk in chunks] == [20, 20, 8]
    joined = pa.concat_tables(chunks)
    for name in ("row", "id", "prediction", "problem"):
        assert joined.column(name).to_pylist() == whole.column(name).to_pylist()
    assert [i for i, p in enumerate(joined.column("problem").to_pylist()) if p] == [3, 20, 21]
    ours, theirs = (np.array(t.column("probability_yes").to_pylist(), dtype=float) for t in (joined, whole))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.isnan(ours).sum() == (3 if policy == "skip" else 0)


def test_a_chunk_without_an_answer_has_the_schema_of_the_others(posts: Path, model: plait.Plait) -> None:
    chunks = list(model.predict_chunks(without(posts, 0, 1), on_bad_row="skip", chunk_rows=2))
    assert chunks[0].column("prediction").to_pylist() == [None, None]
    assert len({chunk.schema for chunk in chunks}) == 1


def test_errors_are_counted_over_the_whole_table(posts: Path, model: plait.Plait) -> None:
    given = model.predict_chunks(without(posts, 5, 30, 41), on_bad_row="error", chunk_rows=4)
    assert len(next(given)) == 4
    with pytest.raises(ValueError, match=r"3 of 48 rows(.|\n)*row 5, column 'image'(.|\n)*row 41") as caught:
        next(given)
    assert str(caught.value) in str(pytest.raises(ValueError, model.predict, without(posts, 5, 30, 41),
                                                  on_bad_row="error").value)  # fmt: skip


def test_lines_that_could_not_be_parsed_stand_in_their_place(posts: Path, model: plait.Plait) -> None:
    table = read_table(posts)
    kept = [i for i in range(48) if i not in (0, 7, 8, 47)]
    broken = tuple(BadRow(i, None, f"line {i}") for i in (47, 8, 0, 7))
    table = dataclasses.replace(table.take(kept[::-1]), bad_rows=broken)
    for rows in (1, 6, 100):
        made = pa.concat_tables(model.predict_chunks(table, chunk_rows=rows))
        assert made.column("row").to_pylist() == list(range(48))
        problems = made.column("problem").to_pylist()
        assert [p for p in problems if p] == ["line 0", "line 7", "line 8", "line 47"]


@pytest.mark.parametrize("rows", [0, -1, 2.5, True])
def test_refused_sizes(posts: Path, model: plait.Plait, rows: object) -> None:
    with pytest.raises(ValueError, match="chunk_rows must be a whole number of rows from 1 on"):
        list(model.predict_chunks(posts, chunk_rows=rows))  # type: ignore[arg-type]


def test_progress_counts_the_rows_of_the_whole_table(posts: Path, model: plait.Plait) -> None:
    seen: list[tuple[int, int, str]] = []
    list(model.predict_chunks(posts, chunk_rows=20, progress=lambda *step: seen.append(step)))
    assert all(total == 48 and what.startswith("predicting") for _, total, what in seen)
    assert [done for done, _, what in seen if what == "predicting"] == [20, 40, 48]
