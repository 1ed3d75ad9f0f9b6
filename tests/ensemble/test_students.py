"""Networks that teach networks: what each generation learns from, what it is told, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from fixtures.planted_plan import left_only, planted_plan, xor
from plait.settings import UnlabelledSettings

PseudoLabels, UnlabelledRows = lazy("plait.training.unlabelled.rows", "PseudoLabels", "UnlabelledRows")
TableFeatures = lazy("plait.ensemble.features", "TableFeatures")
teacher_of, check_teacher = lazy("plait.ensemble.teachers", "teacher_of", "check_teacher")
StudentFits = lazy("plait.ensemble.teachers", "StudentFits")
fold_plans = lazy("plait.ensemble.folds", "fold_plans")
guarded = lazy("plait.ensemble.guard", "guarded")
NetworkFits = lazy("plait.ensemble.networks", "NetworkFits")
Deadline = lazy("plait.training.deadline", "Deadline")


def planted(rule: Any = left_only, labelled: int = 40, task: str = "classification", **settings: Any) -> Any:
    """A plan with few labels, its unlabelled rows and their truth."""
    plan, _ = planted_plan(rule, task_name=task, epochs=15)
    plan.inputs.processors.update(dict.fromkeys(("left", "right")))  # stored vectors are read as they are
    own, others = plan.train[:labelled], plan.train[labelled:]
    truth = plan.target[others].copy()
    hidden = plan.target.copy()
    hidden[others] = hidden[own[0]]
    chosen = UnlabelledSettings(method="noisy_student", **settings)
    rows = UnlabelledRows(others, chosen, truth, np.ones(len(others), dtype=bool))
    return replace(plan, train=own, target=hidden), rows, truth


def test_the_first_generation_has_a_network_a_fold_and_further_ones_learn_from_the_one_before() -> None:
    plan, rows, truth = planted(rounds=2)
    asked: list[tuple[Any, ...]] = []

    def fits(train: np.ndarray, held: np.ndarray, taught: Any, number: int, count: int) -> tuple[Any, Any]:
        assert count == 11
        asked.append((train, held, taught, number))
        sure = 0.6 + 0.01 * number
        answer = np.where(truth[:, None] == np.arange(2), sure, 1 - sure)
        return np.where(plan.target[held][:, None] == np.arange(2), 0.8, 0.2), answer

    given = teacher_of(plan, TableFeatures(plan), rows.positions, rows.settings, fits)(plan.train)
    assert [number for *_, number in asked] == list(range(5 + 3 + 3))
    first = asked[:5]
    assert all(taught is None and not np.isin(held, train).any() for train, held, taught, _ in first)
    assert sorted(np.concatenate([held for _, held, _, _ in first])) == plan.train.tolist()
    for train, held, taught, _ in asked[5:]:
        assert train.tolist() == plan.train.tolist() and len(held) == 0
        assert (taught.target == truth).all() and taught.weight_U.mean() == pytest.approx(1.0)
    assert asked[5][2] is not asked[8][2] and given.facts["rounds"] == 2
    assert given.facts["held_out_accuracy"] == 1.0 and given.facts["held_out_rows"] == len(plan.train)


def test_a_generation_that_knows_nothing_teaches_nothing() -> None:
    plan, rows, truth = planted(rounds=2)
    made = []

    def fits(train: np.ndarray, held: np.ndarray, taught: Any, number: int, count: int) -> tuple[Any, Any]:
        made.append(number)
        return np.full((len(held), 2), 0.5), np.full((len(truth), 2), 0.5)

    given = teacher_of(plan, TableFeatures(plan), rows.positions, rows.settings, fits)(plan.train)
    assert made == [0, 1, 2, 3, 4] and not given.weight_U.any()
    assert "no better than the shares of the classes" in given.facts["why"]


def test_time_that_is_over_leaves_the_generation_before() -> None:
    plan, rows, truth = planted(rounds=3)
    made = []

    def fits(train: np.ndarray, held: np.ndarray, taught: Any, number: int, count: int) -> tuple[Any, Any]:
        made.append(number)
        answer = np.where(truth[:, None] == np.arange(2), 0.9, 0.1)
        own = plan.target[held]
        return np.where(own[:, None] == np.arange(2), 0.8, 0.2), answer

    class Over:
        def stops(self, name: str) -> Any:
            return lambda: len(made) >= 6

    given = teacher_of(replace(plan, deadline=Over()), TableFeatures(plan), rows.positions, rows.settings, fits)(
        plan.train
    )
    assert made == [0, 1, 2, 3, 4, 5] and given.facts["rounds"] == 0 and (given.target == truth).all()


def test_what_lies_between_modalities_is_taught_which_no_linear_teacher_can(tmp_path: Path) -> None:
    plan, rows, truth = planted(xor, labelled=16, rounds=1)
    linear = replace(rows.settings, method="self_training")
    given = teacher_of(plan, TableFeatures(plan), rows.positions, linear)(plan.train)
    assert not given.weight_U.any()
    fits = StudentFits(plan, rows, tmp_path)
    given = teacher_of(plan, TableFeatures(plan), rows.positions, rows.settings, fits)(plan.train)
    assert (given.target == truth).mean() > 0.9 and (given.weight_U > 0).all()


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_label_sets_and_numbers_are_taught_too(task: str, tmp_path: Path) -> None:
    plan, rows, truth = planted(task=task, rounds=1)
    fits = StudentFits(plan, rows, tmp_path)
    given = teacher_of(plan, TableFeatures(plan), rows.positions, rows.settings, fits)(plan.train)
    if task == "regression":
        assert given.facts["held_out_r2"] > 0.8 and np.corrcoef(given.target, truth)[0, 1] > 0.9
    else:
        assert (given.target == truth).mean() > 0.9


def test_no_label_that_is_held_out_teaches_or_chooses_an_epoch(tmp_path: Path) -> None:
    """Validation rows choose; where an ensemble deals them into folds, rows set apart from the fold's own do."""
    plan, rows, _ = planted(rounds=0)
    fits = StudentFits(plan, rows, tmp_path)
    elsewhere = plan.target.copy()
    judged = np.setdiff1d(np.arange(len(elsewhere)), np.concatenate([plan.train, plan.val]))
    elsewhere[judged] = 1 - elsewhere[judged]
    other = StudentFits(replace(plan, target=elsewhere), rows, tmp_path)
    for ours, theirs in zip(fits(plan.train, judged, None, 0, 5), other(plan.train, judged, None, 0, 5), strict=True):
        assert np.array_equal(ours, theirs)
    part = fold_plans(plan, 3)[0]
    changed = plan.target.copy()
    changed[part.val] = 1 - changed[part.val]
    folded = StudentFits(replace(plan, target=changed), rows, tmp_path)
    for ours, theirs in zip(
        fits(part.train, part.val, None, 0, 5), folded(part.train, part.val, None, 0, 5), strict=True
    ):
        assert np.array_equal(ours, theirs)


