"""What is trained on what: the plan of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from plait.inputs.dataset import SetSource
from plait.inputs.feature_store import FeatureSet
from plait.inputs.inputs import Inputs
from plait.inputs.prepare import Prepared
from plait.inputs.views import TrainingViews
from plait.settings import RunSettings
from plait.tasks import LabelState, Task
from plait.training.deadline import Deadline
from plait.training.unlabelled.rows import UnlabelledRows


@dataclass
class Plan:
    """What is trained on what.

    Attributes:
        settings: Resolved settings.
        task: The task.
        labels: Label state of the training rows.
        inputs: Processors and encoders.
        prepared: All rows.
        target: Encoded target of every row of the table (rows without one hold a filler).
        train: Positions of training rows.
        val: Positions of validation rows; may be empty.
        group_N: Group number of every row.
        fresh_pairs: Whether wrong pairs are drawn anew every epoch.
        deadline: What is left of the run's time.
        is_val_apart: Whether validation rows were set apart on purpose, by the user's split column or by time; False:
            they were drawn at random from training rows, so these tell as much.
        views: Changed copies of the training rows; None: they are shown as they are.
        unlabelled: Rows without a target that teach beside them; None: there are none.
        pretraining_rows: Positions of rows without a target that pretraining sees too; may be empty.
        can_go_on: Whether a run that is stopped may be taken up again, for which checkpoints are written.
    """

    settings: RunSettings
    task: Task
    labels: LabelState
    inputs: Inputs
    prepared: Prepared
    target: np.ndarray
    train: np.ndarray
    val: np.ndarray
    group_N: np.ndarray  # noqa: N815  shape letters
    fresh_pairs: bool
    deadline: Deadline = field(default_factory=Deadline)
    is_val_apart: bool = False
    views: TrainingViews | None = None
    unlabelled: UnlabelledRows | None = None
    pretraining_rows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    can_go_on: bool = True

    def without_tokens(self) -> Plan:
        """The same rows with vectors only, so that a fusion that reads no tokens does not pay for them."""
        sources = {
            n: s.select(has_tokens=False) if isinstance(s, FeatureSet | SetSource) else s
            for n, s in self.prepared.sources.items()
        }
        prepared = replace(self.prepared, sources=sources)
        return replace(self, inputs=replace(self.inputs, with_tokens=False), prepared=prepared)
