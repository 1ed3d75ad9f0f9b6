"""Random encoded modalities for tests of fusions."""

from __future__ import annotations

from itertools import product

import torch

from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims, Fusion, OutputSpec

WIDTH = 8


def dims(num_modalities: int) -> list[EncodedDims]:
    """Unequal widths, so that a mixed-up order cannot pass."""
    return [EncodedDims(5 + m, 3 + m) for m in range(num_modalities)]


def make_fusion(name: str, num_modalities: int, dtype: torch.dtype = torch.float32, **options: object) -> Fusion:
    """A fusion whose every parameter is random (zeros would hide what they touch); a late one has WIDTH outputs."""
    torch.manual_seed(7)
    kind = FUSIONS.get(name)
    if kind.is_late:
        options = {"outputs": OutputSpec(WIDTH), **options}
    fusion = kind(dims(num_modalities), WIDTH, **options).to(dtype).eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return fusion


def patterns(num_modalities: int) -> torch.Tensor:
    """Every pattern of presence, all-missing included."""
    return torch.tensor(list(product([True, False], repeat=num_modalities)))


def make_encoded(num_modalities: int, rows: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Encoded]:
    """Random vectors and tokens; row b has its last ``b % 3`` tokens padded."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for m, d in enumerate(dims(num_modalities)):
        length = 4 + m
        mask_BT = torch.arange(length)[None] < (length - torch.arange(rows)[:, None] % 3)
        made.append(
            Encoded(
                torch.randn(rows, d.vector_dim, generator=generator, dtype=torch.float64).to(dtype),
                torch.randn(rows, length, d.token_dim or 1, generator=generator, dtype=torch.float64).to(dtype),
                mask_BT,
            )
        )
    return made


def take(encoded: list[Encoded], rows: torch.Tensor) -> list[Encoded]:
    """These rows of every modality."""
    return [Encoded(e.vector_BD[rows], e.tokens_BTD[rows], e.mask_BT[rows]) for e in encoded]
