"""``plait.fit`` with rows that have no target: what they are worth, what is left out, and what they never touch."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

import plait
from fixtures.lazy import lazy

tell_of_members = lazy("plait.api.run_unlabelled", "tell_of_members")
ONE = ["train.threads=1"]
DIM = 20
Columns = dict[str, list[Any]]


def clusters(count: int, seed: int, means: np.ndarray) -> Columns:
    """Two clouds of numbers, one a class."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, count)
    x = rng.normal(size=(count, DIM)) + means[label]
    return {**{f"x{i}": x[:, i].round(4).tolist() for i in range(DIM)}, "label": [f"c{v}" for v in label]}


@pytest.fixture(scope="module")
def tables() -> tuple[Columns, Columns]:
    """16 labelled training rows, 60 to validate, 300 to test; and 600 more, whose target is there only to compare."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(2, DIM))
    means *= 2.5 / np.linalg.norm(means, axis=1, keepdims=True)
    own = clusters(376, 1, means)
    own["split"] = ["train"] * 16 + ["val"] * 60 + ["test"] * 300
    return own, clusters(600, 2, means)


def fit(table: Any, **more: Any) -> plait.Plait:
    return plait.fit(table, "label", **{"preset": "single", "epochs": 25, "set": ONE, **more})


@pytest.fixture(scope="module")
def supervised(tables: tuple[Columns, Columns]) -> plait.Plait:
    return fit(tables[0])


@pytest.fixture(scope="module")
def taught(tables: tuple[Columns, Columns], tmp_path_factory: pytest.TempPathFactory) -> plait.Plait:
    own, others = tables
    return fit(own, unlabelled=others, output=tmp_path_factory.mktemp("semi") / "model")


def accuracy(model: plait.Plait) -> float:
    return float(model.report["evaluation"]["metrics"]["accuracy"]["value"])


def state(model: plait.Plait) -> dict[str, Any]:
    return {k: v.numpy().tobytes() for k, v in model.model.state_dict().items()}


def test_many_unlabelled_rows_help_few_labelled_ones(supervised: plait.Plait, taught: plait.Plait) -> None:
    found = taught.report["unlabelled"]
    assert found["method"] == "propagation" and found["kept"] == "with unlabelled rows"
    assert accuracy(taught) > accuracy(supervised) + 0.02
    assert found["rows"] == 600 and found["second"] == 600 and found["own"] == 0 and found["left_out"] == []
    assert found["precision"] > 0.85 and sum(found["classes"].values()) == found["pseudo_labelled"] > 400
    assert taught.settings.semi.method == "propagation"
    assert taught.report["splits"] == supervised.report["splits"] == {"train": 16, "val": 60, "test": 300}
    assert any("unlabelled rows (propagation): the network" in n for n in taught.report["evaluation"]["notes"])


def test_what_the_guard_compares_is_the_run_without_unlabelled_rows(
    supervised: plait.Plait, taught: plait.Plait
) -> None:
    scores = taught.report["unlabelled"]["guard"]["scores"]
    best = supervised.report["history"][supervised.report["best_epoch"] - 1]
    assert scores["supervised"]["value"] == pytest.approx(best["val_accuracy"])
    assert scores["with unlabelled rows"]["value"] > scores["supervised"]["value"]


def test_rows_that_taught_are_remembered_as_seen(tables: tuple[Columns, Columns], taught: plait.Plait) -> None:
    own, others = tables
    assert taught.seen is not None and taught.seen.rows == 16 + 60 + 600
    some = {name: values[:50] for name, values in others.items()}
    notes = taught.evaluate(some)["evaluation"]["notes"]
    assert any(n.startswith("SEEN IN TRAINING: 50 of 50 judged rows") for n in notes)
    again = taught.evaluate(own)["evaluation"]
    assert again["rows"] == 300 and not any("SEEN" in note for note in again["notes"])


def test_the_page_and_the_folder_tell_it(taught: plait.Plait, tables: tuple[Columns, Columns], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    taught.save(folder)
    again = plait.load(folder)
    assert again.report["unlabelled"] == json.loads(json.dumps(taught.report["unlabelled"]))
    page = (folder / "report.html").read_text("utf-8")
    assert 'id="unlabelled"' in page and "600 rows without a target could teach" in page
    assert again.predict_proba(tables[1]).tobytes() == taught.predict_proba(tables[1]).tobytes()


def test_the_same_seed_gives_the_same_model(tables: tuple[Columns, Columns], taught: plait.Plait) -> None:
    assert state(fit(tables[0], unlabelled=tables[1])) == state(taught)


def test_targets_of_unlabelled_rows_train_nothing(tables: tuple[Columns, Columns], taught: plait.Plait) -> None:
    own, others = tables
    other = {**others, "label": ["c0" if v == "c1" else "c1" for v in others["label"]]}
    swapped = fit(own, unlabelled=other)
    assert state(swapped) == state(taught)
    assert swapped.report["unlabelled"]["precision"] == pytest.approx(1 - taught.report["unlabelled"]["precision"])
    assert any(s.startswith("WARNING: many more pseudo-labels") for s in swapped.report["unlabelled"]["sentences"])
    blank = {name: values for name, values in others.items() if name != "label"}
    assert "precision" not in fit(own, unlabelled=blank).report["unlabelled"]


def test_targets_of_unknown_classes_are_not_compared(tables: tuple[Columns, Columns]) -> None:
    own, others = tables
    model = fit(own, unlabelled={**others, "label": ["zzz"] * 600}, epochs=1)
    assert "precision" not in model.report["unlabelled"]
    assert any("targets of 600 unlabelled rows are no class" in n for n in model.report["facts"]["notes"])


def test_none_is_the_run_without_unlabelled_rows(tables: tuple[Columns, Columns], supervised: plait.Plait) -> None:
    none = fit(tables[0], unlabelled=tables[1], semi="none")
    assert state(none) == state(supervised) and "unlabelled" not in none.report


def test_a_network_that_is_not_better_leaves_the_supervised_run_as_it_was(
    tables: tuple[Columns, Columns], supervised: plait.Plait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.ensemble.guard._is_better", lambda ours, theirs: False)
    found = fit(tables[0], unlabelled=tables[1], semi="knn")
    assert found.report["unlabelled"]["kept"] == "supervised"
    assert state(found) == state(supervised) and found.report["history"] == supervised.report["history"]
    assert found.seen is not None and found.seen.rows == 76  # the unlabelled rows trained nothing


def test_empty_targets_are_bad_rows_until_they_may_teach(tables: tuple[Columns, Columns]) -> None:
    own, others = tables
    both = {n: own[n] + others.get(n, ["train"] * 600) for n in own}
    both["label"] = own["label"] + [None, "", " "] * 200
    with pytest.raises(ValueError, match=r"600 rows have an empty target; semi='self_training' learns from such rows"):
        fit(both)
    found = fit(both, semi="self_training", epochs=2)
    told = found.report["unlabelled"]
    assert told["rows"] == told["own"] == 600 and told["source"] is None
    assert (
        found.report["splits"] == {"train": 16, "val": 60, "test": 300} and not found.report["evaluation"]["bad_rows"]
    )
    again = found.evaluate(both)["evaluation"]
    assert again["rows"] == 300 and not any("SEEN" in note for note in again["notes"])


def test_rows_that_show_what_is_judged_or_labelled_are_left_out_by_number(tables: tuple[Columns, Columns]) -> None:
    own, others = tables
    pool = {name: values[:40] for name, values in others.items() if name != "label"}
    for name, values in pool.items():
        values += [own[name][70], own[name][300], own[name][3], values[5], None]  # val, test, train, itself, nothing
    pool["split"] = ["train"] * 44 + [""]
    pool["split"][7] = "test"
    found = fit(own, unlabelled=pool, epochs=2)
    left = {one["why"]: (one["rows"], one["numbers"]) for one in found.report["unlabelled"]["left_out"]}
    assert left == {
        "are marked val, test or calibration in the split column": (1, ["row 7 of a dict"]),
        "hold nothing that the model reads": (1, ["row 44 of a dict"]),
        "show what a validation, test or calibration row shows, or are of its group":
            (2, ["row 40 of a dict", "row 41 of a dict"]),
        "show the same as a labelled row": (1, ["row 42 of a dict"]),
        "show the same as another unlabelled row": (1, ["row 43 of a dict"]),
    }  # fmt: skip
    assert found.report["unlabelled"]["rows"] == 39


def test_bad_inputs_are_told(tables: tuple[Columns, Columns], tmp_path: Path) -> None:
    own, others = tables
    with pytest.raises(ValueError, match="no unlabelled row is left to learn from.*show the same as a labelled row"):
        fit({n: v[:76] for n, v in own.items()}, unlabelled={n: v[:16] for n, v in own.items()}, epochs=1)
    with pytest.raises(ValueError, match="in which every row has a target; give other rows with unlabelled=TABLE"):
        fit(own, semi="self_training")
    with pytest.raises(ValueError, match=r"\(unlabelled=\) has none of the input columns x0, x1.*it has other"):
        fit(own, unlabelled={"other": [1, 2]})
    with pytest.raises(ValueError, match="5 hold nothing that the model reads"):
        fit(own, unlabelled={f"x{i}": [None] * 5 for i in range(DIM)})
    with pytest.raises(ValueError, match=r"column 'x3' of a dict \(unlabelled=\) holds string, expected double"):
        fit(own, unlabelled={**{n: v[:9] for n, v in others.items()}, "x3": ["\U0001f600"] * 9})
    with pytest.raises(ValueError, match="unknown method 'fixmat'.*fixmatch"):
        fit(own, unlabelled=others, semi="fixmat")
    with (tmp_path / "u.csv").open("w", newline="") as file:
        csv.writer(file).writerow([f"x{i}" for i in range(DIM)])
    with pytest.raises(ValueError, match="but no rows"):
        fit(own, unlabelled=tmp_path / "u.csv")
    with pytest.raises(ValueError, match="semi='co_training' teaches from stored features of 2 modalities"):
        fit(own, unlabelled=others, semi="co_training")


def test_tasks_that_learn_nothing_from_them_say_so(posts: Path) -> None:
    number = {"a": [float(i) for i in range(30)], "b": [float(i * i) for i in range(30)]}
    with pytest.raises(ValueError, match="semi='knn' does not go with task regression; type semi='self_training'"):
        plait.fit(number, "b", unlabelled={"a": [0.5]}, semi="knn")
    with pytest.raises(ValueError, match="task matching learns nothing from them: leave unlabelled= and semi= out"):
        plait.fit(posts, "label", task="matching", text="text", image="image", ignore="size", unlabelled=posts)


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_ensembles_learn_from_them_too(preset: str, tables: tuple[Columns, Columns]) -> None:
    own, others = tables
    own = {n: v[:136] for n, v in own.items()}
    few = {n: v[:80] for n, v in others.items()}
    found = fit(
        own, unlabelled=few, preset=preset, epochs=2, set=[*ONE, "ensemble.folds=2"] if preset == "best" else ONE
    )
    told = found.report["unlabelled"]
    assert told["guard"]["rows"] == 60 and set(told["guard"]["scores"]) == {"supervised", "with unlabelled rows"}
    assert {m["name"] for m in found.report["evaluation"]["members"]} >= {"fused"}
    if told["kept"] == "with unlabelled rows":
        weighs = sum(m["weight"] for m in found.leaderboard() if m["name"].startswith("fused"))
        assert told["weight"] == pytest.approx(weighs, abs=1e-3)
        said = f"weighs {told['weight']:.0%}" if told["weight"] else "has no weight"
        assert any(said in s for s in told["sentences"])


@pytest.mark.parametrize(("weight", "said"), [(0.4, "weighs 40%"), (0.0, "has no weight in the answer")])
def test_what_the_taught_network_weighs_is_said(weight: float, said: str) -> None:
    facts = [SimpleNamespace(name=n, details={}) for n in ("linear of text", "fused", "fused, seed 2")]
    ensemble = SimpleNamespace(facts=facts, weights_PK=np.array([[1.0 - weight, weight, 0.0], [0.0, 1.0, 0.0]]))
    told = {"kept": "with unlabelled rows", "sentences": []}
    tell_of_members(told, ensemble)
    assert told["weight"] == weight and said in told["sentences"][-1]
    other = {"kept": "supervised", "sentences": []}
    tell_of_members(other, ensemble)
    assert other["sentences"] == []


def test_linear_members_learn_from_them_where_the_network_does_not(
    tables: tuple[Columns, Columns], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.ensemble.guard._is_better", lambda ours, theirs: False)
    found = fit(tables[0], unlabelled=tables[1], preset="fast", epochs=2)
    told = found.report["unlabelled"]
    assert told["kept"] == "supervised" and list(told["members"]) == ["linear of tabular"]
    ours, theirs = told["members"]["linear of tabular"]
    assert ours < theirs
    line = f"linear of tabular learned from unlabelled rows too: log loss {ours:.3f} with them, {theirs:.3f} without"
    assert any(s.startswith(line) for s in told["sentences"])
    assert found.seen is not None and found.seen.rows == 676, "what taught a member is known again"


def test_without_validation_rows_nothing_is_compared_and_it_is_said() -> None:
    few = {"text": ["red one", "blue one"] * 2, "label": ["a", "b"] * 2, "split": ["train"] * 2 + ["test"] * 2}
    pool = {"text": ["green \U0001f600", "grey", "\U0001f600"]}
    found = plait.fit(
        few, "label", unlabelled=pool, semi="flexmatch", preset="prototypes", epochs=1,
        set=[*ONE, "encoders.text=scratch:text", "augment.views=2", "augment.text=0.5"],
    )  # fmt: skip
    assert found.report["splits"]["val"] == 0 and found.report["unlabelled"]["rows"] == 3
    assert found.report["unlabelled"]["kept"] == "supervised"
    assert "no validation row is there to compare by" in found.report["unlabelled"]["guard"]["sentence"]


def test_further_labelled_rows_and_unlabelled_ones_go_together(tables: tuple[Columns, Columns]) -> None:
    own, others = tables
    own = {**own, "group": [f"g{i}" for i in range(376)]}
    more = {n: v[:20] for n, v in others.items()}
    pool = {**{n: v[10:60] for n, v in others.items()}, "group": ["g100", "g3", *[f"h{i}" for i in range(48)]]}
    found = fit(own, more=more, unlabelled=pool, group="group", split="split", semi="knn", epochs=2)
    told = found.report["unlabelled"]
    assert found.report["splits"] == {"train": 36, "val": 60, "test": 300}
    left = {one["why"]: one["numbers"] for one in told["left_out"]}
    assert left["show what a validation, test or calibration row shows, or are of its group"] == ["row 0 of a dict"]
    assert left["show the same as a labelled row"] == [f"row {i} of a dict" for i in range(1, 10)]
    assert told["rows"] == told["second"] == 40 and told["own"] == 0
    assert found.evaluate(own)["evaluation"]["rows"] == 300


def test_second_tables_are_recorded_by_their_names(tables: tuple[Columns, Columns], tmp_path: Path) -> None:
    """In the report, on its page and in run.yaml, without the folders they lie in."""
    own = {name: cells[:120] for name, cells in tables[0].items()}
    few = {name: cells[:8] for name, cells in tables[1].items()}
    for name, count in (("filled", 6), ("pool", 8)):
        with open(tmp_path / f"{name}.csv", "w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([list(few), *zip(*(cells[:count] for cells in few.values()), strict=True)])
    made = fit(
        own, epochs=1, more=tmp_path / "filled.csv", unlabelled=tmp_path / "pool.csv", semi="knn", output=tmp_path / "m"
    )
    expected = {"more": {"source": "filled.csv", "rows": 6}, "unlabelled": {"source": "pool.csv", "rows": 8}}
    assert {name: made.report["facts"][name] for name in expected} == expected
    facts = yaml.safe_load((tmp_path / "m" / "run.yaml").read_text(encoding="utf-8"))["facts"]
    assert {name: facts[name] for name in expected} == expected
    page = (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("more.source", "filled.csv", "unlabelled.rows", "pool.csv"))
    assert not {"more", "unlabelled"} & set(fit(own, epochs=1).report["facts"])
