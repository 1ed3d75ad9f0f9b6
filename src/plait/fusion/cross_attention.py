"""Cross-modal attention (MulT): for every ordered pair of modalities, the tokens of one read those of the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, check_count
from plait.fusion.sequences import Sequences, attention_over_tokens, mean_over_real
from plait.fusion.transformer import TransformerLayer


class CrossAttentionFusion(Fusion):
    """Z_ab <- Layer(Z_ab, S_b) from Z_ab = S_a, all a != b; s_a = norm(mean_t Memory([Z_ab]_b)); h = W [s_1; ..; s_M].

    S_m is the sequence of a modality: its projected vector, then its projected tokens, with sinusoidal position codes
    where their order means something (a modality without tokens is a sequence of one). Every layer of a pair reads the
    unchanged S_b. The paper takes the last token as the summary, which padding can reach; here it is the mean over real
    tokens. Without b, the term read from it is zero and Z_ab keeps its residual path; without a, s_a is zero. Alone, a
    modality gives s_1 = norm(mean_t Memory(S_1)).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of the sequences; must be a multiple of ``heads``.
        layers: Layers a pair, 1 or more. The cost is M (M - 1) of them.
        memory_layers: Self-attention layers over the joined streams of each modality (width (M - 1) D), 0 or more;
            the paper has 3.
        heads: Number of attention heads.
        normalise: Layer-normalise vectors and tokens first.
        dropout: Feature dropout in front of the projections in training, in [0, 1).

    When to use: two or three modalities with tokens, when parts of one answer to parts of another.
    Relatives: ``bottleneck`` and ``perceiver`` cost less with many modalities; ``co_attention`` guides by one vector.
    Reference: Tsai, Bai, Liang, Kolter, Morency, Salakhutdinov 2019.
    """

    info = FusionInfo(
        "cross_attention",
        "Tsai, Bai, Liang, Kolter, Morency, Salakhutdinov 2019 (MulT)",
        "Z_ab <- Layer(Z_ab, S_b), Z_ab = S_a at first; s_a = mean_t [Z_ab]_b; h = W [s_1; ..; s_M]",
        needs_tokens=True,
    )
    interaction = "attention"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        layers: int = 1,
        memory_layers: int = 0,
        heads: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(layers=layers)
        check_count(0, memory_layers=memory_layers)
        count = len(dims)
        joined = width * max(count - 1, 1)
        self.sequences = Sequences(dims, width, embed=False, normalise=normalise, dropout=dropout)
        self.pairs = nn.ModuleDict(
            {
                f"{a}_{b}": nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))
                for a in range(count)
                for b in range(count)
                if a != b
            }
        )
        self.memory = nn.ModuleList(
            nn.ModuleList(TransformerLayer(joined, heads) for _ in range(memory_layers)) for _ in dims
        )
        self.norms = nn.ModuleList(nn.LayerNorm(joined) for _ in dims)
        self.out = nn.Linear(count * joined, width)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse all ordered pairs."""
        sequences, keeps = self.sequences(encoded, present_BM)
        summaries = []
        seen = [torch.zeros_like(keep_BT, dtype=sequences[0].dtype) for keep_BT in keeps]
        for a, own_BTD in enumerate(sequences):
            streams = []
            for b, other_BTD in enumerate(sequences):
                if a == b:
                    continue
                stream_BTD = own_BTD
                for layer in self.pairs[f"{a}_{b}"]:
                    stream_BTD, attention_BTK = layer(stream_BTD, keeps[b], other_BTD)
                streams.append(stream_BTD)
                seen[b] = seen[b] + mean_over_real(attention_BTK, keeps[a])
            joined_BTD = torch.cat(streams or [own_BTD], dim=2)
            for layer in self.memory[a]:
                joined_BTD, _ = layer(joined_BTD, keeps[a])
            summary_BD = self.norms[a](mean_over_real(joined_BTD, keeps[a]))
            summaries.append(torch.where(present_BM[:, a, None], summary_BD, torch.zeros_like(summary_BD)))
        fused_BD = self.out(torch.cat(summaries, dim=1))
        return FusionOutput(fused_BD, attention=[self._attention(s, k) for s, k in zip(seen, keeps, strict=True)])

    @staticmethod
    def _attention(seen_BT: Tensor, keep_BT: Tensor) -> Tensor | None:
        """Where the others looked; even over the real tokens where nobody else was there to look."""
        unread_B1 = seen_BT.sum(1, keepdim=True) == 0
        return attention_over_tokens(torch.where(unread_B1, keep_BT.to(seen_BT.dtype), seen_BT))


FUSIONS.add("cross_attention", CrossAttentionFusion)
