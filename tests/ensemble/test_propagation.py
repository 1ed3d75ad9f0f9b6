"""Labels that spread over a graph, joined with a linear model, and linear members that learn from pseudo-labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_teachers import TableFeatures, teacher_of, with_rows

from fixtures.lazy import lazy
from plait.ensemble.glm import _basis_of_span, linear_path
from plait.ensemble.linear import RowFeatures, fit_linear
from plait.ensemble.scale import SCALES
from plait.ensemble.teachers.base import both, shared_weight
from plait.ensemble.teachers.propagation import SPREAD, _graph, _spread, _start, product

PseudoLabels, UnlabelledRows = lazy("plait.training.unlabelled.rows", "PseudoLabels", "UnlabelledRows")
fit_ensemble = lazy("plait.ensemble.fit", "fit_ensemble")
better_taught, teaching_rows = lazy("plait.ensemble.teachers.members", "better_taught", "teaching_rows")
Lesson = lazy("plait.ensemble.teachers.base", "Lesson")


def test_a_weight_counts_like_so_many_rows() -> None:
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(30, 4)), np.eye(3)[rng.integers(0, 3, 30)]
    times = rng.integers(1, 4, 30)
    ((_, weight, bias),) = linear_path(features, target, "softmax", [0.1], weight_N=times.astype(float))
    again = np.repeat(np.arange(30), times)
    ((_, other, other_bias),) = linear_path(features[again], target[again], "softmax", [0.1])
    assert weight == pytest.approx(other, abs=1e-3) and bias == pytest.approx(other_bias, abs=1e-3)


@pytest.mark.parametrize("link", ["softmax", "identity"])
def test_fewer_rows_than_features_have_the_same_solution_in_their_span(link: str) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(20, 50))
    target = np.eye(3)[rng.integers(0, 3, 20)] if link == "softmax" else rng.normal(size=(20, 1))
    ((_, weight, bias),) = linear_path(features, target, link, [0.3])
    from scipy.sparse import csr_matrix

    ((_, other, other_bias),) = linear_path(csr_matrix(features), target, link, [0.3])  # sparse: solved as it is
    assert weight == pytest.approx(other, abs=1e-3) and bias == pytest.approx(other_bias, abs=1e-3)


def test_rows_that_repeat_have_the_same_solution_in_their_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many questions about each of few pictures: 15 + 5 - 1 directions, fewer than rows and features."""
    rng = np.random.default_rng(1)
    pictures, questions = rng.normal(size=(15, 40)), rng.normal(size=(5, 20))
    features = np.concatenate([pictures[rng.integers(0, 15, 90)], questions[rng.integers(0, 5, 90)]], axis=1)
    target = np.eye(3)[rng.integers(0, 3, 90)]
    ((_, other, other_bias),) = linear_path(features, target, "softmax", [0.3])
    monkeypatch.setattr("plait.ensemble.glm.WIDE", 50)
    assert _basis_of_span(features).shape == (60, 19) and _basis_of_span(rng.normal(size=(90, 60))) is None
    ((_, weight, bias),) = linear_path(features, target, "softmax", [0.3])
    assert weight == pytest.approx(other, abs=1e-3) and bias == pytest.approx(other_bias, abs=1e-3)


def test_spreading_is_the_solution_of_its_equation() -> None:
    rng = np.random.default_rng(2)
    graph, start = _graph(rng.normal(size=(60, 5))), rng.random((60, 3))
    dense = graph.toarray()
    assert dense == pytest.approx(dense.T) and np.abs(np.linalg.eigvalsh(dense)).max() < 1.0 + 1e-9
    solved = (1.0 - SPREAD) * np.linalg.solve(np.eye(60) - SPREAD * dense, start)
    assert _spread(graph, start) == pytest.approx(solved, abs=2e-4 * start.sum())


