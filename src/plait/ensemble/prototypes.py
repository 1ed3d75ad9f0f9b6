"""A class is the mean of its training rows: nearest prototypes on the frozen vectors of every modality.

For classes of which one to sixteen rows are known. Vectors are centred by the training mean and made unit; a class
stands at the mean of its rows, drawn towards the middle the more the fewer they are; a row's score is minus its squared
distance, added over the modalities that it has, each weighed by how well it tells classes. Weights and shrinkage are
chosen by leaving out one training row at a time, so no validation row is needed; where every class has one row, nothing
can be left out and fixed values stand.

Reference: Snell, Swersky and Zemel, NeurIPS 2017 (prototypes); Wang, Chao, Weinberger and van der Maaten, 2019
(SimpleShot: centred unit vectors).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.ensemble.base import Inputs, Member
from plait.ensemble.linear import Plain, RowFeatures

SHARPNESS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of the scores of a modality; 0: it tells nothing
SHRINKAGE = (0.0, 0.5, 2.0)  # rows at the middle that each class counts beside its own
USUAL_SHARPNESS, USUAL_SHRINKAGE = 4.0, 0.5  # where no row can be left out
JOINT = (0.5, 0.7, 1.0)  # of the sum over modalities, which say in part the same
SMALLEST = 1e-12


class PrototypeMember(Member):
    """See the module.

    Args:
        uses: Numbers of its modalities.
        names: Their names.
        widths: Their widths.
        num_outputs: Classes, C.
    """

    mean_D: Tensor  # noqa: N815  shape letters
    prototype_CD: Tensor  # noqa: N815
    known_MC: Tensor  # noqa: N815
    sharpness_M: Tensor  # noqa: N815

    def __init__(
        self, uses: tuple[int, ...], names: tuple[str, ...], widths: tuple[int, ...], num_outputs: int
    ) -> None:
        super().__init__()
        self.uses, self.names, self.widths, self.num_outputs = uses, names, widths, num_outputs
        for name, shape in (("mean_D", (sum(widths),)), ("prototype_CD", (num_outputs, sum(widths))),
                            ("known_MC", (len(uses), num_outputs)), ("sharpness_M", (len(uses),))):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32))
        self.plain: tuple[Plain, ...] = ()

    def config(self) -> dict[str, Any]:
        """What ``from_config`` takes."""
        return {
            "uses": list(self.uses), "names": list(self.names), "widths": list(self.widths),
            "num_outputs": self.num_outputs,
        }  # fmt: skip

    @classmethod
    def from_config(cls, facts: dict[str, Any]) -> PrototypeMember:
        """Rebuild without weights."""
        return cls(tuple(facts["uses"]), tuple(facts["names"]), tuple(facts["widths"]), int(facts["num_outputs"]))

    def outputs(self, inputs: Inputs, encoded: Any, present_BM: Tensor) -> np.ndarray:
        """Probabilities [B, C]; of a row without any of its modalities all classes are equally likely."""
        score_BC = np.zeros((len(present_BM), self.num_outputs))
        start = 0
        for place, (m, name) in enumerate(zip(self.uses, self.names, strict=True)):
            at = slice(start, start + self.widths[place])
            start = at.stop
            vector_BD = self.plain[place](inputs[name]).double().cpu().numpy()
            unit_BD = unit_about(vector_BD, _array(self.mean_D)[at])
            own_BC = similarity(unit_BD, _array(self.prototype_CD)[:, at], _array(self.known_MC)[place] > 0)
            there_B = present_BM[:, m].cpu().numpy()
            score_BC += np.where(there_B[:, None], float(self.sharpness_M[place]) * own_BC, 0.0)
        return softmax(score_BC)


def unit_about(vector_ND: np.ndarray, mean_D: np.ndarray) -> np.ndarray:
    """Vectors about a mean, made unit; zero where they are equal to it [N, D]."""
    about_ND = vector_ND - mean_D
    return np.asarray(about_ND / np.maximum(np.linalg.norm(about_ND, axis=1, keepdims=True), SMALLEST))


def similarity(unit_ND: np.ndarray, prototype_CD: np.ndarray, known_C: np.ndarray) -> np.ndarray:
    """Minus the squared distance of each row to each class, but for a part that is the same for all classes [N, C].

    A class without a prototype in this modality gets the mean of the others: the modality says nothing of it.
    """
    found_NC = 2.0 * unit_ND @ prototype_CD.T - (prototype_CD**2).sum(1)
    if known_C.all() or not known_C.any():
        return found_NC if known_C.any() else np.zeros_like(found_NC)
    return np.where(known_C, found_NC, found_NC[:, known_C].mean(1, keepdims=True))


def softmax(score_NC: np.ndarray) -> np.ndarray:
    """Scores as probabilities of classes."""
    return torch.from_numpy(score_NC).softmax(1).numpy()


def fit_prototypes(
    train: RowFeatures, uses: tuple[int, ...], names: tuple[str, ...], num_outputs: int
) -> tuple[PrototypeMember, dict[str, Any]] | None:
    """The prototypes of training rows, and what was chosen for them; None where no row has any of the modalities.

    Args:
        train: Training rows; targets are numbers of classes.
        uses: Numbers of the modalities to read.
        names: Their names.
        num_outputs: Classes, C.
    """
    there_NM = train.present_NM[:, list(uses)]
    if not there_NM.any():
        return None
    target = train.target.astype(np.int64)
    spaces = [
        _Space(train.parts[m].astype(np.float64), there_NM[:, i], target, num_outputs) for i, m in enumerate(uses)
    ]
    best: tuple[float, float, np.ndarray] | None = None
    for shrinkage in SHRINKAGE if any(space.can_leave_out.any() for space in spaces) else ():
        left = [space.without_itself(shrinkage) for space in spaces]
        alone_M = np.array([_sharpest(scores, space, target) for scores, space in zip(left, spaces, strict=True)])
        rows = np.flatnonzero(np.any([space.can_leave_out for space in spaces], axis=0))
        joint_NC = sum(
            s * np.where(p.can_leave_out[:, None], x, 0.0) for s, x, p in zip(alone_M, left, spaces, strict=True)
        )
        for joint in JOINT if len(uses) > 1 else (1.0,):
            loss = _log_loss(joint * np.asarray(joint_NC)[rows], target[rows])
            if best is None or loss < best[0] - 1e-9:
                best = (loss, shrinkage, joint * alone_M)
    told = "one training row at a time was left out"
    if best is None:
        best, told = (
            (np.nan, USUAL_SHRINKAGE, np.full(len(uses), USUAL_SHARPNESS / len(uses))),
            "fixed: one row a class",
        )
    member = PrototypeMember(uses, names, tuple(space.unit_ND.shape[1] for space in spaces), num_outputs)
    member.mean_D.copy_(torch.from_numpy(np.concatenate([space.mean_D for space in spaces])))
    made = [space.prototypes(best[1]) for space in spaces]
    member.prototype_CD.copy_(torch.from_numpy(np.concatenate(made, axis=1)))
    member.known_MC.copy_(torch.from_numpy(np.stack([space.count_C > 0 for space in spaces]).astype(np.float32)))
    member.sharpness_M.copy_(torch.from_numpy(best[2]))
    sharpness = {name: round(float(s), 3) for name, s in zip(names, best[2], strict=True)}
    return member, {"sharpness": sharpness, "shrinkage": best[1], "chosen by": told}


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


class _Space:
    """One modality of the training rows: unit vectors about their mean, and sums by class."""

    def __init__(self, vector_ND: np.ndarray, there_N: np.ndarray, target: np.ndarray, num_outputs: int) -> None:
        self.there_N, self.target = there_N, target
        self.mean_D = vector_ND[there_N].mean(0) if there_N.any() else np.zeros(vector_ND.shape[1])
        self.unit_ND = np.where(there_N[:, None], unit_about(vector_ND, self.mean_D), 0.0)
        one_hot_NC = np.eye(num_outputs)[target] * there_N[:, None]
        self.count_C, self.sum_CD = one_hot_NC.sum(0), one_hot_NC.T @ self.unit_ND
        self.can_leave_out = there_N & (self.count_C[target] > 1) & ((self.count_C > 0).sum() > 1)

    def prototypes(self, shrinkage: float) -> np.ndarray:
        """Means of classes, drawn to the middle [C, D]."""
        return np.asarray(self.sum_CD / np.maximum(self.count_C + shrinkage, SMALLEST)[:, None])

    def without_itself(self, shrinkage: float) -> np.ndarray:
        """Similarity of each row to each class, to its own without the row itself [N, C]."""
        found_NC = similarity(self.unit_ND, self.prototypes(shrinkage), self.count_C > 0)
        rows = np.flatnonzero(self.can_leave_out)
        own = self.target[rows]
        left_ND = self.sum_CD[own] - self.unit_ND[rows]
        left_ND = left_ND / np.maximum(self.count_C[own] - 1 + shrinkage, SMALLEST)[:, None]
        found_NC[rows, own] = 2.0 * (self.unit_ND[rows] * left_ND).sum(1) - (left_ND**2).sum(1)
        return found_NC


def _sharpest(score_NC: np.ndarray, space: _Space, target: np.ndarray) -> float:
    """The sharpness with the smallest loss of the rows that were left out; the usual one where none could be."""
    rows = np.flatnonzero(space.can_leave_out)
    if len(rows) == 0:
        return USUAL_SHARPNESS if space.there_N.any() else 0.0
    losses = [_log_loss(s * score_NC[rows], target[rows]) for s in SHARPNESS]
    return SHARPNESS[int(np.argmin(losses))]


def _log_loss(score_NC: np.ndarray, target: np.ndarray) -> float:
    return float(-np.log(np.maximum(softmax(score_NC)[np.arange(len(target)), target], SMALLEST)).mean())
