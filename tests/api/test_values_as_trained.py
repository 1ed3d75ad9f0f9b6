"""Values of a later table mean what they meant in training; what differs is reported, row by row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import plait
from fixtures.lazy import lazy
from plait.data.cell_error import CellError
from plait.data.media import read_media
from plait.data.table import read_table

pandas = lazy("pandas")
near = lazy("plait.api.reading", "_near")
QUICK = ["train.baselines=false", "judge.missing_rows=0", "train.threads=1"]


def write(path: Path, header: list[str], rows: list[list[Any]], delimiter: str = ",") -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return str(path)


def accuracy(model: plait.Plait, table: str, truth: list[str]) -> float:
    made = model.predict(table).column("prediction").to_pylist()
    return sum(a == b for a, b in zip(made, truth, strict=True)) / len(truth)


def test_decimal_commas_of_a_target_are_decimals(tmp_path: Path) -> None:
    rows = [[size, f"{size * 10.25:.2f}".replace(".", ",")] for size in range(20, 140)]
    table = write(tmp_path / "prices.csv", ["size", "price"], rows, ";")
    assert read_table(table).column("price")[0] == 205.0
    model = plait.fit(table, "price", task="regression", epochs=30, set=QUICK)
    made = model.predict(table).column("prediction").to_pylist()
    assert max(made) < 2000 and model.report["evaluation"]["metrics"]["r2"]["value"] > 0.8
    assert model.evaluate(table, rows="all")["evaluation"]["metrics"]["mae"]["value"] < 200


def test_a_target_in_memory_with_decimal_commas() -> None:
    rows = [{"size": s * 1.5, "price": f"{s},{s % 9}5"} for s in range(60)]
    model = plait.fit(rows, "price", task="regression", epochs=2, set=QUICK)
    assert 20 < model.labels.mean < 40


def test_a_target_that_could_be_either_is_refused_by_row(tmp_path: Path) -> None:
    rows = [[i * 1.5, "1,234" if i == 7 else str(i)] for i in range(40)]
    table = write(tmp_path / "open.csv", ["size", "price"], rows, ";")
    with pytest.raises(ValueError, match=r"row 7 holds '1,234', which is 1234 or 1\.234.*decimal="):
        plait.fit(table, "price", numeric=["price"], set=QUICK)
    assert plait.fit(table, "price", decimal=".", epochs=1, set=QUICK).task.name == "regression"
    assert read_table(table).column("price")[7] == "1,234"


@pytest.mark.parametrize(
    ("cells", "later"),
    [
        (["true", "false", "unknown"], ["true", "false"]), (["1.10", "1.20", "beta"], ["1.10", "1.20"]),
        (["01234", "04321", "x9"], ["01234", "04321"]), (["TRUE", "False", "maybe"], ["true", "FALSE"]),
    ],
)  # fmt: skip
def test_categories_keep_kind_and_spelling(tmp_path: Path, cells: list[str], later: list[str]) -> None:
    names = ["A", "B", "C"]
    train = write(
        tmp_path / "t.csv", ["c", "noise", "label"], [[cells[i % 3], i % 7, names[i % 3]] for i in range(150)]
    )
    new = write(tmp_path / "n.csv", ["c", "noise"], [[later[i % 2], i % 7] for i in range(40)])
    model = plait.fit(train, "label", epochs=12, set=QUICK)
    assert accuracy(model, new, [names[i % 2] for i in range(40)]) == 1.0
    assert model.predict(new).column("problem").null_count == 40


@pytest.mark.parametrize("labels", [["True", "False", "Unknown"], ["true", "false", "5"]])
def test_labels_that_are_truth_values(tmp_path: Path, labels: list[str]) -> None:
    header, x = ["x", "label"], [0.0, 5.0, 10.0]
    train = write(tmp_path / "t.csv", header, [[x[i % 3] + i % 5 / 10, labels[i % 3]] for i in range(150)])
    two = write(tmp_path / "two.csv", header, [[x[i % 2] + i % 5 / 10, labels[i % 2]] for i in range(40)])
    model = plait.fit(train, "label", epochs=15, set=QUICK)
    assert model.evaluate(two, rows="all")["evaluation"]["metrics"]["accuracy"]["value"] > 0.9


def test_what_cannot_be_read_is_reported_by_row(tmp_path: Path) -> None:
    rows = [[i / 10, "ab"[i % 2], "lo" if i < 60 else "hi"] for i in range(120)]
    train = write(tmp_path / "t.csv", ["x", "kind", "label"], rows)
    new = write(tmp_path / "n.csv", ["x", "kind"], [["0.5", "a"], ["?", "b"], ["7.5", "zz"], ["", "a"], ["n/a", "b"]])
    model = plait.fit(train, "label", epochs=2, set=QUICK)
    problems = model.predict(new).column("problem").to_pylist()
    assert problems == [None, "x: '?' is no number", "kind: 'zz' was not seen in training", None, None]
    with pytest.raises(ValueError, match=r"row 1, column 'x': '\?' is no number"):
        model.predict(new, on_bad_row="error")


def test_a_later_table_with_decimal_commas_is_reported_by_row(tmp_path: Path) -> None:
    """Every row had been given the same probability, and nothing was said."""
    rows = [[f"{i * 0.37:.2f}", "lo" if i < 60 else "hi"] for i in range(120)]
    cells = [f"{i * 0.37:.2f}" for i in range(1, 120, 7)]
    model = plait.fit(write(tmp_path / "t.csv", ["x", "label"], rows), "label", epochs=12, set=QUICK)
    points = model.predict(write(tmp_path / "points.csv", ["x", "k"], [[cell, 1] for cell in cells]))
    assert points.column("problem").null_count == len(cells) and len(set(points.column("prediction").to_pylist())) == 2
    commas = [[cell.replace(".", ","), 1] for cell in cells]
    with pytest.warns(UserWarning, match="cells of column 'x' look like numbers with decimal commas"):
        problems = model.predict(write(tmp_path / "commas.csv", ["x", "k"], commas, ";")).column("problem").to_pylist()
    assert problems == [f"x: '{cell}' is no number; nothing to read in this row" for cell, _ in commas]
    odd = model.predict(write(tmp_path / "odd.csv", ["x", "k"], [*[[cell, 1] for cell in cells], ["?", 1]]))
    assert odd.column("probability").to_pylist()[:-1] == pytest.approx(points.column("probability").to_pylist())
    assert odd.column("problem").to_pylist() == [
        *[None] * len(cells),
        "x: '?' is no number; nothing to read in this row",
    ]


def test_classes_never_seen_count_as_wrong_and_are_named(tmp_path: Path) -> None:
    def row(i: int, label: str, split: str) -> list[Any]:
        return [{"a": 0.0, "b": 1.0, "NEW": 2.0}[label] + i % 7 / 100, label, split]

    rows = [row(i, "ab"[i % 2], "train") for i in range(60)] + [row(i, "ab"[i % 2], "val") for i in range(10)]
    rows += [row(i, "ab"[i % 2], "test") for i in range(15)] + [row(i, "NEW", "test") for i in range(10)]
    model = plait.fit(write(tmp_path / "u.csv", ["x", "label", "split"], rows), "label", epochs=20, set=QUICK)
    evaluation = model.report["evaluation"]
    assert evaluation["metrics"]["accuracy"]["value"] == pytest.approx(0.6) and evaluation["rows"] == 25
    assert any("10 of 25 rows" in note and "'NEW' (10)" in note for note in evaluation["notes"])
    unseen = write(tmp_path / "n.csv", ["x", "label"], [[2.0, "NEW"], [2.1, "OLD"]])
    found = model.evaluate(unseen)["evaluation"]
    assert found["metrics"]["accuracy"]["value"] == 0.0


def test_a_model_folder_keeps_how_columns_were_read(tmp_path: Path) -> None:
    rows = [[f"{i},5", "lo" if i < 30 else "hi"] for i in range(60)]
    train = write(tmp_path / "t.csv", ["x", "label"], rows, ";")
    plait.fit(train, "label", epochs=8, output=tmp_path / "model", set=QUICK)
    model = plait.load(tmp_path / "model")
    assert model.schema.readings["x"].mark == ","
    table = write(tmp_path / "n.csv", ["x"], [["1.234,5"], ["0,5"], ["1.5"]], ";")
    with pytest.warns(UserWarning, match=r"1 cell of column 'x' looks like numbers with decimal points \('1.5'\)"):
        problems = model.predict(table).column("problem").to_pylist()
    assert problems[:2] == [None, None] and "'1.5' is no number" in problems[2]


def test_delimiters_are_found_in_the_rows(tmp_path: Path) -> None:
    (tmp_path / "head.csv").write_text('"size, m2";price\n1;2\n3;4\n')
    assert read_table(tmp_path / "head.csv").column_names == ["size, m2", "price"]
    (tmp_path / "pipe.csv").write_text("a|b\n1|2\n3|4\n")
    assert read_table(tmp_path / "pipe.csv").column_names == ["a", "b"]
    (tmp_path / "colon.csv").write_text("a:b\n1:2\n")
    report = plait.check(tmp_path / "colon.csv", delimiter=":")
    assert report.num_rows == 1 if hasattr(report, "num_rows") else report.text()


@pytest.mark.parametrize(
    ("encoding", "text"), [("euc-kr", "이름,값\n안녕하세요 세계,1\n"), ("euc-jp", "名前,値\nこんにちは世界,1\n")]
)
def test_korean_and_japanese_are_not_read_as_chinese(tmp_path: Path, encoding: str, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match=encoding):
        read_table(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", encoding=encoding).arrow.to_pylist()[0].popitem()[1] == 1


def test_a_wrong_decimal_or_delimiter_is_one_sentence(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", ["x", "label"], [[i, "ab"[i % 2]] for i in range(40)])
    with pytest.raises(ValueError, match=r"unknown decimal 'x' \(decimal=\)"):
        plait.fit(table, "label", decimal="x")
    with pytest.raises(ValueError, match="one character"):
        plait.fit(table, "label", delimiter="ab")


def test_the_delimiter_of_the_training_table_is_tried_first(tmp_path: Path) -> None:
    rows = [[i % 9, "ab"[i % 2], i * 10] for i in range(40)]
    train = write(tmp_path / "t.csv", ["x", "z", "y"], rows, "^")
    model = plait.fit(train, "y", delimiter="^", epochs=1, set=QUICK)
    made = model.predict(train).column("prediction")
    assert len(made) == 40 and model.evaluate(train, rows="all")["evaluation"]["rows"] == 40
    assert model.predict(write(tmp_path / "comma.csv", ["x", "z", "y"], rows)).column("prediction") == made
    only = write(tmp_path / "one.csv", ["z"], [["a"], ["b"]], "^")
    with pytest.warns(UserWarning, match="has no column 'x'"):
        assert len(model.predict(only)) == 2


@pytest.mark.parametrize(
    ("lacking", "there", "meant"),
    [
        ("价格", "价各", True), ("销售额", "销售客", True), ("价格", "城市", False), ("价格", "价格表", True),
        ("性", "姓", False), ("ab", "ac", False), ("kind", "Kind ", True), ("price", "prize", True),
    ],
)  # fmt: skip
def test_a_name_with_a_slip_is_suggested(lacking: str, there: str, meant: bool) -> None:
    table = read_table({"size": [1], there: ["x"]})
    assert ("did you mean" in near(lacking, table, ["size", lacking])) is meant


def test_columns_that_a_later_table_lacks_are_named(tmp_path: Path) -> None:
    rows = [[i % 9, "ab"[i % 2], "lo" if i < 20 else "hi"] for i in range(40)]
    model = plait.fit(write(tmp_path / "t.csv", ["size", "kind", "label"], rows), "label", epochs=1, set=QUICK)
    near = write(tmp_path / "near.csv", ["size", "Kind ", "label"], rows)
    with pytest.warns(UserWarning, match=r"no column 'kind' \(did you mean 'Kind '\?\); it counts as missing in every"):
        model.predict(near)
    notes = model.evaluate(near, rows="all")["evaluation"]["notes"]
    assert any("has no column 'kind'" in note for note in notes)
    assert len(model.predict([{"size": 3}])) == 1  # single rows may leave columns out
    frame = pandas.DataFrame({"size": [3, 4]})
    for ask in (model.predict, model.predict_proba):
        with pytest.warns(UserWarning, match="has no column 'kind'; it counts as missing in every row") as caught:
            ask(frame)
        assert [one.filename for one in caught] == [__file__]  # once, at the line of the caller
    with pytest.warns(UserWarning, match="did you mean 'KIND'"):
        model.predict([{"size": 3, "KIND": "a"}])


def test_numbers_with_a_unit_are_no_classes(tmp_path: Path) -> None:
    rows = [[i % 7, f"{i}%"] for i in range(40)]
    with pytest.raises(ValueError, match=r"'share' cannot be learned: it holds numbers with '%'; write them without"):
        plait.fit(write(tmp_path / "t.csv", ["x", "share"], rows), "share", set=QUICK)
    few = write(tmp_path / "few.csv", ["x", "share"], [[i % 7, f"{i % 3}%"] for i in range(60)])
    assert plait.fit(few, "share", epochs=1, set=QUICK).task.name == "classification"


@pytest.mark.parametrize("spelled", ['["{}", "calm, clear"]', "['{}', 'calm, clear']"])
def test_lists_of_labels_as_text_are_lists_of_labels(tmp_path: Path, spelled: str) -> None:
    rows = [[i % 2 + i / 100, spelled.format(["sea", "hill"][i % 2])] for i in range(40)]
    model = plait.fit(write(tmp_path / "t.csv", ["x", "tags"], rows), "tags", epochs=1, set=QUICK)
    assert model.task.name == "multilabel" and model.labels.classes == ("calm, clear", "hill", "sea")
    new = write(tmp_path / "n.csv", ["x", "tags"], [[0.5, '["sea", "moon"]'], [1.5, "[]"]])
    notes = model.evaluate(new, rows="all")["evaluation"]["notes"]
    assert "labels that training did not have are in no metric: 'moon' (1 row)" in notes


def test_a_line_that_names_the_delimiter_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "excel.csv").write_text('sep=;\r\n"a, b";c\r\n1;2\r\n3;4;5\r\n')
    table = read_table(tmp_path / "excel.csv")
    assert table.column_names == ["a, b", "c"] and table.bad_rows[0].row == 1
    assert table.bad_rows[0].reason == "3 fields where the header has 2 (line 4)"


def test_nul_bytes_are_named_where_they_stand(tmp_path: Path) -> None:
    for name in ("utf-16-be", "utf-16-le"):
        (tmp_path / "u.csv").write_bytes("text,数\nhello,1\n".encode(name))
        with pytest.raises(ValueError, match=f"pass encoding='{name}'"):
            read_table(tmp_path / "u.csv")
    (tmp_path / "nul.csv").write_bytes(b"a,b\n" + b"1,2\n" * 2000 + b"1,\x00\n")
    with pytest.raises(ValueError, match=r"line 2002 \(byte 8006\) holds a NUL byte"):
        read_table(tmp_path / "nul.csv")


def test_two_spellings_of_one_number_are_named(tmp_path: Path) -> None:
    rows = [[["1.1", "1.10", "1.2"][i % 3], "abc"[i % 3]] for i in range(60)]
    train = write(tmp_path / "t.csv", ["version", "label"], rows)
    with pytest.warns(UserWarning, match=r"'version' holds '1\.1' and '1\.10', which are one number.*categorical="):
        read_table(train)
    model = plait.fit(train, "label", categorical="version", epochs=8, set=QUICK)
    assert accuracy(model, train, [row[1] for row in rows]) == 1.0


def test_a_name_in_another_spelling_is_offered(tmp_path: Path) -> None:
    rows = [[i % 9, "lo" if i < 20 else "hi"] for i in range(40)]
    model = plait.fit(write(tmp_path / "t.csv", ["caf\u00e9", "label"], rows), "label", epochs=1, set=QUICK)
    with pytest.raises(ValueError, match=r"none of the columns this model reads \(caf\u00e9 \(did you mean"):
        model.predict(write(tmp_path / "n.csv", ["cafe\u0301"], [[1]]))


def test_samples_without_a_rate_are_told_what_to_write() -> None:
    with pytest.raises(CellError, match=r"for a sound, \{'array': samples, 'sampling_rate': rate\}"):
        read_media([0.5, -0.5, 0.25], None)


def test_a_target_that_differs_in_every_row_names_no_classes(tmp_path: Path) -> None:
    rows = [[i % 7, f"what was said on day {i}"] for i in range(40)]
    table = write(tmp_path / "t.csv", ["x", "said"], rows)
    with pytest.raises(ValueError, match=r"'said' says something else in each of 40 rows.*target=.*task='captioning'"):
        plait.fit(table, "said", set=QUICK)
