"""Comparisons on planted data: the right method wins, choices ignore test rows, budgets are equal, kills resume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.planted_plan import TWO, left_only, planted_plan, run_methods, xor
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, ConcatFusion, FusionOutput
from plait.inputs.dataset import RowBatches
from plait.objectives import Adapter

measure = lazy("plait.comparison.result", "measure")


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {m["name"]: m for m in report["methods"]}


@pytest.fixture(scope="module")
def xor_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    plan, test = planted_plan(xor)
    outcomes, _ = run_methods(
        plan, test, tmp_path_factory.mktemp("xor"), "weighted_sum,concat,product", configurations=TWO[:1]
    )
    return measure(plan, test, outcomes)


def test_only_interacting_fusions_solve_xor(xor_report: dict[str, Any]) -> None:
    from plait.comparison.plan import MEAN_ENSEMBLE

    found = by_name(xor_report)
    assert found["concat"]["metric"]["value"] > 0.95 and found["product"]["metric"]["value"] > 0.95
    for name in ("weighted_sum", "left alone", "right alone", MEAN_ENSEMBLE):
        assert found[name]["metric"]["value"] < 0.7, name
    assert xor_report["selected"] in ("concat", "product")
    verdict = xor_report["verdict"]
    assert "the others are clearly behind" in verdict and "Fusing helps" in verdict
    assert "2 of 3 methods are clearly better" in verdict
    assert "Joining features beats joining the answers of separate models" in verdict
    gaps = {(d["a"], d["b"]): d for d in xor_report["differences"]}
    assert gaps["weighted_sum", "concat"]["holds"] and not gaps["concat", "product"]["holds"]
    assert found["weighted_sum"]["rank"]["low"] > 2


def test_fusing_does_not_help_where_one_modality_says_it_all(tmp_path: Path) -> None:
    plan, test = planted_plan(left_only)
    report = measure(plan, test, run_methods(plan, test, tmp_path, "weighted_sum,concat", seeds=1)[0])
    assert report["baselines"]["single"] == "left alone"
    assert by_name(report)["left alone"]["metric"]["value"] > 0.95
    assert "Fusing does not help here" in report["verdict"]
    assert "cannot tell it from" in report["verdict"]


def test_choices_ignore_the_test_rows(tmp_path: Path) -> None:
    """Test labels turned round make the best the worst there; nothing that was chosen may change."""
    made = []
    for flip in (False, True):
        plan, test = planted_plan(xor, flip_test=flip, epochs=6)
        outcomes, _ = run_methods(plan, test, tmp_path / str(flip), "weighted_sum,concat", seeds=1)
        made.append((measure(plan, test, outcomes), outcomes))
    (straight, first), (turned, second) = made
    assert by_name(straight)["concat"]["metric"]["value"] > 0.9
    assert by_name(turned)["concat"]["metric"]["value"] < 0.1
    assert turned["methods"][0]["name"] != "concat"  # on test another method is best
    assert straight["selected"] == turned["selected"] == "concat"
    assert straight["baselines"] == turned["baselines"]
    for a, b in zip(first, second, strict=True):
        assert a.chosen == b.chosen and a.search == b.search
        assert a.seeds[0]["best_epoch"] == b.seeds[0]["best_epoch"]
        np.testing.assert_array_equal(a.outputs[0]["test"], b.outputs[0]["test"])


def test_test_rows_are_predicted_for_chosen_configurations_only(tmp_path: Path, monkeypatch: Any) -> None:
    from plait.comparison import evaluate_run as evaluate_file
    from plait.comparison import runner as runner_file

    judged = []
    real = evaluate_file.evaluate_run

    def watched(runs: Any, run: Any, model: Any) -> Any:
        judged.append(run.method.name)
        return real(runs, run, model)

    for file in (evaluate_file, runner_file):
        monkeypatch.setattr(file, "evaluate_run", watched)
    plan, test = planted_plan(xor, epochs=1)
    run_methods(plan, test, tmp_path, "concat", seeds=2)
    assert sorted(judged) == sorted(2 * ["concat", "left alone", "right alone"])  # never the four other search runs


@pytest.mark.parametrize("select_on", ["test", "train"])
def test_selection_on_anything_but_validation_is_refused(select_on: str) -> None:
    with pytest.raises(ValueError, match=r"80\.3|expected 'val'"):
        plait.compare("nowhere.csv", "label", select_on=select_on)


def test_every_method_has_the_same_budget_and_batches(tmp_path: Path, monkeypatch: Any) -> None:
    from plait.comparison import runner as runner_file

    seen: list[tuple[int, ...]] = []
    real = RowBatches.__getitems__

    def watched(self: RowBatches, rows: list[int]) -> dict[str, Any]:
        if self.target is not None and torch.is_grad_enabled():
            seen.append(tuple(rows))
        return real(self, rows)

    monkeypatch.setattr(RowBatches, "__getitems__", watched)
    batches: dict[tuple[str, int], list[list[tuple[int, ...]]]] = {}
    train = runner_file.train_run

    def marked(runs: Any, run: Any, counter: Any) -> Any:
        seen.clear()
        result = train(runs, run, counter)
        batches.setdefault((run.method.name, run.seed), []).append(list(seen))
        return result

    monkeypatch.setattr(runner_file, "train_run", marked)
    plan, test = planted_plan(xor, rows=120, epochs=2)
    outcomes, runner = run_methods(plan, test, tmp_path, "concat,product", seeds=2)
    assert {len(o.search) for o in outcomes} == {len(TWO)} and {len(o.seeds) for o in outcomes} == {2}
    steps = {r["steps"] for o in outcomes for r in o.seeds.values()}
    assert steps == {runner.counter.steps_a_run} == {2 * 4}
    for seed in (0, 1):
        orders = [order for (_, s), runs in batches.items() if s == seed for order in runs]
        assert len(orders[0]) == 8 and all(order == orders[0] for order in orders)
    assert batches["concat", 0][0] != batches["concat", 1][0]
    configurations = [[{k: e[k] for k in ("learning_rate", "dropout", "width")} for e in o.search] for o in outcomes]
    assert all(c == configurations[0] for c in configurations)


def test_a_killed_comparison_goes_on_with_nothing_repeated(tmp_path: Path, monkeypatch: Any) -> None:
    from plait.comparison import train_run as train_file

    calls: list[str] = []
    real = train_file.fit_model

    def counted(plan: Any, names: list[str], *args: Any, **options: Any) -> Any:
        made = real(plan, names, *args, **options)
        calls.append(f"{plan.settings.fusion.name} {plan.settings.fusion.width} {plan.settings.train.seed} {names}")
        return made

    monkeypatch.setattr(train_file, "fit_model", counted)
    plan, test = planted_plan(xor, rows=64, epochs=1)
    straight = measure(plan, test, run_methods(plan, test, tmp_path / "straight", "concat")[0])
    expected = sorted(calls)
    assert len(expected) == len(set(expected)) == 3 * (2 + 1)
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int, what: str) -> None:
        told.append((done, total))

    for kill_at in (1, 2, 5):
        calls.clear()
        folder = tmp_path / f"killed{kill_at}"

        def kill(done: int, total: int, what: str, at: int = kill_at) -> None:
            if len(calls) == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_methods(plan, test, folder, "concat", progress=kill)
        assert len(calls) == kill_at
        outcomes, runner = run_methods(plan, test, folder, "concat", progress=tell)
        assert sorted(calls) == expected, f"killed in run {kill_at}"
        assert told[-1][0] == told[-1][1] == (9 - kill_at) * runner.counter.steps_a_run
        again = measure(plan, test, outcomes)
        for part in ("verdict", "selected", "differences"):
            assert again[part] == straight[part]
        assert len(list((folder / "runs").glob("*.json"))) == 9
        assert {p.suffix for p in (folder / "runs").iterdir()} == {".json", ".npz"}
    calls.clear()
    run_methods(plan, test, folder, "concat")
    assert not calls
    run_methods(plan, test, folder, "concat,gated", seeds=3)  # a method and a seed more: only these run
    assert len(calls) == (2 + 2) + 3


class Refusing(ConcatFusion):
    def __init__(self, *args: Any, **options: Any) -> None:
        raise ValueError("this fusion takes one modality only")


class Exploding(ConcatFusion):
    def forward(self, encoded: list[Encoded], present_BM: torch.Tensor) -> FusionOutput:
        made = super().forward(encoded, present_BM)
        return FusionOutput(made.fused_BD * float("nan"))


class Forgetful(ConcatFusion):
    """Fails on test rows alone, which have nothing on the left here."""

    def forward(self, encoded: list[Encoded], present_BM: torch.Tensor) -> FusionOutput:
        made = super().forward(encoded, present_BM)
        return FusionOutput(torch.where(present_BM[:, :1], made.fused_BD, torch.nan))


class Mending(ConcatFusion):
    """Fails until whatever was wrong is mended."""

    is_mended = False

    def forward(self, encoded: list[Encoded], present_BM: torch.Tensor) -> FusionOutput:
        if not self.is_mended:
            raise RuntimeError("no room on the device")
        return super().forward(encoded, present_BM)


class Choosy(ConcatFusion):
    def __init__(self, dims: Any, width: int, **options: Any) -> None:
        if width > 8:
            raise ValueError("too wide for this table")
        super().__init__(dims, width, **options)


@pytest.fixture
def odd_fusions() -> Iterator[None]:
    made = {"refusing": Refusing, "exploding": Exploding, "choosy": Choosy, "forgetful": Forgetful, "mending": Mending}
    for name, kind in made.items():
        FUSIONS.add(name, kind)
    yield
    for name in made:
        del FUSIONS._records[name]


def test_methods_that_cannot_run_are_listed_with_their_reason(tmp_path: Path, odd_fusions: None) -> None:
    from plait.comparison.plan import MEAN_ENSEMBLE

    plan, test = planted_plan(xor, rows=120, epochs=1)
    outcomes, _ = run_methods(plan, test, tmp_path, "refusing,exploding,choosy,concat", seeds=2)
    report = measure(plan, test, outcomes)
    found = by_name(report)
    assert found["refusing"]["status"] == "not applicable"
    assert found["refusing"]["reason"] == "this fusion takes one modality only"
    assert found["exploding"]["status"] == "failed" and "became nan" in found["exploding"]["reason"]
    assert len(found["exploding"]["failures"]) == 2
    assert found["choosy"]["status"] == "ok" and found["choosy"]["chosen"] == 1
    assert found["choosy"]["search"][0]["reason"] == "too wide for this table"
    assert found["concat"]["status"] == "ok" and len(found["concat"]["seeds"]) == 2
    names = {d["a"] for d in report["differences"]} | {d["b"] for d in report["differences"]}
    assert names == {"choosy", "concat", "left alone", "right alone", MEAN_ENSEMBLE}
    failed = [json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*.json")]
    assert sum(r["status"] == "failed" for r in failed) == 2
    only = measure(plan, test, run_methods(plan, test, tmp_path, "refusing", seeds=2)[0])
    assert only["verdict"].startswith("No fusion method could be run") and only["selected"] is None


def test_what_failed_is_tried_again_when_the_comparison_goes_on(
    tmp_path: Path, odd_fusions: None, monkeypatch: Any
) -> None:
    plan, test = planted_plan(xor, rows=64, epochs=1)
    outcomes, _ = run_methods(plan, test, tmp_path, "mending,concat", seeds=2)
    assert outcomes[0].status == "failed" and outcomes[0].reason == "no room on the device"
    monkeypatch.setattr(Mending, "is_mended", True)
    outcomes, runner = run_methods(plan, test, tmp_path, "mending,concat", seeds=2)
    assert outcomes[0].status == "ok" and not outcomes[0].failures and len(outcomes[0].seeds) == 2
    assert runner.counter.done == runner.counter.in_all == 3  # the rest had finished
    found = by_name(measure(plan, test, outcomes))
    assert found["mending"]["metric"]["seeds"] == found["concat"]["metric"]["seeds"]


def test_answers_that_are_no_number_fail_the_method_and_no_other(tmp_path: Path, odd_fusions: None) -> None:
    plan, test = planted_plan(xor, rows=64, epochs=1)
    plan.prepared.rows.items["left"].index_N[test[0]] = -1
    outcomes, _ = run_methods(plan, test, tmp_path, "forgetful,concat", seeds=1)
    found = by_name(measure(plan, test, outcomes))
    assert (
        found["forgetful"]["status"] == "failed"
        and "outputs are NaN or infinite for 1 of" in found["forgetful"]["reason"]
    )
    assert found["concat"]["status"] == "ok"


@pytest.mark.parametrize(
    ("task", "fusion", "best"),
    [
        ("regression", "concat", "concat"),
        ("multilabel", "concat", "concat"),
        ("matching", "weighted_sum,pair_head", "pair_head"),
    ],
)
def test_every_task(task: str, fusion: str, best: str, tmp_path: Path) -> None:
    rule = (lambda a, b: a == b) if task == "matching" else xor
    plan, test = planted_plan(rule, task_name=task, epochs=8)
    report = measure(plan, test, run_methods(plan, test, tmp_path, fusion, seeds=1, configurations=TWO[:1])[0])
    found = by_name(report)
    assert report["methods"][0]["name"] == report["selected"] == best
    assert found[best]["metric"]["value"] > 0.9 and "Fusing helps" in report["verdict"]
    assert found[best]["metric"]["low"] > found["left alone"]["metric"]["high"]
    assert found[best]["head"] == ("pair" if best == "pair_head" else "label")
    assert set(found[best]["metrics"]) >= {"regression": {"mae"}, "multilabel": {"f1_macro"}}.get(task, {"auroc"})


def test_methods_that_fit_on_validation_rows_are_known(tmp_path: Path) -> None:
    from plait.comparison.plan import MEAN_ENSEMBLE

    plan, test = planted_plan(xor, rows=64, epochs=1)
    outcomes, _ = run_methods(plan, test, tmp_path, "late_stacking,late_mean", seeds=1, configurations=TWO[:1])
    assert [o.fits_on_val for o in outcomes] == [True, False, False, False]
    assert ["validation_cross_fitted" in o.seeds[0] for o in outcomes] == [True, False, False, False]
    assert outcomes[0].seeds[0]["notes"] == []
    found = by_name(measure(plan, test, outcomes))
    assert found["late_mean"]["kind"] == "late"
    assert measure(plan, test, outcomes)["baselines"]["ensemble"] in ("late_stacking", "late_mean", MEAN_ENSEMBLE)


def test_what_could_not_be_fitted_is_noted(tmp_path: Path) -> None:
    from plait.comparison.sweep import _notes_of_runs

    plan, test = planted_plan(xor, rows=64, epochs=1)
    plan.val = plan.val[plan.target[plan.val] == 0]
    outcomes, _ = run_methods(plan, test, tmp_path, "late_stacking", seeds=1, configurations=TWO[:1])
    assert _notes_of_runs(outcomes)[0].startswith("late_stacking: 2 of 2 outputs (0, 1) stay at the plain mean")


def test_a_combiner_fitted_on_validation_rows_gains_nothing_there(tmp_path: Path) -> None:
    """Labels are noise: a combiner scored on the rows it was fitted on looks better than chance, cross-fitted not."""
    noise = np.random.default_rng(7)
    plan, test = planted_plan(lambda a, b: noise.random(len(a)) < 0.5, rows=480, epochs=1)
    outcomes, runner = run_methods(plan, test, tmp_path, "late_stacking", seeds=2, configurations=TWO[:1])
    records = outcomes[0].seeds.values()
    naive = np.mean([r["validation"] for r in records])
    fair = np.mean([r["validation_cross_fitted"] for r in records])
    assert fair < naive and abs(fair - 0.5) < 0.12
    found = by_name(measure(plan, test, outcomes))["late_stacking"]
    assert found["validation"]["value"] == pytest.approx(fair)
    for seed in (0, 1):  # test answers are those of the whole fit, put back after the halves
        val = outcomes[0].outputs[seed]["val"]
        assert (val.argmax(1) == plan.target[plan.val]).mean() == pytest.approx(outcomes[0].seeds[seed]["validation"])


def test_the_pair_head_is_for_matching(tmp_path: Path) -> None:
    plan, test = planted_plan(xor, rows=64, epochs=1)
    report = measure(plan, test, run_methods(plan, test, tmp_path, "pair_head,concat", seeds=1)[0])
    assert by_name(report)["pair_head"]["reason"] == "the pair head needs the matching task"


def test_mean_ensemble_is_the_mean_over_what_a_row_has(tmp_path: Path) -> None:
    from plait.comparison.plan import MEAN_ENSEMBLE

    plan, test = planted_plan(left_only, rows=120, epochs=2)
    gone = test[3]
    plan.prepared.rows.items["right"].index_N[gone] = -1
    outcomes, _ = run_methods(plan, test, tmp_path, "concat", seeds=1)
    left, right = (o.outputs[0]["test"] for o in outcomes if o.method.kind == "single")
    mean = (left + right) / 2
    mean[3] = left[3]
    expected = (mean.argmax(1) == plan.target[test]).mean()
    found = by_name(measure(plan, test, outcomes))[MEAN_ENSEMBLE]
    assert found["metric"]["value"] == pytest.approx(expected)
    assert found["cost"]["parameters"] == sum(o.seeds[0]["parameters"] for o in outcomes if o.method.kind == "single")


def test_parameters_are_those_that_run_at_inference(tmp_path: Path) -> None:
    plan, test = planted_plan(xor, rows=64, epochs=1)
    plain = run_methods(plan, test, tmp_path / "a", "concat", seeds=1, configurations=TWO[:1])[0][0].seeds[0]
    plan.settings = replace(plan.settings, train=replace(plan.settings.train, auxiliary=0.5))
    aided = run_methods(plan, test, tmp_path / "b", "concat", seeds=1, configurations=TWO[:1])[0][0].seeds[0]
    adapters = sum(p.numel() for p in Adapter(8).parameters()) * 2
    assert adapters > 0 and aided["parameters"] == plain["parameters"] + adapters


def test_cost_is_counted_alike_twice(tmp_path: Path) -> None:
    plan, test = planted_plan(xor, rows=120, epochs=1)
    costs = []
    for folder in ("a", "b"):
        outcomes, _ = run_methods(plan, test, tmp_path / folder, "concat", seeds=1, configurations=TWO[:1])
        costs.append(outcomes[0].seeds[0])
    assert costs[0]["memory_bytes"] == costs[1]["memory_bytes"]
    weights = 16 + (16 + 2) * 16 + 16 + 16 * 16 + 16 + 16 * 2 + 2  # absence, two layers, head
    assert costs[0]["parameters"] == weights
    held = costs[0]["memory_bytes"] - 4 * weights * 4 - 2 * 4  # weights, gradients, two of AdamW; class weights
    assert 0 < held < 100_000
    assert costs[0]["inference_ms_per_1000"] > 0
