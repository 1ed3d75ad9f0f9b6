"""A linear model on the standardised vectors of one or several modalities.

The vectors are what frozen encoders give, or the columns of a table with a place a category; penalty, and whether the
square root of vectors without negative numbers is read instead, are chosen on validation rows. A missing modality
stands at its training mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.ensemble.base import Inputs, Member
from plait.ensemble.glm import Stops, activate, linear_path, never
from plait.ensemble.link import answer_config, outputs_of, scale_of
from plait.ensemble.scale import AnswerScale
from plait.tasks.target_scale import TargetScale, transforms_for

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
WIDE = 64  # narrower vectors are not the outputs of a network
SMALLEST = 1e-6  # of the largest size of a feature: below it the standard deviation is rounding
STRONGER = (30.0, 10.0, 3.0, 1.0)  # penalties tried for a model of more rows, in multiples of that of fewer
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
        return self.of_features([p.numpy() for p in parts], [present_BM[:, m].cpu().numpy() for m in self.uses])

    def of_features(self, parts: Sequence[np.ndarray], there: Sequence[np.ndarray]) -> np.ndarray:
        """Outputs [B, C] by the plain features of its modalities, [B, D] each, and whether each is there, [B]."""
        features = standardised(parts, there, self.rooted, _array(self.mean_D), _array(self.step_D))
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
        weight_N: How much each row counts in a linear model; None: all alike.
    """

    parts: dict[int, np.ndarray]
    present_NM: np.ndarray  # noqa: N815  shape letters
    target: np.ndarray
    weight_N: np.ndarray | None = None  # noqa: N815


@dataclass
class FittedLinear:
    """A linear model, one a fold, their validation loss together, and what was chosen for them.

    ``penalty`` is that of ``PENALTIES``, before it is scaled by the width of the features.
    """

    loss: float
    members: list[LinearMember]
    details: dict[str, Any]
    penalty: float = 0.0


Folds = Sequence[tuple[RowFeatures, RowFeatures]]


def fit_linear(
    folds: Folds, uses: tuple[int, ...], names: tuple[str, ...], num_outputs: int, scale: AnswerScale,
    transforms: tuple[str, ...] | None = None, stops: Stops = never, like: FittedLinear | None = None,
) -> FittedLinear | None:  # fmt: skip
    """The linear model with the smallest validation loss; None where nothing can be fitted.

    Penalty, square root and transform are chosen for all folds together: chosen fold by fold, on few rows each, they
    would make the model look better on those rows than it is.

    Args:
        folds: Training and validation rows of each fold.
        uses: Numbers of the modalities to read.
        names: Their names.
        num_outputs: Outputs, C.
        scale: The family's.
        transforms: Of a number: what to try; None: what goes with the training values.
        stops: Asked after each penalty; True: the best so far stands.
        like: A model of the same modalities and of fewer rows, whose choice of square roots stands and below whose
            penalty none is tried, which takes a fifth of the time; None: everything is tried.
    """
    folds = [(_with_any(train, uses), _with_any(val, uses)) for train, val in folds]
    if any(len(train.target) < 2 for train, _ in folds) or not any(len(val.target) for _, val in folds):
        return None
    can_root = tuple(all(_has_roots(t.parts[m][t.present_NM[:, m]]) for t, _ in folds) for m in uses)
    choices = [tuple(False for _ in uses), *([can_root] if any(can_root) else [])]
    penalties: tuple[float, ...] = PENALTIES
    if like is not None:
        can_keep = [c for c in choices if any(c) == any(like.members[0].rooted)]
        choices, penalties = can_keep or choices, tuple(like.penalty * factor for factor in STRONGER)
    if transforms is None:
        known = [set(transforms_for(t.target)) if scale.link == "identity" else {"none"} for t, _ in folds]
        transforms = tuple(sorted(set.intersection(*known), key=["none", "log", "quantile"].index))
    best: FittedLinear | None = None
    for rooted, transform in product(choices, transforms):
        if best is not None and stops():
            break
        paths = [_Path(t, v, uses, names, num_outputs, scale, rooted, transform) for t, v in folds]
        found = _shared_penalty(paths, penalties, stops)
        if best is None or found.loss < best.loss:
            best = found
    return best


def _with_any(rows: RowFeatures, uses: tuple[int, ...]) -> RowFeatures:
    """The rows that have one of the modalities, and of those what a model reads."""
    chosen = np.asarray(rows.present_NM[:, list(uses)].any(axis=1))
    weight_N = None if rows.weight_N is None else rows.weight_N[chosen]
    return RowFeatures({m: rows.parts[m][chosen] for m in uses}, rows.present_NM[chosen], rows.target[chosen], weight_N)


