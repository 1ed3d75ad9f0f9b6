"""Evaluation under a time limit: fewer bootstrap resamples, and modalities are hidden only where there is time for it.

Both are decided before they begin, by what one measurement and one pass over the rows took, and both are said in the
report. Metrics themselves are always of all rows.
"""

from __future__ import annotations

import time
from typing import cast

import numpy as np

from plait.ensemble import Ensemble
from plait.evaluation.base import EvaluationInputs
from plait.evaluation.effort import Passes, needed_seconds
from plait.evaluation.missing import RESAMPLES, Effort
from plait.tasks.row_metrics import resampled

FOR_INTERVALS = 0.5  # share of the time left; the rest is for passes over the rows, and as room for what is slower
DRAWN = 16  # resamples by which the seconds of one are told, where they are measured at once
MISSING = "evaluation with modalities missing"


def num_resamples(outputs: np.ndarray) -> int:
    """Resamples that finish in seconds: 1,000 on small tables, fewer as cells grow, at least 100."""
    return int(np.clip(4_000_000 / max(1, outputs.size), 100, 1000))


def resamples_alone(given: EvaluationInputs, outputs: np.ndarray) -> int:
    """Resamples of intervals that stand beside the main ones."""
    return given.deadline.resamples(min(300, num_resamples(outputs)))


def plan_intervals(given: EvaluationInputs, outputs: np.ndarray, num_patterns: int) -> float:
    """See that all intervals of an evaluation fit into the time that is left; returns the seconds one resample takes.

    Args:
        given: What is evaluated; its deadline says how many resamples an interval has, its notes where these are fewer.
        outputs: Of the model on all rows [N, C].
        num_patterns: Of an ensemble, which is compared with its best member under each; else 0.
    """
    at_once = resampled(given.task.metrics, given.target, outputs)
    began = time.monotonic()
    names = set(given.task.metrics(given.target, outputs)) - {"notes"}
    each = time.monotonic() - began
    if at_once is not None:
        drawn_RN = np.random.default_rng(0).multinomial(len(outputs), np.full(len(outputs), 1 / len(outputs)), DRAWN)
        began = time.monotonic()
        at_once(drawn_RN.astype(np.float64), names)
        each = (time.monotonic() - began) / DRAWN
    most, modalities = num_resamples(outputs), len(given.model.config.modality_names)
    alone = (modalities if modalities > 1 else 0) + 2  # each alone, and the pair that is compared in the verdict
    number = most + min(300, most) * alone + 2 * 100 * num_patterns + RESAMPLES * num_patterns
    if given.ensemble is not None and given.task.selects not in (None, given.task.primary):
        number += 100 * len(cast(Ensemble, given.ensemble).facts)  # each member's interval of the chosen metric
    given.deadline.plan_resamples(number, each, FOR_INTERVALS)
    made = given.deadline.resamples(most)
    if made < most:
        given.notes.append(f"for lack of time the intervals are of {made} resamples, not {most}")
    return each


def has_time_for_missing(given: EvaluationInputs, effort: Effort, measured: Passes) -> bool:
    """Whether hiding modalities still fits into the time limit; if not, it is among what was left out.

    Args:
        given: What is evaluated.
        effort: How much would be judged.
        measured: What a pass and a measurement take.
    """
    if given.deadline.limit is None or len(given.model.config.modality_names) < 2 or effort.rows == 0:
        return True
    return given.deadline.can_evaluate(MISSING, needed_seconds(given, effort, measured))
