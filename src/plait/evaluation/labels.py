"""Judging labels and numbers: intervals, each modality alone, and one plain sentence.

In: a model, its single-modality baselines and prepared rows with targets. Out: the ``evaluation`` part of a
report and the verdict. Nothing here selects anything: what is judged here was decided on validation rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.shown import shown_text
from plait.evaluation.base import EVALUATORS, Evaluated, EvaluationInputs, Progress, shown_inputs
from plait.evaluation.missing import evaluate_missing
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.metrics.breakdown import confusion, slices
from plait.metrics.chance import chance_level
from plait.metrics.intervals import metric_intervals, paired_metric_difference
from plait.metrics.per_class import ClassRow, per_class
from plait.metrics.verdict import fusion_verdict
from plait.model import PlaitModel

NUM_EXAMPLES = 8
MAX_POINTS = 500


def evaluate_labels(given: EvaluationInputs, *, progress: Progress | None = None, seed: int = 0) -> Evaluated:
    """Judge the rows: metrics with intervals, modalities alone and left out, slices, examples, a verdict."""
    names = given.model.config.modality_names
    sources = given.prepared.sources
    index_NM = given.prepared.rows.index_NM[given.positions]
    batches = RowBatches(sources, index_NM)

    def outputs_of(model: PlaitModel, rows: RowBatches, what: str, hide: tuple[int, ...] = ()) -> np.ndarray:
        logits = predict_logits(model, rows, progress=progress, what=what, hide=hide)
        return given.task.activate(logits, given.labels)

    fused = outputs_of(given.model, batches, "judging")
    metrics = metric_intervals(
        lambda rows: given.task.metrics(given.target[rows], fused[rows]),
        len(fused),
        groups=given.group,
        resamples=num_resamples(fused),
        seed=seed,
    )
    alone: dict[str, np.ndarray] = {}
    without: dict[str, dict[str, Any]] = {}
    if len(names) > 1:
        for m, name in enumerate(names):
            if name in given.baselines:
                rows = RowBatches({name: sources[name]}, index_NM[:, [m]])
                alone[name] = outputs_of(given.baselines[name], rows, f"judging {name} alone")
            hidden = outputs_of(given.model, batches, f"judging without {name}", (m,))
            without[name] = _plain(given.task.metrics(given.target, hidden))
    primary = given.task.primary
    also = given.task.also(given.task.decode(fused, given.labels), given.values) if given.task.also is not None else {}
    metrics |= {k: {"value": v, "low": None, "high": None} for k, v in also.items() if k != "notes"}

    def interval(outputs: np.ndarray) -> dict[str, dict[str, float | None]]:
        return metric_intervals(
            lambda rows: given.task.metrics(given.target[rows], outputs[rows]),
            len(outputs), groups=given.group, resamples=min(300, num_resamples(outputs)), seed=seed,
        )  # fmt: skip

    alone_metrics = {name: interval(outputs) for name, outputs in alone.items()}
    evaluation: dict[str, Any] = {
        "rows": len(fused),
        "split": given.split,
        "metrics": metrics,
        "notes": [*given.notes, *given.task.metrics(given.target, fused).get("notes", []), *also.get("notes", [])],
        "chance": chance_level(given.task.primary, given.target),
        "confusion": _confusion(given, fused),
        "per_class": _per_class(given, fused, seed),
        "scatter": _scatter(given, fused),
        "slices": _slices(given, fused, list(also)),
        "alone": alone_metrics,
        "without": without,
        "missing": evaluate_missing(given, fused, alone, progress=progress, seed=seed),
        "examples": _examples(given, fused),
    }
    verdict = _verdict(given, metrics[primary], alone_metrics, alone, fused, seed)
    return Evaluated(fused, evaluation, verdict)


def num_resamples(outputs: np.ndarray) -> int:
    """Resamples that finish in seconds: 1,000 on small tables, fewer as cells grow, at least 100."""
    return int(np.clip(4_000_000 / max(1, outputs.size), 100, 1000))


def _plain(metrics: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    return {
        k: {"value": None if v is None else float(v), "low": None, "high": None}
        for k, v in metrics.items()
        if v is None or isinstance(v, int | float)
    }


def _verdict(
    given: EvaluationInputs,
    primary: dict[str, float | None],
    alone_metrics: dict[str, dict[str, dict[str, float | None]]],
    alone: dict[str, np.ndarray],
    fused: np.ndarray,
    seed: int,
) -> str:
    name, higher = given.task.primary, given.task.higher_is_better
    value = primary["value"]
    if value is None:
        return f"{name} cannot be measured on these {len(fused)} rows; see the notes."
    measured = {m: v[name]["value"] for m, v in alone_metrics.items()}
    points = {m: v for m, v in measured.items() if v is not None}
    difference = None
    if points:
        best = max(points, key=lambda m: points[m] if higher else -points[m])
        delta, low, high = paired_metric_difference(
            lambda rows: given.task.metrics(given.target[rows], fused[rows]).get(name),
            lambda rows: given.task.metrics(given.target[rows], alone[best][rows]).get(name),
            len(fused), groups=given.group, resamples=min(300, num_resamples(fused)), seed=seed,
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
        given.task.name,
        given.model.head.is_linear,
        chance=chance_level(given.task.primary, given.target),
    )


def _confusion(given: EvaluationInputs, outputs: np.ndarray) -> dict[str, Any] | None:
    if given.task.output_kind != "classes":
        return None
    known = given.target >= 0
    matrix = confusion(given.target[known], outputs[known].argmax(1), len(given.labels.classes))
    return {"labels": list(given.labels.classes), "matrix": matrix.tolist()}


def _per_class(given: EvaluationInputs, outputs: np.ndarray, seed: int) -> list[ClassRow] | None:
    if given.task.output_kind == "number":
        return None
    if given.task.output_kind == "labels":
        known, truth, guess = np.ones(len(outputs), dtype=bool), given.target >= 0.5, outputs >= 0.5
    else:
        known, classes = given.target >= 0, np.arange(outputs.shape[1])
        truth, guess = given.target[:, None] == classes, outputs.argmax(1)[:, None] == classes
    return per_class(
        truth[known], guess[known], given.labels.classes, groups=None if given.group is None else given.group[known],
        resamples=min(300, num_resamples(outputs)), seed=seed,
    )  # fmt: skip


def _scatter(given: EvaluationInputs, outputs: np.ndarray) -> dict[str, list[float]] | None:
    if given.task.name != "regression":
        return None
    chosen = np.random.default_rng(0).permutation(len(outputs))[:MAX_POINTS]
    return {"truth": given.target[chosen].tolist(), "prediction": outputs[chosen, 0].tolist()}


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


def _examples(given: EvaluationInputs, outputs: np.ndarray) -> list[dict[str, Any]]:
    """Up to eight rows: where the model was most surely wrong, and some where it was right."""
    predictions = given.task.decode(outputs, given.labels)
    if given.task.name == "regression":
        error = np.abs(outputs[:, 0] - given.target)
        wrong = np.argsort(-error, kind="stable")
        right = wrong[::-1]
        correct = error <= np.median(error) if len(error) else error < 0
        sureness = None
    else:
        sureness = outputs.max(1)
        if given.task.name == "multilabel":
            correct = ((outputs >= 0.5) == (given.target >= 0.5)).all(1)
        else:
            correct = outputs.argmax(1) == given.target
        order = np.argsort(-sureness, kind="stable")
        wrong, right = order[~correct[order]], order[correct[order]]
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
            "correct": bool(correct[i]),
        }
        for i in chosen
    ]


for kind in ("classes", "labels", "number"):
    EVALUATORS.add(kind, evaluate_labels)
