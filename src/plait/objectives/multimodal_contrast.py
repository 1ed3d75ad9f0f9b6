"""CoMM: two views of a row, and each modality of it alone, lie close together in the space of the fused vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.heads.contrastive import NEVER
from plait.objectives.base import OBJECTIVES, ObjectiveInfo
from plait.objectives.step import Step

TEMPERATURE = 0.1
DROPPED = 0.2  # share of the features that each view of a row loses


class MultimodalContrast(nn.Module):
    """L = L_joint + lambda mean_i (1/2) (NCE(z'_i, z'') + NCE(z''_i, z')), i: all modalities together, and each alone.

    z' = P(h(view of the row)), z'_m the same with only modality m shown to the fusion, and '' another view; rows to
    unit length. NCE is the cross-entropy of finding a row's other vector among all vectors of the batch but itself, at
    temperature 0.1, both ways. Comparing two views of the fused vector keeps what only modalities together tell, and
    comparing each alone with it what only that one tells; ``alignment`` keeps what all of them tell. A view loses a
    fifth of the features of each vector and token at random, since encoded modalities know no other augmentation.

    Rows that lack m do not take part in its terms; rows of one group, or with the same items in what a term shows, are
    no negatives of each other. P is a network with one GELU layer. In matching only right pairs take part.

    Args:
        width: Width of the fused vector.

    Needs: two modalities; a fusion with a fused vector (not a late one).
    When to use: few labels, and modalities that say different things of a row.
    Relatives: ``alignment`` compares modalities with each other and keeps what they share.
    Reference: Dufumier, Castillo-Navarro, Tuia, Thiran 2025 (what to align in multimodal contrastive learning, ICLR).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, step: Step, present_BM: Tensor) -> Tensor | None:
        """The term, a scalar, or None where fewer than two rows have anything.

        Args:
            step: The batch.
            present_BM: What takes part.
        """
        assert step.group_B is not None and step.key_BM is not None
        everything = [present_BM, *(only(present_BM, m) for m in range(present_BM.shape[1]))]
        views = []
        for _ in range(2):
            view = [_view(e) for e in step.encoded]
            views.append([functional.normalize(self.project(step.fuse(view, p).fused_BD), dim=1) for p in everything])
        terms = []
        for i, shown_BM in enumerate(everything):
            rows = torch.nonzero(shown_BM.any(1)).squeeze(1)
            if len(rows) < 2:
                continue
            key_RK = step.key_BM[rows] if i == 0 else step.key_BM[rows][:, [i - 1]]
            same_RR = same_rows(step.group_B[rows], key_RK)
            pairs = ((views[0][i], views[1][0]), (views[1][i], views[0][0]))
            terms.append(sum(contrast(left[rows], right[rows], same_RR) for left, right in pairs) / 2)
        return torch.stack(terms).mean() if terms else None


def same_rows(group_R: Tensor, key_RK: Tensor) -> Tensor:
    """Which rows are no negatives of each other [R, R]: of one group, or the same in every modality; diagonal False."""
    same_RR = (group_R[:, None] == group_R[None]) | (key_RK[:, None] == key_RK[None]).all(2)
    return same_RR.fill_diagonal_(False)


def contrast(left_RD: Tensor, right_RD: Tensor, same_RR: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Cross-entropy of finding the other vector of a row among both sides without itself, both ways, a scalar.

    Args:
        left_RD: Unit vectors.
        right_RD: Of the same rows.
        same_RR: Rows that are no negatives of each other.
        temperature: Divides the cosines.
    """
    count = len(left_RD)
    both_SD = torch.cat([left_RD, right_RD])
    score_SS = both_SD @ both_SD.T / temperature
    own_SS = torch.eye(2 * count, dtype=torch.bool, device=left_RD.device)
    place = torch.arange(2 * count, device=left_RD.device)
    target_S = (place + count) % (2 * count)
    wanted_SS = torch.zeros_like(own_SS)
    wanted_SS[place, target_S] = True
    score_SS = score_SS.masked_fill((same_RR.repeat(2, 2) | own_SS) & ~wanted_SS, NEVER)
    return functional.cross_entropy(score_SS, target_S)


def only(present_BM: Tensor, m: int) -> Tensor:
    """Presence with only modality m of each row shown [B, M]."""
    kept_BM = torch.zeros_like(present_BM)
    kept_BM[:, m] = present_BM[:, m]
    return kept_BM


def _view(encoded: Encoded) -> Encoded:
    tokens_BTD = encoded.tokens_BTD
    return Encoded(
        functional.dropout(encoded.vector_BD, DROPPED),
        None if tokens_BTD is None else functional.dropout(tokens_BTD, DROPPED),
        encoded.mask_BT,
    )


OBJECTIVES.add(
    "comm",
    ObjectiveInfo(
        "comm", "Dufumier, Castillo-Navarro, Tuia, Thiran 2025",
        "L + lambda mean_i (NCE(z'_i, z'') + NCE(z''_i, z')) / 2, z_i the fused vector of all and of each alone",
        usual=0.1, needs_vector=True,
    ),
)  # fmt: skip
