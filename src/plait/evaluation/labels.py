"""Evaluating labels and numbers: intervals, each modality alone, and one plain sentence.

In: a model, its single-modality baselines and prepared rows with targets. Out: the ``evaluation`` part of a
report and the verdict. Nothing here selects anything: what is evaluated here was decided on validation rows.
"""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
from torch import nn

from plait.data.balance import tells_nothing_alone
from plait.data.progress import Progress
from plait.data.shown import shown_text
from plait.evaluation.answers import ANSWER_VIEWS, Hits, Ranked
from plait.evaluation.base import EVALUATORS, Evaluated, EvaluationInputs, shown_inputs
from plait.evaluation.caveats import caveats
from plait.evaluation.effort import Passes, plan_effort
from plait.evaluation.fusion_weights import fusion_weights
from plait.evaluation.in_time import has_time_for_missing, num_resamples, plan_intervals, resamples_alone
from plait.evaluation.members import MOST_CELLS, answer_patterns, blindness_notes, evaluate_members
from plait.evaluation.missing import evaluate_missing
from plait.evaluation.task_intervals import task_difference, task_intervals
from plait.inference.forward import predict_logits, predict_present, refuse_not_finite
from plait.inputs.dataset import RowBatches
from plait.metrics.breakdown import slices
from plait.metrics.chance import chance_level
from plait.metrics.per_class import ClassRow, per_class
from plait.metrics.verdict import fusion_verdict
from plait.registry import counted
from plait.tasks import Task

NUM_EXAMPLES = 8
AT_CHANCE = (
    "no model of one modality alone was trained: every item stands in right pairs as often as in wrong ones, so that "
    "each alone is at chance by construction"
)


def evaluate_labels(given: EvaluationInputs, *, progress: Progress | None = None, seed: int = 0) -> Evaluated:
    """Evaluate the rows: metrics with intervals, modalities alone and left out, slices, examples, a verdict."""
    names = given.model.config.modality_names
    sources = given.prepared.sources
    index_NM = given.prepared.rows.index_NM[given.positions]
    batches = RowBatches(sources, index_NM)

    def outputs_of(model: nn.Module, rows: RowBatches, what: str, hide: tuple[int, ...] = ()) -> np.ndarray:
        logits = predict_logits(model, rows, progress=progress, what=what, hide=hide)
        return given.task.activate(logits, given.labels)

    shown = None if given.ensemble is None else answer_patterns(given, progress=progress, seed=seed)
    known: dict[tuple[bool, ...], np.ndarray] = {} if shown is None else shown.of_all_rows

    def hiding(what: str, hide: tuple[int, ...] = ()) -> np.ndarray:
        pattern = tuple(m not in hide for m in range(len(names)))
        return known[pattern] if pattern in known else outputs_of(given.answers, batches, what, hide)

    began = time.monotonic()
    if shown is None:
        known = _leaving_one_out(given, batches, progress)
    fused = hiding("judging")
    a_pass = (time.monotonic() - began) / max(1, len(known)) if shown is None else shown.seconds / len(shown.patterns)
    each = plan_intervals(given, fused, 0 if shown is None else len(shown.patterns))
    metrics = task_intervals(
        given.task, given.target, fused, groups=given.group,
        resamples=given.deadline.resamples(num_resamples(fused)), seed=seed,
    )  # fmt: skip
    alone: dict[str, np.ndarray] = {}
    without: dict[str, dict[str, Any]] = {}
    if len(names) > 1:
        for m, name in enumerate(names):
            others = tuple(i for i in range(len(names)) if i != m)
            if given.ensemble is not None:
                alone[name] = hiding(f"judging {name} alone", others)
            elif name in given.baselines:
                rows = RowBatches({name: sources[name]}, index_NM[:, [m]])
                alone[name] = outputs_of(given.baselines[name], rows, f"judging {name} alone")
            hidden = hiding(f"judging without {name}", (m,))
            without[name] = _plain(given.task.metrics(given.target, hidden))
    primary = given.task.primary
    also = given.task.also(given.task.decode(fused, given.labels), given.values) if given.task.also is not None else {}
    metrics |= {k: {"value": v, "low": None, "high": None} for k, v in also.items() if k != "notes"}

    def interval(task: Task, outputs: np.ndarray) -> dict[str, dict[str, float | None]]:
        return task_intervals(
            task, given.target, outputs, groups=given.group, resamples=resamples_alone(given, outputs), seed=seed
        )

    alone_metrics = {name: interval(given.task_alone(name), outputs) for name, outputs in alone.items()}
    everything = tuple([True] * len(names))
    told = {everything: metrics[primary]}
    if given.ensemble is not None:  # it answers a modality alone itself, so that this is a row of those missing too
        told |= {tuple(n == name for n in names): alone_metrics[name][primary] for name in alone}
    balanced = given.task.judges_pairs and not alone and tells_nothing_alone(index_NM, given.target == 1)
    views = ANSWER_VIEWS.get(given.task.output_kind)
    measured = Passes(len(known), a_pass, each)
    effort = plan_effort(given, measured)
    evaluation: dict[str, Any] = {
        "rows": len(fused),
        "split": given.split,
        "metrics": metrics,
        "notes": [
            *given.notes,
            *([AT_CHANCE] if balanced else []),
            *blindness_notes(given, metrics[primary]),
            *_named(given, given.task.metrics(given.target, fused).get("notes", [])),
            *also.get("notes", []),
        ],
        "chance": chance_level(given.task.primary, given.target),
        "confusion": views.confusion(given, fused),
        "per_class": _per_class(given, fused, views.hits(given, fused), seed),
        "scatter": views.scatter(given, fused),
        "slices": _slices(given, fused, list(also)),
        "alone": alone_metrics,
        "without": without,
        "missing": None
        if effort is None or not has_time_for_missing(given, effort, measured)
        else evaluate_missing(given, effort, fused, alone, known, intervals=told, progress=progress, seed=seed),
        **({} if shown is None else evaluate_members(given, shown, seed=seed)),
        **({"thresholds": _thresholds(given)} if given.labels.thresholds else {}),
        **({"fusion_weights": shares} if (shares := fusion_weights(given, seed)) is not None else {}),
        "examples": _examples(given, fused, views.ranked(given, fused)),
    }
    verdict = _verdict(given, metrics, alone_metrics, alone, fused, seed, balanced)
    decoded = given.task.decode(fused, given.labels)
    return Evaluated(fused, evaluation, " ".join([*caveats(given, list(map(shown_text, decoded))), verdict]))


