"""Teachers of unlabelled rows on stored features, their thresholds, and the guard that compares with supervised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from fixtures.planted_plan import left_only, planted_plan, xor
from plait.ensemble.scale import SCALES
from plait.ensemble.teachers.threshold import calibrated_threshold, confidence, fitted_temperature, rightness
from plait.settings import UnlabelledSettings

PseudoLabels, UnlabelledRows = lazy("plait.training.unlabelled.rows", "PseudoLabels", "UnlabelledRows")
TableFeatures = lazy("plait.ensemble.features", "TableFeatures")
teacher_of, check_teacher = lazy("plait.ensemble.teachers", "teacher_of", "check_teacher")
guarded = lazy("plait.ensemble.guard", "guarded")
NetworkFits = lazy("plait.ensemble.networks", "NetworkFits")


def test_the_threshold_is_the_lowest_confidence_that_keeps_the_wanted_share_right() -> None:
    sure = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.55])
    right = np.array([1, 1, 1, 1, 1, 0, 0, 1])
    assert calibrated_threshold(sure, right, 1.0) == 0.75
    assert calibrated_threshold(sure, right, 0.8) == 0.7  # 5 of 6
    assert calibrated_threshold(sure, right, 0.75) == 0.55  # 6 of 8
    assert calibrated_threshold(sure, 1 - right, 0.9) is None
    assert calibrated_threshold(np.full(6, 0.9), np.array([1, 1, 1, 0, 0, 0]), 0.8) is None, "ties count together"


def test_few_rows_above_a_threshold_say_nothing() -> None:
    sure, right = np.linspace(0.9, 0.5, 20), np.array([1] * 4 + [0] * 16)
    assert calibrated_threshold(sure, right, 0.9) is None


def test_confidence_and_rightness_of_classes_and_label_sets() -> None:
    proba = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    assert confidence(proba, True).tolist() == [0.7, 0.4] and rightness(proba, np.array([0, 0]), True).tolist() == [
        1,
        0,
    ]
    assert confidence(proba, False) == pytest.approx([0.8, (0.7 + 0.7 + 0.6) / 3])
    assert rightness(proba, np.array([[1, 0, 0], [1, 0, 0]]), False) == pytest.approx([1.0, 2 / 3])


def test_the_temperature_cools_what_is_too_sure_and_sharpens_only_by_many_rows() -> None:
    scale = SCALES.get("classes")
    sure = np.tile([[0.99, 0.01]], (200, 1))
    target = np.array([0] * 140 + [1] * 60)
    assert fitted_temperature(sure, target, scale) > 2.0
    shy = np.tile([[0.6, 0.4]], (200, 1))
    assert fitted_temperature(shy, np.zeros(200, dtype=np.int64), scale) == pytest.approx(0.25)
    assert fitted_temperature(shy[:20], np.zeros(20, dtype=np.int64), scale) == pytest.approx(1.0)
    assert fitted_temperature(shy[:0], np.zeros(0, dtype=np.int64), scale) == 1.0


def with_rows(
    method: str, *, labelled: int = 40, task: str = "classification", **settings: Any
) -> tuple[Any, Any, Any]:
    """A planted plan with few labelled rows, its unlabelled rows, and their truth."""
    plan, _ = planted_plan(left_only, task_name=task)
    plan.inputs.processors.update(dict.fromkeys(("left", "right")))  # stored vectors are read as they are
    own, others = plan.train[:labelled], plan.train[labelled:]
    truth = plan.target[others].copy()
    hidden = plan.target.copy()
    hidden[others] = hidden[own[0]]
    chosen = UnlabelledSettings(method=method, **settings)
    return replace(plan, train=own, target=hidden), others, (truth, chosen)


@pytest.mark.parametrize("method", ["self_training", "co_training", "propagation", "knn"])
def test_a_teacher_finds_what_one_modality_says(method: str) -> None:
    plan, others, (truth, settings) = with_rows(method)
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    chosen = given.weight_U > 0
    assert chosen.sum() > 0.5 * len(others)
    least = 0.7 if method == "knn" else 0.9  # neighbours read the modality that says nothing as well
    assert (given.target[chosen] == truth[chosen]).mean() > least
    if method == "propagation":
        assert chosen.all() and given.weight_U.mean() == pytest.approx(1.0) and given.facts["threshold"] is None
    else:
        assert given.facts["held_out_precision"] >= settings.precision
        assert ((given.weight_U >= 0) & (given.weight_U <= 1)).all()


@pytest.mark.parametrize("method", ["self_training", "co_training", "propagation", "knn"])
def test_what_a_teacher_says_depends_on_no_label_but_those_it_may_see(method: str) -> None:
    """Other targets of unlabelled, validation and test rows change nothing; another seed of the rows' order nothing."""
    plan, others, (_, settings) = with_rows(method)
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    elsewhere = plan.target.copy()
    free = np.setdiff1d(np.arange(len(elsewhere)), plan.train)
    elsewhere[free] = 1 - elsewhere[free]
    changed = replace(plan, target=elsewhere)
    again = teacher_of(changed, TableFeatures(changed), others, settings)(plan.train)
    assert np.array_equal(given.target, again.target) and np.array_equal(given.weight_U, again.weight_U)


