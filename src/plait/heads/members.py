"""A head of k networks in one: shared layers, rank-one adapters, k answers that are averaged.

    h_i = ReLU(s_i * (W (r_i * x)) + b_i),   y_i = V_i h_i + c_i,   i = 1 .. k

W is shared; r_i, s_i and b_i are a member's own, and so is its last layer. r of the first layer starts with random
signs, every other r and s with ones, so members differ by what they see. Each member is trained by itself (the mean of
k losses, not the loss of the mean); the answer is the mean of k numbers, or of k probabilities, given back as a logit.

Reference: Gorishniy, Kotelnikov and Babenko 2025 (TabM: Advancing Tabular Deep Learning with Parameter-Efficient
Ensembling); the layer is BatchEnsemble's (Wen, Tran and Ba 2020). There the first layer reads
the flattened inputs; here it reads what the fusion made of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.fusion.base import OUTPUT_KINDS, EncodedDims, FusionOutput, check_count
from plait.heads.base import Head

NUM_MEMBERS = 32
NUM_LAYERS = 2
DROPOUT = 0.1


class AdaptedLinear(nn.Module):
    """s_i * (W (r_i * x_i)) + b_i for k members, [B, K, in_dim] to [B, K, out_dim].

    Args:
        in_dim: Width in.
        out_dim: Width out.
        members: k.
        signs: Start r with random signs and not with ones.
    """

    def __init__(self, in_dim: int, out_dim: int, members: int, *, signs: bool) -> None:
        super().__init__()
        reach = in_dim**-0.5
        self.weight_EI = nn.Parameter(torch.empty(out_dim, in_dim).uniform_(-reach, reach))
        start = torch.randint(0, 2, (members, in_dim)) * 2.0 - 1.0 if signs else torch.ones(members, in_dim)
        self.r_KI = nn.Parameter(start)
        self.s_KE = nn.Parameter(torch.ones(members, out_dim))
        self.bias_KE = nn.Parameter(torch.empty(out_dim).uniform_(-reach, reach).repeat(members, 1))

    def forward(self, x_BKI: Tensor) -> Tensor:
        """Apply the members' layers."""
        return functional.linear(x_BKI * self.r_KI, self.weight_EI) * self.s_KE + self.bias_KE


class MembersHead(Head):
    """k networks with shared weights behind the fused vector.

    Args:
        dims: Widths of each modality (not used; every head is built alike).
        width: Width D of the fused vector.
        num_outputs: Number of classes, of labels, or 1 for a number.
        dropout: Not used; ``hidden_dropout`` stands behind each hidden layer.
        outputs: What the task asks for: "classes", "labels" or "number"; it says how answers are averaged.
        members: k.
        layers: Hidden layers, as wide as the fused vector.
        hidden_dropout: In training, in [0, 1).
    """

    def __init__(
        self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0, *,
        outputs: str = "classes", members: int = NUM_MEMBERS, layers: int = NUM_LAYERS, hidden_dropout: float = DROPOUT,
    ) -> None:  # fmt: skip
        super().__init__()
        check_count(members=members, layers=layers)
        if outputs not in OUTPUT_KINDS or outputs == "text":
            raise ValueError(f"head 'members' averages classes, labels or numbers, got outputs {outputs!r}")
        self.outputs, self.members = outputs, members
        self.layers = nn.ModuleList(AdaptedLinear(width, width, members, signs=i == 0) for i in range(layers))
        self.dropout = nn.Dropout(hidden_dropout)
        reach = width**-0.5
        self.last_KDC = nn.Parameter(torch.empty(members, width, num_outputs).uniform_(-reach, reach))
        self.last_bias_KC = nn.Parameter(torch.empty(members, num_outputs).uniform_(-reach, reach))

    def member_logits(self, fused: FusionOutput) -> Tensor:
        """Each member's answer [B, K, C]."""
        x_BKD = fused.fused_BD[:, None].expand(-1, self.members, -1)
        for layer in self.layers:
            x_BKD = self.dropout(torch.relu(layer(x_BKD)))
        return torch.einsum("bkd,kdc->bkc", x_BKD, self.last_KDC) + self.last_bias_KC

    def join(self, logits_BKC: Tensor) -> Tensor:
        """Mean of the members' numbers or probabilities, as a number or a logit [B, C]."""
        if self.outputs == "number":
            return logits_BKC.mean(1)
        if self.outputs == "classes":
            return _log_mean(torch.log_softmax(logits_BKC, dim=-1))
        return _log_mean(functional.logsigmoid(logits_BKC)) - _log_mean(functional.logsigmoid(-logits_BKC))

    def answers(self, fused: FusionOutput, present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """The averaged answer, and in training each member's, which learns by itself."""
        logits_BKC = self.member_logits(fused)
        joint_BC = self.join(logits_BKC)
        return joint_BC, logits_BKC if self.training else joint_BC

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Return the averaged answer as logits [B, num_outputs]."""
        return self.join(self.member_logits(fused))


def one_by_one(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Answers of members [B, K, C] as rows [B K, C], with the target of each; answers [B, C] as they are."""
    if logits.dim() == 2:
        return logits, target
    return logits.flatten(0, 1), target.repeat_interleave(logits.shape[1], dim=0)


def _log_mean(logs_BKC: Tensor) -> Tensor:
    """Logarithm of the mean over members of what these are the logarithms of, [B, C]."""
    mean_BC: Tensor = torch.logsumexp(logs_BKC, dim=1) - torch.log(torch.tensor(float(logs_BKC.shape[1])))
    return mean_BC