def _leaving_one_out(
    given: EvaluationInputs, batches: RowBatches, progress: Progress | None
) -> dict[tuple[bool, ...], np.ndarray]:
    """Outputs of the network with everything, and without each modality; rows are read and encoded once for all.

    Nothing for one modality, or where that would take too much memory.

    Raises:
        ValueError: An output is NaN or infinite.
    """
    num = len(given.model.config.modality_names)
    if num < 2 or (num + 1) * len(batches) * given.labels.num_outputs > MOST_CELLS:
        return {}
    patterns = [tuple(m != gone for m in range(num)) for gone in (None, *range(num))]
    present_PNM = np.broadcast_to(np.array(patterns)[:, None], (len(patterns), len(batches), num))
    logits_PNC = predict_present(given.answers, batches, present_PNM, progress=progress, what="judging")
    for logits_NC in logits_PNC:
        refuse_not_finite(given.answers, logits_NC)
    return {p: given.task.activate(logits, given.labels) for p, logits in zip(patterns, logits_PNC, strict=True)}


def _thresholds(given: EvaluationInputs) -> dict[str, float]:
    """The threshold of each label or class, or of the second of two classes."""
    names = given.labels.classes[-len(given.labels.thresholds) :]
    return dict(zip(names, given.labels.thresholds, strict=True))


def _named(given: EvaluationInputs, notes: list[str]) -> list[str]:
    """Notes of the metrics, which know classes by their numbers, with the classes' own names."""
    classes = given.labels.classes

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"the class {classes[number]!r}" if number < len(classes) else "a class that training did not have"

    return [re.sub(r"\bclass (\d+)$", name, note) for note in notes]


