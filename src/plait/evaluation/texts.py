"""Evaluating written text: metrics with intervals, each modality alone and left out, the best and the worst answers.

Rows that show the same inputs (the captions of one photo) are one evaluated row with all their references. An answer to
a question is right when it is the most frequent reference; with several people's answers VQA accuracy stands beside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation.base import EVALUATORS, Evaluated, EvaluationInputs, shown_inputs
from plait.evaluation.caveats import caveats
from plait.heads.language import DecodeOptions
from plait.inference.generation import Answer, write_rows
from plait.inputs.dataset import RowBatches
from plait.metrics.answers import exact_match, token_f1
from plait.metrics.breakdown import slices
from plait.metrics.captioning import caption_metrics
from plait.metrics.intervals import metric_intervals, paired_metric_difference
from plait.metrics.verdict import fusion_verdict
from plait.metrics.vqa import vqa_accuracy
from plait.model import PlaitModel
from plait.registry import counted
from plait.training.text_scores import merged_references

NUM_EXAMPLES = 12
RESAMPLES = 500
Intervals = dict[str, dict[str, float | None]]


def evaluate_texts(given: EvaluationInputs, *, progress: Progress | None = None, seed: int = 0) -> Evaluated:
    """Evaluate the rows: write an answer for each, measure, compare with each modality alone, show best and worst."""
    names = given.model.config.modality_names
    all_NM = given.prepared.rows.index_NM[given.positions]
    first, references = merged_references(all_NM, given.values)
    index_NM, sources = all_NM[first], given.prepared.sources
    rows = RowBatches(sources, index_NM)
    tokens = given.labels.tokens
    assert tokens is not None
    options = DecodeOptions(beams=given.beams, max_new_tokens=tokens.max_tokens)

    def written(model: PlaitModel, batches: RowBatches, what: str, hide: tuple[int, ...] = ()) -> list[Answer]:
        return write_rows(model, batches, tokens, options, hide=hide, progress=progress, what=what)

    fused = written(given.model, rows, "judging")
    group = None if given.group is None else given.group[first]
    metrics, per_row, notes = measured(given.task.primary, [a.text for a in fused], references, seed, group)
    scores = per_row[given.task.primary]
    alone: dict[str, Intervals] = {}
    alone_scores: dict[str, np.ndarray] = {}
    without: dict[str, Intervals] = {}
    for m, name in enumerate(names if len(names) > 1 else []):
        if name in given.baselines:
            batches = RowBatches({name: sources[name]}, index_NM[:, [m]])
            guesses = [a.text for a in written(given.baselines[name], batches, f"judging {name} alone")]
            alone[name], own, _ = measured(given.task.primary, guesses, references, seed, group)
            alone_scores[name] = own[given.task.primary]
        hidden = [a.text for a in written(given.model, rows, f"judging without {name}", (m,))]
        without[name] = measured(given.task.primary, hidden, references, seed, group)[0]
    if len(first) < len(all_NM):
        notes.append(
            f"{counted(len(all_NM), 'row')} show {counted(len(first), 'input', 'different inputs')}; each was judged "
            "once, with all answers"
        )
    evaluation: dict[str, Any] = {
        "rows": len(fused), "split": given.split, "metrics": metrics, "notes": [*given.notes, *notes], "chance": None,
        "confusion": None, "scatter": None, "slices": _slices(given, first, per_row), "alone": alone,
        "without": without, "examples": _examples(given, first, references, fused, scores),
    }  # fmt: skip
    verdict = _verdict(given, metrics, scores, alone, alone_scores, seed)
    return Evaluated(scores[:, None], evaluation, " ".join([*caveats(given), verdict]))


def measured(
    primary: str, guesses: list[str], references: list[list[str]], seed: int, group: np.ndarray | None
) -> tuple[Intervals, dict[str, np.ndarray], list[str]]:
    """Metrics with intervals, those that each row has by itself [N], and notes."""
    if primary == "cider_d":
        found = caption_metrics(predictions=guesses, references=references, resamples=RESAMPLES, seed=seed)
        per_row = np.asarray(found["per_image"]["cider_d"], dtype=np.float64)
        named = {k: v for k, v in found["intervals"].items() if k in ("cider_d", "bleu_4", "bleu_1", "rouge_l")}
        return named, {primary: per_row}, list(found["notes"])
    columns = row_scores(primary, guesses, references)
    notes = list(vqa_accuracy(guesses, references)["notes"]) if "vqa_accuracy" in columns else []
    metrics = metric_intervals(
        lambda rows: {k: float(v[rows].mean()) for k, v in columns.items()}, len(guesses), groups=group,
        resamples=RESAMPLES, seed=seed,
    )  # fmt: skip
    return metrics, columns, notes


def row_scores(primary: str, guesses: list[str], references: list[list[str]]) -> dict[str, np.ndarray]:
    """Scores of each row [N] by metric, whose means are the metrics; those of CIDEr-D belong to these rows together."""
    if primary == "cider_d":
        per_image = caption_metrics(predictions=guesses, references=references)["per_image"]
        return {name: np.asarray(per_image[name], dtype=np.float64) for name in ("cider_d", "rouge_l")}
    columns = {"accuracy": exact_match(guesses, references), "token_f1": token_f1(guesses, references)}
    if all(len(row) > 1 for row in references):
        agreed = vqa_accuracy(guesses, references)
        columns["vqa_accuracy"] = np.asarray(agreed["per_question"], dtype=np.float64)
    return columns


def _slices(given: EvaluationInputs, first: np.ndarray, per_row: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Means by the values of the columns that results are distinguished by; of several rows one, the first decides."""
    judged = given.prepared.rows.table.take(given.positions[first])

    def measure(rows: np.ndarray) -> dict[str, Any]:
        return {name: float(values[rows].mean()) for name, values in per_row.items()}

    return [dict(part) for c in given.slice_columns for part in slices(measure, judged.column(c), column=c)]


