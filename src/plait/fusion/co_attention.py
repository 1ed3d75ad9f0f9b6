"""Co-attention: each modality's tokens are summarised under the guidance of the other modalities.

"What colour is the circle?" must look at the circle: a pooled image vector has averaged it away. Here every
modality that has tokens is read by an attention whose query comes from the *other* modalities, and the
summaries are then multiplied and added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import (
    FUSIONS,
    EncodedDims,
    Fusion,
    FusionInfo,
    FusionOutput,
    bare_norm,
    check_heads,
    masked_mean,
    present_vectors,
)
from plait.fusion.positions import Sinusoids


class CoAttentionFusion(Fusion):
    """a_m = softmax(w^T tanh(A_m X_m + B_m g_m)), s_m = sum_t a_mt C_m X_mt; h = MLP(prod_m s_m, mean_m s_m).

    The guide g_m is the mean of the projected vectors of the other modalities present (zero when alone).
    Where the order of tokens means something, sinusoidal position codes are added to A_m X_m and C_m X_m.
    ``heads`` attentions are read side by side. A modality without tokens brings its projected vector as its
    summary.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector; must be a multiple of ``heads``.
        heads: Number of attention readings.
        normalise: Layer-normalise vectors and tokens first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: when the answer sits in a part of the picture or a word of the text that another modality
    points to.
    Relatives: ``product`` (the same without tokens).
    Reference: Lu, Yang, Batra, Parikh 2016, equation 6 (alternating co-attention), with several readings.
    """

    info = FusionInfo(
        "co_attention",
        "Lu, Yang, Batra, Parikh 2016",
        "a_m = softmax(w^T tanh(A_m X_m + B_m g_m)), s_m = sum_t a_mt C_m X_mt, h = f(prod_m s_m, mean_m s_m)",
        needs_tokens=True,
    )
    interaction = "attention"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        heads: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_heads(width, heads)
        self.heads = heads
        self.project = self.projections()
        guided = len(dims) > 1
        self.readers = nn.ModuleDict(
            {
                str(m): GuidedAttention(d, width, heads=heads, normalise=normalise, guided=guided)
                for m, d in enumerate(dims)
                if d.token_dim is not None
            }
        )
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Read each modality under guidance, then multiply and add the summaries."""
        vectors = present_vectors(encoded, present_BM)
        projected_BMD = torch.stack([p(v) for p, v in zip(self.project, vectors, strict=True)], dim=1)
        summaries: list[Tensor] = []
        attention: list[Tensor | None] = []
        for m, item in enumerate(encoded):
            if str(m) not in self.readers or item.tokens_BTD is None:
                summaries.append(projected_BMD[:, m])
                attention.append(None)
                continue
            others_BM = present_BM.clone()
            others_BM[:, m] = False
            guide_BD = masked_mean(projected_BMD, others_BM)
            read_BD, attention_BT = self.readers[str(m)](item, present_BM[:, m], guide_BD)
            summaries.append(projected_BMD[:, m] + read_BD)
            attention.append(attention_BT)
        summary_BMD = torch.stack(summaries, dim=1)
        one = torch.ones((), dtype=summary_BMD.dtype, device=summary_BMD.device)
        product_BD = torch.where(present_BM[..., None], torch.tanh(summary_BMD), one).prod(1)
        fused_BD = self.out(torch.cat([product_BD, masked_mean(summary_BMD, present_BM)], dim=1))
        return FusionOutput(fused_BD, attention=attention)


class GuidedAttention(nn.Module):
    """Additive attention over tokens with an outside guide, several readings side by side."""

    def __init__(self, dims: EncodedDims, width: int, *, heads: int, normalise: bool, guided: bool) -> None:
        super().__init__()
        assert dims.token_dim is not None
        self.heads = heads
        self.norm = bare_norm(dims.token_dim, normalise)
        self.keys = nn.Linear(dims.token_dim, width)
        self.values = nn.Linear(dims.token_dim, width)
        self.codes = None if dims.order is None else Sinusoids(dims.order, width)
        self.guide = nn.Linear(width, width, bias=False) if guided else None
        self.scores = nn.Linear(width, heads, bias=False)

    def forward(self, item: Encoded, present_B: Tensor, guide_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summary [B, width] and the mean attention over tokens [B, T]."""
        tokens_BTD, mask_BT = item.tokens_BTD, item.mask_BT
        assert tokens_BTD is not None
        keep_BT = torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)
        keep_BT = (keep_BT if mask_BT is None else mask_BT) & present_B[:, None]
        zero = torch.zeros((), dtype=tokens_BTD.dtype, device=tokens_BTD.device)
        tokens_BTD = self.norm(torch.where(keep_BT[..., None], tokens_BTD, zero))
        hidden_BTD, values_BTD = self.keys(tokens_BTD), self.values(tokens_BTD)
        if self.codes is not None:
            codes_BTD = self.codes(keep_BT).to(hidden_BTD.dtype)
            hidden_BTD, values_BTD = hidden_BTD + codes_BTD, values_BTD + codes_BTD
        if self.guide is not None:
            hidden_BTD = hidden_BTD + self.guide(guide_BD)[:, None]
        scores_BTH = self.scores(torch.tanh(hidden_BTD)).masked_fill(~keep_BT[..., None], -1e9)
        attention_BTH = torch.softmax(scores_BTH, dim=1) * keep_BT[..., None]
        values_BTHd = values_BTD.unflatten(2, (self.heads, -1))
        read_BD = (attention_BTH[..., None] * values_BTHd).sum(1).flatten(1)
        return read_BD, attention_BTH.mean(2)


FUSIONS.add("co_attention", CoAttentionFusion)