def _plain(metrics: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    return {
        k: {"value": None if v is None else float(v), "low": None, "high": None}
        for k, v in metrics.items()
        if v is None or isinstance(v, int | float)
    }


def _verdict(
    given: EvaluationInputs,
    metrics: dict[str, dict[str, float | None]],
    alone_metrics: dict[str, dict[str, dict[str, float | None]]],
    alone: dict[str, np.ndarray],
    fused: np.ndarray,
    seed: int,
    balanced: bool,
) -> str:
    name, higher = given.task.primary, given.task.higher_is_better
    primary, ranked = metrics[name], metrics.get("auroc") or {}
    value = primary["value"]
    if value is None:
        return f"{name} cannot be measured on {counted(len(fused), 'row')}; see the notes."
    values = {m: v[name]["value"] for m, v in alone_metrics.items()}
    points = {m: v for m, v in values.items() if v is not None}
    difference = None
    if points:
        best = max(points, key=lambda m: points[m] if higher else -points[m])
        delta, low, high = task_difference(
            name, (given.task, fused), (given.task_alone(best), alone[best]), given.target, groups=given.group,
            resamples=resamples_alone(given, fused), seed=seed,
        )  # fmt: skip
        if delta is not None:
            difference = (best, delta, low, high)
    return fusion_verdict(
        name,
        higher,
        (value, primary["low"], primary["high"]),
        {m: float(v) for m, v in points.items() if v is not None},
        difference,
        given.model.fusion.interaction,
        given.task.judges_pairs,
        given.model.head.is_linear,
        chance=chance_level(given.task.primary, given.target), balanced=balanced,
        auroc=None if ranked.get("value") is None else (ranked["value"], ranked["low"], ranked["high"]),
    )  # fmt: skip


def _slices(given: EvaluationInputs, outputs: np.ndarray, also_measured: list[str]) -> list[dict[str, Any]]:
    primary = given.task.primary
    patterns = _patterns(given)
    named: list[tuple[str, list[Any]]] = [("modalities present", patterns)] if len(set(patterns)) > 1 else []
    judged = given.prepared.rows.table.take(given.positions)
    named += [(c, judged.column(c)) for c in given.slice_columns]

    decoded = given.task.decode(outputs, given.labels) if also_measured and named else []

    def measure(rows: np.ndarray) -> dict[str, Any]:
        found = {primary: given.task.metrics(given.target[rows], outputs[rows]).get(primary)}
        if given.task.also is not None and decoded:
            also = given.task.also([decoded[i] for i in rows], [given.values[i] for i in rows])
            found |= {k: v for k, v in also.items() if k in also_measured and k != "notes"}
        return found

    return [dict(part) for column, values in named for part in slices(measure, values, column=column)]


def _patterns(given: EvaluationInputs) -> list[str]:
    names = given.model.config.modality_names
    present_NM = given.prepared.rows.present_NM[given.positions]
    return [" + ".join(n for n, there in zip(names, row, strict=True) if there) or "nothing" for row in present_NM]


def _per_class(given: EvaluationInputs, outputs: np.ndarray, hits: Hits | None, seed: int) -> list[ClassRow] | None:
    if hits is None or not hits.known.any():
        return None
    known = hits.known
    return per_class(
        hits.truth[known], hits.guess[known], given.labels.classes,
        groups=None if given.group is None else given.group[known],
        resamples=resamples_alone(given, outputs), seed=seed,
    )  # fmt: skip


def _examples(given: EvaluationInputs, outputs: np.ndarray, ranked: Ranked) -> list[dict[str, Any]]:
    """Up to eight rows: where the model was most surely wrong, and some where it was right."""
    predictions = given.task.decode(outputs, given.labels)
    wrong, right, sureness = ranked.wrong, ranked.right, ranked.sureness
    half = NUM_EXAMPLES // 2
    chosen = list(wrong[:half]) + [i for i in right[: NUM_EXAMPLES - min(half, len(wrong))] if i not in wrong[:half]]
    table = given.prepared.rows.table
    return [
        {
            "row": table.row_number(int(given.positions[i])),
            "inputs": shown_inputs(given, int(given.positions[i])),
            "truth": shown_text(given.values[i]),
            "prediction": shown_text(predictions[i]),
            "probability": None if sureness is None else float(sureness[i]),
            "correct": bool(ranked.correct[i]),
        }
        for i in chosen
    ]


for kind in ANSWER_VIEWS:
    EVALUATORS.add(kind, evaluate_labels)
