"""Tasks: frozen records of what is learned, each with its loss, its decoding and its metrics."""

from __future__ import annotations

from plait.tasks.base import TASKS, Task
from plait.tasks.labels import LabelState
from plait.tasks.ordinal import ORDINAL, ordinal_task

__all__ = ["ORDINAL", "TASKS", "LabelState", "Task", "ordinal_task"]
