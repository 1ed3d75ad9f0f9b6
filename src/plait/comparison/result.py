"""From finished runs to the report of a comparison: baselines, intervals, differences, ranks, cost, verdict.

Outcomes of the runner come in, the dict of ``compare.json`` goes out. Whatever is called best here (the selected
method, the best single modality, the best late ensemble) is called so by its validation score; test numbers are
reported and decide nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from plait.comparison.judging import is_mean_of_rows, judged_rows, metric_of_draws, metrics_of, truth_of
from plait.comparison.method_outcome import Outcome
from plait.comparison.plan import MEAN_ENSEMBLE, Configuration, Method, describe
from plait.data.progress import Progress
from plait.metrics.chance import chance_level
from plait.metrics.comparison import (
    Difference,
    Resampled,
    pairwise_differences,
    rank_intervals,
    resample_methods,
    variation_of_rows,
)
from plait.metrics.comparison import method_intervals as intervals_of
from plait.metrics.comparison_verdict import comparison_verdict
from plait.metrics.intervals import bootstrap_interval
from plait.tasks import Task
from plait.training import Plan

RESAMPLES = 1000
CELL_BUDGET = {"mAP": 2_000_000_000}  # outputs times draws: sorted once, a draw costs little
SLOW_CELL_BUDGET = 200_000_000  # a metric that is called anew for every draw
CORRECTION = (
    "max-T over the bootstrap draws (Westfall and Young 1993; Romano and Wolf 2005): one limit for all pairs at once, "
    "95% for the whole table"
)


@dataclass
class Line:
    """A method with what it answered, ready to be measured."""

    outcome: Outcome
    kind: str
    validation: dict[int, float]
    tests: dict[int, np.ndarray]
    cost: dict[str, Any]

    @property
    def name(self) -> str:
        """What the method is called."""
        return self.outcome.method.name


def measure(
    plan: Plan, test: np.ndarray, outcomes: list[Outcome], seed: int = 0, progress: Progress | None = None
) -> dict[str, Any]:
    """Everything that is computed from outputs: methods, baselines, differences, verdict.

    Args:
        plan: The plan the runs were made from.
        test: Positions of the test rows.
        outcomes: One per method.
        seed: Seed of the bootstrap.
        progress: Called with (done, total, what) while test rows are resampled.
    """
    task, (test, _) = plan.task, judged_rows(plan, test)
    lines = [_line(o) for o in outcomes if o.status == "ok"]
    ensemble = _mean_ensemble(plan, test, [line for line in lines if line.kind == "single"])
    lines += [ensemble] if ensemble is not None else []
    single = _best(task, [line for line in lines if line.kind == "single"])
    late = _best(task, [line for line in lines if line.kind in ("late", "ensemble")])
    joint = _best(task, [line for line in lines if line.kind == "fusion"])
    selected = _best(task, [line for line in lines if line.kind in ("fusion", "late")])
    truth = truth_of(plan, test)
    resampled = resample_lines(task, truth, lines, plan.group_N[test], seed, progress) if lines else None
    methods, found = [], []
    if resampled is not None:
        found = pairwise_differences(resampled)
        methods = _described(task, truth, lines, resampled, found)
    _add_ratios(methods)
    verdict = _verdict(plan, truth, methods, found, selected, single, late, joint)
    for outcome in outcomes:
        if outcome.status != "ok":
            methods.append(_absent(outcome))
    return {
        "verdict": verdict,
        "selected": selected,
        "baselines": {"single": single, "ensemble": late},
        "methods": methods,
        "differences": found,
        "correction": CORRECTION,
        "chance": chance_level(task.primary, truth),
        "bootstrap": {
            "resamples": 0 if resampled is None else len(resampled.drawn_RM),
            "level": 0.95,
            "drawn from": 0 if resampled is None else resampled.num_units,
            "rows": len(test),
        },
    }


def resample_lines(
    task: Task, truth: np.ndarray, lines: list[Line], group_N: np.ndarray, seed: int, progress: Progress | None = None
) -> Resampled:
    """Every line on the same draws of the test rows, its seeds averaged inside each draw."""
    variation = variation_of_rows(truth) if task.primary == "r2" else None
    metrics = {line.name: metric_of_draws(task, truth, list(line.tests.values()), variation) for line in lines}
    resamples = RESAMPLES
    if not is_mean_of_rows(task):
        cells = sum(o.size for line in lines for o in line.tests.values())
        resamples = int(np.clip(CELL_BUDGET.get(task.primary, SLOW_CELL_BUDGET) / max(1, cells), 200, RESAMPLES))
    groups = group_N.tolist()
    return resample_methods(metrics, len(truth), groups=groups, resamples=resamples, seed=seed, progress=progress)


def _line(outcome: Outcome) -> Line:
    records = outcome.seeds
    cost = dict(records[0])
    cost["train_seconds"] = float(np.mean([r["train_seconds"] for r in records.values()]))
    names = (
        "parameters", "encoder_parameters", "train_seconds", "memory_bytes", "memory_is", "inference_ms_per_1000",
        "steps",
    )  # fmt: skip
    return Line(
        outcome,
        outcome.method.kind,
        {s: r.get("validation_cross_fitted", r["validation"]) for s, r in records.items()},
        {s: o["test"] for s, o in outcome.outputs.items()},
        {n: cost[n] for n in names},
    )


def _mean_ensemble(plan: Plan, test: np.ndarray, singles: list[Line]) -> Line | None:
    """The plain mean of what the single-modality models answer, over the modalities a row has."""
    names = [m.name for m in plan.inputs.modalities]
    if len(singles) < 2 or plan.task.family.writes:  # texts have no mean
        return None
    seeds = sorted(set.intersection(*(set(line.tests) for line in singles)))
    outcome = Outcome(Method(MEAN_ENSEMBLE, "ensemble", "", "", tuple(n for n in names)), interaction="additive")
    validation, tests = {}, {}
    columns = [names.index(line.outcome.method.modalities[0]) for line in singles]
    val_truth = plan.task.natural(plan.target[plan.val], plan.labels)
    for seed in seeds:
        made = {}
        for split, rows in (("val", plan.val), ("test", test)):
            there_NM = plan.prepared.rows.present_NM[rows][:, columns].astype(np.float64)
            there_NM[there_NM.sum(1) == 0] = 1.0
            stacked = np.stack([line.outcome.outputs[seed][split] for line in singles], axis=1)
            made[split] = (stacked * there_NM[..., None]).sum(1) / there_NM.sum(1)[:, None]
        score = plan.task.selecting(plan.task.metrics(val_truth, made["val"]))
        if score is not None:
            validation[seed], tests[seed] = float(score), made["test"]
    if not tests:
        return None
    cost = {
        n: sum(line.cost[n] for line in singles)
        for n in ("parameters", "encoder_parameters", "train_seconds", "inference_ms_per_1000", "steps")
    }
    largest = max(line.cost["memory_bytes"] for line in singles)
    cost |= {"memory_bytes": largest, "memory_is": singles[0].cost["memory_is"]}
    return Line(outcome, "ensemble", validation, tests, cost)


def _described(
    task: Task, truth: np.ndarray, lines: list[Line], resampled: Resampled, found: list[Difference]
) -> list[dict[str, Any]]:
    """A dict per line, best on test first."""
    intervals = intervals_of(resampled)
    ranks = rank_intervals(resampled, found, higher_is_better=task.higher_is_better)
    made = []
    for m, line in enumerate(lines):
        value, (low, high) = float(resampled.point_M[m]), intervals[line.name]
        if task.primary == "accuracy" and value in (0.0, 1.0):  # every draw is alike: Wilson's interval instead
            low, high = bootstrap_interval(np.full(len(truth), value), len(truth))
        per_seed = [metrics_of(task, truth, o).get(task.primary) for o in line.tests.values()]
        every = [metrics_of(task, truth, o) for o in line.tests.values()]
        others = {
            k: float(np.mean([e[k] for e in every])) if all(e[k] is not None for e in every) else None
            for k, v in every[0].items()
            if v is None or isinstance(v, int | float)
        }
        outcome = line.outcome
        known = describe(outcome.method) if outcome.method.fusion else _ensemble_facts(outcome.method)
        made.append(
            {
                **known,
                "interaction": outcome.interaction,
                "status": "ok",
                "reason": None,
                "metric": {"value": value, "low": low, "high": high, "spread": _spread(per_seed), "seeds": per_seed},
                "metrics": others,
                "rank": ranks[line.name],
                "validation": {
                    "value": float(np.mean(list(line.validation.values()))),
                    "seeds": list(line.validation.values()),
                },
                "seeds": list(line.tests),
                "chosen": None if outcome.chosen is None else outcome.chosen,
                "search": outcome.search,
                "failures": outcome.failures,
                "cost": line.cost,
            }
        )
    return sorted(made, key=lambda d: d["rank"]["value"])


def _ensemble_facts(method: Method) -> dict[str, Any]:
    return {
        "name": method.name, "kind": method.kind, "fusion": None, "head": None, "modalities": list(method.modalities),
        "objectives": {},
        "equation": "y = mean of the answers of one model per modality", "paper": None, "needs_tokens": False,
    }  # fmt: skip


def _absent(outcome: Outcome) -> dict[str, Any]:
    return {
        **describe(outcome.method), "interaction": outcome.interaction, "status": outcome.status,
        "reason": outcome.reason, "search": outcome.search, "failures": outcome.failures,
    }  # fmt: skip


def _add_ratios(methods: list[dict[str, Any]]) -> None:
    fastest = min((m["cost"]["train_seconds"] for m in methods if m["kind"] in ("fusion", "late")), default=None)
    for m in methods:
        seconds = m["cost"]["train_seconds"]
        m["cost"]["train_ratio"] = seconds / fastest if fastest else None


def _best(task: Task, lines: list[Line]) -> str | None:
    """Name of the line with the best mean validation score; the first of equals."""
    sign = 1.0 if task.higher_is_better else -1.0
    scored = [(sign * float(np.mean(list(line.validation.values()))), line.name) for line in lines]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _verdict(
    plan: Plan,
    truth: np.ndarray,
    methods: list[dict[str, Any]],
    found: Any,
    selected: str | None,
    single: str | None,
    late: str | None,
    joint: str | None,
) -> str:
    metric = plan.task.primary
    if selected is None:
        return "No fusion method could be run on this table; the reasons stand beside each method."
    values = [m["metric"]["value"] for m in methods]
    if not all(math.isfinite(v) for v in values):
        return f"{metric} cannot be measured on these {len(truth)} test rows; see the other metrics."
    return comparison_verdict(
        metric,
        plan.task.higher_is_better,
        [m["name"] for m in methods if m["kind"] in ("fusion", "late")],
        {m["name"]: (m["metric"]["value"], m["metric"]["low"], m["metric"]["high"]) for m in methods},
        found,
        selected=selected,
        single=single,
        ensemble=late,
        joint=joint,
        chance=chance_level(plan.task.primary, truth),
        rows=len(truth),
    )


def _spread(values: list[float | None]) -> float | None:
    """Standard deviation over seeds; None for fewer than two."""
    defined = [v for v in values if v is not None]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def search_facts(plan: Plan, configurations: list[Configuration], steps: int) -> dict[str, Any]:
    """What every method was given alike."""
    train = plan.settings.train
    return {
        "configurations": [asdict(c) for c in configurations], "seed": 0, "epochs": train.epochs,
        "batch_size": train.batch_size, "steps_a_run": steps, "optimizer": train.optimizer,
    }  # fmt: skip
