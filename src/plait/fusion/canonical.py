"""Canonical towers: two maps in closed form, of frozen vectors, beside the towers that gradients train.

    A = C_xx^-1/2 U S,  B = C_yy^-1/2 V S,   U S V' = C_xx^-1/2 C_xy C_yy^-1/2,   C_xx = cov(x) + r tr cov(x) / D

so that the cosine of A'x and B'y weighs each canonical direction by its correlation. With few pairs this finds more
than a gradient does, and beside trained towers it errs otherwise. Sides that stand alone (photos without a caption,
captions without a photo) teach too: a balanced transport plan P between them, by the cosines found so far, says which
photos a caption may belong to, and the pair (P x, y) of the caption with the mean of these photos joins the pairs.

What is chosen (the ridge r, and whether sides that stand alone help) is chosen on held-out folds of the pairs.

Reference: Hotelling 1936; Vinod 1976 (the ridge); Gong, Ke, Isard, Lazebnik 2014, section 3.2 (directions weighed by
their correlation, here to the power of one); Cuturi 2013, algorithm 1 (the plan); Mo et al. 2023 (S-CLIP: transport
between photos and the captions of others as pseudo-labels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

RIDGES = (0.3, 1.0, 3.0, 10.0)  # times the mean variance of a coordinate
MOST_COORDINATES = 400  # principal coordinates of a side
FOLDS = 4
FEWEST_PAIRS = 16
FEWEST_ALONE = 20  # sides that stand alone, of each
MOST_PAIRS = 16_384  # pairs that are looked at
MOST_ALONE = 8_192  # sides that stand alone, of each
MOST_RANKED = 2_048  # held-out pairs, or validation rows, that are ranked
TEMPERATURE = 0.03  # of the transport plan
PASSES = 15  # of its balancing
ROUNDS = 2  # of transport and fit
ALONE_WEIGHT = 0.5  # of a pair that transport made, beside one that was given
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the canonical cosine beside that of trained towers
DEPTHS = (1, 5, 10)
EPS = 1e-12


@dataclass(frozen=True)
class Moments:
    """Sums over pairs of two sides: x'x [D, D], y'y [E, E], x'y [D, E], and the (weighed) number of pairs."""

    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray
    count: float

    @classmethod
    def of(cls, x_ND: np.ndarray, y_NE: np.ndarray, weight: float = 1.0) -> Moments:  # noqa: N803  shape letters
        """Of centred pairs."""
        return cls(weight * x_ND.T @ x_ND, weight * y_NE.T @ y_NE, weight * x_ND.T @ y_NE, weight * len(x_ND))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.xx + other.xx, self.yy + other.yy, self.xy + other.xy, self.count + other.count)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.xx - other.xx, self.yy - other.yy, self.xy - other.xy, self.count - other.count)


