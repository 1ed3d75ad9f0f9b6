"""Trust in numbers, on evaluated rows: is confidence true, do sets and intervals hold, what does abstaining gain.

``calibration``, ``conformal`` and ``selective`` of ``report["evaluation"]["trust"]``. A part that a task lacks is there
with ``applicable`` False and why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation.base import EvaluationInputs
from plait.evaluation.trust.conformal import conformal_part
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.metrics.intervals import bootstrap_interval, metric_intervals
from plait.metrics.trust.calibration import (
    brier_score,
    calibration_error,
    classwise_calibration_error,
    log_score,
)
from plait.metrics.trust.reliability import expected_calibration_error_of_perfect, reliability
from plait.metrics.trust.risk_coverage import aurc, coverage_at_risk, excess_aurc, risk_coverage
from plait.tasks.decisions import class_decisions
from plait.tasks.risk import answer_risks

RESAMPLES = 200
CURVE_POINTS = 100
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95)
RISKS = (0.01, 0.05, 0.1)


def trust_report(
    given: EvaluationInputs, outputs: np.ndarray, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Any]:
    """All parts.

    Args:
        given: The evaluated rows.
        outputs: What the model answers them, calibrated where it is calibrated [N, C].
        seed: Of intervals and simulations.
        progress: Called with (done, total, what).
    """
    if given.task.output_kind not in ("classes", "labels", "number"):
        why = f"this model {given.task.family.does}: there is no probability of a class and no number to be sure of"
        part = {"applicable": False, "why": why}
        return {"calibration": part, "conformal": part, "selective": part}
    return {
        "calibration": _calibration(given, outputs, seed, progress),
        "conformal": conformal_part(given, outputs, seed=seed),
        "selective": _selective(given, outputs, seed),
    }


def _calibration(given: EvaluationInputs, outputs: np.ndarray, seed: int, progress: Progress | None) -> dict[str, Any]:
    """Calibration errors, before and after the calibrator where there is one."""
    if given.task.output_kind == "number":
        return {"applicable": False, "why": "a number has no probability; its intervals are under conformal"}
    found: dict[str, Any] = {"applicable": True, "metrics": _errors(given, outputs, seed)}
    confidence_N, right_N = _confidence(given, outputs)
    found["perfect"] = expected_calibration_error_of_perfect(confidence_N, seed=seed)
    found["bins"] = reliability(confidence_N, right_N)
    rows = given.calibration
    if rows is None:
        found["why"] = "the model has no calibration rows: its probabilities are as training left them"
        return found
    found["calibrator"] = None if rows.calibrator is None else rows.calibrator.to_json()["name"]
    found["why"], found["rows"] = rows.facts.get("why", ""), rows.facts.get("rows")
    if rows.calibrator is not None:
        batches = RowBatches(given.prepared.sources, given.prepared.rows.index_NM[given.positions])
        logits = predict_logits(given.uncalibrated, batches, progress=progress, what="judging before calibration")
        before = given.task.activate(logits, given.labels)
        found["before"] = _errors(given, before, seed)
        found["bins_before"] = reliability(*_confidence(given, before))
    return found


def _errors(given: EvaluationInputs, proba_NC: np.ndarray, seed: int) -> dict[str, Any]:
    confidence_N, right_N = _confidence(given, proba_NC)
    target = given.target
    width = proba_NC.shape[1]

    def measure(rows: np.ndarray) -> dict[str, float | None]:
        at = _spread(rows, width) if target.ndim == 2 else rows
        found: dict[str, float | None] = {
            "ece": calibration_error(confidence_N[at], right_N[at]),
            "ece_equal_mass": calibration_error(confidence_N[at], right_N[at], by="mass"),
            "brier": brier_score(proba_NC[rows], target[rows]),
            "log_loss": log_score(proba_NC[rows], target[rows]),
        }
        if target.ndim == 1 and width <= 50:
            found["classwise_ece"] = classwise_calibration_error(proba_NC[rows], target[rows])
        return found

    return dict(metric_intervals(measure, len(proba_NC), groups=given.group, resamples=RESAMPLES, seed=seed))


def _confidence(given: EvaluationInputs, proba_NC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence in the likeliest class and whether it is right; of label sets those of every label, row by row."""
    if given.target.ndim == 2:
        return proba_NC.reshape(-1), (given.target > 0.5).astype(np.float64).reshape(-1)
    best_N = proba_NC.argmax(1)
    return np.clip(proba_NC.max(1), 0.0, 1.0), (best_N == given.target).astype(np.float64)


def _spread(rows: np.ndarray, width: int) -> np.ndarray:
    """Places of all labels of these rows."""
    return np.asarray((rows[:, None] * width + np.arange(width)).reshape(-1))


def _selective(given: EvaluationInputs, outputs: np.ndarray, seed: int) -> dict[str, Any]:
    """The risk-coverage curve of answers ordered by their estimated risk, and the area under it."""
    risk_N = answer_risks(given.task, given.labels, outputs, given.calibration)
    if risk_N is None:
        why = "an error of a number is only told apart by rows of calibration, of which there are none or too few"
        return {"applicable": False, "why": why}
    if given.task.output_kind == "number":
        loss_N, name = np.abs(outputs.reshape(-1) - given.target.reshape(-1)), "absolute error"
    elif given.target.ndim == 2:
        answered = np.array(
            [[c in labels for c in given.labels.classes] for labels in given.task.decode(outputs, given.labels)]
        )
        loss_N, name = (answered != (given.target > 0.5)).mean(1), "share of wrong labels"
    else:
        loss_N = (class_decisions(outputs, given.labels.thresholds) != given.target).astype(np.float64)
        name = "share of wrong answers"
    coverage_N, curve_N = risk_coverage(-risk_N, loss_N)
    at = np.unique(np.linspace(0, len(loss_N) - 1, min(CURVE_POINTS, len(loss_N))).astype(np.int64))
    low, high = bootstrap_interval(
        lambda rows: aurc(-risk_N[rows], loss_N[rows]), len(loss_N), groups=given.group, resamples=RESAMPLES, seed=seed
    )
    found: dict[str, Any] = {
        "applicable": True, "risk": name, "aurc": {"value": aurc(-risk_N, loss_N), "low": low, "high": high},
        "excess_aurc": excess_aurc(-risk_N, loss_N), "everything": float(loss_N.mean()),
        "curve": {"coverage": coverage_N[at].tolist(), "risk": curve_N[at].tolist()},
        "at_coverage": [
            {"coverage": c, "risk": float(curve_N[max(0, round(c * len(loss_N)) - 1)]),
             "estimated": float(np.sort(risk_N)[max(0, round(c * len(loss_N)) - 1)])}
            for c in COVERAGES
        ],
    }  # fmt: skip
    if given.task.output_kind != "number":
        found["at_risk"] = [{"risk": r, "coverage": coverage_at_risk(-risk_N, loss_N, r)} for r in RISKS]
    return found
