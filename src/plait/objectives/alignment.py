"""Alignment: what belongs to one row lies close together in a shared space, whichever modality it comes from."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.fusion.base import EncodedDims, Projection
from plait.heads.contrastive import contrastive_loss, same_items
from plait.heads.temperature import inverse_temperature
from plait.objectives.base import OBJECTIVES, ObjectiveInfo


class Alignment(nn.Module):
    """Mean over pairs (m, n) of the symmetric cross-entropy of s cos(P_m x_m, P_n x_n) within the batch.

    Rows that lack m or n are left out of that pair; rows of one group, or with the same item in m or n, are never
    negatives of each other. P_m is linear on the layer-normalised vector, s a learned scale (at most 100).

    Args:
        dims: Widths of each modality.
        width: Width of the shared space.

    Needs: two modalities; any task. In matching only right pairs take part.
    When to use: when the modalities of a row tell of the same thing (a photo and its caption).
    Relatives: the pair head has this term built in, on its own towers; ``orthogonality`` pulls the other way.
    Reference: Radford et al. 2021 (CLIP); van den Oord, Li, Vinyals 2018 (InfoNCE).
    """

    def __init__(self, dims: list[EncodedDims], width: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(Projection(d.vector_dim, width, normalise=True, dropout=0.0) for d in dims)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, vectors: list[Tensor], present_BM: Tensor, group_B: Tensor, key_BM: Tensor) -> Tensor | None:
        """Return the term, a scalar, or None when no pair of modalities has two rows.

        Args:
            vectors: Adapted vectors [B, D_m].
            present_BM: What is there.
            group_B: Group number of each row.
            key_BM: Item number of each modality of each row.
        """
        unit = [functional.normalize(p(v), dim=-1) for p, v in zip(self.projections, vectors, strict=True)]
        scale = inverse_temperature(self.log_temperature)
        terms = []
        for m, n in itertools.combinations(range(len(unit)), 2):
            rows = torch.nonzero(present_BM[:, m] & present_BM[:, n]).squeeze(1)
            if len(rows) < 2:
                continue
            same_BB = same_items(group_B[rows], key_BM[rows][:, [m, n]])
            terms.append(contrastive_loss(unit[m][rows], unit[n][rows], same_BB, scale))
        return torch.stack(terms).mean() if terms else None


OBJECTIVES.add(
    "alignment",
    ObjectiveInfo("alignment", "Radford et al. 2021", "L + lambda mean_(m,n) InfoNCE(P_m x_m, P_n x_n)", usual=0.1),
)