def test_time_that_is_over_before_the_first_generation_is_said_to_be_the_cause() -> None:
    plan, rows, _ = planted()

    class Over:
        def stops(self, name: str) -> Any:
            return lambda: True

    given = teacher_of(replace(plan, deadline=Over()), TableFeatures(plan), rows.positions, rows.settings)(plan.train)
    assert not given.weight_U.any() and given.facts["why"] == "the time was over before the teachers were done"


def test_under_a_time_limit_the_network_of_labelled_rows_comes_first(tmp_path: Path) -> None:
    plan, rows, _ = planted()
    clock = [0.0]
    plan = replace(plan, deadline=Deadline(1000.0, 0.0, clock=lambda: clock[0]))
    networks = NetworkFits(tmp_path)

    def supervised(own: Any) -> Any:
        clock[0] += 100.0
        return None, SimpleNamespace(seconds=100.0)

    networks.supervised = supervised
    rows.label = lambda train: pytest.fail("a teacher was begun")
    found = guarded(plan, networks, rows, 1)
    assert (
        found.kept == "supervised"
        and "no time was left for the networks that teach" in found.facts["guard"]["sentence"]
    )
    assert plan.deadline.left_out


def test_labelled_rows_of_one_group_train_without_a_choice_of_epochs(tmp_path: Path) -> None:
    """Where an ensemble deals validation rows into folds, of a group that stands alone nothing can be set apart."""
    plan, rows, _ = planted(rounds=0)
    own = np.sort(np.concatenate([plan.train[:8], plan.val[:2]]))
    alone = replace(plan, group_N=np.where(np.isin(np.arange(len(plan.group_N)), own), 0, plan.group_N + 1))
    answers, _ = StudentFits(alone, rows, tmp_path)(own, plan.train[8:12], None, 0, 5)
    assert np.isfinite(answers).all() and len(answers) == 4


def test_a_threshold_that_no_row_reaches_is_said() -> None:
    plan, rows, truth = planted(rounds=2, threshold=0.99)

    def fits(train: np.ndarray, held: np.ndarray, taught: Any, number: int, count: int) -> tuple[Any, Any]:
        right = plan.target[held][:, None] == np.arange(2)
        return np.where(right, 0.8, 0.2), np.full((len(truth), 2), 0.5)

    given = teacher_of(plan, TableFeatures(plan), rows.positions, rows.settings, fits)(plan.train)
    assert not given.weight_U.any() and "unlabelled rows is answered as surely as 0.990" in given.facts["why"]


def test_columns_without_stored_features_have_this_teacher() -> None:
    plan, _, _ = planted()
    features = TableFeatures(plan)
    features.plain.clear()
    check_teacher(plan, features, "noisy_student")
    with pytest.raises(ValueError, match="type semi='noisy_student'"):
        check_teacher(plan, features, "self_training")
