"""Integrated gradients (Sundararajan, Taly and Yan 2017) of words, pixels and frames, with the completeness gap.

The path runs straight from a baseline to the item, in what the encoder takes: embeddings of word pieces (baseline: the
embedding of the padding token, special tokens stay), pixels (baseline: a grey picture) or frames of a sound (baseline:
silence). The integral is a Gauss-Legendre sum over the square root of the way, since networks turn fastest near an even
baseline; of 32 points, and of 128 where those leave over more than 5 % of the whole way. Single networks
only: an ensemble holds members without gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.data.modality import Modality
from plait.evaluation import EvaluationInputs
from plait.explain.inputs.cut import Cut
from plait.explain.inputs.element_parts import elements_of, given_out
from plait.explain.inputs.live import encoder_of
from plait.explain.inputs.score import ExplainedRows
from plait.inputs.inputs import Inputs
from plait.training.fitted import FittedParts

STEPS = (32, 128)
SMALL_GAP = 0.05
AT_ONCE = 16
KINDS = ("text", "image", "audio")


def check_single(given: EvaluationInputs | FittedParts) -> None:
    """Refuse a model whose answers have no gradient.

    Raises:
        ValueError: An ensemble answers, or the answer is written word by word.
    """
    if given.task.family.writes:
        raise ValueError(
            "method='gradients' follows the scores of labels and numbers, and this model writes text; type "
            "method='occlusion', or leave method= out"
        )
    if given.ensemble is not None:
        raise ValueError(
            "method='gradients' needs one network, and an ensemble answers here, whose trees and averages have no "
            "gradients; type method='occlusion', or train with preset='single'"
        )


def no_gradient(inputs: Inputs, modality: Modality) -> str | None:
    """Why the answers of a network have no gradient in a modality that could be shown; None: they have."""
    if modality.kind not in KINDS:
        return f"not applicable: gradients follow words, pixels and frames, and this is {modality.kind}; try occlusion"
    if modality.name in inputs.words:
        return "not applicable: a bag of words stands beside its encoder, which gradients miss; try occlusion"
    return None


class GradientScores:
    """Integrated gradients of one modality of one row, by part, and scores with parts at their baseline.

    Args:
        asked: Model and rows.
        row: Which of the explained rows.
        number: Which modality.
        cut: Its item in parts.
        column: Which output is explained.

    Attributes:
        values: What each part adds [P].
        others: The same under new heads [P, K].
        facts: ``steps`` of the integral, and what stands for a hidden part.
    """

    def __init__(self, asked: ExplainedRows, row: int, number: int, cut: Cut, column: int) -> None:
        self.asked, self.number, self.column, self.num_answers = asked, number, column, 0
        self.modality = asked.inputs.modalities[number]
        self.index_M = asked.items_NM[row]
        self.encoder = encoder_of(asked.given, asked.inputs, self.modality)
        self.device = next(asked.given.model.parameters()).device
        processor = asked.inputs.processors[self.modality.name]
        self.given, self.base, self.key, part_of = elements_of(self.modality.kind, processor, cut, self.encoder)
        self.part_of, self.count = part_of, len(cut)
        self.others_inputs = asked.others_of(row, number, self.device)
        model = asked.given.model
        self.values, steps = self._integrate(model)
        found = [self._integrate(network, (STEPS[0],))[0] for network in asked.others]
        self.others = np.stack(found, axis=1) if found else None
        words = {"text": "the embedding of padding", "image": "grey", "audio": "silence"}[self.modality.kind]
        self.facts: dict[str, Any] = {"steps": steps, "stands_for": words}

    def __call__(self, kept_VP: np.ndarray) -> np.ndarray:
        """Scores [V] with hidden parts at the baseline."""
        masks = torch.as_tensor(np.asarray(kept_VP, dtype=np.float32), device=self.device)
        with torch.no_grad():
            return torch.cat([self._scores(self.asked.given.model, m)[0] for m in masks.split(AT_ONCE)]).cpu().numpy()

    def _integrate(self, network: nn.Module, steps: tuple[int, ...] = STEPS) -> tuple[np.ndarray, int]:
        ends = torch.tensor([[0.0], [1.0]], device=self.device).expand(2, self.count)
        with torch.no_grad():
            low, high = (float(v) for v in self._scores(network, ends)[0])
        value_P = np.zeros(self.count)
        used = steps[0]
        for used in steps:
            points, weights = np.polynomial.legendre.leggauss(used)
            root = (points + 1) / 2
            value_P = self._sum(network, root**2, root * weights)
            if abs(value_P.sum() - (high - low)) <= SMALL_GAP * max(abs(high - low), 1e-6):
                break
        return value_P, used

    def _sum(self, network: nn.Module, alphas: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Weighted sum over the path of gradient times way, by part [P]."""
        total = torch.zeros(self.count, dtype=torch.float64)
        for start in range(0, len(alphas), AT_ONCE):
            alpha = torch.tensor(alphas[start : start + AT_ONCE], dtype=torch.float32, device=self.device)
            weight = torch.tensor(weights[start : start + AT_ONCE], dtype=torch.float64)
            with torch.enable_grad():
                score_V, taken = self._scores(network, alpha[:, None].expand(-1, self.count), learn=True)
                (slope,) = torch.autograd.grad(score_V.sum(), taken)
            way = (self.given - self.base).to(slope)
            by_element = (slope * way).double().cpu() * weight.view(-1, *[1] * (slope.ndim - 1))
            total += self._by_part(by_element.sum(0))
        return total.numpy()

    def _by_part(self, element: Tensor) -> Tensor:
        flat, part = element.reshape(-1), self.part_of[0].expand_as(element).reshape(-1)
        made = torch.zeros(self.count + 1, dtype=torch.float64)
        made.index_add_(0, torch.where(part >= 0, part, self.count), flat)
        return made[: self.count]

    def _scores(self, network: Any, kept_VP: Tensor, *, learn: bool = False) -> tuple[Tensor, Tensor]:
        """Scores [V], and what the encoder was given, with parts as far from the baseline as ``kept_VP`` says."""
        self.num_answers += len(kept_VP)
        given, base, part = (t.to(self.device) for t in (self.given, self.base, self.part_of))
        share = torch.cat([kept_VP, kept_VP.new_ones(len(kept_VP), 1)], dim=1)[
            :, part[0]
        ]  # what has no part (-1) is all there
        taken = base + share * (given - base)
        taken = taken.detach().requires_grad_(learn)
        model = self.asked.given.model
        was = model.training
        model.eval()
        try:
            features = self._encode(taken)
            inputs = {n: {k: v.expand(len(taken), *v.shape[1:]) for k, v in tensors.items()}
                      for n, tensors in self.others_inputs.items()} | {self.modality.name: features}  # fmt: skip
            present = torch.tensor(self.index_M >= 0, device=self.device).expand(len(taken), -1)
            logits_VC = network.answer(network.encode(inputs, present), present).float()
        finally:
            model.train(was)
        return self.asked.log_odds(logits_VC, self.column), taken

    def _encode(self, taken: Tensor) -> dict[str, Tensor]:
        assert self.encoder is not None
        tensors = {k: v.to(self.device).expand(len(taken), *v.shape[1:]) for k, v in self.key.rest.items()}
        self.encoder.eval()
        if self.key.embedding is None:
            encoded = self.encoder(**tensors, **{self.key.name: taken})
        else:
            with given_out(self.key.embedding, taken):
                encoded = self.encoder(**tensors)
        made = {"vector_BD": encoded.vector_BD.float()}
        if self.asked.given.model.fusion.info.needs_tokens and encoded.tokens_BTD is not None:
            mask = encoded.mask_BT
            mask = torch.ones(encoded.tokens_BTD.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
            made |= {"tokens_BTD": encoded.tokens_BTD.float(), "mask_BT": mask.to(self.device)}
        return made