@pytest.mark.parametrize("method", ["self_training", "propagation", "knn"])
def test_a_teacher_that_knows_nothing_teaches_nothing_and_says_why(method: str) -> None:
    plan, others, (_, settings) = with_rows(method, precision=0.95)
    noise = np.random.default_rng(1).integers(0, 2, len(plan.target))
    plan = replace(plan, target=noise)
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    why = "no better than the shares of the classes" if method == "propagation" else "no threshold makes 95%"
    assert not given.weight_U.any() and why in given.facts["why"]


def test_propagation_keeps_to_a_threshold_that_is_asked_for() -> None:
    for threshold, kept in ((0.5, True), (1.0, False)):  # of two classes one always has a half
        plan, others, (_, settings) = with_rows("propagation", threshold=threshold)
        given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
        assert (given.weight_U > 0).all() == kept and given.weight_U.any() == kept and (given.weight_U <= 1.0).all()
        assert given.facts["threshold"] == threshold


def test_too_few_rows_to_check_a_teacher_are_told() -> None:
    plan, others, (_, settings) = with_rows("self_training", labelled=1)
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    assert not given.weight_U.any() and "too few for a teacher" in given.facts["why"]


def test_label_sets_and_numbers_have_teachers_too() -> None:
    plan, others, (truth, settings) = with_rows("self_training", task="multilabel")
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    chosen = given.weight_U > 0
    assert given.target.dtype == np.float32 and chosen.any()
    assert (given.target[chosen] == truth[chosen]).mean() > 0.9
    plan, others, (truth, settings) = with_rows("self_training", task="regression")
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    assert given.facts["held_out_r2"] > 0.8 and np.corrcoef(given.target, truth)[0, 1] > 0.9
    assert given.weight_U == pytest.approx(np.full(len(others), given.facts["held_out_r2"]))


def test_co_training_needs_two_modalities_with_features() -> None:
    plan, _, _ = with_rows("co_training")
    features = TableFeatures(plan)
    features.plain.pop(1)
    with pytest.raises(ValueError, match="semi='co_training' teaches from stored features of 2 modalities.*there is 1"):
        check_teacher(plan, features, "co_training")
    features.plain.pop(0)
    with pytest.raises(ValueError, match="a modality at least.*there are none; type semi='noisy_student'"):
        check_teacher(plan, features, "self_training")


def judged(plan: Any, others: np.ndarray, settings: Any, given: np.ndarray, truth: np.ndarray, folder: Path) -> Any:
    rows = UnlabelledRows(others, settings, truth, np.ones(len(others), dtype=bool))
    rows.label = lambda train: PseudoLabels(given, np.ones(len(others)), {"threshold": 0.5})
    networks = NetworkFits(folder)
    return guarded(plan, networks, rows, 1), networks


