"""Attention bottlenecks (MBT): modalities exchange what they know only through a few shared tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, check_count, masked_mean
from plait.fusion.sequences import Sequences, attention_over_tokens
from plait.fusion.transformer import TransformerLayer


class BottleneckFusion(Fusion):
    """[B_m; S_m] <- Layer_m([B; S_m]), B <- mean of B_m over what is present; h = mean of norm(S_m[0]) likewise.

    S_m is the sequence of a modality: its projected vector, which serves as its class token S_m[0], then its projected
    tokens, with position codes where their order means something: sinusoids, for a learned table, as in the paper's
    ViT, has no entry for a sequence longer than those of training. Every modality has layers of its own. A missing
    modality updates no bottleneck and is in no mean; a row with nothing present gives zero. The last layer only has to
    update S_m[0].

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of the sequences; must be a multiple of ``heads``.
        layers: Number of layers, 2 or more: what enters the bottlenecks in one comes out in the next.
        num_bottlenecks: Number B of bottleneck tokens, 1 or more.
        heads: Number of attention heads.
        normalise: Layer-normalise vectors and tokens first.
        dropout: Feature dropout in front of the projections in training, in [0, 1).

    When to use: long token sequences (sound, pictures) that must exchange a gist, not details.
    Relatives: ``cross_attention`` lets every token read every other, at M (M - 1) times the layers.
    Reference: Nagrani, Yang, Arnab, Jansen, Schmid, Sun 2021.
    """

    info = FusionInfo(
        "bottleneck",
        "Nagrani, Yang, Arnab, Jansen, Schmid, Sun 2021 (MBT)",
        "[B_m; S_m] <- Layer_m([B; S_m]), B <- mean_m B_m; h = mean_m S_m[0]",
        needs_tokens=True,
    )
    interaction = "attention"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        layers: int = 2,
        num_bottlenecks: int = 4,
        heads: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(2, layers=layers)
        check_count(num_bottlenecks=num_bottlenecks)
        self.num_bottlenecks = num_bottlenecks
        self.sequences = Sequences(dims, width, embed=False, normalise=normalise, dropout=dropout)
        self.bottleneck_ND = nn.Parameter(0.02 * torch.randn(num_bottlenecks, width))
        self.layers = nn.ModuleList(nn.ModuleList(TransformerLayer(width, heads) for _ in dims) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse through the bottlenecks."""
        streams, keeps = self.sequences(encoded, present_BM)
        count = self.num_bottlenecks
        always_BN = torch.ones(len(present_BM), count, dtype=torch.bool, device=present_BM.device)
        keeps = [torch.cat([always_BN, keep_BT], dim=1) for keep_BT in keeps]
        shared_BND = self.bottleneck_ND.expand(len(present_BM), -1, -1)
        for modality_layers in self.layers[:-1]:
            updated = []
            for m, layer in enumerate(modality_layers):
                joint_BTD, _ = layer(torch.cat([shared_BND, streams[m]], dim=1), keeps[m])
                updated.append(joint_BTD[:, :count].flatten(1))
                streams[m] = joint_BTD[:, count:]
            mean_BND = masked_mean(torch.stack(updated, dim=1), present_BM).view_as(shared_BND)
            shared_BND = torch.where(present_BM.any(1)[:, None, None], mean_BND, shared_BND)
        classes, attention = [], []
        for m, layer in enumerate(self.layers[-1]):
            joint_BTD = torch.cat([shared_BND, streams[m]], dim=1)
            class_B1D, attention_B1T = layer(streams[m][:, :1], keeps[m], joint_BTD)
            classes.append(self.norm(class_B1D[:, 0]))
            attention.append(attention_over_tokens(attention_B1T[:, 0, count:]))
        return FusionOutput(masked_mean(torch.stack(classes, dim=1), present_BM), attention=attention)


FUSIONS.add("bottleneck", BottleneckFusion)
