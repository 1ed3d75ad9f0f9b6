"""A linear model on the standardised vectors of one or several modalities.

The vectors are what frozen encoders give, or the columns of a table with a place a category; penalty, and whether the
square root of vectors without negative numbers is read instead, are chosen on validation rows. A missing modality
stands at its training mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.ensemble.base import Inputs, Member
from plait.ensemble.glm import activate, linear_path
from plait.ensemble.link import answer_config, outputs_of, scale_of
from plait.ensemble.scale import AnswerScale
from plait.tasks.target_scale import TargetScale, transforms_for

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
WIDE = 64  # narrower vectors are not the outputs of a network
SMALLEST = 1e-6  # of the largest size of a feature: below it the standard deviation is rounding
GIVE_UP_AFTER = 2  # weaker penalties in a row without a smaller validation loss
Plain = Callable[[dict[str, Tensor]], Tensor]


class LinearMember(Member):
    """See the module.

    Args:
        uses: Numbers of its modalities.
        names: Their names.
        widths: Their widths.
        num_outputs: Outputs, C.
        link: "softmax", "sigmoid" or "identity".
        rooted: Of each modality, whether square roots are read.
        scale: Of a number: how it is learned.
    """

    mean_D: Tensor  # noqa: N815  shape letters
    step_D: Tensor  # noqa: N815
    weight_DC: Tensor  # noqa: N815
    bias_C: Tensor  # noqa: N815

    def __init__(
        self, uses: tuple[int, ...], names: tuple[str, ...], widths: tuple[int, ...], num_outputs: int, link: str,
        rooted: tuple[bool, ...], scale: TargetScale | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.uses, self.names, self.widths, self.link, self.rooted = uses, names, widths, link, rooted
        self.num_outputs, self.scale = num_outputs, scale
        total = sum(widths)
        for name, shape in (("mean_D", (total,)), ("step_D", (total,)), ("weight_DC", (total, num_outputs)),
                            ("bias_C", (num_outputs,))):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32))
        self.plain: tuple[Plain, ...] = ()

    def config(self) -> dict[str, Any]:
        """What ``from_config`` takes."""
        return {
            "uses": list(self.uses), "names": list(self.names), "widths": list(self.widths),
            "rooted": list(self.rooted), **answer_config(self.link, self.num_outputs, self.scale),
        }  # fmt: skip

    @classmethod
    def from_config(cls, facts: dict[str, Any]) -> LinearMember:
        """Rebuild without weights."""
        return cls(
            tuple(facts["uses"]), tuple(facts["names"]), tuple(facts["widths"]), int(facts["num_outputs"]),
            str(facts["link"]), tuple(facts["rooted"]), scale_of(facts),
        )  # fmt: skip

    def outputs(self, inputs: Inputs, encoded: Any, present_BM: Tensor) -> np.ndarray:
        """Outputs [B, C]."""
        parts = [plain(inputs[name]).double().cpu() for plain, name in zip(self.plain, self.names, strict=True)]
        there = [present_BM[:, m].cpu().numpy() for m in self.uses]
        features = standardised(
            [p.numpy() for p in parts], there, self.rooted, _array(self.mean_D), _array(self.step_D)
        )
        scores_BC = features @ _array(self.weight_DC) + _array(self.bias_C)
        return outputs_of(scores_BC, self.link, self.scale)


def standardised(
    parts: Sequence[np.ndarray], there: Sequence[np.ndarray], rooted: Sequence[bool], mean_D: np.ndarray,
    step_D: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Vectors of modalities side by side, standardised; zeros where one is missing [B, D]."""
    found, start = [], 0
    for part_BD, there_B, is_rooted in zip(parts, there, rooted, strict=True):
        place = slice(start, start + part_BD.shape[1])
        values_BD = np.sqrt(np.maximum(part_BD, 0.0)) if is_rooted else part_BD
        found.append(np.where(there_B[:, None], (values_BD - mean_D[place]) * step_D[place], 0.0))
        start = place.stop
    return np.concatenate(found, axis=1)


@dataclass
class RowFeatures:
    """Rows as linear models and trees are fitted on them.

    Attributes:
        parts: Of each modality that has plain features, by its number, [N, D].
        present_NM: What is there.
        target: Encoded targets, numbers in their unit.
    """

    parts: dict[int, np.ndarray]
    present_NM: np.ndarray  # noqa: N815  shape letters
    target: np.ndarray


@dataclass
class FittedLinear:
    """A linear model, its validation loss, and what was chosen for it."""

    loss: float
    member: LinearMember
    details: dict[str, Any]