def _has_roots(vectors: np.ndarray) -> bool:
    """Whether square roots of a modality's vectors may be read."""
    return vectors.shape[1] > WIDE and bool((vectors >= 0).all())


def _shared_penalty(paths: list[_Path], penalties: Sequence[float], stops: Stops) -> FittedLinear:
    best: tuple[float, list[_Step]] | None = None
    worse = 0
    for steps in zip(*(path.steps(penalties, stops) for path in paths), strict=True):
        loss = sum(step.loss for step in steps) / sum(path.num_val for path in paths)
        if best is None or loss < best[0]:
            best, worse = (loss, list(steps)), 0
        else:
            worse += 1
            if worse >= GIVE_UP_AFTER:
                break
        if stops():
            break
    assert best is not None
    loss, chosen = best
    details: dict[str, Any] = {"penalty": round(chosen[0].penalty, 6), "square root": any(paths[0].rooted)}
    if paths[0].scale.link == "identity":
        details["target"] = paths[0].transform
    members = [path.member(step) for path, step in zip(paths, chosen, strict=True)]
    return FittedLinear(loss, members, details, chosen[0].penalty / paths[0].width)


@dataclass
class _Step:
    """Weights under one penalty, and their summed validation loss."""

    penalty: float
    weight_DC: np.ndarray  # noqa: N815  shape letters
    bias_C: np.ndarray  # noqa: N815
    target_scale: TargetScale | None
    loss: float


class _Path:
    """The solutions of one fold from the strongest penalty to the weakest."""

    def __init__(
        self, train: RowFeatures, val: RowFeatures, uses: tuple[int, ...], names: tuple[str, ...], num_outputs: int,
        scale: AnswerScale, rooted: tuple[bool, ...], transform: str,
    ) -> None:  # fmt: skip
        self.uses, self.names, self.scale, self.rooted, self.transform = uses, names, scale, rooted, transform
        self.train_target, self.val_target, self.num_val = train.target, val.target, len(val.target)
        means, steps = [], []
        for m, is_rooted in zip(uses, rooted, strict=True):
            values = train.parts[m][train.present_NM[:, m]].astype(np.float64)
            values = np.sqrt(np.maximum(values, 0.0)) if is_rooted else values
            std = values.std(0)
            varies = std > SMALLEST * np.abs(values).max(0).clip(min=1e-12)
            means.append(values.mean(0))
            steps.append(np.where(varies, 1.0 / np.where(std > 0, std, 1.0), 0.0))
        self.widths = tuple(len(m) for m in means)
        self.mean_D, self.step_D = np.concatenate(means), np.concatenate(steps)
        self.inside, self.outside = self._features(train), self._features(val)
        self.target_scale = TargetScale.fit(train.target, transform) if scale.link == "identity" else None
        self.target_NC = as_columns(train.target, num_outputs, scale.link, self.target_scale)
        self.weight_N = train.weight_N
        self.width = max(1.0, float(self.inside.shape[1]) ** 0.5 / 10)  # by which penalties are scaled

    def _features(self, of: RowFeatures) -> np.ndarray:
        parts = [of.parts[m].astype(np.float64) for m in self.uses]
        there = [of.present_NM[:, m] for m in self.uses]
        return standardised(parts, there, self.rooted, self.mean_D, self.step_D)

    def steps(self, penalties: Sequence[float], stops: Stops) -> Iterator[_Step]:
        """One penalty after the other."""
        penalties = [p * self.width for p in penalties]
        solutions = linear_path(self.inside, self.target_NC, self.scale.link, penalties, stops, self.weight_N)
        for penalty, weight_DC, bias_C in solutions:
            scaled = self.target_scale
            if scaled is not None:
                scaled = scaled.with_smearing(self.train_target, (self.inside @ weight_DC + bias_C)[:, 0])
            outputs = activate(self.outside @ weight_DC + bias_C, self.scale.link)
            outputs = outputs if scaled is None else scaled.decode(outputs)
            loss = float(self.scale.loss(outputs, self.val_target).sum())
            yield _Step(penalty, weight_DC, bias_C, scaled, loss)

    def member(self, step: _Step) -> LinearMember:
        """A model of one step."""
        made = LinearMember(
            self.uses, self.names, self.widths, len(step.bias_C), self.scale.link, self.rooted, step.target_scale
        )
        buffers = (("mean_D", self.mean_D), ("step_D", self.step_D), ("weight_DC", step.weight_DC),
                   ("bias_C", step.bias_C))  # fmt: skip
        for name, values in buffers:
            getattr(made, name).copy_(torch.from_numpy(values))
        return made


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
