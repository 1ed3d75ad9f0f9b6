"""What limits a verdict stands in front of it."""

from __future__ import annotations

from typing import Any

import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from fixtures.small_model import numbers
from plait.metrics.verdict import fusion_verdict

seen_in = lazy("plait.training.known_split", "seen_in")
SETS = [*QUICK, "judge.missing_rows=0"]


@pytest.fixture(scope="module")
def model() -> plait.Plait:
    return plait.fit(numbers(40), "label", epochs=1, preset="single", set=SETS)


def test_few_rows_come_before_the_numbers(model: plait.Plait) -> None:
    assert model.report["verdict"].startswith("Only 4 rows are judged: too few for more than a rough number. ")
    rows = {name: cells[:1] for name, cells in numbers(1).items()}
    assert "Only one row is judged" in model.evaluate(rows, rows="all")["verdict"]


def test_rows_that_trained_come_before_the_numbers(model: plait.Plait) -> None:
    of_all = model.evaluate(numbers(40), rows="all")["verdict"]
    assert of_all.startswith("Of the 40 rows judged here 32 trained the model: the numbers flatter it. ")
    of_train = model.evaluate(numbers(40), rows="train")["verdict"]
    assert of_train.startswith("Judged on 32 rows that trained the model: the numbers say little about new rows. ")
    of_val = model.evaluate(numbers(40), rows="val")["verdict"]
    assert of_val.startswith("Judged on the validation rows, which also chose the epoch")


def test_rows_that_only_are_marked_as_seen_are_no_caveat() -> None:
    marked = (
        "SEEN IN TRAINING: 3 of 9 judged rows are marked train in column 'split': if the model was trained on them,"
    )
    assert seen_in([marked]) is None
    assert seen_in(["other", "SEEN IN TRAINING: 1,003 of 1,009 judged rows are training rows"]) == ("1,003", "1,009")


def test_one_answer_to_all_is_told(model: plait.Plait) -> None:
    same: dict[str, list[Any]] = {"size": [1.0] * 40, "kind": ["a"] * 40, "label": ["up", "down"] * 20}
    verdict = model.evaluate(same, rows="all")["verdict"]
    assert verdict.startswith(("Every answer is 'up'. The model", "Every answer is 'down'. The model"))


def test_an_accuracy_at_chance_stands_beside_an_auroc_above_it() -> None:
    def said(auroc: Any) -> str:
        return fusion_verdict(
            "accuracy", True, (0.75, 0.6, 0.88), {"a": 0.8}, ("a", -0.05, -0.1, 0.1), "attention", False, False,
            chance=0.6, auroc=auroc,
        )  # fmt: skip

    assert said((0.893, 0.786, 0.977)).endswith(
        "0.800. But its AUROC, 0.893 (95% interval 0.786 to 0.977), is clearly above the 0.500 of guessing: it orders "
        "rows better than its answers say."
    )
    assert "AUROC" not in said((0.6, 0.45, 0.7)) and "AUROC" not in said(None)


def test_shares_of_the_whole_table_are_told_first(model: plait.Plait) -> None:
    verdict = model.explain(numbers(40), rows=[0, 1], permutations=0)["verdict"]
    assert verdict.startswith("The shares are of 40 rows, all of the table, not of those named. Of the 40 rows judged ")


def test_what_does_not_fit_is_refused_before_any_work(model: plait.Plait) -> None:
    def work(*_: Any) -> None:
        raise AssertionError("work was done")

    with pytest.raises(ValueError, match=r"method='gradients' is about the parts of single rows.*rows=20"):
        model.explain(numbers(40), inputs={"method": "gradients"}, progress=work)
    with pytest.raises(ValueError, match=r"explain_class='up' is about the parts of single rows"):
        model.explain(numbers(40), inputs={"explain_class": "up"}, progress=work)
    with pytest.raises(ValueError, match=r"explain_class 'ups'.*Did you mean 'up'"):
        model.explain(numbers(40), rows=[1], inputs={"explain_class": "ups"}, progress=work)
    with pytest.raises(ValueError, match=r"method='attention' needs an encoder"):
        model.explain("nowhere.csv", rows=[1], inputs={"method": "attention"}, progress=work)
