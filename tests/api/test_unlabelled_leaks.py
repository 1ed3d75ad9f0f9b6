"""Rows without a target that show what is judged: found with inputs left out, copied often, hidden in, or later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from fixtures.media import red_or_blue

open_run = lazy("plait.api.opening", "open_run")
RunSettings = lazy("plait.settings", "RunSettings")
JUDGED = "show what a validation, test or calibration row shows, or are of its group"
LATER = "are later than the last training row, in a run that is split by time"
Columns = dict[str, list[Any]]


def table(count: int = 90, *, picture: bool = True) -> Columns:
    made: Columns = {
        "text": [f"word{i % 13} other{i} thing{i * 7 % 31}" for i in range(count)],
        "x": [round(float(v), 3) for v in np.random.default_rng(0).normal(size=count)],
        "y": [f"c{i % 3}" for i in range(count)],
        "split": [("train", "train", "train", "val", "test")[i % 5] for i in range(count)],
    }
    return {**made, "image": [red_or_blue(bool(i % 2), i) for i in range(count)]} if picture else made


def held_out(rows: Columns) -> Columns:
    kept = [i for i, part in enumerate(rows["split"]) if part == "test"]
    return {name: [cells[i] for i in kept] for name, cells in rows.items() if name not in ("y", "split")}


def left_out(rows: Columns, more: Columns, **data: Any) -> tuple[dict[str, int], int]:
    """Why rows of ``more`` are left out, with their number, and how many teach."""
    given = {"data.target": "y", "semi.method": "self_training", "data.text": "text" if "text" in rows else ()}
    given |= {f"data.{name}": value for name, value in data.items()}
    opened = open_run(rows, {k: v for k, v in given.items() if v}, RunSettings(), [], unlabelled=more, annotations=None)
    part = opened.unlabelled
    return {one["why"]: one["rows"] for one in part.left_out}, len(part.positions)


def extra(more: Columns) -> Columns:
    """The rows, and one that shows nothing of the table, so that something is left to teach."""
    new = {"text": "nothing like it here", "x": 99.5, "image": red_or_blue(True, 999)}
    return {name: [*cells, new[name]] for name, cells in more.items()}


def test_a_held_out_picture_is_found_however_often_it_comes() -> None:
    rows = table()
    first = {name: cells[:2] * 9 for name, cells in held_out(rows).items()}
    first |= {"text": [f"another {i}" for i in range(18)], "x": [i + 50.0 for i in range(18)]}
    assert left_out(rows, extra(first)) == ({JUDGED: 18}, 1)


@pytest.mark.parametrize("kept", [["text", "x"], ["text"], ["x"], ["image"]])
def test_held_out_rows_with_inputs_left_out_are_found(kept: list[str]) -> None:
    rows = table()
    more = {name: cells for name, cells in extra(held_out(rows)).items() if name in kept}
    assert left_out(rows, more) == ({JUDGED: 18}, 1)


def test_spaces_case_and_invisible_characters_hide_nothing() -> None:
    rows = table(picture=False)
    more = held_out(rows)
    more |= {"text": [f"  {t.upper()}\u200b " for t in more["text"]], "x": [x + 1 for x in more["x"]]}
    assert left_out(rows, extra(more)) == ({JUDGED: 18}, 1)


def test_twins_elsewhere_in_the_table_excuse_nothing() -> None:
    rows = {name: table(picture=False)[name] for name in ("x", "y", "split")}
    rows["z"] = [i % 7 for i in range(90)]
    for name in ("x", "z"):
        rows[name][10:20] = rows[name][:10]
    more = {name: [*cells, 99.5 if name == "x" else 3] for name, cells in held_out(rows).items()}
    assert left_out(rows, more)[1] == 1


def test_what_many_labelled_rows_show_proves_nothing() -> None:
    rows = {"a": [i % 2 for i in range(90)], "b": [i % 3 for i in range(90)], **{k: table()[k] for k in ("y", "split")}}
    more = {"a": [0, 1, 1, 0], "b": [2, 1, 0, 0]}
    assert left_out(rows, more) == ({}, 4)


def test_rows_of_a_later_time_teach_nothing_in_a_run_split_by_time() -> None:
    rows = {name: cells for name, cells in table(picture=False).items() if name != "split"}
    rows["day"] = [f"2020-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(90)]
    more = {"text": [f"fresh {i}" for i in range(4)], "x": [50.0, 51.0, 52.0, 53.0]}
    more["day"] = ["2020-01-05", "2020-03-25", "2021-01-01", "2020-02-01"]
    assert left_out(rows, more, split_by_time="day") == ({LATER: 2}, 2)


def test_groups_of_another_type_are_an_error_and_none_at_all_is_told() -> None:
    rows = {**table(picture=False), "g": [i // 5 for i in range(90)]}
    del rows["split"]
    more = {"text": ["fresh"], "x": [50.0], "g": ["s17"]}
    with pytest.raises(ValueError, match="column 'g' of .* holds string, expected int64"):
        left_out(rows, more, group="g")
    del more["g"]
    opened = open_run(
        rows,
        {"data.target": "y", "data.group": "g", "data.text": "text"},
        RunSettings(),
        [],
        unlabelled=more,
        annotations=None,
    )
    assert any("rows of a held-out group cannot be told" in note for note in opened.notes)
