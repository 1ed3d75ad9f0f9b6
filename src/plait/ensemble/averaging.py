"""How much a choice of members is believed: the average is drawn towards equal weights and made as sure as it is right.

Few rows choose by luck, and equal weights are hard to beat (Smith and Wallis, Oxford Bulletin of Economics and
Statistics 2009). So the share of equal weights is the largest whose loss on the choosing rows is within one standard
error of the choice's own (the rule of Breiman et al., CART 1984, with equal weights as the simplest of all): much on
few rows, next to nothing on many. An average of probabilities is less sure than it might be; one temperature (Guo et
al., ICML 2017), which the same rows choose, mends that; it is bounded, because choosing rows that are easier than those
to come would make it far too sure. On these rows the result is never worse than the best single member, whatever
temperature suits that one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plait.ensemble.scale import AnswerScale

SHARES = np.linspace(0.0, 1.0, 21)
COLDEST, HOTTEST = 0.5, 5.0  # an average is made twice as sure at most
RowLosses = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Average:
    """What answers a pattern.

    Attributes:
        weights: Of each member [K], adding up to one.
        temperature: Of the average.
        best: Number of the best single member.
    """

    weights: np.ndarray
    temperature: float
    best: int


def settle(
    weights: np.ndarray, outputs_KNC: np.ndarray, losses: RowLosses, scale: AnswerScale, order: np.ndarray,
    groups_N: np.ndarray,
) -> Average:  # fmt: skip
    """Weights between chosen and equal ones, with their temperature.

    Args:
        weights: As chosen [K].
        outputs_KNC: Outputs of the members on the choosing rows.
        losses: Outputs to the loss of each row [N].
        scale: The family's.
        order: Numbers of the members, the simplest first: of equal ones the first is the best.
        groups_N: Rows with equal numbers are one observation.
    """
    single = np.array([tempered(outputs, losses, scale)[1].mean() for outputs in outputs_KNC])
    best = int(order[np.flatnonzero(single[order] <= single.min() * (1 + 1e-9) + 1e-12)[0]])
    bound = float(single[best])
    found: tuple[np.ndarray, float] | None = None
    chosen_N: np.ndarray | None = None
    equal = np.full(len(weights), 1 / len(weights))
    for share in SHARES:
        tried = share * equal + (1 - share) * weights
        temperature, loss_N = tempered(np.einsum("k,knc->nc", tried, outputs_KNC), losses, scale)
        chosen_N = loss_N if chosen_N is None else chosen_N
        if loss_N.mean() > bound or _is_worse(loss_N - chosen_N, groups_N):
            break
        found = tried, temperature
    if found is None:
        found = np.eye(len(weights))[best], tempered(outputs_KNC[best], losses, scale)[0]
    return Average(*found, best)


def tempered(outputs: np.ndarray, losses: RowLosses, scale: AnswerScale) -> tuple[float, np.ndarray]:
    """The temperature that suits outputs best, 1 where none is better, and the losses of the rows under it [N]."""
    plain = losses(outputs)
    if scale.link == "identity":
        return 1.0, plain
    from scipy.optimize import minimize_scalar  # only fitting needs it

    def under(log_temperature: float) -> np.ndarray:
        return losses(scale.temper(outputs, np.full((len(outputs), 1), np.exp(log_temperature))))

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    solved = minimize_scalar(lambda t: float(under(t).mean()), bounds=bounds, method="bounded", options={"xatol": 0.02})
    warm = under(float(solved.x))
    return (float(np.exp(solved.x)), warm) if warm.mean() < plain.mean() else (1.0, plain)


def _is_worse(difference_N: np.ndarray, groups_N: np.ndarray) -> bool:
    """Whether the mean of differences is above zero by more than one standard error."""
    unit_N = np.unique(groups_N, return_inverse=True)[1]
    mean = float(difference_N.mean())
    sums = np.bincount(unit_N, weights=difference_N - mean)
    return mean > float(np.sqrt((sums**2).sum())) / len(difference_N)
