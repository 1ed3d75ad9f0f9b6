"""Hiding cells, and the data doctor's word on what is missing: planted gaps are found, random ones raise no alarm."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.checks.check import check_table
from plait.data.checks.finding import Finding
from plait.data.checks.missing import association
from plait.data.missingness import hide_at_random, hide_not_at_random
from plait.data.table import Table, read_table

N = 400


def table(num_rows: int = N, seed: int = 0, **more: list[object]) -> Table:
    rng = np.random.default_rng(seed)
    return read_table(
        {
            "text": [f"a story that is number {i} of so many" for i in range(num_rows)],
            "size": rng.normal(size=num_rows).tolist(),
            "weight": rng.normal(size=num_rows).tolist(),
            "label": rng.choice(["good", "bad", "rare"], num_rows, p=[0.5, 0.45, 0.05]).tolist(),
            **more,
        }
    )


def test_at_random_hides_at_its_rate_and_says_what() -> None:
    whole = table(5000)
    made, hidden = hide_at_random(whole, {"text": 0.4, ("size", "weight"): 0.1}, seed=1)
    assert hidden["text"].mean() == pytest.approx(0.4, abs=0.02)
    assert hidden["size", "weight"].mean() == pytest.approx(0.1, abs=0.015)
    assert np.corrcoef(hidden["text"], hidden["size", "weight"])[0, 1] == pytest.approx(0, abs=0.05)
    for name, gone in (
        ("text", hidden["text"]),
        ("size", hidden["size", "weight"]),
        ("weight", hidden["size", "weight"]),
    ):
        wanted = [None if g else v for v, g in zip(whole.column(name), gone, strict=True)]
        assert made.column(name) == wanted
    assert made.column("label") == whole.column("label") and None not in whole.column("text")
    again, _ = hide_at_random(whole, {"text": 0.4, ("size", "weight"): 0.1}, seed=1)
    assert again.arrow.equals(made.arrow)
    assert made.arrow.schema.types == whole.arrow.schema.types


def test_rows_and_keep_one() -> None:
    made, hidden = hide_at_random(table(), {"text": 1.0, "size": 1.0}, rows=range(300), keep_one=True)
    assert not hidden["text"][300:].any() and not hidden["size"][300:].any()
    assert (hidden["text"] ^ hidden["size"])[:300].all()
    assert hidden["text"][:300].mean() == pytest.approx(0.5, abs=0.1)
    assert made.column("text")[300:] == table().column("text")[300:]


def test_not_at_random_follows_the_value() -> None:
    made, hidden = hide_not_at_random(table(5000), ["text"], lambda v: {"bad": 0.7}.get(v, 0.1), by="label", seed=2)
    bad = np.array(made.column("label")) == "bad"
    assert hidden["text"][bad].mean() == pytest.approx(0.7, abs=0.03)
    assert hidden["text"][~bad].mean() == pytest.approx(0.1, abs=0.03)
    by_itself, gone = hide_not_at_random(table(), ["size"], lambda v: float(v > 1), by="size")
    assert all(v is None or v <= 1 for v in by_itself.column("size")) and gone["size"].any()


def test_what_cannot_be_hidden_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown column 'txt'. Did you mean 'text'"):
        hide_at_random(table(), {"txt": 0.5})
    with pytest.raises(ValueError, match="probability of hiding 'text' is 1.5; expected a number from 0 to 1"):
        hide_at_random(table(), {"text": 1.5})
    with pytest.raises(ValueError, match="probability of hiding 'text' is nan"):
        hide_not_at_random(table(), ["text"], lambda v: float("nan"), by="label")
    with pytest.raises(ValueError, match="row position 400 is not in a table of 400 rows"):
        hide_at_random(table(), {"text": 0.5}, rows=[400])


def finding(made: Table, code: str, target: str | None = "label") -> Finding:
    return check_table(made, target=target).finding(code)


def test_association_is_chi_squared_and_its_p_value_that_of_dealing_out() -> None:
    # 10 of 20 missing in one class, 2 of 20 in the other: chi-squared 40 (10*18 - 2*10)^2 / (20*20*12*28) = 7.619
    gap = np.array([True] * 10 + [False] * 10 + [True] * 2 + [False] * 18)
    v, p = association(gap, np.array([0] * 20 + [1] * 20))
    assert v == pytest.approx((40 * 160**2 / (20 * 20 * 12 * 28) / 40) ** 0.5, rel=1e-9)
    assert p == pytest.approx(0.0138, abs=0.004)  # Fisher's exact test, two-sided


@pytest.mark.oracle
def test_p_values_against_scipy() -> None:
    from scipy import stats

    for a, b in ((10, 2), (7, 4), (12, 6), (5, 5)):
        gap = np.array([True] * a + [False] * (20 - a) + [True] * b + [False] * (20 - b))
        _, p = association(gap, np.array([0] * 20 + [1] * 20))
        exact = stats.fisher_exact([[a, 20 - a], [b, 20 - b]]).pvalue
        assert p == pytest.approx(exact, abs=0.012), (a, b)


def test_gaps_that_tell_the_class_are_found() -> None:
    made, _ = hide_not_at_random(table(), ["text"], lambda v: {"bad": 0.5}.get(v, 0.1), by="label")
    found = finding(made, "P051")
    assert found.severity == "warning"
    assert "'text' is missing in" in found.detail and "rows with 'bad'" in found.detail
    assert "read the answer off the gap" in found.detail
    assert finding(made, "P050").severity == "info" and "'text' in " in finding(made, "P050").detail


def test_gaps_that_tell_a_number_are_found_at_both_ends() -> None:
    made, _ = hide_not_at_random(table(), ["text"], lambda v: 0.6 if abs(v) > 1 else 0.05, by="size")
    price = [v * 1000 for v in made.column("size")]
    told = read_table({"text": made.column("text"), "price": price})
    assert finding(told, "P051", "price").severity == "warning"
    assert "with price from " in finding(told, "P051", "price").detail


def test_gaps_that_tell_one_of_several_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    labels = [[name for name, yes in zip("abc", row, strict=True) if yes] for row in rng.random((N, 3)) < 0.3]
    plain = table(tags=labels)
    made, _ = hide_not_at_random(plain, ["text"], lambda tags: 0.6 if "b" in tags else 0.1, by="tags")
    kept = read_table({"text": made.column("text"), "tags": labels})
    assert "of label 'b'" in finding(kept, "P051", "tags").detail


def test_random_gaps_raise_no_alarm() -> None:
    alarms = 0
    for seed in range(60):
        made, _ = hide_at_random(table(seed=seed), {"text": 0.05 + 0.01 * seed, ("size", "weight"): 0.3}, seed=seed)
        alarms += finding(made, "P051").severity == "warning"
    assert alarms == 0
    assert "what chance gives" in finding(made, "P051").detail


def test_nothing_missing_few_missing_no_target() -> None:
    assert finding(table(), "P051").severity == "ok" and finding(table(), "P050").severity == "ok"
    few, _ = hide_at_random(table(), {"text": 1.0}, rows=range(3))
    assert finding(few, "P051").severity == "n/a" and finding(few, "P050").severity == "info"
    assert finding(few, "P051", None).severity == "n/a"
    empty, _ = hide_at_random(table(), {"text": 1.0, ("size", "weight"): 1.0}, rows=[7])
    assert (finding(empty, "P050").severity, finding(empty, "P050").rows) == ("warning", [7])


def test_the_joined_columns_have_their_chinese_name_among_missing_modalities() -> None:
    """P050 names modalities; that of all numbers and categories is the name of no column."""
    made, _ = hide_at_random(table(), {("size", "weight"): 1.0, "text": 1.0}, rows=[7, 9])
    made, _ = hide_at_random(made, {"text": 1.0}, rows=[3])
    report = check_table(made, target="label")
    told = next(line for line in report.text("zh").splitlines() if "P050" in line)
    assert "“text”：3 行（1%）；表格列：2 行（0%）；第 7、9 行没有任何输入" in told
    assert "'tabular' in 2 rows (0%)" in report.finding("P050").detail
