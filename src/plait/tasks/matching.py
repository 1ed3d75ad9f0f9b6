"""Matching: do two items belong together? Classification into "0" and "1", on exactly two modalities."""

from __future__ import annotations

from dataclasses import replace

from plait.tasks.base import TASKS
from plait.tasks.labels import LabelState, match_flag

TASKS.add(
    "matching",
    replace(
        TASKS.get("classification"), name="matching", parse=match_flag, expects="1 or 0 (true or false, yes or no)",
        fit=lambda values: LabelState(classes=("0", "1")), modalities=2, selects="auroc", judges_pairs=True,
        balanced_metric=None,
    ),
)  # fmt: skip
