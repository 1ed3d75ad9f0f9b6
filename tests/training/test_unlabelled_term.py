"""Rows without a target in training: FlexMatch's thresholds, draws and views, and the supervised loss without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.planted_plan import left_only, planted_plan
from fixtures.training import PowerCutError
from plait.inputs.dataset import RowBatches, TensorSource
from plait.settings import UnlabelledSettings

PseudoLabels, UnlabelledRows = lazy("plait.training.unlabelled.rows", "PseudoLabels", "UnlabelledRows")
has_strong_view, rows_of_step, strong_view = lazy(
    "plait.training.unlabelled.draws", "has_strong_view", "rows_of_step", "strong_view"
)
flexible_thresholds, mapped = lazy("plait.training.unlabelled.curriculum", "flexible_thresholds", "mapped")
fit_model = lazy("plait.training.fit", "fit_model")
UnlabelledTerm = lazy("plait.training.unlabelled.term", "UnlabelledTerm")
build_model = lazy("plait.training", "build_model")
NAMES = ["left", "right"]


def test_flexmatch_thresholds_of_a_worked_case() -> None:
    """Classes learned not at all, half as well as the best, and best: thresholds 0, p/3 and p (equations 5 to 8)."""
    assert mapped(np.array([0.0, 0.5, 1.0])) == pytest.approx([0.0, 1 / 3, 1.0])
    last = np.array([2] * 8 + [1] * 4)
    assert flexible_thresholds(last, 3, 0.9) == pytest.approx([0.0, 0.3, 0.9])


def test_flexmatch_warms_up_while_most_rows_have_no_sure_answer() -> None:
    from plait.training.unlabelled.curriculum import NONE_YET

    last = np.array([0] * 2 + [NONE_YET] * 8)  # beta = 2 / 8
    assert flexible_thresholds(last, 2, 0.7) == pytest.approx([0.7 * 0.25 / 1.75, 0.0])
    assert flexible_thresholds(np.array([NONE_YET] * 3), 2, 0.9).tolist() == [0.0, 0.0]


def test_every_row_is_drawn_once_before_any_comes_again() -> None:
    drawn = np.concatenate([rows_of_step(3, step, 7, 2) for step in range(14)])
    for one in range(4):
        assert sorted(drawn[one * 7 : one * 7 + 7]) == list(range(7))
    assert not np.array_equal(drawn[:7], drawn[7:14])
    assert np.array_equal(drawn, np.concatenate([rows_of_step(3, step, 7, 2) for step in range(14)]))
    assert sorted(rows_of_step(0, 5, 3, 100)) == [0, 1, 2]


def views_of(epoch: int, seed: int = 0, **settings: float) -> dict[str, Any]:
    plan, _ = planted_plan(left_only)
    rows = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[:32])
    chosen = UnlabelledSettings(**{"noise": 0.3, "hidden": 0.5, **settings})  # type: ignore[arg-type]
    batch = rows.__getitems__(list(range(32)))
    return strong_view(batch, plan.prepared.sources, rows.index_NM, chosen, (seed, epoch, 4))


def test_strong_views_differ_between_epochs_and_are_the_same_under_the_same_seed() -> None:
    first, again, later, other = views_of(0), views_of(0), views_of(1), views_of(0, seed=1)
    for name in NAMES:
        one = first["inputs"][name]["vector_BD"]
        assert torch.equal(one, again["inputs"][name]["vector_BD"])
        assert not torch.equal(one, later["inputs"][name]["vector_BD"])
        assert not torch.equal(one, other["inputs"][name]["vector_BD"])
    assert torch.equal(first["present"], again["present"]) and not torch.equal(first["present"], later["present"])


def test_a_strong_view_hides_modalities_but_never_all_and_its_noise_has_the_size_that_is_asked() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    made = views_of(0)
    assert torch.equal(torch.rand(3), expected), "drawing a view must leave the stream of training as it was"
    assert made["present"].any(1).all() and not made["present"].all()
    plain = views_of(0, noise=0.0, hidden=0.0)
    assert plain["present"].all()
    change = made["inputs"]["left"]["vector_BD"] - plain["inputs"]["left"]["vector_BD"]
    size = plain["inputs"]["left"]["vector_BD"].std(0, unbiased=False)
    assert (change / size).std().item() == pytest.approx(0.3, abs=0.04)


def test_numbers_swap_cells_in_a_strong_view() -> None:
    values = torch.arange(200.0).reshape(100, 2)
    source = TensorSource({"numeric_BF": values, "missing_BF": torch.zeros(100, 2, dtype=torch.bool)})
    index = np.arange(100)[:, None]
    batch = {"inputs": {"tabular": source.take(index[:, 0])}, "present": torch.ones(100, 1, dtype=torch.bool)}
    made = strong_view(batch, {"tabular": source}, index, UnlabelledSettings(), (0, 0, 0))
    changed = made["inputs"]["tabular"]["numeric_BF"] != values
    assert 0.02 < changed.float().mean() < 0.25


def test_nothing_to_change_is_known_before_training() -> None:
    class Live:
        is_live = True

    still = UnlabelledSettings(noise=0.3, hidden=0.3)
    assert not has_strong_view({"photo": Live()}, 1, still)  # type: ignore[dict-item]
    assert has_strong_view({"photo": Live()}, 2, still)  # type: ignore[dict-item]
    assert has_strong_view({"photo": Live(), "text": Live()}, 1, still)  # type: ignore[dict-item]


def with_unlabelled(method: str, *, wrong: bool = False, **settings: Any) -> Any:
    """A planted plan of which a few rows are labelled; the other training rows have no target."""
    plan, _ = planted_plan(left_only, epochs=3)
    labelled, others = plan.train[:24], plan.train[24:]
    truth = plan.target[others].copy()
    hidden = plan.target.copy()
    hidden[others] = 0  # a filler, which nobody reads
    given = 1 - truth if wrong else truth
    chosen = UnlabelledSettings(method=method, **settings)
    rows = UnlabelledRows(others, chosen, truth, np.ones(len(others), dtype=bool))
    if method in ("self_training", "knn"):
        rows.label = lambda train: PseudoLabels(given, np.ones(len(others)), {"threshold": 0.5})
    return replace(plan, train=labelled, target=hidden, unlabelled=rows)


@pytest.mark.parametrize("method", ["self_training", "fixmatch", "flexmatch", "mean_teacher"])
def test_an_unlabelled_row_never_enters_the_supervised_loss(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.model import PlaitModel

    plan = with_unlabelled(method)
    forward, supervised, without_target = PlaitModel.forward, [], []

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        vectors = kwargs["inputs"]["left"]["vector_BD"]
        (without_target if kwargs.get("target") is None else supervised).append(vectors.detach().clone())
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(PlaitModel, "forward", watched)
    fit_model(plan, NAMES, tmp_path / "run", checkpoints=False)
    items = plan.prepared.sources["left"].take(np.arange(240))["vector_BD"]
    number = {tuple(v.tolist()): i for i, v in enumerate(items)}
    seen = {number[tuple(v.tolist())] for batch in supervised for v in batch}
    assert seen == set(plan.train.tolist())
    unlabelled = {number.get(tuple(v.tolist())) for batch in without_target for v in batch} - {None}
    assert unlabelled & set(plan.unlabelled.positions.tolist()), "unlabelled rows took part, in a term of their own"


@pytest.mark.parametrize("method", ["self_training", "flexmatch", "mean_teacher"])
def test_runs_of_one_seed_are_equal_and_differ_from_the_supervised_run(method: str, tmp_path: Path) -> None:
    plan = with_unlabelled(method, threshold=0.6)
    runs = [fit_model(plan, NAMES, tmp_path / str(i), checkpoints=False)[0].state_dict() for i in range(2)]
    alone = fit_model(replace(plan, unlabelled=None), NAMES, tmp_path / "alone", checkpoints=False)[0].state_dict()
    assert all(torch.equal(runs[0][k], runs[1][k]) for k in runs[0])
    assert not all(torch.equal(runs[0][k], alone[k]) for k in alone)


@pytest.mark.parametrize("method", ["flexmatch", "mean_teacher"])
def test_a_stopped_run_goes_on_where_it_was(method: str, tmp_path: Path) -> None:
    """The step, what was answered surely so far and the averaged weights come back with a checkpoint."""
    plan = with_unlabelled(method, threshold=0.6)
    straight, history = fit_model(plan, NAMES, tmp_path / "straight")

    def cut(done: int, total: int, what: str) -> None:
        if done > total * 0.7:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        fit_model(plan, NAMES, tmp_path / "cut", progress=cut)
    resumed, again = fit_model(plan, NAMES, tmp_path / "cut", resume=True)
    assert again.resumed_from == 2 and again.epochs == history.epochs
    assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in straight.state_dict().items())


def test_the_term_tells_how_many_were_sure_and_right() -> None:
    plan = with_unlabelled("fixmatch", threshold=1e-6)
    term = UnlabelledTerm(plan, plan.prepared.sources, plan.prepared.rows.index_NM, 9)
    torch.manual_seed(0)
    model = build_model(plan, NAMES)
    term(model, 8)
    numbers = term.numbers()
    assert numbers["unlabelled_share"] == 1.0 and 0.0 <= numbers["unlabelled_precision"] <= 1.0
    assert term.numbers() == {}, "asking starts the count anew"


def test_rows_that_no_teacher_was_sure_of_and_rows_without_the_modality_stay_out() -> None:
    plan = with_unlabelled("self_training")
    weights = np.zeros(len(plan.unlabelled.positions))
    weights[:5] = 0.5
    target = np.zeros(len(weights), dtype=np.int64)
    plan.unlabelled.label = lambda train: PseudoLabels(target, weights, {})
    index = plan.prepared.rows.index_NM.copy()
    index[plan.unlabelled.positions[0]] = -1
    assert len(UnlabelledTerm(plan, plan.prepared.sources, index, 9)) == 4
    weights[:] = 0.0
    plan.unlabelled._given.clear()
    silent = UnlabelledTerm(plan, plan.prepared.sources, index, 9)
    assert len(silent) == 0 and silent(build_model(plan, NAMES), 8) is None
