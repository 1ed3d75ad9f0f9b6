"""An ensemble from ``plait.fit`` to a loaded folder: answers, patterns, leaderboard, explanation, presets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait

RNG = np.random.default_rng(0)
WORDS = ["good", "bad", "fine", "awful"]


def rows(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Text tells half of the answer, numbers the other half, and some rows lack one of them."""
    rng = np.random.default_rng(seed)
    mood, size = rng.integers(0, 2, count), rng.normal(size=count)
    label = (mood * 2 - 1) + size + rng.normal(scale=0.3, size=count) > 0
    texts = [f"{'great nice lovely' if m else 'poor sad dull'} thing number {rng.integers(9)}" for m in mood]
    return {
        "text": [t if rng.random() > 0.1 else None for t in texts],
        "size": [float(s) if rng.random() > 0.1 else None for s in size],
        "kind": [str(rng.integers(3)) for _ in range(count)],
        "label": ["yes" if v else "no" for v in label],
    }  # fmt: skip


def fitted(folder: Path | None = None, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "text": "text", "numeric": "size", "categorical": "kind", "epochs": 2, "preset": "best", "output": folder,
        "set": ["encoders.text=scratch:text", "ensemble.folds=2", "fusion.width=16"],
    }  # fmt: skip
    return plait.fit(rows(160), "label", **{**options, **changes})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("ensemble") / "m"
    return fitted(folder), folder


def test_a_loaded_folder_answers_bit_by_bit(model: tuple[Any, Path]) -> None:
    made, folder = model
    again = plait.load(folder)
    fresh = rows(30, seed=1)
    left, right = made.predict(fresh), again.predict(fresh)
    assert left.equals(right)
    assert again.leaderboard() == plait.load(folder).leaderboard()
    assert not any(p.suffix in (".pkl", ".pickle", ".joblib") for p in folder.rglob("*"))


def test_members_and_patterns_are_told(model: tuple[Any, Path]) -> None:
    made, _ = model
    board = made.leaderboard()
    kinds = {m["kind"] for m in board}
    assert {"network", "linear", "ngrams", "trees"} <= kinds
    assert sum(m["weight"] for m in board) == pytest.approx(1.0)
    patterns = made.report["evaluation"]["patterns"]
    assert [p["present"] for p in patterns][0] == ["text", "tabular"] and len(patterns) == 3
    assert all(sum(p["members"].values()) == pytest.approx(1.0, abs=1e-3) for p in patterns)
    assert made.report["evaluation"]["alone"].keys() == {"text", "tabular"}


def test_a_row_that_has_nothing_gets_shares_of_training_rows(model: tuple[Any, Path]) -> None:
    """What members make of no input at all is no answer: a linear model stands at its mean vector."""
    made, folder = model
    told = json.loads((folder / "ensemble" / "ensemble.json").read_text())["nothing"]
    names = ["probability_no", "probability_yes"]
    empty = {"text": ["", "great"], "size": ["", "2"], "kind": ["", "1"]}
    for one in (made, plait.load(folder)):
        found = one.predict(empty).select(names).to_pylist()
        assert list(found[0].values()) == pytest.approx(told) and list(found[1].values()) != pytest.approx(told)
    assert sum(told) == pytest.approx(1.0) and min(told) > 0.2


def test_a_member_that_reads_nothing_of_a_pattern_has_no_weight_under_it(model: tuple[Any, Path]) -> None:
    made, folder = model
    reads = {m["name"]: m["uses"] for m in made.leaderboard()}
    for entry in made.report["evaluation"]["patterns"]:
        assert all(set(reads[name]) & set(entry["present"]) for name in [*entry["members"], entry["best member"]])
    told = json.loads((folder / "report.json").read_text())["evaluation"]
    assert {"name", "validation", "metrics", "seconds", "megabytes"} <= told["members"][0].keys()
    assert {"present", "rows", "metrics", "best member", "difference"} <= told["patterns"][0].keys()


def test_what_is_hidden_is_measured_alike_everywhere(model: tuple[Any, Path]) -> None:
    """Patterns of the ensemble, modalities alone and left out, and the curve of what is missing speak of one number."""
    made, _ = model
    told = made.evaluate(rows(40, seed=3))["evaluation"]
    hidden = {tuple(h["present"]): h["metrics"]["accuracy"]["value"] for h in told["missing"]["hidden"]}
    assert told["alone"]["text"]["accuracy"]["value"] == hidden["text",]
    assert told["without"]["text"]["accuracy"]["value"] == hidden["tabular",]
    assert told["metrics"]["accuracy"]["value"] == hidden["text", "tabular"]
    intervals = {tuple(h["present"]): h["metrics"]["accuracy"] for h in told["missing"]["hidden"]}
    assert intervals["text", "tabular"] == told["metrics"]["accuracy"]
    assert intervals["text",] == told["alone"]["text"]["accuracy"]
    answers = made.predict({"text": rows(40, seed=3)["text"]}).column("prediction").to_pylist()
    right = np.mean([a == b for a, b in zip(answers, rows(40, seed=3)["label"], strict=True)])
    assert hidden["text",] == pytest.approx(right)


