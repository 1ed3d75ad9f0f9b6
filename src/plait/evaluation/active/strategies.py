"""Strategies of active learning by name: which rows of a pool teach most, each with a score and its reason in words.

A strategy takes a pool and the positions it may choose from, and gives positions in the order of choice. Those that
only score take the highest; those that look at how rows differ take account of rows that are labelled or chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from plait.evaluation.active import words
from plait.evaluation.active.pool import KINDS, Pool
from plait.metrics import acquisition
from plait.metrics.diverse import best_of_clusters, farthest_first, gradient_plus_plus
from plait.registry import Registry

PREFILTER = 10  # the mixed strategy looks for differing rows among so many times the rows asked for,
UNSURE_SHARE = 0.5  # and in this share of the pool at most
LABELLED = ("classes", "labels")


@dataclass(frozen=True)
class Wanted:
    """What a strategy is to choose.

    Attributes:
        positions: Of the pool, those that may be chosen.
        count: How many are wanted.
        seed: Of what is drawn.
        space_ND: Vectors of all rows of the pool in which distances are measured.
        taken_ED: Vectors of rows that are labelled, or chosen already.
    """

    positions: np.ndarray
    count: int
    seed: int
    space_ND: np.ndarray  # noqa: N815  shape letters
    taken_ED: np.ndarray  # noqa: N815


@dataclass
class Picked:
    """Positions in the order of choice, the score of each, and why it was chosen."""

    positions: list[int]
    scores: list[float]
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Strategy:
    """One way to choose.

    Attributes:
        does: What it chooses, in a few words.
        pick: Chooses.
        score: What it would learn from each row [N], by which it chooses among the rows of one group; None: the first.
        kinds: Families of answers it is for.
        lacks: Why it does not go with a pool; None where it does.
    """

    does: str
    pick: Callable[[Pool, Wanted], Picked]
    score: Callable[[Pool], np.ndarray | None] | None = None
    kinds: tuple[str, ...] = KINDS
    lacks: Callable[[Pool], str | None] = lambda pool: None


STRATEGIES: Registry[Strategy] = Registry("strategy")


def check_strategy(name: str, pool: Pool) -> None:
    """Refuse a strategy that does not go with a pool.

    Raises:
        ValueError: It is for other answers, or needs what this model does not have; those that go are named.
    """
    strategy = STRATEGIES.get(name)
    why = strategy.lacks(pool)
    if pool.kind not in strategy.kinds:
        why = f"it is for {' and '.join(strategy.kinds)}, and this model answers {words.ANSWERS[pool.kind]}"
    if why is not None:
        others = [n for n in STRATEGIES if pool.kind in STRATEGIES.get(n).kinds and not STRATEGIES.get(n).lacks(pool)]
        raise ValueError(f"strategy={name!r} does not go with this model: {why}; type one of {', '.join(others)}")


def _of_rows(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Pool], np.ndarray]:
    """A score of class probabilities for a pool; of labels its mean over labels, each a class of two."""

    def score(pool: Pool) -> np.ndarray:
        if pool.kind == "classes":
            return function(pool.outputs_NC)
        pairs_NC2 = acquisition.as_pairs(pool.outputs_NC)
        return np.asarray(np.stack([function(pairs_NC2[:, c]) for c in range(pairs_NC2.shape[1])], axis=1).mean(1))

    return score


def bald(pool: Pool) -> np.ndarray:
    """Disagreement of members [N]: mutual information in nats; of numbers their standard deviation."""
    if pool.kind == "number":
        return acquisition.weighted_deviation(pool.members_KNC[..., 0], pool.weight_KN)
    if pool.kind == "classes":
        return acquisition.jensen_shannon(pool.members_KNC, pool.weight_KN)
    pairs = acquisition.as_pairs(pool.members_KNC)
    each = [acquisition.jensen_shannon(pairs[:, :, c], pool.weight_KN) for c in range(pairs.shape[2])]
    return np.asarray(np.mean(each, axis=0))


def between_modalities(pool: Pool) -> np.ndarray:
    """Disagreement of modalities, each answering alone [N]: mean pairwise divergence; of numbers the deviation."""
    if pool.kind == "number":
        return acquisition.weighted_deviation(pool.alone_MNC[..., 0], pool.there_NM.T.astype(float))
    if pool.kind == "classes":
        return acquisition.pairwise_jensen_shannon(pool.alone_MNC, pool.there_NM)
    pairs = acquisition.as_pairs(pool.alone_MNC)
    each = [acquisition.pairwise_jensen_shannon(pairs[:, :, c], pool.there_NM) for c in range(pairs.shape[2])]
    return np.asarray(np.mean(each, axis=0))


def _width(pool: Pool) -> np.ndarray:
    assert pool.width_N is not None
    return pool.width_N


def _lacks_members(pool: Pool) -> str | None:
    few = int((pool.weight_KN > 0).sum(0).max(initial=0)) < 2
    return "it compares members, and one model alone answers here" if few else None


def _lacks_modalities(pool: Pool) -> str | None:
    return "it compares modalities, and this model has one" if len(pool.names) < 2 else None


def _lacks_widths(pool: Pool) -> str | None:
    few = "it needs intervals of their own for rows, which 240 calibration rows give (calibration=0.1)"
    return few if pool.width_N is None else None


def _highest(score: Callable[[Pool], np.ndarray], why: Callable[[Pool, int], str]) -> Callable[[Pool, Wanted], Picked]:
    """Takes the highest scores; ties go to the earlier row."""

    def pick(pool: Pool, asked: Wanted) -> Picked:
        score_N = score(pool)
        order = asked.positions[np.argsort(-score_N[asked.positions], kind="stable")][: asked.count]
        return Picked(order.tolist(), score_N[order].tolist(), [why(pool, int(p)) for p in order])

    return pick


def uncertainty(pool: Pool) -> tuple[np.ndarray, Callable[[Pool, int], str]] | None:
    """What the mixed strategy takes for doubt, and how it is told; None where nothing tells rows apart.

    Of classes and labels the margin; of a number the disagreement of members, or that of modalities, or the width of
    its interval, the first that there is.
    """
    if pool.kind in LABELLED:
        return MARGIN(pool), words.unsure
    choices = (
        (_lacks_members, bald, words.members), (_lacks_modalities, between_modalities, words.modalities),
        (_lacks_widths, _width, words.interval),
    )  # fmt: skip
    for lacks, score, why in choices:
        if lacks(pool) is None:
            return score(pool), why
    return None


def _mixed(pool: Pool, asked: Wanted) -> Picked:
    """The most uncertain rows, and among them the most uncertain of each cluster."""
    doubt = uncertainty(pool)
    if doubt is None:
        return _core_set(pool, asked)
    score_N, why = doubt
    order = asked.positions[np.argsort(-score_N[asked.positions], kind="stable")]
    most = min(PREFILTER * asked.count, int(UNSURE_SHARE * len(order)))
    among = np.sort(order[: max(asked.count, most)])
    places, sizes = best_of_clusters(asked.space_ND[among], score_N[among], asked.count, asked.seed)
    chosen = among[places].tolist()
    reasons = [f"{why(pool, p)}; {words.cluster(int(size))}" for p, size in zip(chosen, sizes, strict=True)]
    return Picked(chosen, score_N[chosen].tolist(), reasons)


def _core_set(pool: Pool, asked: Wanted) -> Picked:
    vectors_ED = asked.space_ND[asked.positions]
    middle = int(np.argmin(((vectors_ED - vectors_ED.mean(0)) ** 2).sum(1)))
    places, distances = farthest_first(vectors_ED, asked.count, asked.taken_ED, first=middle)
    scores = [d if np.isfinite(d) else 0.0 for d in distances]
    reasons = [words.far(d, bool(len(asked.taken_ED))) for d in distances]
    return Picked(asked.positions[places].tolist(), scores, reasons)


def _badge(pool: Pool, asked: Wanted) -> Picked:
    outputs_NC = pool.outputs_NC[asked.positions]
    if pool.kind == "classes":
        answer_NC = np.eye(outputs_NC.shape[1])[outputs_NC.argmax(1)]
    else:
        answer_NC = (outputs_NC >= 0.5).astype(float)
    source_ND = asked.space_ND if pool.fused_ND is None else pool.fused_ND
    read_ND = np.concatenate([source_ND[asked.positions], np.ones((len(asked.positions), 1))], axis=1)
    places = gradient_plus_plus(outputs_NC - answer_NC, read_ND, asked.count, np.random.default_rng(asked.seed))
    size_N = np.sqrt(((outputs_NC - answer_NC) ** 2).sum(1) * (read_ND**2).sum(1))
    chosen = asked.positions[places].tolist()
    reasons = [f"{words.unsure(pool, p)}; {words.GRADIENT}" for p in chosen]
    return Picked(chosen, size_N[places].tolist(), reasons)


def _random(pool: Pool, asked: Wanted) -> Picked:
    drawn = np.random.default_rng(asked.seed).permutation(asked.positions)[: asked.count]
    return Picked(drawn.tolist(), [0.0] * len(drawn), [words.DRAWN] * len(drawn))


MARGIN = _of_rows(acquisition.margin)


def _scoring(
    does: str, score: Callable[[Pool], np.ndarray], why: Callable[[Pool, int], str],
    kinds: tuple[str, ...] = KINDS, lacks: Callable[[Pool], str | None] = lambda pool: None,
) -> Strategy:  # fmt: skip
    """A strategy that takes the highest scores."""
    return Strategy(does, _highest(score, why), score, kinds, lacks)


def _doubt(pool: Pool) -> np.ndarray | None:
    found = uncertainty(pool)
    return None if found is None else found[0]


for _name, _strategy in {
    "mixed": Strategy("the most uncertain rows, and of these such as differ (the default)", _mixed, _doubt),
    "margin": _scoring("small lead of the first class over the second", MARGIN, words.unsure, LABELLED),
    "entropy": _scoring("entropy of the answer", _of_rows(acquisition.entropy), words.unsure, LABELLED),
    "least_confidence": _scoring(
        "low probability of the answer", _of_rows(acquisition.least_confidence), words.unsure, LABELLED
    ),
    "bald": _scoring("members that disagree", bald, words.members, lacks=_lacks_members),
    "modalities": _scoring(
        "modalities that disagree, each alone", between_modalities, words.modalities, lacks=_lacks_modalities
    ),
    "interval": _scoring("wide intervals", _width, words.interval, ("number",), _lacks_widths),
    "core_set": Strategy("rows far from all labelled and chosen ones", _core_set),
    "badge": Strategy("large and differing gradients of the last layer", _badge, MARGIN, LABELLED),
    "random": Strategy("rows drawn at random, to compare with", _random),
}.items():
    STRATEGIES.add(_name, _strategy)
