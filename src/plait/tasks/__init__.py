"""Tasks: frozen records of what is learned, each with its loss, its decoding and its metrics; one file a task."""

from __future__ import annotations

# Tasks are listed in the order in which they are registered here, and matching is made of classification.
# isort: off
from plait.tasks import classification, multilabel, regression, matching, retrieval

# isort: on
from plait.tasks.base import TASKS, Task
from plait.tasks.calibration import Calibration
from plait.tasks.closed_vqa import choose_answers
from plait.tasks.families import FAMILIES, OutputFamily
from plait.tasks.generation import references
from plait.tasks.labels import LabelState
from plait.tasks.ordinal import ORDINAL, as_ordered, ordinal_task, task_of

__all__ = [
    "FAMILIES", "ORDINAL", "TASKS", "Calibration", "LabelState", "OutputFamily", "Task", "as_ordered", "choose_answers",
    "classification", "matching", "multilabel", "ordinal_task", "references", "regression", "retrieval", "task_of",
]  # fmt: skip
