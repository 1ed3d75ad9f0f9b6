"""The verb from end to end on a small table, the folder it writes, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import COMPARED
from plait.fusion import FUSIONS
from plait.metrics.comparison import Difference, Rank
from plait.settings import FusionSettings, RunSettings, TrainSettings, set_values

shape = lazy("plait.comparison.shape")
plan = lazy("plait.comparison.plan")

RESOLVED = RunSettings(
    fusion=FusionSettings("concat", 256, 0.3), train=TrainSettings(learning_rate=1e-3, epochs=3, batch_size=8)
)


def quick(table: Any, **options: Any) -> plait.Comparison:
    return plait.compare(
        table, "label", fusion=options.pop("fusion", "weighted_sum"), seeds=options.pop("seeds", 1), search=1,
        epochs=1, set=[*COMPARED, *options.pop("set", [])], **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(posts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[plait.Comparison, Path]:
    folder = tmp_path_factory.mktemp("compare") / "out"
    return quick(posts, output=folder, seeds=2, ignore=["size"], fusion=["weighted_sum", "pair_head"]), folder


def test_the_folder_and_the_shape_of_the_json(made: tuple[plait.Comparison, Path]) -> None:
    comparison, folder = made
    assert {p.name for p in folder.iterdir()} == {"plan.json", "runs", "compare.json", "compare.html"}
    report = json.loads((folder / "compare.json").read_text("utf-8"))
    assert report == comparison.report
    assert set(report) == set(shape.ComparisonReport.__annotations__)
    for entry in report["methods"]:
        wanted = set(shape.MethodEntry.__annotations__)
        absent = {"metric", "metrics", "rank", "validation", "seeds", "chosen", "cost", "fit"}
        assert set(entry) == (wanted if entry["status"] == "ok" else wanted - absent)
        assert all(set(tried) == set(shape.Tried.__annotations__) for tried in entry["search"])
    assert set(report["differences"][0]) == set(Difference.__annotations__)
    assert report["splits"] == {"train": 32, "val": 8, "test": 8} and report["runs"]["trained"] == 3 * 2
    names = [m["name"] for m in report["methods"]]
    assert sorted(names) == sorted(
        ["weighted_sum", "text alone", "image alone", "mean of single modalities", "pair_head"]
    )
    line = comparison.method("weighted_sum")
    assert set(line["cost"]) == set(shape.Cost.__annotations__)
    assert set(line["metric"]) == set(shape.Score.__annotations__) and len(line["metric"]["seeds"]) == 2
    assert set(line["rank"]) == set(Rank.__annotations__) and line["seeds"] == [0, 1]
    assert comparison.selected == "weighted_sum" and comparison.method("pair_head")["status"] == "not applicable"
    assert "weighted_sum" in comparison.table() and "pair_head: not applicable: the pair head" in comparison.table()
    with pytest.raises(ValueError, match="no method 'gated'"):
        comparison.method("gated")


def test_runs_are_small_and_hold_no_pickle(made: tuple[plait.Comparison, Path]) -> None:
    _, folder = made
    records = [json.loads(p.read_text("utf-8")) for p in (folder / "runs").glob("*.json")]
    assert len(records) == 6 and all(r["status"] == "done" and r["epochs"] == 1 for r in records)
    for path in (folder / "runs").glob("*.npz"):
        with np.load(path, allow_pickle=False) as outputs:
            assert outputs["test"].shape == (8, 2) and outputs["val"].shape == (8, 2)
    assert {p.suffix for p in (folder / "runs").iterdir()} == {".json", ".npz"}


def test_seeds_differ_in_their_encoders_from_scratch(made: tuple[plait.Comparison, Path]) -> None:
    scores = [tuple(np.load(p, allow_pickle=False)["test"][0]) for p in sorted((made[1] / "runs").glob("*.npz"))]
    assert len(set(scores)) == 6


def test_the_page_loads_nothing_and_has_all_sections(made: tuple[plait.Comparison, Path]) -> None:
    page = (made[1] / "compare.html").read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)|<script|@import|url\(", page)
    assert "default-src 'none'" in page and "prefers-color-scheme:dark" in page
    for anchor in ("ranks", "cost", "pairs", "costs", "search", "use", "absent", "how", "settings", "versions"):
        assert f'<section id="{anchor}" ' in page
    for words in (
        made[0].verdict.split(";")[0][:40],
        "single modality chosen on validation rows: ",
        "late ensemble chosen on validation rows: ",
        "max-T",
    ):
        assert words in page
    assert page.count("<svg") == 4


def test_hostile_names_are_escaped() -> None:
    from plait.comparison.page import render

    page = render(hostile_report("<script>alert(1)</script>"))
    assert "<script" not in page and "&lt;script&gt;" in page


def hostile_report(name: str) -> dict[str, Any]:
    cost = {
        "parameters": 10, "encoder_parameters": 0, "train_seconds": 1.0, "memory_bytes": 100, "memory_is": "counted",
        "inference_ms_per_1000": 1.0, "steps": 1, "train_ratio": 1.0,
    }  # fmt: skip
    line = {
        "name": name, "kind": "fusion", "interaction": name, "equation": name, "status": "ok", "reason": None,
        "metric": {"value": 0.5, "low": 0.4, "high": 0.6, "spread": None, "seeds": [0.5]},
        "rank": {"value": 1, "low": 1, "high": 2, "first": 0.5}, "validation": {"value": 0.5, "seeds": [0.5]},
        "seeds": [0], "chosen": None, "search": [], "cost": cost,
        "failures": [{"seed": 1, "configuration": 0, "reason": name}],
    }  # fmt: skip
    gap = {"a": name, "b": "other", "difference": 0.1, "low": 0.0, "high": 0.2, "real": False, "wide_low": 0.0,
           "wide_high": 0.2, "holds": False, "adjusted_p": 0.5}  # fmt: skip
    return {
        "plait": "0", "created": "2026", "task": name, "target": name, "verdict": name, "selected": name,
        "metric": {"name": "accuracy", "higher_is_better": True}, "selection_metric": "accuracy", "chance": 0.5,
        "baselines": {"single": name, "ensemble": name}, "methods": [line, {**line, "name": "other"}],
        "differences": [gap], "correction": "max-T", "notes": [name], "bad_cells": 1, "settings": {}, "versions": {},
        "bootstrap": {"resamples": 10, "level": 0.95, "drawn from": 2, "rows": 4},
        "search": {"configurations": [], "seed": 0, "epochs": 1, "batch_size": 1, "steps_a_run": 1, "optimizer": name},
    }  # fmt: skip


def test_an_overwrite_that_fails_leaves_the_old_comparison(
    made: tuple[plait.Comparison, Path], posts: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made[1], folder)
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    table = plait_table(posts)
    broken = table.with_column("image", ["nowhere.png", *table.column("image")[1:]])
    with pytest.raises(ValueError, match=r"nowhere\.png") as caught:
        quick(broken, output=folder, ignore=["size"], overwrite=True)
    assert "stands as it was" in " ".join(caught.value.__notes__)
    assert {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()} == before

    def stop(done: int, total: int, what: str) -> None:
        if any((folder / "runs").glob("*.json")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        quick(posts, output=folder, ignore=["size"], overwrite=True, progress=stop, set=["train.batch_size=8"])
    assert "resume=True" in " ".join(stopped.value.__notes__)
    assert (folder / "compare.json").read_bytes() == before[folder / "compare.json"]
    assert (folder / ".plait-replaced" / "plan.json").read_bytes() == before[folder / "plan.json"]
    quick(posts, output=folder, ignore=["size"], resume=True, set=["train.batch_size=8"])
    assert not (folder / ".plait-replaced").exists()
    assert (folder / "compare.json").read_bytes() != before[folder / "compare.json"]


def test_a_damaged_record_is_named(made: tuple[plait.Comparison, Path], posts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made[1], folder)
    for pattern in ("*.json", "*.npz"):
        path = sorted((folder / "runs").glob(pattern))[0]
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(ValueError, match=f"{path.name} is damaged; remove it"):
            quick(posts, output=folder, seeds=2, ignore=["size"], resume=True)
        path.write_bytes(data)


def test_guards_of_the_folder(made: tuple[plait.Comparison, Path], posts: Path, tmp_path: Path) -> None:
    comparison, folder = made
    options: dict[str, Any] = {"output": folder, "seeds": 2, "ignore": ["size"]}
    with pytest.raises(ValueError, match="resume=True to go on with it, or overwrite=True"):
        quick(posts, **options)
    with pytest.raises(ValueError, match=r"other settings or another table \(settings.train.batch_size\)"):
        quick(posts, resume=True, set=["train.batch_size=16"], **options)
    with pytest.raises(ValueError, match=r"\(table\)"):
        quick(plait_table(posts).take(range(1, 48)), resume=True, **options)
    again = quick(posts, resume=True, **options)
    assert again.report["runs"]["trained"] == 0
    assert again.method("weighted_sum")["metric"] == comparison.method("weighted_sum")["metric"]
    (folder / "notes.txt").write_text("mine")
    quick(posts, overwrite=True, output=folder, ignore=["size"])
    assert (folder / "notes.txt").read_text() == "mine" and len(list((folder / "runs").glob("*.json"))) == 3
    (tmp_path / "thesis.tex").write_text("mine")
    for more in ({}, {"overwrite": True}):
        with pytest.raises(ValueError, match="other files"):
            quick(posts, output=tmp_path, **more)
    with pytest.raises(ValueError, match="is a file"):
        quick(posts, output=tmp_path / "thesis.tex")
    with pytest.raises(ValueError, match="one of them"):
        quick(posts, output=tmp_path, resume=True, overwrite=True)
    with pytest.raises(ValueError, match="needs output"):
        quick(posts, resume=True)


def plait_table(path: Path) -> Any:
    from plait.data.table import read_table

    return read_table(path)


def test_tables_that_cannot_be_compared_on(posts: Path) -> None:
    table = plait_table(posts)
    with pytest.raises(ValueError, match="leaves no val rows to choose with"):  # one group cannot be split
        quick(table.with_column("split", ["train"] * 48).with_column("who", ["a"] * 48), split="split", group="who")
    with pytest.raises(ValueError, match="at least two modalities"):
        quick(table, ignore=["size", "image"])
    with pytest.raises(ValueError, match="seeds is 0"):
        quick(table, seeds=0)


def test_methods_are_chosen_by_name() -> None:
    everything = [m.name for m in plan.choose_methods("matching", ["a", "b"], "all")]
    assert everything == [*FUSIONS.names(), "pair_head", "a alone", "b alone"]
    assert "pair_head" not in [m.name for m in plan.choose_methods("regression", ["a", "b"], "all")]
    named = plan.choose_methods("classification", ["a", "b"], " gated, concat,gated")
    assert [(m.name, m.kind, m.modalities) for m in named] == [
        ("gated", "fusion", ("a", "b")), ("concat", "fusion", ("a", "b")),
        ("a alone", "single", ("a",)), ("b alone", "single", ("b",)),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="Did you mean 'concat'"):
        plan.choose_methods("classification", ["a", "b"], "concta")
    with pytest.raises(ValueError, match="no fusion is named"):
        plan.choose_methods("classification", ["a", "b"], [])


def test_configurations() -> None:
    assert plan.make_configurations(RESOLVED, RunSettings(), 3) == [
        plan.Configuration(1e-3, 0.3, 256), plan.Configuration(3e-3, 0.5, 128), plan.Configuration(0.000333, 0.1, 256),
    ]  # fmt: skip
    asked = set_values(RunSettings(), ["fusion.width=64", "train.learning_rate=0.001"])
    fixed = plan.make_configurations(set_values(RESOLVED, ["fusion.width=64"]), asked, 9)
    assert {(c.width, c.learning_rate) for c in fixed} == {(64, 0.001)} and len(fixed) == 3  # no configuration twice
    assert len(set(plan.make_configurations(RESOLVED, RunSettings(), 9))) == 9
    copied = set_values(RESOLVED, ["fusion.width=1024", "fusion.options={copies: 2}"])  # the recipe's, of two towers
    assert plan.make_configurations(copied, RunSettings(), 1)[0].width == 512
    for number in (0, 10):
        with pytest.raises(ValueError, match="search is"):
            plan.make_configurations(RESOLVED, RunSettings(), number)


@pytest.mark.parametrize(
    "assignment",
    ["fusion.name=concat", "fusion.options={a: 1}", "task.head=pair", "train.patience=3", "semi.method=knn"],
)
def test_what_would_be_unfair_is_refused(assignment: str) -> None:
    with pytest.raises(ValueError, match="cannot be set in a comparison"):
        plan.check_asked(set_values(RunSettings(), [assignment]))


def test_settings_of_a_run_differ_only_where_they_must() -> None:
    method = plan.choose_methods("classification", ["a", "b"], "gated")[0]
    made = plan.run_settings(set_values(RESOLVED, ["train.patience=8"]), method, plan.Configuration(0.1, 0.2, 8), 4)
    assert (made.fusion.name, made.fusion.width, made.fusion.dropout, made.fusion.options) == ("gated", 8, 0.2, {})
    assert (made.train.learning_rate, made.train.seed, made.train.patience) == (0.1, 4, 0)
    aligned = set_values(RESOLVED, ["train.alignment=5"])
    pair = plan.choose_methods("matching", ["a", "b"], "pair_head")[0]
    one = plan.Configuration(0.1, 0.2, 8)
    assert plan.run_settings(aligned, method, one, 0).train.alignment == 0.0  # the recipe means it for the pair head
    assert plan.run_settings(aligned, pair, one, 0).train.alignment == 5.0
    assert plan.run_settings(aligned, method, one, 0, align_all=True).train.alignment == 5.0
    assert made.train.epochs == RESOLVED.train.epochs and made.encoders == RESOLVED.encoders
