"""Cosine: every modality mapped to one space and to unit length, then multiplied coordinate by coordinate.

The sum of the product's coordinates is the cosine of the two sides, so this is the fusion of "do these belong
together?": the pair head reads the cosine, a linear head weighs the coordinates. The unit vectors themselves are
handed out as ``tokens``, one a modality.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import (
    FUSIONS,
    EncodedDims,
    Fusion,
    FusionInfo,
    FusionOutput,
    check_count,
    masked_mean,
    present_vectors,
)
from plait.fusion.calibration import SeenRows
from plait.fusion.canonical import (
    FEWEST_PAIRS,
    MOST_ALONE,
    MOST_PAIRS,
    MOST_RANKED,
    SHARES,
    CanonicalTowers,
    Sides,
    found_rate,
    tied_items,
)

MAX_OBSERVED = 8192
ROOT_EPS = 1e-4  # the slope of the root at zero is at most 100; features of 0.01 change by half a percent


class CosineFusion(Fusion):
    """h = D u_1 * u_2 (products elementwise), u_m = T_m r(x_m) / ||T_m r(x_m)||; the mean of h is the cosine.

    ``r`` is the signed square root for a modality whose training rows hold no negative number (pooled ReLU features),
    the identity for any other. It is decided once, before training, and saved, so that all rows of a modality go the
    same way. It belongs to what the encoder gives (``prepare``): adapters of auxiliary objectives learn behind it.
    Any number of modalities: h is the mean over the pairs that are present. A row with one modality has
    h = sqrt(D) u_m; one with nothing present gets a learned vector.

    Args:
        dims: Widths of each modality.
        width: Width D of the shared space and of the fused vector.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).
        copies: So many towers a modality, each D / copies wide and trained by itself; their unit vectors stand side by
            side, over sqrt(copies), so that the cosine of the whole is the mean of theirs.
        canonical: Of two modalities, the leading coordinates of each that no training changes: the last of the copies
            is then a pair of maps in closed form (``canonical.py``), which gradients leave alone; validation rows
            choose its share of the cosine. None: all copies are trained.
        project: Map each modality to the shared space. False: the encoders live in it already (CLIP, SigLIP), so that
            u_m = x_m / ||x_m||, and there is nothing to learn. Vectors that are wider than ``width`` lose what comes
            behind it, before they become unit vectors, as models allow that were trained so.

    When to use: matching and everything else that asks whether two modalities agree.
    Relatives: ``product`` (tanh instead of unit length, and a residual); two-tower retrieval models.
    Reference: Radford et al. 2021 (CLIP), the two towers; Perronnin, Sanchez, Mensink 2010 for the root; Kusupati et
        al. 2022 (Matryoshka representation learning) for leading coordinates.
    """

    info = FusionInfo(
        "cosine",
        "Radford et al. 2021 (CLIP), the two towers",
        "h = D u_1 * u_2, u_m = T_m r(x_m) / ||T_m r(x_m)||, r = sqrt where training x_m >= 0, else r(x) = x",
        needs_tokens=False,
    )
    interaction = "multiplicative"
    embeds = True
    rooted_M: Tensor | None  # noqa: N815  shape letters

    def __init__(
        self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0,
        copies: int = 1, canonical: list[int] | None = None, project: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(copies=copies)
        if width % copies or (copies > 1 and not project):
            raise ValueError(f"copies must divide fusion.width={width}, and be 1 without projections; got {copies}")
        widths = [d.vector_dim for d in dims]
        if not project and (len(set(widths)) > 1 or widths[0] < width):
            raise ValueError(
                f"without projections all modalities must be of one width, and {width} wide or more, the width of the "
                f"shared space; got {widths}"
            )
        if canonical is not None and (copies < 2 or len(dims) != 2 or len(canonical) != 2):
            raise ValueError(
                f"canonical towers stand beside trained ones and join two modalities; got copies={copies}, "
                f"{len(dims)} modalities and canonical={canonical}"
            )
        self.project, self.copies = project, copies
        self.trained = copies if canonical is None else copies - 1
        self.towers = nn.ModuleList(nn.Identity() for _ in dims)
        if project:
            self.towers = nn.ModuleList(t for _ in range(self.trained) for t in self.projections(width // copies))
        self.canonical = None
        if canonical is not None:
            self.canonical = CanonicalTowers(canonical, width // copies)
            self.register_buffer("share", torch.tensor(1.0 / copies))
        self.absent_D = nn.Parameter(torch.zeros(width))
        self.register_buffer("rooted_M", None)

    @torch.no_grad()
    def observe(self, train: SeenRows, alone: SeenRows | None = None) -> None:
        """Decide the root of each modality by training rows, of more than 8,192 so many at even distances; fit the
        canonical towers.

        Args:
            train: Rows with sides that belong together.
            alone: Rows whose sides are taken one by one, whatever stands beside them; None: there are none.

        Raises:
            ValueError: Rows whose sides stand alone, and no canonical towers that they could teach.
        """
        if alone is not None and self.canonical is None:
            raise ValueError("sides that stand alone teach canonical towers, and this fusion has none (canonical=)")
        if not self.project:
            return
        device = self.absent_D.device
        seen_M = torch.zeros(len(self.dims), dtype=torch.bool, device=device)
        self.rooted_M = torch.zeros_like(seen_M)  # what is looked at below is the vectors themselves
        rooted_M = torch.ones_like(seen_M)
        rows = np.linspace(0, len(train.target) - 1, min(MAX_OBSERVED, len(train.target))).round().astype(np.int64)
        for batch in train.batches(rows):
            for m, vector_BD in enumerate(present_vectors(batch.encoded, batch.present_BM)):  # zeros where missing
                seen_M[m] |= batch.present_BM[:, m].any()
                rooted_M[m] &= (vector_BD >= 0).all()
        self.rooted_M = rooted_M & seen_M
        if self.canonical is not None:
            self.canonical.fit(self._sides(train), None if alone is None else self._sides(alone, alone=True))

    def _sides(self, rows: SeenRows, *, alone: bool = False) -> Sides:
        """Vectors as ``prepare`` leaves them: of pairs, or of each side once where they stand alone."""
        assert self.canonical is not None
        most = MOST_ALONE if alone else MOST_PAIRS
        chosen = np.arange(len(rows.target))
        if not alone and (rows.target == 1).any():
            chosen = np.flatnonzero(rows.target == 1)  # of right and wrong pairs the right ones
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(np.int64)]
        found: list[list[np.ndarray]] = [[], []]
        keys: list[np.ndarray] = []
        for batch in rows.batches(chosen):
            assert batch.key_BM is not None
            there = batch.present_BM if alone else batch.present_BM.all(1, keepdim=True).expand_as(batch.present_BM)
            key = batch.key_BM.cpu().numpy()
            keys.append(np.where(there.cpu().numpy(), key, -1))
            for m, one in enumerate(batch.encoded):
                found[m].append(one.vector_BD[there[:, m], : self.canonical.dims[m]].double().cpu().numpy())
        vectors, key_NM = [np.concatenate(part) for part in found], np.concatenate(keys)
        if not alone:
            return Sides(vectors[0], vectors[1], tied_items(key_NM[key_NM[:, 0] >= 0]))
        first = [np.unique(key_NM[key_NM[:, m] >= 0, m], return_index=True)[1] for m in range(2)]
        return Sides(vectors[0][first[0]], vectors[1][first[1]], np.zeros(0, dtype=np.int64))

    @torch.no_grad()
    def calibrate_from(self, train: SeenRows, val: SeenRows) -> None:
        """Choose the share of the canonical cosine by how often validation items find each other.

        Where rows are right and wrong pairs (matching) it stays that of any copy.
        """
        if self.canonical is None or not self.canonical.is_fitted or len(val.target) < 2:
            return
        if (train.target == 1).any():  # a head that learns to judge pairs learns with the share as it is
            return
        chosen = np.linspace(0, len(val.target) - 1, min(MOST_RANKED, len(val.target))).round().astype(np.int64)
        units, keys = [], []
        for batch in val.batches(chosen):
            assert batch.key_BM is not None
            there_B = batch.present_BM.all(1)
            units.append(self._units(batch.encoded, batch.present_BM)[there_B])
            keys.append(batch.key_BM[there_B].cpu().numpy())
        unit_NMKD, key_NM = torch.cat(units), np.concatenate(keys)
        if len(key_NM) < 2:
            return
        cosine_KNN = torch.einsum("ikd,jkd->kij", unit_NMKD[:, 0], unit_NMKD[:, 1]).cpu().numpy()
        group = tied_items(key_NM)
        right = group[:, None] == group[None]
        trained = cosine_KNN[:-1].mean(0)
        rates = {s: found_rate((1 - s) * trained + s * cosine_KNN[-1], right) for s in SHARES}
        self.share.fill_(max(rates, key=lambda one: rates[one]))

    def notes(self, outputs: Sequence[str]) -> list[str]:
        """What became of the canonical towers."""
        if self.canonical is None:
            return []
        if not self.canonical.is_fitted:
            return [f"the training pairs are too few (at least {FEWEST_PAIRS}) or too alike for canonical towers"]
        return []

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """What was decided comes with the weights; models saved before have decided nothing."""
        saved = state_dict.get(f"{prefix}rooted_M")
        self.rooted_M = None if saved is None else torch.zeros_like(saved, device=self.absent_D.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def prepare(self, encoded: list[Encoded], present_BM: Tensor) -> list[Encoded]:
        """Apply the root r, before an adapter mixes the numbers of a vector and some turn negative."""
        if not self.project:
            return encoded
        vectors = present_vectors(encoded, present_BM)
        return [
            Encoded(self._flattened(m, vector), e.tokens_BTD, e.mask_BT)
            for m, (vector, e) in enumerate(zip(vectors, encoded, strict=True))
        ]

    def _flattened(self, number: int, vector_BD: Tensor) -> Tensor:
        if self.rooted_M is None:  # trained row by row: each row with no negative number went through the root
            return torch.where((vector_BD >= 0).all(1, keepdim=True), signed_root(vector_BD), vector_BD)
        return torch.where(self.rooted_M[number], signed_root(vector_BD), vector_BD)

    def embed(self, encoded: list[Encoded], present_BM: Tensor) -> Tensor:
        """Each modality in the shared space [B, M, D], unit length, zeros where it is missing.

        In training all copies weigh alike; otherwise the canonical ones as validation rows chose.
        """
        unit_BMKD = self._units(encoded, present_BM)
        if self.canonical is None:
            return unit_BMKD.flatten(2) / self.copies**0.5 if self.copies > 1 else unit_BMKD[:, :, 0]
        share = torch.full_like(self.share, 1.0 / self.copies) if self.training else self.share
        share = torch.where(self.canonical.is_fitted, share, torch.zeros_like(share))
        weight_K = torch.cat([((1 - share) / self.trained).expand(self.trained), share[None]])
        return (unit_BMKD * weight_K.sqrt()[:, None]).flatten(2)

    def _units(self, encoded: list[Encoded], present_BM: Tensor) -> Tensor:
        """Unit vectors of every copy [B, M, K, D / K], the canonical one last; zeros where a modality is missing."""
        vectors = present_vectors(encoded, present_BM)
        modalities = []
        for m, vector_BD in enumerate(vectors):
            if not self.project:
                vector_BD = vector_BD[:, : self.width]
            towers = [self.towers[copy * len(self.dims) + m] for copy in range(self.trained)]
            units = [functional.normalize(tower(vector_BD), dim=-1) for tower in towers]
            if self.canonical is not None:
                units.append(self.canonical(m, vector_BD))
            modalities.append(torch.stack(units, dim=1))
        unit_BMKD = torch.stack(modalities, dim=1)
        return torch.where(present_BM[..., None, None], unit_BMKD, torch.zeros_like(unit_BMKD))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the product of unit vectors."""
        unit_BMD = self.embed(encoded, present_BM)
        fused_BD = self.width**0.5 * unit_BMD.sum(1)  # right for rows with one modality
        if len(self.dims) > 1:
            pairs = list(combinations(range(len(self.dims)), 2))
            product_BPD = torch.stack([unit_BMD[:, a] * unit_BMD[:, b] for a, b in pairs], dim=1)
            there_BP = torch.stack([present_BM[:, a] & present_BM[:, b] for a, b in pairs], dim=1)
            product_BD = self.width * masked_mean(product_BPD, there_BP)
            fused_BD = torch.where(there_BP.any(1, keepdim=True), product_BD, fused_BD)
        fused_BD = torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D)
        return FusionOutput(fused_BD, tokens=unit_BMD, copies=self.copies, fixed=self.copies - self.trained)


def signed_root(vector_BD: Tensor) -> Tensor:
    """Signed square root x / sqrt(|x| + eps) (power normalisation): it evens out the heavy tail of ReLU features.

    The plain root has an infinite slope at zero, where such features often are; this one has at most 1 / sqrt(eps).
    """
    return vector_BD / torch.sqrt(vector_BD.abs() + ROOT_EPS)


FUSIONS.add("cosine", CosineFusion)
