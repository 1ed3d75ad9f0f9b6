"""From calibration rows to a :class:`plait.tasks.Calibration`: a third tunes, the others score, one row a group.

Rows of one group (five captions of a photo) are exchangeable as groups, not as rows, so each group scores by one of its
rows, drawn with the seed; what is promised is promised of a row of a new group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation.base import EvaluationInputs
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.metrics.trust.conformal import aps_scores, lac_scores, raps_scores, scores_of_truth
from plait.registry import counted
from plait.tasks import Calibration
from plait.tasks.calibrator_choice import FEWEST_ROWS, CalibratorChoice, choose_calibrator
from plait.tasks.residual_curves import ROWS_A_PIECE, ResidualCurves

CALIBRATED_KINDS = ("classes", "labels", "number")
TUNING_SHARE = 3  # one group in so many tunes


def fit_calibration(
    given: EvaluationInputs, *, seed: int = 0, facts: dict[str, Any] | None = None, progress: Progress | None = None
) -> Calibration:
    """Learn from these rows, which must have trained and chosen nothing.

    Args:
        given: The rows, of a task whose outputs are classes, labels or a number; its calibration is not looked at.
        seed: Of the parts and of the row of each group.
        facts: What else is told of the rows.
        progress: Called with (done, total, what).
    """
    task, target = given.task, given.target
    batches = RowBatches(given.prepared.sources, given.prepared.rows.index_NM[given.positions])
    logits_NC = predict_logits(given.uncalibrated, batches, progress=progress, what="calibrating")
    unit_N = np.arange(len(target)) if given.group is None else given.group
    fewest = 2 * ROWS_A_PIECE if task.output_kind == "number" else FEWEST_ROWS
    tunes_N, scores_N = deal(unit_N, seed, fewest)
    present_NM = given.prepared.rows.present_NM[given.positions].astype(bool)
    chosen = CalibratorChoice(None, {}, "")
    curves = None
    if task.output_kind == "number":
        predicted_N = task.activate(logits_NC, given.labels).reshape(-1)
        if tunes_N.any():
            curves = ResidualCurves.fit(predicted_N[tunes_N], target[tunes_N].reshape(-1))
        scored = {"residual": target.reshape(-1) - predicted_N, "predicted": predicted_N}
        class_N = np.zeros(len(target), dtype=np.int64)
    else:
        known = tunes_N & ((target >= 0) if target.ndim == 1 else True)
        chosen = choose_calibrator(
            logits_NC[known], target[known], unit_N[known], keeps_order=bool(given.labels.thresholds), seed=seed
        )
        final_NC = logits_NC if chosen.calibrator is None else chosen.calibrator.logits(logits_NC).astype(np.float32)
        scored, class_N = _scores(task.activate(final_NC, given.labels), target, given.unknown_N)
    patterns, place_N = np.unique(present_NM[scores_N], axis=0, return_inverse=True)
    told = {
        "rows": len(target), "groups": len(np.unique(unit_N)), "tuning_rows": int(tunes_N.sum()),
        "scoring_rows": int(scores_N.sum()), "unknown_rows": int(given.unknown_N.sum()), "losses": chosen.losses,
        "why": chosen.why if tunes_N.any() else _too_few(unit_N, TUNING_SHARE * fewest),
        **(facts or {}),
    }  # fmt: skip
    return Calibration(
        task.output_kind, tuple(given.model.config.modality_names), tuple(tuple(map(bool, p)) for p in patterns),
        place_N.reshape(-1).astype(np.int64), class_N[scores_N], {k: v[scores_N] for k, v in scored.items()},
        chosen.calibrator, curves, facts=told,
    )  # fmt: skip


def _too_few(unit_N: np.ndarray, fewest: int) -> str:
    """Why nothing was tuned."""
    num_units = len(np.unique(unit_N))
    one, many = ("row", "rows") if num_units == len(unit_N) else ("group of rows", "groups of rows")
    what = f"{counted(num_units, one, many)} for calibration {'is' if num_units == 1 else 'are'} too few to tune on"
    return f"{what} (at least {fewest}), so all of them score"


def deal(unit_N: np.ndarray, seed: int, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows tune, and which score: all rows of a third of the groups, and one row of each other group; bool [N].

    Where a third of the groups are fewer than ``fewest``, none tunes.
    """
    units, place_N = np.unique(unit_N, return_inverse=True)
    rng = np.random.default_rng([seed, len(units)])
    num_tuning = len(units) // TUNING_SHARE
    if num_tuning < fewest:
        num_tuning = 0
    tuning = np.zeros(len(units), dtype=bool)
    tuning[rng.permutation(len(units))[:num_tuning]] = True
    tunes_N = tuning[place_N]
    order = rng.permutation(len(unit_N))
    _, first = np.unique(place_N[order], return_index=True)
    scores_N = np.zeros(len(unit_N), dtype=bool)
    scores_N[order[first]] = True
    return tunes_N, scores_N & ~tunes_N


def _scores(
    proba_NC: np.ndarray, target: np.ndarray, unknown_N: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores of the truth by method, infinite where it holds what the model does not have; and its class."""
    if target.ndim == 2:  # all labels of a row are inside a set where its least likely one is
        worst_N = np.where(target > 0.5, lac_scores(proba_NC), -np.inf).max(1)
        worst_N = np.where(unknown_N, np.inf, np.maximum(worst_N, 0.0))
        return {"lac": worst_N}, np.zeros(len(target), dtype=np.int64)
    made = {"lac": lac_scores, "aps": aps_scores, "raps": raps_scores}
    return {k: scores_of_truth(score(proba_NC), target) for k, score in made.items()}, target.astype(np.int64)
