"""Perceiver: a fixed number of learned latents reads the tokens of all modalities at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, check_count
from plait.fusion.positions import FourierCodes
from plait.fusion.sequences import Sequences, attention_over_tokens
from plait.fusion.transformer import TransformerLayer


class PerceiverFusion(Fusion):
    """Z <- Layer_0(Z, [S_1 + e_1; ..; S_M + e_M]), Z <- Layer_l(Z, Z) for l = 1..L; h = mean_n norm(Z_n).

    S_m is the sequence of a modality: its projected vector, then its projected tokens; those of a sequence or a grid
    with Fourier features of their place (``positions.py``). Missing modalities and padding are no keys; with nothing to
    read, the first layer's attention term is zero.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of the latents; must be a multiple of ``heads``.
        layers: Number L of self-attention layers over the latents, 0 or more.
        num_latents: Number of latents, 1 or more.
        heads: Number of attention heads.
        normalise: Layer-normalise vectors and tokens first.
        dropout: Feature dropout in front of the projections in training, in [0, 1).

    When to use: many modalities or long sequences: the cost grows with the number of tokens, not with its square.
    Relatives: ``self_attention`` reads one vector a modality; ``bottleneck`` keeps the modalities' layers apart.
    Reference: Jaegle, Gimeno, Brock, Zisserman, Vinyals, Carreira 2021, one cross-attention.
    """

    info = FusionInfo(
        "perceiver",
        "Jaegle, Gimeno, Brock, Zisserman, Vinyals, Carreira 2021",
        "Z <- Layer_0(Z, [S_1 + e_1; ..; S_M + e_M]), Z <- Layer_l(Z, Z); h = mean_n Z_n",
        needs_tokens=True,
    )
    interaction = "attention"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        layers: int = 1,
        num_latents: int = 8,
        heads: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(0, layers=layers)
        check_count(num_latents=num_latents)
        self.sequences = Sequences(dims, width, embed=True, normalise=normalise, dropout=dropout, codes=FourierCodes)
        self.latent_ND = nn.Parameter(0.02 * torch.randn(num_latents, width))
        self.read = TransformerLayer(width, heads)
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse into the latents and take their mean."""
        sequences, keeps = self.sequences(encoded, present_BM)
        latent_BND = self.latent_ND.expand(len(present_BM), -1, -1)
        latent_BND, attention_BNT = self.read(latent_BND, torch.cat(keeps, dim=1), torch.cat(sequences, dim=1))
        always_BN = torch.ones(latent_BND.shape[:2], dtype=torch.bool, device=latent_BND.device)
        for layer in self.layers:
            latent_BND, _ = layer(latent_BND, always_BN)
        parts = attention_BNT.mean(1).split([keep_BT.shape[1] for keep_BT in keeps], dim=1)
        return FusionOutput(self.norm(latent_BND).mean(1), attention=[attention_over_tokens(part) for part in parts])


FUSIONS.add("perceiver", PerceiverFusion)
