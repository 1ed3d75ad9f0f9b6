"""Tasks: frozen records of what is learned, each with its loss, its decoding and its metrics."""

from __future__ import annotations

from plait.tasks.base import TASKS, Task
from plait.tasks.closed_vqa import choose_answers
from plait.tasks.generation import references
from plait.tasks.labels import LabelState
from plait.tasks.ordinal import ORDINAL, ordinal_task

__all__ = ["ORDINAL", "TASKS", "LabelState", "Task", "choose_answers", "ordinal_task", "references"]
