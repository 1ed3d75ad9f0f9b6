"""Self-attention over modalities: one token a modality and a summary token through a small transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, check_count, present_vectors
from plait.fusion.transformer import TransformerLayer


class SelfAttentionFusion(Fusion):
    """h = norm(Transformer([s; P_1 x_1 + e_1; ..; P_M x_M + e_M])_s), s a learned summary token.

    A missing modality's token is no key, so nothing reads it; the summary token always reads itself.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of all tokens; must be a multiple of ``heads``.
        layers: Number of transformer layers, 1 or more.
        heads: Number of attention heads.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in front of the projections in training, in [0, 1).

    When to use: several modalities (three or more), any of them missing at times, with vectors only.
    Relatives: ``perceiver`` reads all tokens; ``concat`` is quicker and often as good for two modalities.
    Reference: Zaheer et al. 2017 (a function of a set); Kiela, Bhooshan, Firooz, Testuggine 2019 (MMBT: modality
    tokens and embeddings in one transformer).
    """

    info = FusionInfo(
        "self_attention",
        "Kiela, Bhooshan, Firooz, Testuggine 2019; Zaheer et al. 2017",
        "h = Transformer([s; P_1 x_1 + e_1; ..; P_M x_M + e_M])_s",
        needs_tokens=False,
    )
    interaction = "attention"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        layers: int = 2,
        heads: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(layers=layers)
        self.project = self.projections()
        self.embedding_MD = nn.Parameter(0.02 * torch.randn(len(dims), width))
        self.summary_D = nn.Parameter(0.02 * torch.randn(width))
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse into the summary token."""
        vectors = present_vectors(encoded, present_BM)
        projected_BMD = torch.stack([p(v) for p, v in zip(self.project, vectors, strict=True)], dim=1)
        summary_B1D = self.summary_D.expand(len(present_BM), 1, -1)
        tokens_BTD = torch.cat([summary_B1D, projected_BMD + self.embedding_MD], dim=1)
        keep_BT = torch.cat([torch.ones_like(present_BM[:, :1]), present_BM], dim=1)
        for layer in self.layers[:-1]:
            tokens_BTD, _ = layer(tokens_BTD, keep_BT)
        summary_B1D, _ = self.layers[-1](tokens_BTD[:, :1], keep_BT, tokens_BTD)  # nobody reads the others any more
        return FusionOutput(self.norm(summary_B1D[:, 0]))


FUSIONS.add("self_attention", SelfAttentionFusion)
