"""XOR across two modalities: neither says anything alone, so only an interaction can solve it."""

from __future__ import annotations

import torch

from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims, OutputSpec


def xor_accuracy(name: str, options: dict) -> float:
    """Accuracy on the four XOR cells (with noise) after a short training of fusion and linear head (none if late)."""
    torch.manual_seed(0)
    sign_N2 = torch.tensor([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)]).repeat(64, 1)
    y = (sign_N2[:, 0] * sign_N2[:, 1] > 0).long()
    encoded = []
    for m in range(2):
        direction_D = torch.tensor([1.0, -1.0, 0.5, -0.5])
        vector_BD = sign_N2[:, m : m + 1] * direction_D + 0.1 * torch.randn(len(y), 4)
        tokens_BTD = torch.randn(len(y), 3, 4) * 0.1
        tokens_BTD[:, 1] += sign_N2[:, m : m + 1] * direction_D
        encoded.append(Encoded(vector_BD, tokens_BTD, torch.ones(len(y), 3, dtype=torch.bool)))
    kind = FUSIONS.get(name)
    if kind.is_late:
        options = {"outputs": OutputSpec(2), **options}
    model = kind([EncodedDims(4, 4)] * 2, 16, **options)
    head = torch.nn.Identity() if kind.is_late else torch.nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=0.02)
    present = torch.ones(len(y), 2, dtype=torch.bool)
    for _ in range(120):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(model(encoded, present).fused_BD), y).backward()
        optimizer.step()
    right = head(model(encoded, present).fused_BD).argmax(1) == y
    return float(right.float().mean())