def test_classes_weigh_alike_and_one_without_a_label_is_not_spread() -> None:
    plan, others, (_, settings) = with_rows("propagation")
    rows = RowFeatures({0: np.zeros((4, 1))}, np.ones((4, 1), dtype=bool), np.array([0, 0, 0, 1]))
    lesson = Lesson(rows, rows, [], {0: "left"}, 3, SCALES.get("classes"), True, settings, 0)
    linear = np.full((6, 3), 1.0 / 3.0)
    start = _start(lesson, np.array([0, 1, 2, 3]), linear.copy())
    assert start.sum(0) == pytest.approx([1.0, 1.0, 0.0])
    assert start[3, 1] == pytest.approx(3 * start[0, 0], rel=0.1) and start[4, 0] == pytest.approx(start[0, 0] / 30)
    hidden = _start(lesson, np.array([0, 3]), linear.copy())
    assert hidden[1, 0] == pytest.approx(hidden[5, 0]), "a row whose label is hidden starts as an unlabelled one"


def test_a_product_believes_what_both_say() -> None:
    linear, graph = np.array([[0.6, 0.3, 0.1]]), np.array([[0.1, 0.8, 0.1]])
    assert product(linear, graph, 0.0) == pytest.approx(linear, abs=1e-5)
    assert product(linear, graph, 1.0) == pytest.approx(graph, abs=1e-5)
    assert product(linear, graph, 0.5)[0].argmax() == 1 and product(linear, graph, 0.5).sum() == pytest.approx(1.0)


def test_pseudo_labels_of_many_rows_do_not_outweigh_the_labels() -> None:
    few, many = shared_weight(np.full(10, 0.8), 20), shared_weight(np.full(10_000, 0.8), 20)
    assert few == pytest.approx(np.full(10, 0.2)) and many.sum() == pytest.approx(40.0)
    assert shared_weight(np.zeros(3), 20).tolist() == [0.0, 0.0, 0.0]


def test_rows_that_hold_nothing_get_no_pseudo_label() -> None:
    plan, others, (_, settings) = with_rows("propagation")
    for items in plan.prepared.rows.items.values():
        items.index_N[others[:3]] = -1
    given = teacher_of(plan, TableFeatures(plan), others, settings)(plan.train)
    assert (given.weight_U[:3] == 0).all() and (given.weight_U[3:] > 0).all()
    none = teacher_of(plan, TableFeatures(plan), others[:3], settings)(plan.train)
    assert none.weight_U.tolist() == [0.0, 0.0, 0.0], "nothing to spread over is no error"


@pytest.mark.parametrize("is_right", [True, False])
def test_a_linear_member_learns_from_pseudo_labels_where_held_out_rows_say_so(is_right: bool) -> None:
    plan, others, (truth, settings) = with_rows("propagation", labelled=12)
    features = TableFeatures(plan)
    rows = UnlabelledRows(others, settings, truth, np.ones(len(others), dtype=bool))
    given = truth if is_right else 1 - truth
    rows.label = lambda train: PseudoLabels(given, np.ones(len(others)), {})
    folds, uses, names = [features.of_fold(plan)], tuple(features.plain), ("left", "right")
    plain = fit_linear(folds, uses, names, 2, SCALES.get("classes"))
    taught = teaching_rows([plan], features, rows)
    assert taught[0].weight_N.sum() <= 2 * 12 + 1e-9 and len(taught[0].target) == len(others)
    made = better_taught(plain, folds, taught, plan, uses, names)
    if is_right:
        assert made.loss < plain.loss and made.details["unlabelled rows"] == len(others)
        assert made.details["held-out loss with and without them"] == [round(made.loss, 4), round(plain.loss, 4)]
    else:
        assert made is plain and "unlabelled rows" not in plain.details


def test_weights_go_with_their_rows() -> None:
    one = RowFeatures({0: np.zeros((2, 1))}, np.ones((2, 1), dtype=bool), np.array([0, 1]))
    two = replace(one, weight_N=np.array([0.5, 0.25]))
    assert both(one, one).weight_N is None and both(one, two).weight_N.tolist() == [1.0, 1.0, 0.5, 0.25]