READABLE = {"cider_d": "CIDEr-D"}


def _verdict(
    given: EvaluationInputs, metrics: Intervals, scores: np.ndarray, alone: dict[str, Intervals],
    alone_scores: dict[str, np.ndarray], seed: int,
) -> str:  # fmt: skip
    name = given.task.primary
    entry = metrics[name]
    if entry["value"] is None:
        return f"{name} cannot be measured on {counted(len(scores), 'row')}; see the notes."
    points = {m: float(v[name]["value"] or 0.0) for m, v in alone.items()}
    difference = None
    names = given.model.config.modality_names
    if len(names) == 1:  # the model is that modality alone
        points, difference = {names[0]: float(entry["value"])}, (names[0], 0.0, None, None)
    elif points:
        best = max(points, key=lambda m: points[m])
        delta, low, high = paired_metric_difference(
            lambda rows: float(scores[rows].mean()), lambda rows: float(alone_scores[best][rows].mean()), len(scores),
            resamples=300, seed=seed,
        )  # fmt: skip
        if delta is not None:
            difference = (best, delta, low, high)
    return fusion_verdict(
        READABLE.get(name, name), True, (entry["value"], entry["low"], entry["high"]), points, difference, "nonlinear",
        given.task.judges_pairs, False,
    )  # fmt: skip


def _examples(
    given: EvaluationInputs, first: np.ndarray, references: list[list[str]], written: list[Answer], scores: np.ndarray
) -> list[dict[str, Any]]:
    """The worst and the best rows, six each; of equal scores those that the model was surest of."""
    sureness = np.array([a.mean_probability for a in written])
    half = min(NUM_EXAMPLES // 2, len(written) // 2)
    worst = np.lexsort((-sureness, scores))[:half]
    best = [i for i in np.lexsort((-sureness, -scores)) if i not in set(worst.tolist())][: NUM_EXAMPLES - half]
    table = given.prepared.rows.table
    shown = []
    for i, group in [*((i, "Best") for i in best), *((i, "Worst") for i in worst)]:
        position = int(given.positions[first[i]])
        shown.append({
            "row": table.row_number(position), "inputs": shown_inputs(given, position),
            "truth": " | ".join(dict.fromkeys(references[i])), "references": list(dict.fromkeys(references[i])),
            "prediction": written[i].text,
            "probability": float(sureness[i]), "score": float(scores[i]), "correct": None, "group": group,
        })  # fmt: skip
    return shown


EVALUATORS.add("text", evaluate_texts)
