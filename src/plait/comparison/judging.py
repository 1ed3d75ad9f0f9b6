"""How the answers of a run are judged: labels and numbers by their outputs, written texts row by row.

Of a run that writes, what is kept is a score of each test row and metric [N, K], the primary one first; rows that show
the same inputs are judged once with all their references, as ``plait evaluate`` does. Every mean over rows then is the
metric: the document frequencies of CIDEr-D are counted once, on the references of all test rows, and so are the same
for every method and every draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.evaluation.texts import row_scores
from plait.heads.language import DecodeOptions
from plait.inference.generation import write_rows
from plait.inputs.dataset import RowBatches
from plait.metrics.comparison import (
    MetricOfCounts,
    mean_average_precision_of_rows,
    mean_of_rows,
    mean_over_seeds,
    metric_of_rows,
    r2_of_rows,
)
from plait.model import PlaitModel
from plait.tasks import Task
from plait.training import Plan
from plait.training.text_scores import merged_references, read_back

CHOSEN_BY = (
    "validation scores (val) are those that choose the epoch: greedy answers to at most 256 inputs, less a thousandth "
    "of the loss; with fewer than ten captioned inputs minus the loss alone"
)
COLUMNS = {"cider_d": ("cider_d", "rouge_l"), "accuracy": ("accuracy", "token_f1", "vqa_accuracy")}


def judged_rows(plan: Plan, test: np.ndarray) -> tuple[np.ndarray, list[list[str]]]:
    """Positions of the test rows that are judged, and where text is written the references of each."""
    if not plan.task.family.writes:
        return test, []
    tokens = plan.labels.tokens
    assert tokens is not None
    values = [read_back(row, tokens) for row in plan.target[test]]
    first, references = merged_references(plan.prepared.rows.index_NM[test], values)
    return test[first], references


def truth_of(plan: Plan, rows: np.ndarray) -> np.ndarray:
    """Targets as metrics take them; of texts, whose scores are made already, an empty one a row [N, 0]."""
    if plan.task.family.writes:
        return np.zeros((len(rows), 0))
    return plan.task.natural(plan.target[rows], plan.labels)


def score_texts(plan: Plan, model: PlaitModel, rows: RowBatches, references: list[list[str]]) -> np.ndarray:
    """Scores [N, K] of what a model writes for rows, found as ``plait evaluate`` finds it."""
    options = DecodeOptions(beams=plan.settings.language.beams or 1, max_new_tokens=plan.settings.language.max_tokens)
    guesses = [answer.text for answer in write_rows(model, rows, plan.labels.tokens, options)]
    found = row_scores(plan.task.primary, guesses, references)
    return np.stack([found[name] for name in COLUMNS[plan.task.primary] if name in found], axis=1)


def metrics_of(task: Task, truth: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    """All metrics of a run by name."""
    if not task.family.writes:
        return task.metrics(truth, outputs)
    means = outputs.mean(axis=0).tolist()
    return dict(zip(COLUMNS[task.primary], means, strict=False))


def metric_of_draws(
    task: Task, truth: np.ndarray, seeds: list[np.ndarray], variation: MetricOfCounts | None
) -> MetricOfCounts:
    """The primary metric of a method, mean over its seeds, as a function of how often each row was drawn."""
    if task.family.writes:
        return mean_of_rows(np.mean([o[:, 0] for o in seeds], axis=0))
    if task.primary == "accuracy":  # this and R2 are linear in their rows, so seeds can be averaged first
        return mean_of_rows(np.mean([o.argmax(1) == truth for o in seeds], axis=0))
    if task.primary == "r2":
        return r2_of_rows(truth, np.mean([(o[:, 0] - truth) ** 2 for o in seeds], axis=0), variation)
    if task.primary == "mAP":
        return mean_over_seeds([mean_average_precision_of_rows(truth, o) for o in seeds])

    def slow(outputs: np.ndarray) -> MetricOfCounts:
        return metric_of_rows(lambda rows: task.metrics(truth[rows], outputs[rows]).get(task.primary))

    return mean_over_seeds([slow(o) for o in seeds])


def is_mean_of_rows(task: Task) -> bool:
    """Whether a draw costs one product, as the metric is a mean over rows (or made of such)."""
    return task.family.writes or task.primary in ("accuracy", "r2")
