"""Rows that show one picture, or are one text, stay on one side where Plait deals the rows out itself."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from plait.data.schema import guess_schema
from plait.data.shared_content import shared_content
from plait.data.table import Table, read_table
from plait.tasks import TASKS


def png(number: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 7)).save(made, "PNG")
    return made.getvalue()


def photos(numbers: list[int], **more: list[object]) -> Table:
    texts = [f"a text of its own, number {i}" for i in range(len(numbers))]
    return read_table({
        "photo": [png(n) for n in numbers], "text": texts, "label": [f"c{i % 2}" for i in range(len(numbers))], **more
    })  # fmt: skip


def dealt(table: Table, **options: bool) -> tuple[np.ndarray, list[str]]:
    from plait.training.splitting import make_split

    schema = guess_schema(table, target="label")
    rows = np.arange(len(table))
    return make_split(table, schema, rows, table.column("label"), TASKS.get("classification"), 0, **options)


@pytest.mark.parametrize("own", [False, True])
def test_a_picture_stands_on_one_side(own: bool) -> None:
    """Sixty pictures, each in two rows that have nothing else in common."""
    numbers = [i % 60 for i in range(120)]
    table = photos(numbers, **({"split": ["train"] * 120} if own else {}))
    split, notes = dealt(table)
    sides = [set(split[np.array(numbers) == n]) for n in range(60)]
    assert all(len(side) == 1 for side in sides) and {s for side in sides for s in side} == {"train", "val", "test"}
    assert any("120 rows of column 'photo' share 60 pictures" in note for note in notes)
    before, _ = dealt(table, tie_content=False)
    assert any(len(set(before[np.array(numbers) == n])) > 1 for n in range(60))


def test_test_rows_that_stand_stay_and_training_rows_are_tied() -> None:
    numbers = [i % 40 for i in range(80)] + [100 + i for i in range(20)]
    table = photos(numbers, split=["train"] * 80 + ["test"] * 20)
    split, notes = dealt(table)
    assert set(split[80:]) == {"test"} and (split[:40] == split[40:80]).all() and "val" in split
    assert any("share 40 pictures" in note for note in notes)


def test_without_anything_shared_the_split_is_as_before() -> None:
    table = photos(list(range(50)))
    split, notes = dealt(table)
    assert (split == dealt(table, tie_content=False)[0]).all() and not any("share" in note for note in notes)


def test_a_placeholder_ties_nothing() -> None:
    table = photos([0] * 40 + list(range(1, 61)))
    split, notes = dealt(table)
    assert set(split[:40]) == {"train", "val", "test"}
    assert any("1 picture of column 'photo' stands in more than 5% of the rows" in note for note in notes)


def test_texts_tie_rows_that_are_texts() -> None:
    sentences = [f"this is sentence number {i % 50} of many" for i in range(100)]
    sentences[50:60] = [s.upper() for s in sentences[50:60]]
    table = read_table({"text": sentences, "label": [f"c{i % 2}" for i in range(100)]})
    half = read_table({
        "text": [*sentences[:60], *(f"only once, {i}" for i in range(40))], "label": [f"c{i % 2}" for i in range(100)]
    })  # fmt: skip
    split, _ = dealt(half)
    assert (split[:10] == split[50:60]).all()
    every = shared_content(table, guess_schema(table, target="label"), np.arange(100))
    assert every.keys == {}  # half of them come back, as set questions do
