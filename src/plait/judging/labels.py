"""Judging labels and numbers: intervals, each modality alone, and one plain sentence.

In: a model, its single-modality companions and prepared rows with targets. Out: the ``evaluation`` part of a
report and the verdict. Nothing here selects anything: what is judged here was decided on validation rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.batches import RowBatches, predict_logits
from plait.evaluate.breakdown import confusion, slices
from plait.evaluate.chance import chance_level
from plait.evaluate.intervals import metric_intervals, paired_metric_difference
from plait.evaluate.per_class import ClassRow, per_class
from plait.evaluate.verdict import fusion_verdict
from plait.judging.jury import JUDGES, Judged, Jury, Progress, shown_inputs
from plait.judging.missing import judge_missing
from plait.judging.shown import shown_text
from plait.model import PlaitModel

NUM_EXAMPLES = 8
MAX_POINTS = 500


def judge_labels(jury: Jury, *, progress: Progress | None = None, seed: int = 0) -> Judged:
    """Judge the rows: metrics with intervals, modalities alone and left out, slices, examples, a verdict."""
    names = jury.model.config.modality_names
    sources = jury.prepared.sources
    index_NM = jury.prepared.rows.index_NM[jury.positions]
    batches = RowBatches(sources, index_NM)

    def outputs_of(model: PlaitModel, rows: RowBatches, what: str, hide: tuple[int, ...] = ()) -> np.ndarray:
        logits = predict_logits(model, rows, progress=progress, what=what, hide=hide)
        return jury.task.activate(logits, jury.labels)

    fused = outputs_of(jury.model, batches, "judging")
    metrics = metric_intervals(
        lambda rows: jury.task.metrics(jury.target[rows], fused[rows]),
        len(fused),
        groups=jury.group,
        resamples=num_resamples(fused),
        seed=seed,
    )
    alone: dict[str, np.ndarray] = {}
    without: dict[str, dict[str, Any]] = {}
    if len(names) > 1:
        for m, name in enumerate(names):
            if name in jury.companions:
                rows = RowBatches({name: sources[name]}, index_NM[:, [m]])
                alone[name] = outputs_of(jury.companions[name], rows, f"judging {name} alone")
            hidden = outputs_of(jury.model, batches, f"judging without {name}", (m,))
            without[name] = _plain(jury.task.metrics(jury.target, hidden))
    primary = jury.task.primary
    also = jury.task.also(jury.task.decode(fused, jury.labels), jury.values) if jury.task.also is not None else {}
    metrics |= {k: {"value": v, "low": None, "high": None} for k, v in also.items() if k != "notes"}

    def interval(outputs: np.ndarray) -> dict[str, dict[str, float | None]]:
        return metric_intervals(
            lambda rows: jury.task.metrics(jury.target[rows], outputs[rows]),
            len(outputs), groups=jury.group, resamples=min(300, num_resamples(outputs)), seed=seed,
        )  # fmt: skip

    alone_metrics = {name: interval(outputs) for name, outputs in alone.items()}
    evaluation: dict[str, Any] = {
        "rows": len(fused),
        "split": jury.split,
        "metrics": metrics,
        "notes": [*jury.notes, *jury.task.metrics(jury.target, fused).get("notes", []), *also.get("notes", [])],
        "chance": chance_level(jury.task.primary, jury.target),
        "confusion": _confusion(jury, fused),
        "per_class": _per_class(jury, fused, seed),
        "scatter": _scatter(jury, fused),
        "slices": _slices(jury, fused, list(also)),
        "alone": alone_metrics,
        "without": without,
        "missing": judge_missing(jury, fused, alone, progress=progress, seed=seed),
        "examples": _examples(jury, fused),
    }
    verdict = _verdict(jury, metrics[primary], alone_metrics, alone, fused, seed)
    return Judged(fused, evaluation, verdict)


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
    jury: Jury,
    primary: dict[str, float | None],
    alone_metrics: dict[str, dict[str, dict[str, float | None]]],
    alone: dict[str, np.ndarray],
    fused: np.ndarray,
    seed: int,
) -> str:
    name, higher = jury.task.primary, jury.task.higher_is_better
    value = primary["value"]
    if value is None:
        return f"{name} cannot be measured on these {len(fused)} rows; see the notes."
    measured = {m: v[name]["value"] for m, v in alone_metrics.items()}
    points = {m: v for m, v in measured.items() if v is not None}
    difference = None
    if points:
        best = max(points, key=lambda m: points[m] if higher else -points[m])
        delta, low, high = paired_metric_difference(
            lambda rows: jury.task.metrics(jury.target[rows], fused[rows]).get(name),
            lambda rows: jury.task.metrics(jury.target[rows], alone[best][rows]).get(name),
            len(fused), groups=jury.group, resamples=min(300, num_resamples(fused)), seed=seed,
        )  # fmt: skip
        if delta is not None:
            difference = (best, delta, low, high)
    return fusion_verdict(
        name,
        higher,
        (value, primary["low"], primary["high"]),
        {m: float(v) for m, v in points.items() if v is not None},
        difference,
        jury.model.fusion.interaction,
        jury.task.name,
        jury.model.head.is_linear,
        chance=chance_level(jury.task.primary, jury.target),
    )


def _confusion(jury: Jury, outputs: np.ndarray) -> dict[str, Any] | None:
    if jury.task.output_kind != "classes":
        return None
    known = jury.target >= 0
    matrix = confusion(jury.target[known], outputs[known].argmax(1), len(jury.labels.classes))
    return {"labels": list(jury.labels.classes), "matrix": matrix.tolist()}


def _per_class(jury: Jury, outputs: np.ndarray, seed: int) -> list[ClassRow] | None:
    if jury.task.output_kind == "number":
        return None
    if jury.task.output_kind == "labels":
        known, truth, guess = np.ones(len(outputs), dtype=bool), jury.target >= 0.5, outputs >= 0.5
    else:
        known, classes = jury.target >= 0, np.arange(outputs.shape[1])
        truth, guess = jury.target[:, None] == classes, outputs.argmax(1)[:, None] == classes
    return per_class(
        truth[known], guess[known], jury.labels.classes, groups=None if jury.group is None else jury.group[known],
        resamples=min(300, num_resamples(outputs)), seed=seed,
    )  # fmt: skip


def _scatter(jury: Jury, outputs: np.ndarray) -> dict[str, list[float]] | None:
    if jury.task.name != "regression":
        return None
    chosen = np.random.default_rng(0).permutation(len(outputs))[:MAX_POINTS]
    return {"truth": jury.target[chosen].tolist(), "prediction": outputs[chosen, 0].tolist()}


def _slices(jury: Jury, outputs: np.ndarray, also_measured: list[str]) -> list[dict[str, Any]]:
    primary = jury.task.primary
    patterns = _patterns(jury)
    named: list[tuple[str, list[Any]]] = [("modalities present", patterns)] if len(set(patterns)) > 1 else []
    judged = jury.prepared.rows.table.take(jury.positions)
    named += [(c, judged.column(c)) for c in jury.slice_columns]

    decoded = jury.task.decode(outputs, jury.labels) if also_measured and named else []

    def measure(rows: np.ndarray) -> dict[str, Any]:
        found = {primary: jury.task.metrics(jury.target[rows], outputs[rows]).get(primary)}
        if jury.task.also is not None and decoded:
            also = jury.task.also([decoded[i] for i in rows], [jury.values[i] for i in rows])
            found |= {k: v for k, v in also.items() if k in also_measured and k != "notes"}
        return found

    return [dict(part) for column, values in named for part in slices(measure, values, column=column)]


def _patterns(jury: Jury) -> list[str]:
    names = jury.model.config.modality_names
    present_NM = jury.prepared.rows.present_NM[jury.positions]
    return [" + ".join(n for n, there in zip(names, row, strict=True) if there) or "nothing" for row in present_NM]


def _examples(jury: Jury, outputs: np.ndarray) -> list[dict[str, Any]]:
    """Up to eight rows: where the model was most surely wrong, and some where it was right."""
    predictions = jury.task.decode(outputs, jury.labels)
    if jury.task.name == "regression":
        error = np.abs(outputs[:, 0] - jury.target)
        wrong = np.argsort(-error, kind="stable")
        right = wrong[::-1]
        correct = error <= np.median(error) if len(error) else error < 0
        sureness = None
    else:
        sureness = outputs.max(1)
        if jury.task.name == "multilabel":
            correct = ((outputs >= 0.5) == (jury.target >= 0.5)).all(1)
        else:
            correct = outputs.argmax(1) == jury.target
        order = np.argsort(-sureness, kind="stable")
        wrong, right = order[~correct[order]], order[correct[order]]
    half = NUM_EXAMPLES // 2
    chosen = list(wrong[:half]) + [i for i in right[: NUM_EXAMPLES - min(half, len(wrong))] if i not in wrong[:half]]
    table = jury.prepared.rows.table
    return [
        {
            "row": table.row_number(int(jury.positions[i])),
            "inputs": shown_inputs(jury, int(jury.positions[i])),
            "truth": shown_text(jury.values[i]),
            "prediction": shown_text(predictions[i]),
            "probability": None if sureness is None else float(sureness[i]),
            "correct": bool(correct[i]),
        }
        for i in chosen
    ]


for kind in ("classes", "labels", "number"):
    JUDGES.add(kind, judge_labels)
