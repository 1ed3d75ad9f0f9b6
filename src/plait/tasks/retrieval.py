"""Retrieval: find one modality of a row by another. No target; the head compares the rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from plait.tasks.base import TASKS, Task
from plait.tasks.labels import LabelState


def _encode_nothing(values: list[Any], state: LabelState) -> np.ndarray:
    return np.zeros(len(values), dtype=np.float32)


def _no_row_loss(outputs_BC: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    raise ValueError("retrieval has no loss of a single row; its head (towers) compares the rows of a batch")


def _cosine_itself(outputs: np.ndarray, state: LabelState) -> np.ndarray:
    return outputs.astype(np.float64)


def _decode_cosine(outputs: np.ndarray, state: LabelState) -> list[Any]:
    return [None if np.isnan(v) else float(v) for v in outputs[:, 0]]


def _no_row_metrics(target: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    raise ValueError("retrieval is judged by ranking a gallery, not row by row")


TASKS.add(
    "retrieval",
    Task(
        "retrieval", lambda cell: 0.0, "two sides that belong together", lambda values: LabelState(), _encode_nothing,
        _no_row_loss, _cosine_itself, _decode_cosine, _no_row_metrics, "mean_hit_rate", True,
        output_kind="embeddings", needs_target=False, has_baselines=False,
    ),
)  # fmt: skip
