"""LeMDA: a small network learns to change the vectors of a row so that the task gets harder and the answer stays."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.objectives.base import OBJECTIVES, ObjectiveInfo
from plait.objectives.step import Step

LATENT = 8  # width of the code z
CONSISTENT = 0.01  # w2, weight of the consistency term
SMALL = 0.01  # factor on the first changes, which the task is to hardly see; 0 would leave E without gradient
PRIOR = 0.1  # w3, weight of the divergence of codes from N(0, 1)
CONFIDENT = 0.5  # alpha: below it an answer to the unchanged row is no answer to hold on to


class LearnedAugmentation(nn.Module):
    """x'_m = x_m + s_m D_m(z_m), z_m ~ N(mu_m, sigma_m^2) = E_m(norm(x_m)): one small VAE a modality, D_m near 0 at
    first.

    Encoders, fusion and head F learn L(F(x)) + L(F(x')). The augmentation network G (all E_m and D_m) learns

        min_G  -w1 L(F(x')) + w2 consistency(F(x), F(x')) + w3 mean KL(N(mu, sigma^2) || N(0, 1)),

    that is, to raise the loss while surely answered rows keep their answer: see :func:`consistency`. Both learn in the
    same step; nothing of G's terms reaches F, and to F the change of x is a constant.

    As in the paper are the two objectives (equations 1 and 2), the VAE for each modality and the consistency on
    confident answers. Our reading: G reads and changes the adapted vector, scaled to the row's own standard deviation
    s_m, so that encoders of any scale are changed alike; w2, w3, alpha and the width of z are those of the authors'
    later implementation in AutoGluon as far as known, 0.01, 0.1, 0.5 and 8; the shown loss holds L(F(x)) + L(F(x')) and
    nothing of G's. In evaluation, and in what is saved of a model's answers, nothing is changed.

    Args:
        widths: Width of each modality's vector.
        strength: w1; 0.0001 in usual use.
        kind: What the task answers: "classes", "labels" or "number".

    Needs: a fusion that reads one vector a modality and makes a fused vector; a task with classes, labels or numbers.
    When to use: small tables, where mixup or changed copies of the inputs help too.
    Relatives: ``train.mixup`` blends rows; ``augment.views`` changes the inputs themselves, by rules.
    Reference: Liu, Tang, Shi, Zhang, Li, Shrivastava, Wilson 2023 (learning multimodal data augmentation in feature
        space, ICLR); Kingma, Welling 2014 (VAE, appendix B).
    """

    def __init__(self, widths: list[int], strength: float, kind: str) -> None:
        super().__init__()
        self.strength, self.kind = strength, kind
        self.networks = nn.ModuleList(_VectorVAE(width) for width in widths)

    def changed(self, step: Step) -> tuple[list[Encoded], Tensor]:
        """Changed modalities, which carry gradients to G alone, and the divergence of their codes, a scalar.

        Args:
            step: The batch.
        """
        made, divergences = [], []
        for m, (network, encoded) in enumerate(zip(self.networks, step.encoded, strict=True)):
            vector_BD = encoded.vector_BD.detach()
            change_BD, divergence_B = network(vector_BD)
            there_B = step.present_BM[:, m]
            change_BD = torch.where(there_B[:, None], change_BD, 0.0)
            made.append(Encoded(vector_BD + change_BD, encoded.tokens_BTD, encoded.mask_BT))
            divergences.append((divergence_B * there_B).sum() / there_B.sum().clamp(min=1))
        return made, torch.stack(divergences).mean()

    def forward(self, step: Step) -> Tensor:
        """What is added to the loss: L(F(x')), and G's terms, which are zero in value.

        Args:
            step: The batch.
        """
        assert step.answer is not None and step.shown_BM is not None
        changed, divergence = self.changed(step)
        carried = [
            Encoded(old.vector_BD + (new.vector_BD - old.vector_BD).detach(), new.tokens_BTD, new.mask_BT)
            for old, new in zip(step.encoded, changed, strict=True)
        ]
        _, harder = step.answer(carried, step.shown_BM)
        with torch.no_grad():
            answers_BC, _ = step.answer(step.encoded, step.shown_BM)
        changed_BC, loss = step.answer(changed, step.shown_BM)
        steady = consistency(answers_BC, changed_BC, self.kind)
        return harder + of_these_alone(
            -self.strength * loss + CONSISTENT * steady + PRIOR * divergence, [*self.parameters()]
        )


class _VectorVAE(nn.Module):
    """The change of one modality's vector and the divergence of its code from the standard normal."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(LATENT, min(64, width))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.encoder = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, width))
        with torch.no_grad():
            for parameter in self.decoder[-1].parameters():
                parameter.mul_(SMALL)

    def forward(self, vector_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Change [B, D] and divergence [B] (mean over the code)."""
        mean_BZ, log_variance_BZ = self.encoder(self.norm(vector_BD)).chunk(2, dim=1)
        code_BZ = mean_BZ + (0.5 * log_variance_BZ).exp() * torch.randn_like(mean_BZ)
        divergence_B = -0.5 * (1 + log_variance_BZ - mean_BZ**2 - log_variance_BZ.exp()).mean(1)
        return vector_BD.std(1, correction=0, keepdim=True) * self.decoder(code_BZ), divergence_B


def consistency(answers_BC: Tensor, changed_BC: Tensor, kind: str, confident: float = CONFIDENT) -> Tensor:
    """How far answers to changed rows are from those to the rows as they are, a scalar of 0 or more.

    Classes: mean of 1(max_c p_c > alpha) KL(p || p'), p = softmax of the answer to the unchanged row, which decides
    alone whether the row counts; rows that do not count are zeros of the mean. Labels: the same of each label's two
    probabilities, with max(p, 1 - p) > alpha. Numbers, which are standardised, have no confidence: mean of (y - y')^2.

    Args:
        answers_BC: Logits of the rows as they are; without gradient.
        changed_BC: Logits of the changed rows.
        kind: "classes", "labels" or "number".
        confident: alpha, in [0, 1].
    """
    answers_BC = answers_BC.detach()
    if kind == "number":
        return ((answers_BC - changed_BC) ** 2).mean()
    if kind == "labels":  # each label is a choice of two
        answers_BC, changed_BC = (torch.stack([a, torch.zeros_like(a)], dim=-1) for a in (answers_BC, changed_BC))
    logs, changed = functional.log_softmax(answers_BC, -1), functional.log_softmax(changed_BC, -1)
    divergence = (logs.exp() * (logs - changed)).sum(-1)
    return (divergence * (logs.exp().amax(-1) > confident)).mean()


def of_these_alone(term: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """A scalar of value 0 whose gradient is that of ``term`` for these parameters, and none for any other."""
    found = torch.autograd.grad(term, parameters, allow_unused=True)
    carried = sum(((p * g).sum() for p, g in zip(parameters, found, strict=True) if g is not None), term.new_zeros(()))
    return carried - carried.detach()


OBJECTIVES.add(
    "lemda",
    ObjectiveInfo(
        "lemda", "Liu et al. 2023",
        "F: L(F(x)) + L(F(x + G(x))); G: -lambda L(F(x + G(x))) + w2 1(sure) KL(F(x) || F(x + G(x))) + w3 KL(z)",
        usual=0.0001, needs_vector=True, only_vectors=True, does="changes vectors in front of the fusion",
    ),
)  # fmt: skip
