"""Registering parts in a process, and packages that are played: names, owners, broken ones, what metrics measure."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.open_tables import open_tables, play_plugins
from fixtures.settings import SCRATCH

__all__ = ["open_tables"]
pytestmark = pytest.mark.usefixtures("open_tables")


def another(name: str) -> Any:
    from plait.fusion import FusionInfo, GatedFusion

    info = FusionInfo(name, "none", "h", needs_tokens=False)
    return type("Another", (GatedFusion,), {"info": info, "__module__": __name__})


def share_right(target: np.ndarray, predictions: np.ndarray) -> float:
    return float((target == predictions).mean())


def mean_miss(target: np.ndarray, outputs: np.ndarray) -> float:
    assert outputs.ndim == 2
    return float(1 - outputs[np.arange(len(target)), target].mean())


def posts() -> list[dict[str, Any]]:
    words = [("blue" if i % 2 else "grey") if i % 5 else "red" for i in range(120)]
    return [{"text": f"the sky is {w}", "size": i % 7, "label": "dry" if i % 2 else "wet"} for i, w in enumerate(words)]


@pytest.mark.parametrize("name", ["Gated", "a b", "", "x:y", "ünder", "all", "_x", "x-", "1x", "a" * 41, "a.b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a fusion: it is made of small letters"):
        plait.register_fusion(name, another(name))


def test_a_name_that_plait_has_is_refused() -> None:
    from plait.tasks import TASKS

    with pytest.raises(ValueError, match="the fusion 'gated' is registered already by Plait itself"):
        plait.register_fusion("gated", another("gated"))
    with pytest.raises(ValueError, match="the task 'regression' is registered already by Plait itself"):
        plait.register_task(TASKS.get("classification").__class__(**{**vars(TASKS.get("regression")), "expects": "x"}))
    for name in ("minilm", "scratch"):
        with pytest.raises(
            ValueError, match=f"the encoder '{name}' is registered already by Plait itself|encoder sour"
        ):
            plait.register_encoder(name, lambda *a: None, lambda d: None, kinds="text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the metric 'accuracy' is registered already by Plait itself"):
        plait.register_metric("accuracy", share_right, tasks="classification")


def test_a_name_of_this_process_is_taken_once_and_can_be_exchanged(open_tables: dict[str, Any]) -> None:
    first, second = another("mine"), another("mine")
    assert plait.register_fusion("mine", first) is first
    assert plait.register_fusion("mine")(first) is first, "the same thing twice is once"
    with pytest.raises(ValueError, match=r"by this process \(.*test_register\); type replace=True to exchange it"):
        plait.register_fusion("mine", second)
    plait.register_fusion("mine", second, replace=True)
    assert open_tables["fusion"].get("mine") is second


def test_declarations_are_checked() -> None:
    with pytest.raises(ValueError, match="info.name is 'other'; expected the registered name 'mine'"):
        plait.register_fusion("mine", another("other"))
    with pytest.raises(ValueError, match="a class made from plait.fusion.Fusion; got 3"):
        plait.register_fusion("mine", 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown kind of column 'smell'.*Known: text, image, audio"):
        plait.register_encoder("mine", lambda *a: None, lambda d: None, kinds="smell")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the metrics of captioning are of texts or searches"):
        plait.register_metric("mine", share_right, tasks="captioning")
    with pytest.raises(ValueError, match="unknown task 'clasification'.*Did you mean 'classification'"):
        plait.register_metric("mine", share_right, tasks="clasification")
    with pytest.raises(ValueError, match="tasks= names no task, so nothing would be measured"):
        plait.register_metric("mine", share_right, tasks=[])
    with pytest.raises(ValueError, match="unknown kind of values 'logits'"):
        plait.register_metric("mine", share_right, tasks="classification", of="logits")
    with pytest.raises(ValueError, match="a task is a plait.tasks.Task"):
        plait.register_task("count")  # type: ignore[arg-type]


def test_a_package_brings_and_a_broken_one_takes_nothing_down(
    monkeypatch: pytest.MonkeyPatch, open_tables: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def half() -> None:
        print("half is here")
        plait.register_fusion("half", another("half"))
        raise RuntimeError("no such device\nand more")

    def exits() -> None:
        sys.exit("not on this machine")

    play_plugins(
        monkeypatch, good_one=lambda: plait.register_fusion("good", another("good")), half_one=half, rude_one=exits,
        thief=lambda: plait.register_fusion("gated", another("gated")),
    )  # fmt: skip
    with pytest.warns(UserWarning) as warned:
        assert "good" in open_tables["fusion"]
    assert capsys.readouterr() == ("", "half is here\n"), "an answer such as --json holds nothing that a package prints"
    said = sorted(str(w.message) for w in warned)
    assert len(said) == 3
    assert "package half-one 1.0 could not be loaded (RuntimeError: no such device), so what it brings is" in said[0]
    assert "package rude-one 1.0 could not be loaded (SystemExit: not on this machine)" in said[1]
    assert "pip uninstall rude-one" in said[1] and "'gated' is registered already by Plait itself" in said[2]
    assert "half" not in open_tables["fusion"], "what a broken package brought is taken out again"
    assert str(open_tables["fusion"].origin("good")) == "good-one 1.0"
    from plait.api import list_fusions, list_plugins

    assert {f["name"]: f["package"] for f in list_fusions()}["good"] == "good-one"
    listed = {p["package"]: p for p in list_plugins()}
    assert listed["good-one"]["brings"] == {"fusion": ["good"]} and listed["good-one"]["error"] is None
    assert listed["half-one"]["error"] == "RuntimeError: no such device" and listed["half-one"]["brings"] == {}
    with pytest.raises(ValueError, match="the fusion 'good' is registered already by good-one 1.0; choose another"):
        plait.register_fusion("good", another("good"), replace=True)


def test_names_of_packages_are_found_by_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    play_plugins(monkeypatch, good_one=lambda: plait.register_fusion("good", another("good")))
    with pytest.raises(ValueError, match=r"unknown fusion 'godo' \(fusion=\). Did you mean 'good'"):
        plait.fit(posts(), "label", fusion="godo")
    with pytest.raises(ValueError, match="unknown select by 'mine'"):
        plait.fit(posts(), "label", set=["task.select_by=mine"])


def test_a_search_draws_no_fusion_of_others(open_tables: dict[str, Any]) -> None:
    plait.register_fusion("mine", another("mine"))
    assert "mine" in open_tables["fusion"].names() and "mine" not in open_tables["fusion"].own_names()


def test_metrics_are_measured_with_intervals_and_choose_epochs(tmp_path: Path) -> None:
    plait.register_metric("share_right", share_right, tasks="classification", of="predictions")
    plait.register_metric("mean_miss", mean_miss, tasks=["classification"], higher_is_better=False)

    @plait.register_metric("fails", tasks="classification")
    def fails(target: np.ndarray, outputs: np.ndarray) -> float:
        raise KeyError("oops")

    chosen = [*SCRATCH, "task.select_by=mean_miss"]
    model = plait.fit(posts(), "label", epochs=4, fusion="concat", set=chosen, progress=False)
    evaluation = model.report["evaluation"]
    assert evaluation["metrics"]["share_right"]["value"] == evaluation["metrics"]["accuracy"]["value"]
    missed = evaluation["metrics"]["mean_miss"]
    assert 0 < missed["low"] <= missed["value"] <= missed["high"] < 1
    assert set(evaluation["alone"]["text"]) >= {"share_right", "mean_miss"}
    assert evaluation["metrics"]["fails"] == {"value": None, "low": None, "high": None}
    assert any("fails is undefined: it raised KeyError" in note for note in evaluation["notes"])
    epochs = [record["val_mean_miss"] for record in model.report["history"]]
    assert model.report["best_epoch"] == int(np.argmin(epochs)) + 1, "lower is better"
    page = model.evaluate(posts(), report=tmp_path / "page.html")
    assert page["evaluation"]["metrics"]["share_right"]["value"] is not None
    assert "Share right" in (tmp_path / "page.html").read_text("utf-8")
    found = model.explain(posts(), metric="share_right", permutations=2, examples=1)
    assert found["metric"]["name"] == "share_right"
    with pytest.raises(ValueError, match="of metric='mean_miss' lower is better"):
        model.explain(posts(), metric="mean_miss")


def test_a_metric_that_works_in_place_changes_no_other() -> None:
    from plait.tasks import TASKS
    from plait.tasks.added_metrics import WithAdded

    def sorting(target: np.ndarray, outputs: np.ndarray) -> float:
        target.sort()
        outputs.sort()
        return float(abs(target - outputs).mean())

    plait.register_metric("sorted_mae", sorting, tasks=["regression"], higher_is_better=False)
    plait.register_metric("range_seen", lambda target, outputs: float(target[0]), tasks=["regression"])
    target, outputs = np.array([3.0, 1.0, 2.0]), np.array([[1.0], [3.0], [2.0]])
    own = TASKS.get("regression").metrics
    found = WithAdded(getattr(own, "own", own), "regression", "number")(target, outputs)
    assert found["sorted_mae"] == 0.0 and found["range_seen"] == 3.0
    assert found["mae"] == pytest.approx(4 / 3) and target.tolist() == [3.0, 1.0, 2.0]


def test_resamples_of_an_added_metric_are_those_of_the_rows() -> None:
    from plait.tasks import TASKS
    from plait.tasks.row_metrics import resampled

    plait.register_metric("share_right", share_right, tasks="classification", of="predictions")
    rng = np.random.default_rng(0)
    target, outputs = rng.integers(-1, 2, 30), rng.dirichlet(np.ones(2), 30)
    task = TASKS.get("classification").deciding((0.3,))
    measure = resampled(task.metrics, target, outputs)
    assert measure is not None
    counts_RN = rng.integers(0, 3, (5, 30)).astype(float)
    found = measure(counts_RN, ["accuracy", "share_right"])
    assert found["share_right"] == pytest.approx(found["accuracy"])
    assert "share_right" not in measure(counts_RN, ["accuracy"])


def test_a_warning_of_a_metric_is_shown_once_for_all_resamples() -> None:
    from plait.tasks import TASKS
    from plait.tasks.row_metrics import resampled

    def doubtful(target: np.ndarray, outputs: np.ndarray) -> float:
        warnings.warn("a class has no row", UserWarning, stacklevel=1)
        return float(len(target))

    plait.register_metric("doubtful", doubtful, tasks="classification", of="predictions")
    target, outputs = np.array([0, 1, 1]), np.eye(2)[[0, 1, 0]]
    measure = resampled(TASKS.get("classification").metrics, target, outputs)
    assert measure is not None
    with pytest.warns(UserWarning, match="a class has no row") as shown:
        found = measure(np.ones((50, 3)), ["doubtful"])
    assert len(shown) == 1 and found["doubtful"].tolist() == [3.0] * 50


def test_a_task_whose_lower_metric_heads_the_report_keeps_its_best_epoch() -> None:
    from plait.tasks import TASKS, Task

    plain = TASKS.get("regression")
    task = Task(**{**vars(plain), "name": "far_off", "primary": "mae", "higher_is_better": False})
    plait.register_task(task)
    rows = [{"a": float(i % 10), "b": float(i % 3), "y": float(i % 10) * 2} for i in range(100)]
    model = plait.fit(rows, "y", task="far_off", epochs=6, fusion="concat", progress=False)
    maes = [record["val_mae"] for record in model.report["history"]]
    assert model.report["best_epoch"] == int(np.argmin(maes)) + 1 and maes[0] > min(maes)
