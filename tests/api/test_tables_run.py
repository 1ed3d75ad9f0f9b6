"""Tables as people keep them, through a whole run: nearly numeric columns, dates, columns left out."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait

QUICK = ["train.baselines=false", "judge.missing_rows=0", "train.threads=1"]


def write(path: Path, header: list[str], rows: list[list[Any]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def season(rows: int = 300) -> dict[str, list[Any]]:
    days = [dt.datetime(2023, 1, 1) + dt.timedelta(i) for i in range(rows)]
    return {"day": days, "label": ["warm" if 4 <= d.month <= 9 else "cold" for d in days]}


def test_one_question_mark_does_not_cost_the_column(tmp_path: Path) -> None:
    rows = [[f"{i * 0.37:.2f}" if i != 50 else "?", int(i > 60)] for i in range(101)]
    model = plait.fit(
        write(tmp_path / "t.csv", ["size", "label"], rows), "label", epochs=12, preset="single", set=QUICK
    )
    assert model.schema.column("size").kind == "numeric"
    assert any("'?' in row 50" in note for note in model.report["evaluation"]["notes"])
    assert model.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.8
    alone = (
        model.predict_proba({"size": [cell]})[0] for cell in ("?", None, "0.37")
    )  # rows of a batch may round apart
    mark, nothing, number = alone
    assert np.array_equal(mark, nothing) and not np.array_equal(mark, number)
    assert model.predict({"size": ["?"]}).column("problem").to_pylist() == ["nothing to read in this row"]


@pytest.mark.parametrize("named", [{}, {"numeric": "size"}])
def test_the_policy_decides_on_cells_that_are_no_numbers(named: dict[str, str]) -> None:
    table = {"size": [f"{i}.5" if i % 20 != 7 else "lost" for i in range(100)], "x": list(range(100)),
             "label": ["ab"[i > 50] for i in range(100)]}  # fmt: skip
    with pytest.raises(ValueError, match=r"5 of 100 rows.*\n  row 7, column 'size': 'lost' is no number"):
        plait.fit(table, "label", epochs=1, set=QUICK, **named)
    skipped = plait.fit(table, "label", epochs=1, on_bad_row="skip", set=QUICK, **named)
    assert sum(skipped.report["splits"].values()) == 95
    kept = plait.fit(table, "label", epochs=1, on_bad_row="missing", set=QUICK, **named)
    assert sum(kept.report["splits"].values()) == 100
    bad = kept.report["evaluation"]["bad_rows"]
    assert [b["row"] for b in bad] == [7, 27, 47, 67, 87]


def test_what_is_skipped_teaches_nothing() -> None:
    table = {"size": [f"{i}.5" if i != 7 else "lost" for i in range(40)],
             "x": [1e6 if i == 7 else float(i) for i in range(40)], "label": ["ab"[i % 2] for i in range(40)],
             "split": ["train"] * 30 + ["val"] * 5 + ["test"] * 5}  # fmt: skip
    model = plait.fit(table, "label", epochs=1, on_bad_row="skip", set=QUICK)
    assert model.inputs.processors["tabular"].numeric["x"][0] < 100


def test_dates_are_learned_from_alike_from_memory_and_from_a_file(tmp_path: Path) -> None:
    table = season()
    model = plait.fit(table, "label", epochs=8, set=QUICK, output=tmp_path / "m")
    assert model.report["schema"][0]["kind"] == "date"
    assert model.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.9
    path = write(
        tmp_path / "d.csv",
        ["day", "label"],
        [[f"{day:%Y-%m-%d}", label] for day, label in zip(*table.values(), strict=True)],
    )
    from_file = plait.fit(path, "label", epochs=8, set=QUICK)
    assert np.array_equal(model.predict_proba(path), from_file.predict_proba(table))
    assert np.array_equal(plait.load(tmp_path / "m").predict_proba(path), model.predict_proba(table))
    asked = model.predict({"day": ["2023-06-01", "soon", None, "01/06/2023"]}).to_pylist()
    assert asked[0]["prediction"] == "warm" and asked[1]["problem"].startswith("day: 'soon' is no date")
    assert asked[1]["probability_warm"] == asked[2]["probability_warm"] == asked[3]["probability_warm"]


def test_dates_as_categories_have_one_spelling(tmp_path: Path) -> None:
    days = [dt.datetime(2024, 1, 1 + i % 3) for i in range(60)]
    table = {"day": days, "label": ["abc"[d.day - 1] for d in days]}
    model = plait.fit(table, "label", categorical="day", epochs=2, set=QUICK)
    assert model.inputs.processors["tabular"].categorical == {"day": ["2024-01-01", "2024-01-02", "2024-01-03"]}
    path = write(tmp_path / "d.csv", ["day"], [[f"{d:%Y-%m-%d}"] for d in days])
    assert np.array_equal(model.predict_proba(path), model.predict_proba(table))


def test_a_column_with_units_is_said_to_be_text() -> None:
    table = season(120) | {"weight": [f"{i % 7} kg" for i in range(120)]}
    notes = plait.fit(table, "label", epochs=1, set=QUICK).report["evaluation"]["notes"]
    assert any(n.startswith("column 'weight' is read as categorical: numbers with 'kg'") for n in notes)


def test_columns_left_out_are_named_with_the_reason() -> None:
    table = season(120) | {
        "code": [f"x{i:04d}" for i in range(120)],
        "when": [f"{i % 9 + 1}/3/2024" for i in range(120)],
    }
    notes = plait.fit(table, "label", epochs=1, set=QUICK).report["evaluation"]["notes"]
    assert "column 'code' is left out: a different code in every row, from which nothing can be learned" in notes
    assert any(n.startswith("column 'when' is left out: reads like dates") and "date_order=" in n for n in notes)
    many = season(120) | {f"code{k}": [f"x{i:04d}" for i in range(120)] for k in range(13)}
    notes = plait.fit(many, "label", epochs=1, set=QUICK).report["evaluation"]["notes"]
    assert sum("is left out" in n for n in notes) == 10 and any(n.startswith("3 more columns") for n in notes)
    with pytest.raises(ValueError, match="no input column.*'code' is left out: a different code"):
        plait.fit({"code": table["code"], "label": table["label"]}, "label", set=QUICK)


def test_text_and_categories_of_numbers_keep_the_spelling_of_the_file(tmp_path: Path) -> None:
    rows = [[f"{i % 9}.50", ["1.1", "1.10", "2"][i % 3], 3.0, "abc"[i % 3]] for i in range(60)]
    path = write(tmp_path / "t.csv", ["code", "version", "whole", "label"], rows)
    model = plait.fit(
        path, "label", text="code", categorical=["version", "whole"], epochs=1, output=tmp_path / "m",
        set=[*QUICK, "encoders.text=scratch:text"],
    )  # fmt: skip
    assert [(m.name, m.kind) for m in model.inputs.modalities] == [("code", "text"), ("tabular", "tabular")]
    assert model.inputs.processors["tabular"].categorical == {"version": ["1.1", "1.10", "2"], "whole": ["3"]}
    shown = model.report["evaluation"]["examples"][0]["inputs"][0]["text"]
    assert len(shown) == 4 and shown.endswith(".50")
    assert np.array_equal(plait.load(tmp_path / "m").predict_proba(path), model.predict_proba(path))


def test_text_overrules_numbers_truth_values_and_dates_in_memory() -> None:
    table = {"n": [1.0, 2.0, None] * 20, "b": [True, False] * 30, "d": [dt.date(2024, 1, 5)] * 60, "y": ["a", "b"] * 30}
    model = plait.fit(table, "y", text=["n", "b", "d"], epochs=1, set=[*QUICK, "encoders.text=scratch:text"])
    texts = {(p["name"], p["text"]) for e in model.report["evaluation"]["examples"] for p in e["inputs"]}
    assert texts <= {("n", "1"), ("n", "2"), ("n", "(missing)"), ("b", "true"), ("b", "false"), ("d", "2024-01-05")}
    assert len(texts) >= 4


@pytest.mark.parametrize("ending", ["csv", "jsonl", "memory"])
def test_an_empty_cell_of_labels_is_no_answer_and_an_empty_list_is_no_label(tmp_path: Path, ending: str) -> None:
    labels: list[Any] = [["a"], ["b"], ["a", "b"], []] * 15 + [None]
    size = [float(i) for i in range(61)]
    if ending == "memory":
        table: Any = {"x": size, "y": labels}
    elif ending == "csv":
        cells = ["" if v is None else json.dumps(v) for v in labels]
        table = write(tmp_path / "t.csv", ["x", "y"], [list(row) for row in zip(size, cells, strict=True)])
    else:
        table = str(tmp_path / "t.jsonl")
        lines = [json.dumps({"x": x, "y": y}) for x, y in zip(size, labels, strict=True)]
        Path(table).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"1 of 61 rows.*\n  row 60, column 'y': the target cell does not hold a list of labels"
    ):
        plait.fit(table, "y", task="multilabel", epochs=1, set=QUICK)
    model = plait.fit(table, "y", task="multilabel", epochs=1, on_bad_row="skip", set=QUICK)
    assert sum(model.report["splits"].values()) == 60 and model.labels.classes == ("a", "b")


def test_the_report_says_what_became_of_bad_cells(tmp_path: Path) -> None:
    table = {"x": [str(i) if i % 10 != 3 else "lost" for i in range(60)], "z": list(range(60)),
             "label": [None if i == 5 else "ab"[i % 2] for i in range(60)]}  # fmt: skip
    kept = plait.fit(table, "label", epochs=1, on_bad_row="missing", set=QUICK, output=tmp_path / "m")
    outcomes = {b["row"]: b["outcome"] for b in kept.report["evaluation"]["bad_rows"]}
    assert outcomes == {5: "left out"} | dict.fromkeys(range(3, 60, 10), "counted as missing")
    page = (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    assert "1 row left out, 6 cells counted as missing" in page
    skipped = plait.fit(table, "label", epochs=1, on_bad_row="skip", set=QUICK)
    assert {b["outcome"] for b in skipped.report["evaluation"]["bad_rows"]} == {"left out"}
