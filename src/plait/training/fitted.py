"""What training makes, as evaluation, explanation, prediction and saving take it: the parts of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import nn

from plait.data.modality import Modality
from plait.data.schema import Schema
from plait.inference.calibrated import CalibratedAnswers
from plait.inference.embedding import embedding_fingerprint
from plait.inputs.inputs import Inputs
from plait.model import PlaitModel
from plait.settings import RunSettings
from plait.tasks import Calibration, LabelState, Task
from plait.training.seen_rows import SeenInputs


@dataclass(eq=False)
class FittedParts:
    """A network, what reads its inputs, and what turns its outputs into answers.

    Attributes:
        model: The fused network.
        baselines: One network per modality alone, for comparison; may be empty.
        inputs: Processors and frozen encoders.
        labels: Class names, or the mean and standard deviation of a number.
        schema: Columns of the training table.
        settings: The resolved run.
        ensemble: What answers in the network's place, where members were chosen; None: the network answers.
        calibration: What rows that it has not seen taught of its probabilities and errors; None: there were none.
        seen: Hashes of the rows that trained it or chose its epoch; None: they are not known.
        report: The report of the run, the same numbers as in report.json; empty before it has been evaluated.
    """

    model: PlaitModel
    baselines: dict[str, PlaitModel]
    inputs: Inputs
    labels: LabelState
    schema: Schema
    settings: RunSettings
    report: dict[str, Any] = field(default_factory=dict)
    ensemble: nn.Module | None = None
    calibration: Calibration | None = None
    seen: SeenInputs | None = None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities in model order: name, kind and columns."""
        return self.inputs.modalities

    @property
    def lang(self) -> str:
        """Language of the model's pages."""
        return self.settings.judge.lang

    @property
    def beams(self) -> int:
        """Beams that a model which writes is judged with."""
        return self.settings.language.beams or 1

    @property
    def fingerprint(self) -> str:
        """sha256 over everything that decides a vector: weights, frozen encoders, processors."""
        return embedding_fingerprint(self.model, self.inputs)

    @property
    def uncalibrated(self) -> nn.Module:
        """What answers rows before calibration: the ensemble, or the network where there is none."""
        return self.model if self.ensemble is None else self.ensemble

    @property
    def calibration_rows(self) -> SeenInputs | None:
        """Hashes of the rows that calibrated it; None: there were none, or they are not known."""
        found = None if self.calibration is None else self.calibration.facts.get("row_hashes")
        return None if found is None else SeenInputs.of_hashes(np.array(found, dtype=np.uint64))

    @property
    def answers(self) -> nn.Module:
        """What answers rows: the ensemble or network, behind its calibrator where it has one."""
        return calibrated(self.uncalibrated, self.calibration)

    def calibrate_logits(self, logits_NC: np.ndarray) -> np.ndarray:
        """``logits_NC`` [N, C] of ``uncalibrated`` as ``answers`` gives them, float32."""
        if self.calibration is None or self.calibration.calibrator is None:
            return logits_NC
        return self.calibration.calibrator.logits(logits_NC).astype(np.float32)

    @property
    def task(self) -> Task:
        """What was learned; its metrics decide as the answers do, and the user's chose the epoch."""
        task = self.model.task.deciding(self.labels.thresholds)
        chosen = self.settings.task.select_by
        return task if chosen in (None, task.selects) else replace(task, selects=chosen)


def calibrated(answers: nn.Module, calibration: Calibration | None) -> nn.Module:
    """A network or ensemble behind the calibrator of a calibration; itself where there is none."""
    if calibration is None or calibration.calibrator is None:
        return answers
    return CalibratedAnswers(answers, calibration.calibrator)
