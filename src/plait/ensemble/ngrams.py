"""A linear model on the n-grams of a text column: the words that a frozen encoder blurs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.ensemble.base import Inputs, Member
from plait.ensemble.glm import Stops, activate, linear_path, never
from plait.ensemble.linear import as_columns
from plait.ensemble.link import answer_config, outputs_of, scale_of
from plait.ensemble.scale import AnswerScale
from plait.tasks.target_scale import TargetScale, transforms_for

PENALTIES = (0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)  # rows of features have length 1
GIVE_UP_AFTER = 2
Fold = tuple[Any, np.ndarray, Any, np.ndarray]
Step = tuple[np.ndarray, float, np.ndarray, np.ndarray, TargetScale | None]


class NgramMember(Member):
    """See the module.

    Args:
        uses: Number of the text modality.
        name: Its name.
        num_ngrams: N-grams known.
        num_outputs: Outputs, C.
        link: "softmax", "sigmoid" or "identity".
        scale: Of a number: how it is learned.
    """

    weight_GC: Tensor  # noqa: N815  shape letters
    bias_C: Tensor  # noqa: N815

    def __init__(
        self, uses: tuple[int, ...], name: str, num_ngrams: int, num_outputs: int, link: str,
        scale: TargetScale | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.uses, self.name, self.link, self.scale = uses, name, link, scale
        self.num_ngrams, self.num_outputs = num_ngrams, num_outputs
        self.register_buffer("weight_GC", torch.zeros(num_ngrams, num_outputs))
        self.register_buffer("bias_C", torch.zeros(num_outputs))

    def config(self) -> dict[str, Any]:
        """What ``from_config`` takes."""
        return {
            "uses": list(self.uses), "name": self.name, "num_ngrams": self.num_ngrams,
            **answer_config(self.link, self.num_outputs, self.scale),
        }  # fmt: skip

    @classmethod
    def from_config(cls, facts: dict[str, Any]) -> NgramMember:
        """Rebuild without weights."""
        return cls(
            tuple(facts["uses"]), str(facts["name"]), int(facts["num_ngrams"]), int(facts["num_outputs"]),
            str(facts["link"]), scale_of(facts),
        )  # fmt: skip

    def outputs(self, inputs: Inputs, encoded: Any, present_BM: Tensor) -> np.ndarray:
        """Outputs [B, C]."""
        tensors = inputs[self.name]
        there_B1 = present_BM[:, [self.uses[0]]].to(tensors["ngram_weight_BG"].device)
        weight_BG = torch.where(there_B1, tensors["ngram_weight_BG"].double(), 0.0)
        table_BGC = self.weight_GC.double()[tensors["ngram_BG"]]
        scores_BC = torch.einsum("bg,bgc->bc", weight_BG, table_BGC) + self.bias_C.double()
        return outputs_of(scores_BC.cpu().numpy(), self.link, self.scale)


def fit_ngrams(
    folds: Sequence[Fold], uses: tuple[int, ...], name: str, num_outputs: int, scale: AnswerScale,
    stops: Stops = never,
) -> tuple[list[NgramMember], dict[str, Any]]:  # fmt: skip
    """The model with the smallest validation loss, one a fold with the same penalty, and what was chosen.

    Args:
        folds: Of each fold weighted n-grams of training texts, sparse [N, G], their encoded targets, numbers in their
            unit, and the same two of validation texts.
        uses: Number of the text modality.
        name: Its name.
        num_outputs: Outputs, C.
        scale: The family's.
        stops: Asked after each penalty; True: the best so far stands.
    """
    best: tuple[float, list[NgramMember], dict[str, Any]] | None = None
    targets = np.concatenate([fold[1] for fold in folds])
    for transform in transforms_for(targets) if scale.link == "identity" else ("none",):
        worse = 0
        if best is not None and stops():
            break
        for steps in zip(*(_path(fold, transform, num_outputs, scale, stops) for fold in folds), strict=True):
            loss = float(np.mean(np.concatenate([step[0] for step in steps])))
            if best is None or loss < best[0]:
                width = folds[0][0].shape[1]
                members = [NgramMember(uses, name, width, num_outputs, scale.link, step[4]) for step in steps]
                for member, (_, _, weight_GC, bias_C, _) in zip(members, steps, strict=True):
                    member.weight_GC.copy_(torch.from_numpy(weight_GC))
                    member.bias_C.copy_(torch.from_numpy(bias_C))
                best, worse = (loss, members, {"penalty": steps[0][1], "n-grams": int(width)}), 0
            else:
                worse += 1
                if worse >= GIVE_UP_AFTER:
                    break
            if stops():
                break
    assert best is not None
    return best[1], best[2]


def _path(fold: Fold, transform: str, num_outputs: int, scale: AnswerScale, stops: Stops) -> Iterator[Step]:
    """Losses of validation rows, penalty, weights, bias and how a number is learned, the strongest penalty first."""
    train, train_target, val, val_target = fold
    target_scale = TargetScale.fit(train_target, transform) if scale.link == "identity" else None
    target_NC = as_columns(train_target, num_outputs, scale.link, target_scale)
    for penalty, weight_GC, bias_C in linear_path(train, target_NC, scale.link, PENALTIES, stops):
        outputs = activate(np.asarray(val @ weight_GC) + bias_C, scale.link)
        outputs = outputs if target_scale is None else target_scale.decode(outputs)
        yield scale.loss(outputs, val_target), penalty, weight_GC, bias_C, target_scale
