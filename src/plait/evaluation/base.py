"""What an evaluation takes and gives, and how the inputs of an evaluated row are shown.

A family of tasks (labels and numbers, embeddings, text) has its own evaluator; all take ``EvaluationInputs`` and give
``Evaluated``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import nn

from plait.data.column_kind import kind_of
from plait.data.progress import Progress
from plait.inputs.prepare import Prepared
from plait.model import PlaitModel
from plait.registry import Registry
from plait.settings import EvaluationSettings
from plait.tasks import Calibration, LabelState, Task
from plait.training.deadline import Deadline
from plait.training.fitted import calibrated


@dataclass
class Evaluated:
    """Outputs on evaluated rows, and the part of the report made of them."""

    outputs: np.ndarray
    evaluation: dict[str, Any]
    verdict: str


@dataclass
class EvaluationInputs:
    """Everything needed to judge.

    Attributes:
        model: The fused model.
        baselines: Models of one modality each, trained alike; may be empty.
        task: The task.
        labels: Its label state.
        prepared: Rows and sources of the whole table.
        positions: Positions in the table of the rows to judge.
        target: Encoded targets of those rows, in natural units for a number.
        values: Target cells of those rows, as read.
        group: Number of what each of those rows is drawn with (``evaluation_units``); None where each is alone.
        slice_columns: Columns by whose values metrics are distinguished.
        split: What to call the rows ("test").
        notes: What must be reported about these rows.
        evaluate: How to judge.
        beams: Beams to write text with.
        ensemble: What answers in the fused network's place; None: the network answers.
        calibration: What calibration rows taught; None: there were none.
        training_seconds: What training the model took, to which judging is held (``judge.share``); None: not known.
        deadline: Of the run; intervals have fewer resamples where little time is left.
    """

    model: PlaitModel
    baselines: dict[str, PlaitModel]
    task: Task
    labels: LabelState
    prepared: Prepared
    positions: np.ndarray
    target: np.ndarray
    values: list[Any]
    group: np.ndarray | None
    slice_columns: list[str]
    split: str
    notes: list[str] = field(default_factory=list)
    judge: EvaluationSettings = field(default_factory=EvaluationSettings)
    beams: int = 1
    ensemble: nn.Module | None = None
    deadline: Deadline = field(default_factory=Deadline)
    calibration: Calibration | None = None
    training_seconds: float | None = None

    @property
    def uncalibrated(self) -> nn.Module:
        """What answers rows before calibration: the ensemble, or the fused network where there is none."""
        return self.model if self.ensemble is None else self.ensemble

    @property
    def answers(self) -> nn.Module:
        """What answers rows: the ensemble or fused network, behind its calibrator where it has one."""
        return calibrated(self.uncalibrated, self.calibration)

    @property
    def unknown_N(self) -> np.ndarray:  # noqa: N802  shape letters
        """Which rows are of a class, or have a label, that training did not have: no answer holds it [N]."""
        if self.task.output_kind == "labels":
            place = self.labels.place
            return np.array([any(name not in place for name in found) for found in self.values], dtype=bool)
        if self.task.output_kind == "classes" and self.target.ndim == 1:
            return np.asarray(self.target < 0)
        return np.zeros(len(self.target), dtype=bool)

    def task_alone(self, name: str) -> Task:
        """The task as a modality's own model decides it: an ensemble decides as it always does."""
        base = self.model.task if self.ensemble is None else self.task
        return base.deciding(self.labels.alone.get(name, ())) if self.ensemble is None else base


class Judge(Protocol):
    """Evaluates rows whose answers are known."""

    def __call__(self, given: EvaluationInputs, *, progress: Progress | None = None, seed: int = 0) -> Evaluated:
        """Evaluate them."""


EVALUATORS: Registry[Judge] = Registry("judge of output kind")
for _kind, _file in {  # of this room, which adds it
    "embeddings": "embeddings", "classes": "labels", "labels": "labels", "number": "labels", "text": "texts",
}.items():  # fmt: skip
    EVALUATORS.expect(_kind, f"plait.evaluation.{_file}")


def shown_inputs(given: EvaluationInputs, position: int) -> list[dict[str, Any]]:
    """The inputs of the row at a position of the table, for a report."""
    return shown_row(given.prepared, position)


def shown_row(prepared: Prepared, position: int) -> list[dict[str, Any]]:
    """The inputs of the row at a position of a prepared table, for a page."""
    return [show for name in prepared.rows.items for show in _shown(prepared, name, position)]


def shown_modality(given: EvaluationInputs, name: str, position: int) -> list[dict[str, Any]]:
    """What one modality of a row shows; several entries for the columns of numbers and categories."""
    return _shown(given.prepared, name, position)


def _shown(prepared: Prepared, name: str, position: int) -> list[dict[str, Any]]:
    items = prepared.rows.items[name]
    number = int(items.index_N[position])
    if number < 0:
        parts = [{"text": "(missing)"}]
    else:
        parts = kind_of(items.modality).show(items.cells[number], items, prepared.rows.table)
    return [{"name": name, "kind": items.modality.kind, **part} for part in parts]
