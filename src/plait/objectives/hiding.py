"""On-the-fly prediction modulation (OPM): the modality that is ahead of the others is hidden at times."""

from __future__ import annotations

import torch
from torch import Tensor

from plait.fusion.modality_dropout import hide_modalities
from plait.objectives.base import OBJECTIVES, ObjectiveInfo
from plait.objectives.modulation import ratios, scores

EXECUTED = 0.7  # share of the batches in which anything is hidden (p_exe)
GROWTH = 0.5  # how much more often the further ahead (lambda)


class PredictionModulation:
    """q_m = q (1 + (1/2) tanh(rho_m - 1)) where rho_m > 1, else 0: how often modality m is hidden from a row.

    rho_m is the ratio of ``ogm``: mean probability that the auxiliary head of m gives the right class, over that of the
    others. It is done in seven of ten batches, as in the paper. What is hidden is missing to the fusion, exactly; the
    paper sets features to zero and scales the rest up, which only a concatenation needs. A row that would lose all
    keeps all; the paper leaves it out. Where no other objective trains the auxiliary heads, they learn on detached
    vectors. Since it acts on what is seen and not on a gradient's size, every optimizer does it.

    Args:
        base: q, above 0; 0.5 in the paper.

    Needs: two modalities; a task with classes.
    When to use: one modality is learned at once and the others stay behind; and rows may lack it later.
    Relatives: ``modality_dropout`` hides at fixed rates; ``ogm`` slows the step of the modality that is ahead.
    Reference: Wei, Hu, Du, Wen 2024 (on-the-fly modulation for balanced multimodal learning, TPAMI).
    """

    def __init__(self, base: float) -> None:
        self.base = base

    @torch.no_grad()
    def hide(self, answers_BMC: Tensor, there_BM: Tensor, present_BM: Tensor, target_B: Tensor) -> Tensor:
        """What the fusion may still see [B, M], given the answers of each modality alone."""
        rates_M = hiding_rates(scores(answers_BMC, there_BM, target_B), self.base)
        if float(torch.rand(())) >= EXECUTED:
            return present_BM
        return hide_modalities(present_BM, rates_M.tolist())


def hiding_rates(score_M: Tensor, base: float) -> Tensor:
    """q_m of each modality [M], at most 1."""
    ratio_M = ratios(score_M)
    rate_M = base * (1 + GROWTH * torch.tanh(ratio_M - 1))
    return torch.where(ratio_M > 1, rate_M, torch.zeros_like(rate_M)).clamp(max=1.0)


OBJECTIVES.add(
    "opm",
    ObjectiveInfo(
        "opm", "Wei, Hu, Du, Wen 2024", "hide m with q (1 + tanh(rho_m - 1) / 2) where rho_m > 1", usual=0.5,
        only_classes=True,
    ),
)  # fmt: skip
