"""Which rows are judged: the training split found again, rows seen in training told, units drawn together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from PIL import Image

import plait
from fixtures.media import encoded, red_or_blue
from fixtures.settings import QUICK
from fixtures.tables import texts
from plait.data.schema import guess_schema
from plait.data.table import read_table
from plait.metrics import chance_level
from plait.settings import RunSettings
from plait.tasks import TASKS

ONE_EPOCH = [*QUICK, "train.epochs=1"]
EXPLAIN: dict[str, Any] = {"permutations": 0, "emap_evaluations": 0}


def about_rows(notes: list[str]) -> str:
    return "\n".join(n for n in notes if "SEEN IN" in n or "epoch" in n or "as in training" in n)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, plait.Plait, plait.Plait]:
    """A table without a split column, the model fitted on it, and the same model loaded again."""
    folder = tmp_path_factory.mktemp("made")
    pa.csv.write_csv(pa.table(texts(50)), folder / "t.csv")
    fitted = plait.fit(folder / "t.csv", "label", set=[*ONE_EPOCH, "train.seed=3"], output=folder / "model")
    return folder / "t.csv", fitted, plait.load(folder / "model")


@pytest.mark.parametrize("loaded", [False, True])
def test_the_training_table_is_judged_on_its_test_rows(made: Any, loaded: bool) -> None:
    path, fitted, again = made
    model = again if loaded else fitted
    judged = model.evaluate(path)["evaluation"]
    assert judged["split"] == "test" and judged["rows"] == 5
    assert judged["metrics"] == fitted.report["evaluation"]["metrics"]
    assert sorted(e["row"] for e in judged["examples"]) == sorted(
        e["row"] for e in fitted.report["evaluation"]["examples"]
    )
    said = about_rows(judged["notes"])
    assert "the table the model was trained on" in said and "SEEN IN TRAINING" not in said
    found = model.explain(path, **EXPLAIN)
    assert found["split"] == "test" and found["rows"] == 5
    assert "the table the model was trained on" in about_rows(found["notes"])


@pytest.mark.parametrize(
    ("rows", "count", "told"),
    [
        ("train", 40, ["SEEN IN TRAINING: 40 of 40 judged rows are training rows", "rows='test'"]),
        ("val", 5, ["validation rows, which also chose the epoch"]),
        ("all", 50, ["SEEN IN TRAINING: 40 of 50", "5 of 50 judged rows are validation rows"]),
    ],
)
def test_rows_seen_in_training_are_told(made: Any, rows: str, count: int, told: list[str]) -> None:
    path, _, model = made
    judged = model.evaluate(path, rows=rows)["evaluation"]
    found = model.explain(path, rows=rows, **EXPLAIN)
    assert judged["rows"] == found["rows"] == count
    for part in told:
        assert part in about_rows(judged["notes"]) and part in about_rows(found["notes"])


def test_another_table_is_judged_whole(made: Any) -> None:
    _, _, model = made
    fresh = texts(12)
    fresh["text"] = [f"{text} anew" for text in fresh["text"]]
    judged = model.evaluate(fresh)["evaluation"]
    assert judged["split"] == "all" and judged["rows"] == 12 and not about_rows(judged["notes"])
    known = model.evaluate(texts(12))["evaluation"]  # rows of the training table, known again by what they show
    assert "SEEN IN TRAINING: 11 of 12 judged rows" in about_rows(known["notes"])
    with pytest.raises(ValueError, match="not the table the model was trained on"):
        model.evaluate(fresh, rows="test")
    held_out = model.evaluate(texts(12), rows="test")["evaluation"]  # those of them that trained nothing
    assert (held_out["rows"], held_out["split"]) == (1, "test")


def test_a_split_that_cannot_be_dealt_again_is_told(made: Any) -> None:
    path, fitted, _ = made
    facts = {**fitted.report["facts"], "split_fingerprint": "another"}
    other = plait.Plait(
        fitted.model, {}, fitted.inputs, fitted.labels, fitted.schema, fitted.settings, {"facts": facts}
    )
    judged = other.evaluate(path)["evaluation"]
    assert judged["rows"] == 50 and "cannot deal its split again" in about_rows(judged["notes"])


def test_rows_marked_train_in_another_table(posts: Path, posts_model: Path) -> None:
    model, table = plait.load(posts_model), read_table(posts)
    own = model.evaluate(table)["evaluation"]
    assert own["split"] == "test" and not about_rows(own["notes"])  # its own column says all there is to say
    other = table.take(range(30, 48))
    assert "2 of 18 judged rows are marked train in column 'split'" in about_rows(
        model.evaluate(other, rows="all")["evaluation"]["notes"]
    )
    assert "marked val" in about_rows(model.evaluate(other, rows="val")["evaluation"]["notes"])


def test_without_a_test_val_rows_judge_and_no_training_row_is_set_aside() -> None:
    from plait.training.known_split import CHOSE_THE_EPOCH

    table = texts(40, split=["train"] * 30 + ["val"] * 10)
    usual = plait.fit(table, "label", split="split", set=ONE_EPOCH).report["splits"]
    assert (usual["test"], usual["train"] + usual["val"]) == (10, 30)
    fitted = plait.fit(table, "label", split="split", set=[*ONE_EPOCH, "data.test=false"])
    assert {name: fitted.report["splits"][name] for name in ("train", "val", "test")} == {
        "train": 30,
        "val": 10,
        "test": 0,
    }
    assert fitted.report["evaluation"]["split"] == "val" and CHOSE_THE_EPOCH in fitted.report["evaluation"]["notes"]


def test_a_column_that_marks_train_only_gives_val_and_test() -> None:
    from plait.training.known_split import CHOSE_THE_EPOCH

    groups = [f"g{i // 4}" for i in range(80)]
    table = texts(80, split=["train"] * 80, who=groups)
    fitted = plait.fit(table, "label", split="split", group="who", set=ONE_EPOCH)
    splits, judged = fitted.report["splits"], fitted.report["evaluation"]
    assert judged["split"] == "test" and splits["val"] == splits["test"] == 8 and splits["train"] == 64
    assert any("marks train rows only" in n for n in judged["notes"])
    assert CHOSE_THE_EPOCH not in judged["notes"]
    again = fitted.evaluate(table)["evaluation"]
    assert again["metrics"] == judged["metrics"] and "marks train rows only" in "\n".join(again["notes"])


def test_train_only_split_is_grouped_and_stratified() -> None:
    from plait.training.splitting import make_split

    table = read_table(texts(80, split=["train"] * 80, who=[f"g{i // 4}" for i in range(80)]))
    schema = guess_schema(table, target="label", split="split", group="who")
    split, _ = make_split(table, schema, np.arange(80), table.column("label"), TASKS.get("classification"), 0)
    for i in range(0, 80, 4):
        assert len(set(split[i : i + 4].tolist())) == 1
    for name in ("val", "test"):
        assert (np.array(table.column("label"))[split == name] == "up").mean() == 0.5


def test_judged_validation_rows_are_called_optimistic(tmp_path: Path) -> None:
    """Every test row has a broken photo and is skipped, so the rows that chose the epoch are judged."""
    from plait.training.known_split import CHOSE_THE_EPOCH

    Image.new("RGB", (32, 32)).save(tmp_path / "good.png")
    names = ["train"] * 12 + ["val"] * 4 + ["test"] * 2
    photos = [str(tmp_path / ("nowhere.png" if s == "test" else "good.png")) for s in names]
    table = texts(18, split=names, image=photos)
    fitted = plait.fit(table, "label", image="image", text="text", split="split", on_bad_row="skip", allow_outside=True,
                       set=ONE_EPOCH)  # fmt: skip
    judged = fitted.report["evaluation"]
    assert judged["split"] == "val" and CHOSE_THE_EPOCH in judged["notes"]


def test_empty_group_cells_are_groups_alone() -> None:
    from plait.data.dealing import column_groups

    table = read_table({"text": list("abcdefg"), "who": ["x", None, "", "x", " ", None, ""]})
    schema = guess_schema(table, group="who")
    group = column_groups(table, schema)
    assert group is not None and group[0] == group[3] and len(set(group.tolist())) == 6
    numbers = read_table({"text": list("abcd"), "who": [1.0, float("nan"), float("nan"), 1.0]})
    group = column_groups(numbers, guess_schema(numbers, group="who"))
    assert group is not None and len(set(group.tolist())) == 3


def test_evaluation_draws_rows_with_empty_groups_alone() -> None:
    from plait.api.evaluation import open_evaluation

    table = texts(40, who=[f"g{i // 2}" if i < 20 else "" for i in range(40)])
    fitted = plait.fit(table, "label", group="who", set=ONE_EPOCH)
    given = open_evaluation(fitted, table, rows="all")
    assert given.group is not None and len(set(given.group.tolist())) == 10 + 20


def test_compare_judge_and_explain_draw_the_same_units(tmp_path: Path) -> None:
    """Three captions a photo, no group column: each of the three draws photos."""
    from plait.api.evaluation import open_evaluation
    from plait.api.opening import open_run
    from plait.api.preparing import prepare_run
    from plait.explain.fitted_model import subject_of

    for p in range(20):
        (tmp_path / f"{p}.png").write_bytes(red_or_blue(p % 2 == 1, p))
    table = {
        "image": [str(tmp_path / f"{i // 3}.png") for i in range(60)],
        "text": [f"caption {i} says something about it" for i in range(60)],
        "label": ["red" if i // 3 % 2 else "blue" for i in range(60)],
        "split": ["train" if i < 36 else "val" if i < 48 else "test" for i in range(60)],
    }
    given = {"data.target": "label", "data.text": ["text"], "data.image": ["image"], "data.split": "split",
             "data.allow_outside": True}  # fmt: skip
    opened = open_run(table, given, RunSettings(), ONE_EPOCH, annotations=None)
    plan = prepare_run(opened, with_tokens=False).plan
    compared = plan.group_N[np.flatnonzero(opened.split == "test")]
    assert len(set(compared.tolist())) == 4
    fitted = plait.fit(table, "label", text="text", image="image", split="split", allow_outside=True,
                       set=ONE_EPOCH)  # fmt: skip
    given = open_evaluation(fitted, table, allow_outside=True)
    explained = subject_of(given).groups
    assert given.group is not None and explained is not None
    for units in (given.group, explained):
        assert np.array_equal(np.equal.outer(units, units), np.equal.outer(compared, compared))


def test_validation_rows_of_unseen_classes_are_counted() -> None:
    table = texts(60, split=["train", "val", "test"] * 20)
    for i in (1, 4, 7):
        table["label"][i] = "sideways"
    notes = plait.fit(table, "label", split="split", set=ONE_EPOCH).report["evaluation"]["notes"]
    assert sum("3 of 20 validation rows are of classes not seen in training" in n for n in notes) == 1


def test_chance_level() -> None:
    assert chance_level("accuracy", np.array([0, 0, 0, 1])) == 0.75
    assert chance_level("accuracy", np.array([0, 0, -1, -1, -1])) == 0.4  # an unknown class cannot be guessed
    assert chance_level("accuracy", np.array([-1])) is None and chance_level("accuracy", np.array([])) is None
    assert chance_level("auroc", np.array([0, 1])) == chance_level("auroc_macro", np.array([0, 1])) == 0.5
    assert chance_level("r2", np.array([1.5, 2.5])) == 0.0 and chance_level("mAP", np.eye(2)) is None


def test_what_ties_nothing_is_no_leakage_where_plait_dealt_the_rows() -> None:
    """A picture of very many rows is not kept on one side, which one sentence says; it is called nothing else then."""

    pictures = [encoded(Image.new("RGB", (16, 16), (n if n % 3 else 0, 40, 90))) for n in range(30)]
    table = {"text": [f"thing number {n}" for n in range(30)], "image": pictures, "label": ["a", "b"] * 15}
    notes = plait.fit(table, "label", epochs=1, preset="single", set=QUICK).report["evaluation"]["notes"]
    assert any("did not tie rows together" in note for note in notes)
    (told,) = [note for note in notes if "in more than one split" in note]
    assert told.startswith("1 picture of column 'image' that did not tie rows together stands in more than one split")
    assert "group=COLUMN" in told and not any("LEAKAGE" in note for note in notes)
    own = {**table, "split": ["train"] * 20 + ["test"] * 10}  # dealt by others: it stands on both sides all the same
    notes = plait.fit(own, "label", split="split", epochs=1, preset="single", set=QUICK).report["evaluation"]["notes"]
    assert any(note.startswith("LEAKAGE: 1 picture of column 'image' stands") for note in notes)


def test_rows_without_a_target_are_none_whose_answers_were_seen() -> None:
    from plait.training.known_split import choose_rows

    table = read_table({**texts(8), "split": ["train"] * 5 + ["val", "test", "test"]})
    cells = table.column("label")
    cells[0] = cells[1] = None
    found = guess_schema(table, target="label", split="split")
    _, _, notes = choose_rows(
        table.with_column("label", cells), "all", schema=found, task=TASKS.get("classification"), seed=0, facts={}
    )
    assert any("3 of 6 judged rows are marked train" in note for note in notes)