def fit_linear(
    train: RowFeatures, val: RowFeatures, uses: tuple[int, ...], names: tuple[str, ...], num_outputs: int,
    scale: AnswerScale, transforms: tuple[str, ...] | None = None,
) -> FittedLinear | None:  # fmt: skip
    """The linear model with the smallest validation loss; None where nothing can be fitted.

    Args:
        train: Training rows.
        val: Validation rows.
        uses: Numbers of the modalities to read.
        names: Their names.
        num_outputs: Outputs, C.
        scale: The family's.
        transforms: Of a number: what to try; None: what goes with the training values.
    """
    rows = np.asarray(train.present_NM[:, list(uses)].any(axis=1))
    seen = np.asarray(val.present_NM[:, list(uses)].any(axis=1))
    if rows.sum() < 2 or not seen.any():
        return None
    best: FittedLinear | None = None
    can_root = tuple(_has_roots(train.parts[m][train.present_NM[:, m]]) for m in uses)
    choices = [tuple(False for _ in uses), *([can_root] if any(can_root) else [])]
    if transforms is None:
        transforms = transforms_for(train.target[rows]) if scale.link == "identity" else ("none",)
    for rooted in choices:
        for transform in transforms:
            found = _fit_path(train, val, rows, seen, uses, names, num_outputs, scale, rooted, transform)
            if best is None or found.loss < best.loss:
                best = found
    return best


def _has_roots(vectors: np.ndarray) -> bool:
    """Whether square roots of a modality's vectors may be read."""
    return vectors.shape[1] > WIDE and bool((vectors >= 0).all())


def _fit_path(
    train: RowFeatures, val: RowFeatures, rows: np.ndarray, seen: np.ndarray, uses: tuple[int, ...],
    names: tuple[str, ...], num_outputs: int, scale: AnswerScale, rooted: tuple[bool, ...], transform: str,
) -> FittedLinear:  # fmt: skip
    means, steps = [], []
    for m, is_rooted in zip(uses, rooted, strict=True):
        values = train.parts[m][rows & train.present_NM[:, m]].astype(np.float64)
        values = np.sqrt(np.maximum(values, 0.0)) if is_rooted else values
        std = values.std(0)
        varies = std > SMALLEST * np.abs(values).max(0).clip(min=1e-12)
        means.append(values.mean(0))
        steps.append(np.where(varies, 1.0 / np.where(std > 0, std, 1.0), 0.0))
    mean_D, step_D = np.concatenate(means), np.concatenate(steps)

    def features(of: RowFeatures, chosen: np.ndarray) -> np.ndarray:
        parts = [of.parts[m][chosen].astype(np.float64) for m in uses]
        return standardised(parts, [of.present_NM[chosen, m] for m in uses], rooted, mean_D, step_D)

    target_scale = TargetScale.fit(train.target[rows], transform) if scale.link == "identity" else None
    target_NC = as_columns(train.target[rows], num_outputs, scale.link, target_scale)
    inside, outside = features(train, rows), features(val, seen)
    width = max(1.0, float(inside.shape[1]) ** 0.5 / 10)
    best: tuple[float, float, np.ndarray, np.ndarray, TargetScale | None] | None = None
    worse = 0
    for penalty, weight_DC, bias_C in linear_path(inside, target_NC, scale.link, [p * width for p in PENALTIES]):
        scaled = target_scale
        if target_scale is not None:
            scaled = target_scale.with_smearing(train.target[rows], (inside @ weight_DC + bias_C)[:, 0])
        outputs = activate(outside @ weight_DC + bias_C, scale.link)
        outputs = outputs if scaled is None else scaled.decode(outputs)
        loss = float(scale.loss(outputs, val.target[seen]).mean())
        if best is None or loss < best[0]:
            best, worse = (loss, penalty, weight_DC, bias_C, scaled), 0
        else:
            worse += 1
            if worse >= GIVE_UP_AFTER:
                break
    assert best is not None
    loss, penalty, weight_DC, bias_C, scaled = best
    member = LinearMember(uses, names, tuple(len(m) for m in means), num_outputs, scale.link, rooted, scaled)
    for name, values in (("mean_D", mean_D), ("step_D", step_D), ("weight_DC", weight_DC), ("bias_C", bias_C)):
        getattr(member, name).copy_(torch.from_numpy(values))
    details: dict[str, Any] = {"penalty": round(penalty, 6), "square root": any(rooted)}
    if scaled is not None:
        details["target"] = transform
    return FittedLinear(loss, member, details)


def as_columns(target: np.ndarray, num_outputs: int, link: str, scale: TargetScale | None) -> np.ndarray:
    """Targets [N, C] as a linear model learns them."""
    if link == "softmax":
        return np.asarray(np.eye(num_outputs)[target.astype(np.int64)])
    if link == "sigmoid":
        return target.astype(np.float64)
    assert scale is not None
    return np.asarray(scale.encode(target.reshape(-1).astype(np.float64))[:, None])


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
