"""Aids in whole runs: settings, report, saving, baselines, resume, refusals before any work."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.settings import SCRATCH
from fixtures.training import PowerCut, PowerCutError
from plait.settings import FusionSettings, RunSettings, TaskSettings, TrainSettings, read_settings, set_values

BLENDED = [*SCRATCH, "train.gradient_blending=true", "train.ogm=0.5", "train.ogm_noise=true", "train.alignment=0.2"]


def fit(table: Any, target: str = "label", epochs: int = 2, **options: Any) -> plait.Plait:
    return plait.fit(table, target, epochs=epochs, preset="single", **options)


def test_a_run_with_aids_saves_reports_and_resumes_to_the_same_model(tmp_path: Path) -> None:
    posts = {
        "text": [f"it was {'sunny' if i % 2 else 'rainy'} on day {i}" for i in range(48)],
        "size": [i * 0.5 + 0.25 for i in range(48)],
        "label": ["yes" if i % 2 != i // 2 % 2 else "no" for i in range(48)],
        "split": ["test" if i >= 40 else "val" if i >= 32 else "train" for i in range(48)],
    }
    made = fit(posts, output=tmp_path / "straight", set=BLENDED)
    again = plait.load(tmp_path / "straight")
    assert np.array_equal(made.predict_proba(posts), again.predict_proba(posts))
    aids = made.report["model"]["training aids"]
    assert set(aids) == {"gradient_blending", "ogm", "alignment"}
    assert aids["ogm"] == {
        "strength": 0.5, "paper": "Peng et al. 2022",
        "equation": "step_m <- (1 - tanh(alpha rho_m)) step_m where rho_m > 1",
    }  # fmt: skip
    page = (tmp_path / "straight" / "report.html").read_text("utf-8")
    assert "training aids.gradient blending.paper" in page and "Wang, Tran, Feiszli 2020" in page
    with (tmp_path / "straight" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ["blending_text", "blending_tabular", "blending_joint"]
    assert all(sum(float(r[n]) for n in names) == pytest.approx(1.0, abs=1e-5) for r in rows)
    train = read_settings(tmp_path / "straight" / "run.yaml").train
    assert (train.gradient_blending, train.ogm, train.ogm_noise, train.alignment) == (True, 0.5, True, 0.2)
    for baseline in made.baselines.values():  # one modality alone: nothing between modalities to do
        assert baseline.aids is None and baseline.config.aids == {}

    cut = PowerCut()
    with pytest.raises(PowerCutError):
        fit(posts, output=tmp_path / "cut", set=BLENDED, progress=cut)
    fit(posts, output=tmp_path / "cut", set=BLENDED, resume=True)
    for name in ("model.safetensors", "history.csv", "companions/00/model.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name


POSTS = {
    "text": [f"it was {'sunny' if i % 2 else 'rainy'} on day {i}" for i in range(48)],
    "size": [i * 0.5 + 0.25 if i % 5 else None for i in range(48)],
    "label": ["yes" if i % 2 != i // 2 % 2 else "no" for i in range(48)],
    "split": ["test" if i >= 40 else "val" if i >= 32 else "train" for i in range(48)],
}


def test_unimodal_teachers_are_the_baselines_and_the_run_resumes_to_the_same_model(tmp_path: Path) -> None:
    chosen, told = [*SCRATCH, "train.umt=5"], []
    made = fit(POSTS, output=tmp_path / "straight", set=chosen, progress=lambda done, total, what: told.append(what))
    works = list(dict.fromkeys(what.partition(" epoch")[0] for what in told if what.startswith("training")))
    assert works == ["training text alone", "training tabular alone", "training"]  # once each, and first
    assert all(baseline.config.aids == {"umt": 5.0} for baseline in made.baselines.values())
    assert made.model.aids.teachers.vectors == []  # training is over
    assert np.array_equal(made.predict_proba(POSTS), plait.load(tmp_path / "straight").predict_proba(POSTS))
    assert set(made.report["model"]["training aids"]) == {"umt"}
    plain = fit(POSTS, set=SCRATCH)
    assert not np.array_equal(made.predict_proba(POSTS), plain.predict_proba(POSTS))

    def cut(done: int, total: int, what: str) -> None:
        if what.startswith("training epoch 2/"):
            raise PowerCutError

    with pytest.raises(PowerCutError):
        fit(POSTS, output=tmp_path / "cut", set=chosen, progress=cut)
    fit(POSTS, output=tmp_path / "cut", set=chosen, resume=True)
    for name in ("model.safetensors", "history.csv", "companions/00/model.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name
    without = fit(POSTS, set=[*chosen, "train.baselines=false"])  # teachers are trained all the same
    assert np.array_equal(without.predict_proba(POSTS), made.predict_proba(POSTS))


def test_a_fusion_that_remembers_rows_saves_none_and_resumes_to_the_same_model(tmp_path: Path) -> None:
    chosen = [*SCRATCH, "fusion.name=qmf", "train.baselines=false"]

    def cut(done: int, total: int, what: str) -> None:
        if what.startswith("training epoch 3/"):
            raise PowerCutError

    made = fit(POSTS, epochs=3, output=tmp_path / "straight", set=chosen)
    assert len(made.model.fusion.history.sum_NM) == 0
    with pytest.raises(PowerCutError):
        fit(POSTS, epochs=3, output=tmp_path / "cut", set=chosen, progress=cut)
    fit(POSTS, epochs=3, output=tmp_path / "cut", set=chosen, resume=True)
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "cut"))
    assert whole == resumed


def test_without_aids_the_report_and_the_model_name_none(posts_model: Path) -> None:
    model = plait.load(posts_model)
    assert model.model.aids is None
    assert "training aids" not in model.report["model"]


def test_matching_with_the_pair_head_takes_aids_too(tmp_path: Path) -> None:
    words = ["red", "blue", "green", "black"]
    table = {
        "left": [f"a {words[i % 4]} thing {i}" for i in range(64)],
        "right": [f"it is {words[(i + (i // 4) % 2) % 4]}, surely {i}" for i in range(64)],
        "match": [1 - (i // 4) % 2 for i in range(64)],
    }
    chosen = [*SCRATCH, "train.auxiliary=0.3", "train.ogm=0.5", "train.orthogonality=0.1", "train.baselines=false"]
    fitted = fit(table, "match", 1, task="matching", set=chosen)
    assert fitted.model.config.aids == {"auxiliary": 0.3, "ogm": 0.5, "orthogonality": 0.1}
    assert fitted.model.config.alignment == 5.0  # the pair head's own
    label = fit(table, "match", 1, task="matching", set=[*chosen, "task.head=label", "train.alignment=0.4"])
    assert label.model.config.aids["alignment"] == 0.4 and label.model.config.alignment == 0.0


def test_recipes_leave_aids_off_and_alignment_to_the_pair_head() -> None:
    from plait.training.recipes import RECIPES, Facts, resolve

    facts = Facts("matching", ("text", "text"), 1000)
    for recipe in RECIPES.names():
        done = resolve(RunSettings(recipe=recipe), facts).train
        assert (done.auxiliary, done.gradient_blending, done.ogm, done.orthogonality) == (0.0, False, 0.0, 0.0)
        labelled = resolve(RunSettings(recipe=recipe, task=TaskSettings(head="label")), facts).train
        assert labelled.alignment == 0.0
        mine = RunSettings(recipe=recipe, task=TaskSettings(head="label"), train=TrainSettings(alignment=2.0))
        assert resolve(mine, facts).train.alignment == 2.0
        other = resolve(RunSettings(recipe=recipe, fusion=FusionSettings(name="gated")), facts)
        assert (other.task.head, other.train.alignment) == ("label", 0.0)  # a fusion under which that head cannot stand


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["train.auxiliary=-0.1"], "train.auxiliary must be 0 or more, got -0.1"),
        (["train.ogm=.nan"], "train.ogm must be 0 or more, got nan"),
        (["train.alignment=.inf"], "train.alignment must be 0 or more, got inf"),
        (["train.orthogonality=much"], "train.orthogonality must be float, got 'much'"),
        (["train.gradient_blending=1"], "train.gradient_blending must be bool, got 1"),
        (["train.ogm_noise=true"], "train.ogm_noise adds noise under train.ogm.*set=.'train.ogm=0.5'"),
    ],
)
def test_bad_settings_are_refused(assignments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        set_values(RunSettings(), assignments)


def test_aids_that_cannot_work_are_refused_before_any_work(tmp_path: Path) -> None:
    texts = [f"{'good' if i % 2 else 'bad'} thing {i}" for i in range(24)]
    label = ["up" if i % 2 else "down" for i in range(24)]
    two = {"one": texts, "two": texts[::-1], "label": label}
    with pytest.raises(ValueError, match="train.auxiliary works between modalities.*got 1"):
        fit({"one": texts, "label": label}, output=tmp_path / "m", set=[*SCRATCH, "train.auxiliary=0.3"])
    with pytest.raises(ValueError, match="got task 'regression'"):
        fit({**two, "label": [i * 1.5 for i in range(24)]}, set=[*SCRATCH, "train.ogm=0.5"], task="regression")
    with pytest.raises(ValueError, match="gradient_blending sets the weights"):
        fit(two, set=[*SCRATCH, "train.auxiliary=0.3", "train.gradient_blending=true"])
    assert not (tmp_path / "m").exists()
