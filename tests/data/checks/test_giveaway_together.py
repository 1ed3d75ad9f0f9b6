"""Leaks that several columns make together: planted ones are caught, sound tables are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.data.checks.check import check_table
from plait.data.checks.giveaway_together import joint_score, own_totals
from plait.data.table import read_table

LIAR = (
    "id,label,statement,subject,speaker,job,state,party,barely_true,false,half_true,mostly_true,pants_fire,context"
).split(",")


def speakers(*, own_row_inside: bool) -> tuple[dict[str, list[int]], list[str]]:
    """Statements of 60 speakers, and how many false and true ones each made: with or without the one at hand."""
    rng = np.random.default_rng(0)
    columns: dict[str, list[int]] = {"false_count": [], "true_count": []}
    labels: list[str] = []
    for _ in range(60):
        said = rng.choice(["false", "true"], size=rng.integers(1, 6)).tolist()
        for label in said:
            labels.append(label)
            for kind in ("false", "true"):
                columns[f"{kind}_count"].append(said.count(kind) - (0 if own_row_inside else int(label == kind)))
    return columns, labels


def test_totals_that_count_the_row_are_caught_and_those_that_do_not_are_not() -> None:
    columns, labels = speakers(own_row_inside=True)
    found = {t.column: t for t in own_totals(columns, labels)}
    assert {name: t.target for name, t in found.items()} == {"false_count": "false", "true_count": "true"}
    zeros = [c == 0 for c, label in zip(columns["false_count"], labels, strict=True) if label == "true"]
    assert found["false_count"].zero_here == 0.0
    assert found["false_count"].zero_elsewhere == pytest.approx(sum(zeros) / len(zeros))
    assert own_totals(*speakers(own_row_inside=False)) == []


def test_one_such_column_alone_is_no_proof() -> None:
    columns, labels = speakers(own_row_inside=True)
    assert own_totals({"false_count": columns["false_count"]}, labels) == []
    halves = {name: [v / 2 for v in values] for name, values in columns.items()}
    assert own_totals(halves, labels) == []  # no counts
    assert own_totals(columns, [None] * len(labels)) == []


def test_the_check_names_columns_classes_and_shares() -> None:
    columns, labels = speakers(own_row_inside=True)
    finding = check_table(read_table({**columns, "label": labels}), target="label").finding("P017")
    assert finding.severity == "warning"
    assert "'false_count' is 0 in 0.0% of the rows of 'false'" in finding.detail and "Together" in finding.detail
    columns, labels = speakers(own_row_inside=False)
    assert check_table(read_table({**columns, "label": labels}), target="label").finding("P017").severity == "ok"


def test_a_sum_gives_the_target_away_only_together() -> None:
    rng = np.random.default_rng(0)
    a, b, noise = rng.normal(size=(3, 400))
    report = check_table(read_table({"a": a, "b": b, "price": a + b}), target="price")
    finding = report.finding("P018")
    assert finding.severity == "warning" and "take away 100% of the error" in finding.detail
    assert report.finding("P016").severity == "ok"
    assert joint_score({"a": a.tolist(), "b": b.tolist()}, (a + b).tolist(), regression=True) == pytest.approx(1.0)
    spread = joint_score({"a": a.tolist(), "b": b.tolist()}, noise.tolist(), regression=True)
    assert spread is not None and spread < 0.05
    labels = ["yes" if x + y > 0 else "no" for x, y in zip(a, b, strict=True)]
    both = joint_score({"a": a.tolist(), "b": b.tolist()}, labels, regression=False)
    assert both is not None and both > 0.9
    assert joint_score({"a": a.tolist()}, labels, regression=False) is None
    assert joint_score({"a": [1, 2] * 10, "b": [1, None] * 10}, ["x", "y"] * 10, regression=False) is None  # 20 rows


@pytest.mark.real
def test_liar_is_caught_and_sound_tables_are_not(shared_data: Path) -> None:
    liar = read_table(shared_data / "published" / "liar" / "train.tsv", columns=LIAR)
    assert (len(liar), liar.bad_rows) == (10_269, ())
    columns = {name: liar.column(name) for name in LIAR[8:13]}
    found = {t.target: t.column for t in own_totals(columns, liar.column("label"))}
    assert found == {
        "barely-true": "barely_true", "false": "false", "half-true": "half_true", "mostly-true": "mostly_true",
        "pants-fire": "pants_fire",
    }  # fmt: skip
    houses = read_table(shared_data / "houses" / "houses.csv")
    numbers = {name: houses.column(name) for name in ("bedrooms", "bathrooms", "area", "zipcode")}
    score = joint_score(numbers, houses.column("price"), regression=True)
    assert score is not None and score < 0.8
    dear = [("dear", "cheap")[price < 500_000] for price in houses.column("price")]
    assert own_totals(numbers, dear) == []


def test_headerless_tables_take_names(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('1\tHe said "no\t0\n2\t"Yes", she said\t1\n', encoding="utf-8")
    table = read_table(path, columns=["id", "text", "label"])
    assert table.column("text") == ['He said "no', '"Yes", she said'] and table.column("label") == [0, 1]
    path.write_text("label\tid\ttext\n0\t1\tx\n", encoding="utf-8")  # a header after all, in its own order
    assert read_table(path, columns=["id", "text", "label"]).column_names == ["label", "id", "text"]
    path.write_text("1\tx\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"3 column names given \(columns=\) but the first row has 2 fields"):
        read_table(path, columns=["id", "text", "label"])
    with pytest.raises(ValueError, match="must differ"):
        read_table(path, columns=["a", "a"])
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="CSV or TSV file without a header line only"):
        read_table(tmp_path / "a.jsonl", columns=["a"])


def test_quotes_of_a_tsv_that_quotes_stay_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"two\nlines"\t1\n"a ""b"""\t0\n', encoding="utf-8")
    assert read_table(path).column("text") == ["two\nlines", 'a "b"']
    path.write_text('text\tlabel\n"open\t1\nb\t0\n', encoding="utf-8")
    assert read_table(path).column("text") == ['"open', "b"]


def test_columns_beside_one_that_nearly_tells_all_are_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.data.checks import target

    rng = np.random.default_rng(0)
    table = read_table({"a": rng.normal(size=60), "b": rng.normal(size=60), "label": ["x", "y"] * 30})
    for together, alone, severity in ((0.97, 0.96, "ok"), (0.99, 0.96, "warning"), (0.97, 0.5, "warning")):
        monkeypatch.setattr(target, "joint_score", lambda *_, value=together, **__: value)
        monkeypatch.setattr(target, "giveaway_score", lambda *_, value=alone, **__: value)
        assert check_table(table, target="label").finding("P018").severity == severity, (together, alone)