def canonical_maps(moments: Moments, ridge: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The two maps [D, K] and [E, K], K at most ``most``: the equations above.

    Args:
        moments: Of centred pairs.
        ridge: r, above 0.
        most: Canonical directions that are kept, those of the largest correlation.
    """
    left, right = (_inverse_root(part / moments.count, ridge) for part in (moments.xx, moments.yy))
    u, s, vt = np.linalg.svd(left @ (moments.xy / moments.count) @ right, full_matrices=False)
    return (left @ u * s)[:, :most], (right @ vt.T * s)[:, :most]


def _inverse_root(cov: np.ndarray, ridge: float) -> np.ndarray:
    """(cov + r tr(cov) / D)^-1/2, symmetric."""
    values, vectors = np.linalg.eigh(cov)
    values = np.maximum(values, 0.0) + max(ridge * float(np.trace(cov)) / len(cov), EPS)
    made: np.ndarray = (vectors / np.sqrt(values)) @ vectors.T
    return made


def transport_plan(cosine_QP: np.ndarray, temperature: float = TEMPERATURE, passes: int = PASSES) -> np.ndarray:
    """Balanced transport of Q items to P others: rows sum to 1, columns to Q / P, nearest to exp(cosine / temperature).

    Args:
        cosine_QP: Cosines, in [-1, 1].
        temperature: Above 0; the smaller, the surer.
        passes: Alternations of columns and rows; rows are exact at the end, columns nearly.
    """
    plan = np.exp((cosine_QP - cosine_QP.max(1, keepdims=True)) / temperature).astype(np.float32)
    wanted = len(plan) / plan.shape[1]
    for _ in range(passes):
        plan *= wanted / np.maximum(plan.sum(0, keepdims=True), EPS)
        plan /= np.maximum(plan.sum(1, keepdims=True), EPS)
    return plan


def found_rate(cosine_QG: np.ndarray, right_QG: np.ndarray) -> float:
    """Mean over both directions and depths 1, 5 and 10 of the share of items with a right one that near, in [0, 1].

    Args:
        cosine_QG: Between items of two sides.
        right_QG: Which belong together.
    """
    rates = []
    for cosine, right in ((cosine_QG, right_QG), (cosine_QG.T, right_QG.T)):
        asked = right.any(1)
        best = np.where(right, cosine, -np.inf).max(1)[asked, None]
        before = ((cosine[asked] > best) & ~right[asked]).sum(1)
        rates += [float((before < depth).mean()) for depth in DEPTHS]
    return float(np.mean(rates))


def tied_items(key_NM: np.ndarray) -> np.ndarray:
    """Group numbers of rows [N]: rows with an item of a side in common, directly or over others, are of one group.

    Args:
        key_NM: Item numbers of the two sides, 0 or more.
    """
    from scipy.sparse import coo_matrix  # heavy, and only training needs them
    from scipy.sparse.csgraph import connected_components

    left, right = (np.unique(key_NM[:, m], return_inverse=True)[1] for m in range(2))
    size = int(left.max()) + 1
    edges = coo_matrix((np.ones(len(left)), (left, size + right)), shape=(size + int(right.max()) + 1,) * 2)
    made: np.ndarray = connected_components(edges, directed=False)[1][left]
    return made


class CanonicalTowers(nn.Module):
    """Two fixed linear maps of frozen vectors to unit vectors.

    Args:
        dims: Widths (two) of the leading coordinates of each side that no training changes.
        width: Of the unit vectors; directions beyond the number that the pairs tell are zero.
    """

    is_fitted: Tensor
    ridge: Tensor
    alone_helps: Tensor
    alone_N: Tensor  # noqa: N815  shape letters

    def __init__(self, dims: list[int], width: int) -> None:
        super().__init__()
        self.dims, self.width = dims, width
        for side, dim in enumerate(dims):
            self.register_buffer(f"mean_{side}_D", torch.zeros(dim))
            self.register_buffer(f"map_{side}_DK", torch.zeros(dim, width))
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))
        self.register_buffer("ridge", torch.zeros(()))
        self.register_buffer("alone_helps", torch.zeros((), dtype=torch.bool))
        self.register_buffer("alone_N", torch.zeros(2, dtype=torch.int64))

    def forward(self, side: int, vector_BD: Tensor) -> Tensor:
        """Unit vectors of one side [B, width]; zeros where nothing was fitted."""
        fixed_BD = vector_BD[:, : self.dims[side]] - getattr(self, f"mean_{side}_D")
        return functional.normalize(fixed_BD @ getattr(self, f"map_{side}_DK"), dim=-1)

    @torch.no_grad()
    def fit(self, pairs: Sides, alone: Sides | None = None) -> None:
        """Fit to pairs and, where held-out pairs say that it helps, to sides that stand alone.

        Args:
            pairs: Vectors of both sides, row by row, and what tells repeated items; fewer than 16 are too few, and
                nothing is fitted.
            alone: Vectors of sides that stand alone, of unequal number; fewer than 20 of a side teach nothing. None:
                there are none. They help where the mean gain over four folds of the pairs is more than its standard
                error; else nothing of them is in the maps.
        """
        if len(pairs.left) < FEWEST_PAIRS or len(np.unique(pairs.group)) < 2 * FOLDS:
            return
        known = _spaces(pairs, None)
        chosen = _ridge(known, pairs.group, self.width)
        helps = False
        if alone is not None:
            self.alone_N.copy_(torch.tensor([len(alone.left), len(alone.right)]))
        if alone is not None and min(len(alone.left), len(alone.right)) >= FEWEST_ALONE:
            wider = _spaces(pairs, alone)
            other = _ridge(wider, pairs.group, self.width)
            gain = other.rates - chosen.rates
            helps = bool(gain.mean() > gain.std(ddof=1) / FOLDS**0.5)
            known, chosen = (wider, other) if helps else (known, chosen)
        maps = _fitted(Moments.of(*known.pairs), chosen.ridge, self.width, known.alone)
        for side, (mean, root, made) in enumerate(zip(known.means, known.roots, maps, strict=True)):
            whole = np.zeros((self.dims[side], self.width), dtype=np.float32)
            whole[:, : made.shape[1]] = root @ made
            getattr(self, f"mean_{side}_D").copy_(torch.from_numpy(mean.astype(np.float32)))
            getattr(self, f"map_{side}_DK").copy_(torch.from_numpy(whole))
        self.ridge.fill_(chosen.ridge)
        self.alone_helps.fill_(helps)
        self.is_fitted.fill_(True)


@dataclass(frozen=True)
class Sides:
    """Vectors of two sides, float64.

    Attributes:
        left: [N, D].
        right: [N, E], of another number of rows where sides stand alone.
        group: Rows with equal numbers stay on one side of a fold [N].
    """

    left: np.ndarray
    right: np.ndarray
    group: np.ndarray


@dataclass(frozen=True)
class _Spaces:
    """Both sides in principal coordinates around the mean of their pairs: the pairs, and what stands alone, if any."""

    means: list[np.ndarray]
    roots: list[np.ndarray]
    pairs: tuple[np.ndarray, ...]
    alone: tuple[np.ndarray, ...] | None


def _spaces(pairs: Sides, alone: Sides | None) -> _Spaces:
    both = [pairs.left, pairs.right]
    others = [None, None] if alone is None else [alone.left, alone.right]
    means = [side.mean(0) for side in both]
    roots = [
        _principal(side if other is None else np.concatenate([side, other]), mean)
        for side, other, mean in zip(both, others, means, strict=True)
    ]

    def placed(one: Sides) -> tuple[np.ndarray, ...]:
        return tuple((s - m) @ r for s, m, r in zip((one.left, one.right), means, roots, strict=True))

    return _Spaces(means, roots, placed(pairs), None if alone is None else placed(alone))


def _principal(rows_ND: np.ndarray, mean_D: np.ndarray) -> np.ndarray:  # noqa: N803
    """The leading principal directions [D, Q], Q at most 400."""
    most = min(MOST_COORDINATES, rows_ND.shape[1], len(rows_ND) - 1)
    if most == rows_ND.shape[1]:
        return np.eye(most)
    from sklearn.utils.extmath import randomized_svd  # heavy, and only a fit needs it

    made: np.ndarray = randomized_svd(rows_ND - mean_D, n_components=most, random_state=0)[2].T
    return made


def _fitted(
    pairs: Moments, ridge: float, width: int, alone: tuple[np.ndarray, ...] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Maps by pairs and, round by round, by the pairs that transport makes of sides that stand alone."""
    maps = canonical_maps(pairs, ridge, width)
    for _ in range(0 if alone is None else ROUNDS):
        assert alone is not None
        x, y = alone
        plan = transport_plan(_unit(y @ maps[1]) @ _unit(x @ maps[0]).T)
        maps = canonical_maps(pairs + Moments.of(plan @ x, y, ALONE_WEIGHT), ridge, width)
    return maps


@dataclass(frozen=True)
class _Choice:
    """A ridge, and the rates at which the pairs of each fold find each other under it."""

    ridge: float
    rates: np.ndarray


def _ridge(known: _Spaces, group: np.ndarray, width: int) -> _Choice:
    """The ridge under which held-out pairs find each other most often; with what stands alone at that ridge."""
    x, y = known.pairs
    names, number = np.unique(group, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names))[number] % FOLDS
    whole = Moments.of(x, y)

    def rates(ridge: float, others: tuple[np.ndarray, ...] | None) -> np.ndarray:
        found = []
        for k in range(FOLDS):
            held = np.flatnonzero(fold == k)
            maps = _fitted(whole - Moments.of(x[held], y[held]), ridge, width, others)
            held = held[np.linspace(0, len(held) - 1, min(MOST_RANKED, len(held))).round().astype(int)]
            right = number[held][:, None] == number[held][None]
            found.append(found_rate(_unit(x[held] @ maps[0]) @ _unit(y[held] @ maps[1]).T, right))
        return np.array(found)

    tried = {ridge: rates(ridge, None) for ridge in RIDGES}
    ridge = max(tried, key=lambda one: tried[one].mean())
    return _Choice(ridge, tried[ridge] if known.alone is None else rates(ridge, known.alone))


def _unit(rows: np.ndarray) -> np.ndarray:
    made: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), EPS)
    return made