def test_the_guard_keeps_the_supervised_network_where_pseudo_labels_are_wrong(tmp_path: Path) -> None:
    plan, others, (truth, settings) = with_rows("self_training", labelled=16)
    found, networks = judged(plan, others, settings, 1 - truth, truth, tmp_path)
    assert found.kept == "supervised" and found.plan.unlabelled is None
    assert found.facts["precision"] == 0.0 and found.facts["known"] == len(others)
    scores = found.facts["guard"]["scores"]
    assert scores["supervised"]["value"] > scores["with unlabelled rows"]["value"]
    assert f"{scores['supervised']['value']:.3f} without" in found.facts["guard"]["sentence"]


def test_the_guard_keeps_what_learned_from_right_pseudo_labels(tmp_path: Path) -> None:
    plan, others, (truth, settings) = hard(tmp_path)
    found, networks = judged(plan, others, settings, truth, truth, tmp_path)
    scores = found.facts["guard"]["scores"]
    assert found.kept == "with unlabelled rows" and found.plan.unlabelled is not None
    assert scores["with unlabelled rows"]["value"] > scores["supervised"]["value"]
    assert networks.model is not None and found.facts["precision"] == 1.0
    gap = found.facts["guard"]["difference"]
    assert gap["high"] < 0 and "tell the two apart" not in found.facts["guard"]["sentence"]


def hard(folder: Path) -> tuple[Any, Any, Any]:
    """Three of the four cases of a rule between modalities have a label."""
    plan, _ = planted_plan(xor, epochs=20)
    own, others = plan.train[:3], plan.train[3:]
    return replace(plan, train=own), others, (plan.target[others].copy(), UnlabelledSettings(method="self_training"))


def test_equal_networks_leave_the_supervised_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = {"metric": "accuracy", "value": 0.8, "selecting": 0.8, "loss": 0.5}
    monkeypatch.setattr("plait.ensemble.guard._judged", lambda plan, model: (dict(score), np.full(len(plan.val), 0.5)))
    plan, others, (truth, settings) = with_rows("self_training", labelled=16)
    found, _ = judged(replace(plan, settings=plan.settings), others, settings, truth, truth, tmp_path)
    assert (
        found.kept == "supervised" and "0.800 with unlabelled rows, 0.800 without" in found.facts["guard"]["sentence"]
    )


def test_without_validation_rows_the_supervised_network_stands_and_it_is_said(tmp_path: Path) -> None:
    plan, others, (truth, settings) = with_rows("self_training")
    found, _ = judged(replace(plan, val=plan.val[:0]), others, settings, truth, truth, tmp_path)
    assert found.kept == "supervised" and "no validation row is there" in found.facts["guard"]["sentence"]


def test_pseudo_labels_of_one_class_are_called_a_collapse(tmp_path: Path) -> None:
    plan, others, (truth, settings) = with_rows("self_training")
    found, _ = judged(plan, others, settings, np.zeros_like(truth), truth, tmp_path)
    assert found.facts["collapsed"] == {"class": "0", "share": 1.0, "labelled_share": 0.5}
    assert found.facts["classes"] == {"0": len(others), "1": 0}


def test_folds_are_taught_without_the_labels_of_their_held_out_rows(tmp_path: Path) -> None:
    from plait.ensemble.folds import fold_plans

    plan, others, (truth, settings) = with_rows("self_training")
    asked = []
    rows = UnlabelledRows(others, settings, truth, np.ones(len(others), dtype=bool))

    def label(train: np.ndarray) -> PseudoLabels:
        asked.append(train)
        return PseudoLabels(truth, np.ones(len(others)), {})

    rows.label = label
    for part in fold_plans(replace(plan, unlabelled=rows), 3):
        part.unlabelled.pseudo_labels(part.train)
        part.unlabelled.pseudo_labels(part.train)
        assert not np.isin(part.val, asked[-1]).any() and not np.isin(others, part.val).any()
    assert len(asked) == 3