@pytest.mark.parametrize(
    ("members", "says"),
    [("[trees, linaer]", "linear"), ("[network]", "Known: alone, seeds, linear"), ("[trees, trees]", "twice")],
)
def test_unknown_members_are_refused_by_name(members: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fitted(set=[f"ensemble.members={members}"])


def test_networks_of_other_seeds() -> None:
    made = fitted(epochs=1, set=["encoders.text=scratch:text", "ensemble.members=[seeds]", "ensemble.folds=1"])
    assert {m["name"] for m in made.leaderboard()} == {"fused", "fused, seed 2", "fused, seed 3"}


def test_what_is_missing_changes_no_bit(model: tuple[Any, Path]) -> None:
    made, _ = model
    few = {"text": [None] * 4, "size": [0.5] * 4, "kind": ["1"] * 4}
    without = {"size": [0.5] * 4, "kind": ["1"] * 4}
    names = ["probability_yes", "probability_no"]
    assert made.predict(few).select(names).equals(made.predict(without).select(names))
    nothing = made.predict({"text": [None], "size": [None], "kind": [None]})
    assert 0 < nothing.column("probability_yes")[0].as_py() < 1


def test_it_is_explained(model: tuple[Any, Path]) -> None:
    made, _ = model
    found = made.explain(rows(80, seed=2), permutations=2, examples=1)
    assert found["modalities"] == ["text", "tabular"]
    plain = made.evaluate(rows(80, seed=2))["evaluation"]["metrics"]["accuracy"]["value"]
    full, empty = found["subsets"][-1]["metric"], found["subsets"][0]["metric"]
    assert full["value"] == pytest.approx(plain)
    shares = [found["shapley"]["metric"][name]["value"] for name in ("text", "tabular")]
    assert sum(shares) == pytest.approx(full["value"] - empty["value"])


def test_presets(tmp_path: Path) -> None:
    single = fitted(preset="single", set=["encoders.text=scratch:text"])
    assert single.leaderboard() == [] and "members" not in single.report["evaluation"]
    fast = fitted(preset="fast", set=["encoders.text=scratch:text"])
    assert "text alone" not in {m["name"] for m in fast.leaderboard()}
    with pytest.raises(ValueError, match="unknown preset 'fats'"):
        fitted(preset="fats")


def test_classic_stays_one_network() -> None:
    made = fitted(preset=None, recipe="classic", set=["encoders.text=scratch:text"])
    assert made.settings.preset == "single" and made.ensemble is None


def test_numbers_are_answered_in_their_unit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=200)
    table = {"size": size.tolist(), "other": rng.normal(size=200).tolist(), "price": np.exp(12 + size).tolist()}
    made = plait.fit(table, "price", epochs=2, preset="best", output=tmp_path / "m", set=["ensemble.folds=2"])
    assert made.report["evaluation"]["metrics"]["r2"]["value"] > 0.6
    assert made.settings.task.transform in ("log", "quantile")
    again = plait.load(tmp_path / "m")
    left, right = made.predict(table), again.predict(table)
    assert left.equals(right)
    answers = np.array(left.column("prediction").to_pylist())
    assert np.median(np.abs(answers / np.exp(12 + size) - 1)) < 0.5


def test_label_sets_and_ordered_classes() -> None:
    table = rows(120)
    sizes = zip(table["size"], table["text"], strict=True)
    table["tags"] = [["a"] if s is not None and s > 0 else ["b", "a"] if t else [] for s, t in sizes]
    del table["label"]
    made = plait.fit(
        table, "tags", task="multilabel", text="text", epochs=1, preset="fast", set=["encoders.text=scratch:text"]
    )
    assert made.leaderboard()
    stars = rows(150)
    stars["label"] = ["1" if s is None or s < -0.5 else "2" if s < 0.5 else "3" for s in stars["size"]]
    made = plait.fit(
        stars, "label", text="text", epochs=1, preset="fast", set=["encoders.text=scratch:text", "task.ordinal=true"]
    )
    assert made.leaderboard() and "quadratic_kappa" in made.report["evaluation"]["metrics"]


def test_few_rows_one_class_in_a_fold_and_groups() -> None:
    table = {k: v[:24] for k, v in rows(40).items()}
    table["label"] = ["rare"] + table["label"][1:]
    table["who"] = [str(i // 3) for i in range(24)]
    made = plait.fit(
        table, "label", text="text", group="who", epochs=1, preset="best", set=["encoders.text=scratch:text"]
    )
    assert made.predict(table).num_rows == 24


def test_linear_models_that_take_minutes_are_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.ensemble import fit as fitting

    monkeypatch.setattr(fitting, "MOST_WORK", 10)
    rng = np.random.default_rng(0)
    columns = {"v": [list(map(float, row)) for row in rng.normal(size=(90, 3))], "n": rng.normal(size=90).tolist()}
    columns["label"] = ["a" if row[0] > 0 else "b" for row in columns["v"]]
    quick = plait.fit(columns, "label", vector="v", epochs=1)
    assert not [m for m in quick.leaderboard() if m["kind"] == "linear"]
    notes = quick.report["evaluation"]["notes"]
    assert any("left out, because on 72 rows it takes minutes: linear of" in note for note in notes)
    asked = plait.fit(columns, "label", vector="v", epochs=1, preset="best", set=["ensemble.folds=1"])
    assert [m for m in asked.leaderboard() if m["kind"] == "linear"]
