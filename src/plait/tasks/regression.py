"""Regression: a number, learned with mean 0 and standard deviation 1, squared error."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from plait.metrics.intervals import Resampled
from plait.metrics.label import regression_metrics
from plait.metrics.resampled import regression_resampled
from plait.settings import RunSettings
from plait.tasks.base import TASKS, Task
from plait.tasks.labels import LabelState, number
from plait.tasks.row_metrics import RowMetrics
from plait.tasks.target_scale import TRANSFORMS, TargetScale


def _fit_number(values: list[Any]) -> LabelState:
    return number_state(TargetScale.fit(values))


def _fit_as_set(values: list[Any], settings: RunSettings) -> LabelState:
    return number_state(
        TargetScale.fit(values, settings.task.transform if settings.task.transform in TRANSFORMS else "none")
    )


def number_state(scale: TargetScale) -> LabelState:
    """The label state of a number learned so."""
    return LabelState(mean=scale.mean, std=scale.std, scale=None if scale.transform == "none" else scale)


def scale_of(state: LabelState) -> TargetScale:
    """How a number is learned."""
    return state.scale or TargetScale("none", state.mean, state.std)


def _encode_number(values: list[Any], state: LabelState) -> np.ndarray:
    return scale_of(state).encode(values).astype(np.float32)


def _number_loss(logits_B1: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    return functional.mse_loss(logits_B1.squeeze(1), target_B, reduction="none")


def _unscale(logits: np.ndarray, state: LabelState) -> np.ndarray:
    return scale_of(state).decode(logits)


def _truth(target: np.ndarray, state: LabelState) -> np.ndarray:
    """Encoded targets in their unit: what makes means of predictions does nothing to them."""
    return scale_of(state).without_correction().decode(target)


def _scale(values: np.ndarray, state: LabelState) -> np.ndarray:
    return scale_of(state).encode(values)


def _decode_number(values: np.ndarray, state: LabelState) -> list[Any]:
    return [float(v) for v in values[:, 0]]


def _number_metrics(target: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    return regression_metrics(target, values.reshape(-1))


def _numbers_resampled(target: np.ndarray, values: np.ndarray) -> Resampled:
    return regression_resampled(target, values.reshape(-1))


TASKS.add(
    "regression",
    Task(
        "regression", number, "a number", _fit_number, _encode_number, _number_loss, _unscale, _decode_number,
        RowMetrics(_number_metrics, _numbers_resampled), "r2", True, output_kind="number", natural=_truth,
        fit_with=_fit_as_set, inverse=_scale,
    ),
)  # fmt: skip
