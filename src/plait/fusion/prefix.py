"""Prefix: every modality as a sequence of soft tokens, for a language model that reads on from them.

Nothing is summed away: the sequences of all modalities stand one behind the other and go on as they are. The fused
vector is a plain mean, for heads that read one vector; what works between modalities is left to the language model.
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
    check_count,
    masked_mean,
)
from plait.fusion.sequences import Sequences, attention_over_tokens, mean_over_real
from plait.fusion.transformer import TransformerLayer
from plait.registry import unknown_name

PROJECTORS = ("linear", "mlp", "query")


class PrefixFusion(Fusion):
    """Z = [f(S_1 + e_1); ..; f(S_M + e_M)]; h = mean_m mean_t Z_mt over what is real.

    S_m is the sequence of a modality: its projected vector, then its projected tokens, with a learned modality
    embedding e_m and, where the order of tokens means something, sinusoidal position codes. The projector f is the
    identity (``linear``: the projections alone), a network a token (``mlp``), or learned queries that read the sequence
    by cross-attention (``query``: the same few tokens a modality, however long its sequence). A missing modality and
    padding are left out by ``token_mask``. Where tokens have position codes, the mean h is that of their layer norms:
    the mean of a sum of token and code would not know which was where.

    Args:
        dims: Widths of each modality.
        width: Width D of the tokens; under ``query`` a multiple of ``heads``.
        projector: "linear", "mlp" or "query".
        num_queries: Tokens that each modality has after a ``query`` projector.
        heads: Attention heads of the ``query`` projector.
        normalise: Layer-normalise vectors and tokens first.
        dropout: Feature dropout in front of the projections in training, in [0, 1).

    Needs: a head that reads ``tokens`` with ``token_mask`` (``generate``); others read the mean.
    When to use: text is to be generated from the other modalities.
    Relatives: ``perceiver`` reads all modalities into one set of latents.
    Reference: Mokady, Hertz, Bermano 2021 (ClipCap: a prefix of projected image features); Liu, Li, Wu, Lee 2023
    (LLaVA: image tokens through a linear or MLP projector); Li, Li, Savarese, Hoi 2023 (BLIP-2: learned queries).
    """

    info = FusionInfo(
        "prefix",
        "Mokady, Hertz, Bermano 2021; Liu, Li, Wu, Lee 2023; Li, Li, Savarese, Hoi 2023",
        "Z = [f(S_1 + e_1); ..; f(S_M + e_M)]; h = mean_m mean_t Z_mt",
        needs_tokens=True,
    )
    interaction = "additive"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        projector: str = "linear",
        num_queries: int = 16,
        heads: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        if projector not in PROJECTORS:
            raise ValueError(unknown_name("projector", projector, list(PROJECTORS)))
        check_count(num_queries=num_queries, heads=heads)
        self.projector = projector
        self.sequences = Sequences(dims, width, embed=True, normalise=normalise, dropout=dropout)
        self.summed = nn.ModuleList(bare_norm(width, d.order is not None) for d in dims)
        if projector == "mlp":
            self.mlp = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        if projector == "query":
            self.query_MND = nn.Parameter(0.02 * torch.randn(len(dims), num_queries, width))
            self.read = TransformerLayer(width, heads)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Return the tokens of all modalities, their mask and their mean."""
        sequences, keeps = self.sequences(encoded, present_BM)
        shares = [keep_BT.to(s.dtype) / keep_BT.sum(1, keepdim=True).clamp(min=1) for s, keep_BT in
                  zip(sequences, keeps, strict=True)]  # fmt: skip
        if self.projector == "mlp":
            sequences = [self.mlp(sequence_BTD) for sequence_BTD in sequences]
        if self.projector == "query":
            for m, (sequence_BTD, keep_BT) in enumerate(zip(list(sequences), list(keeps), strict=True)):
                query_BND = self.query_MND[m].expand(len(present_BM), -1, -1)
                sequences[m], attention_BNT = self.read(query_BND, keep_BT, sequence_BTD)
                keeps[m] = present_BM[:, m, None].expand(-1, query_BND.shape[1])
                shares[m] = attention_BNT.mean(1)
        means_BMD = torch.stack(
            [mean_over_real(self.summed[m](s), keep) for m, (s, keep) in enumerate(zip(sequences, keeps, strict=True))],
            dim=1,
        )
        tokens_BTD, mask_BT = torch.cat(sequences, dim=1), torch.cat(keeps, dim=1)
        tokens_BTD = torch.where(mask_BT[..., None], tokens_BTD, tokens_BTD.new_zeros(()))
        return FusionOutput(
            masked_mean(means_BMD, present_BM),
            tokens=tokens_BTD,
            token_mask=mask_BT,
            attention=[attention_over_tokens(share_BT) for share_BT in shares],
        )


FUSIONS.add("prefix", PrefixFusion)
