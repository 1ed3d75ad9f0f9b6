"""The risk of an answer, estimated before the truth is known: by which a model abstains.

Of a class the probability that the answer is wrong; of a label set the expected share of wrong labels; of a number the
expected absolute error in its unit, as calibration rows near the same prediction show it.
"""

from __future__ import annotations

import numpy as np

from plait.tasks.base import Task
from plait.tasks.calibration import Calibration
from plait.tasks.decisions import class_decisions, label_decisions
from plait.tasks.labels import LabelState


def answer_risks(
    task: Task, labels: LabelState, outputs: np.ndarray, calibration: Calibration | None
) -> np.ndarray | None:
    """The estimated risk of each row's answer [N]; None where nothing tells them apart.

    Args:
        task: The task: classes, labels or a number.
        labels: Its label state.
        outputs: Activated outputs, calibrated where the model is [N, C].
        calibration: What calibration rows taught; of a number it is needed, with residual curves.
    """
    if task.output_kind == "number":
        if calibration is None or calibration.curves is None:
            return None
        return calibration.expected_errors(outputs)
    if task.output_kind == "labels":
        answered_NC = label_decisions(outputs, labels.thresholds)
        return np.asarray(np.where(answered_NC, 1.0 - outputs, outputs).mean(1))
    answer_N = class_decisions(outputs, labels.thresholds)
    return np.asarray(1.0 - outputs[np.arange(len(outputs)), answer_N])
