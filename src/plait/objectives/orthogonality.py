"""Orthogonality: what one modality says of the rows shall not be what another one says already."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from plait.objectives.base import OBJECTIVES, ObjectiveInfo


def overlap(left_BD: Tensor, right_BD: Tensor) -> Tensor:
    """||L^T R||_F^2 / (||L^T L||_F ||R^T R||_F), L and R centred over the batch, then each row to unit length.

    1 for identical representations (rotated or not), 0 when no column of one correlates with a column of the other,
    whatever batch size and widths: it is the linear CKA of the unit rows. The denominator carries no gradient, so that
    the gradient is the one of the papers' squared norm, up to scale, and the value cannot be lowered by making the
    rows of one modality alike. With fewer rows than columns even unrelated modalities score about
    1 / (1 + rows / columns): a floor of the value, not a fault.
    """
    unit = [functional.normalize(v - v.mean(0), dim=1) for v in (left_BD, right_BD)]
    left_BB, right_BB = (u @ u.T for u in unit)
    size = (left_BB.norm() * right_BB.norm()).detach()
    shared: Tensor = (left_BB * right_BB).sum() / size.clamp(min=1e-12)
    return shared


def orthogonality(vectors: list[Tensor], present_BM: Tensor) -> Tensor | None:
    """Mean overlap over the pairs of modalities, each on the rows that have both; None without two such rows.

    It acts on the adapted vectors themselves: a learned projection in between could turn away from what they share
    and leave them as they are.

    Needs: two modalities; any task.
    When to use: when modalities repeat each other and what only one of them knows is lost.
    Relatives: ``alignment`` pulls the other way; both together ask for a shared and a private part.
    Reference: Bousmalis et al. 2016 (difference loss); Hazarika, Zimmermann, Poria 2020 (MISA); Kornblith et al. 2019
        (CKA, the normalisation).
    """
    terms = []
    for m, n in itertools.combinations(range(len(vectors)), 2):
        rows = torch.nonzero(present_BM[:, m] & present_BM[:, n]).squeeze(1)
        if len(rows) >= 2:
            terms.append(overlap(vectors[m][rows], vectors[n][rows]))
    return torch.stack(terms).mean() if terms else None


OBJECTIVES.add(
    "orthogonality",
    ObjectiveInfo(
        "orthogonality",
        "Bousmalis et al. 2016; Hazarika et al. 2020",
        "L + lambda mean_(m,n) ||X_m^T X_n||_F^2 / (||X_m^T X_m||_F ||X_n^T X_n||_F), rows of X centred, unit length",
        usual=0.1,
    ),
)
