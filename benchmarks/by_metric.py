"""A rule that was measured and is not part of Plait: a member that is surely better by a metric answers alone.

After weights by the proper loss, the average competes with each member at its own temperature. A member replaces it
where it is better by the metric by more than one standard error of the paired difference on the choosing rows (as the
rule of Breiman et al., CART 1984); the best one does, and of equal ones the one with the smaller loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from plait.ensemble.averaging import Average, RowLosses, tempered
from plait.ensemble.scale import AnswerScale
from plait.ensemble.selection import LEAST_ROWS
from plait.metrics.intervals import paired_metric_difference
from plait.tasks import Task
from plait.tasks.row_metrics import resampled

RESAMPLES = 200
ONE_ERROR = 0.6827  # coverage of one standard error to both sides
Score = Callable[[np.ndarray], float | None]


def choose_whole(
    average: Average, outputs_KNC: np.ndarray, losses: RowLosses, scale: AnswerScale, task: Task, target_N: np.ndarray,
    order: Sequence[int] | np.ndarray, groups_N: np.ndarray, seed: int,
) -> Average:  # fmt: skip
    """The average, or the member that is better than it by the metric that chooses.

    Args:
        average: As chosen by the proper loss.
        outputs_KNC: Outputs of the members on the choosing rows.
        losses: Outputs to the proper loss of each row [N].
        scale: The family's.
        task: Whose ``selects`` names the metric.
        target_N: Targets of the rows, in their own unit [N] or [N, C].
        order: Numbers of the members, the simplest first: of those equal in metric and loss it is the first.
        groups_N: Rows with equal numbers are drawn together.
        seed: Of the draws.

    Returns:
        ``average`` itself where no member is surely better, where there are fewer than 20 rows, or where the metric
        cannot be measured on them.
    """
    if len(target_N) < LEAST_ROWS:
        return average
    joint = _at(np.einsum("k,knc->nc", average.weights, outputs_KNC), average.temperature, scale)
    ours = _scoring(task, target_N, joint)
    everything = np.arange(len(target_N))
    base = ours(everything)
    if base is None:
        return average
    found: list[tuple[float, float, int, float]] = []
    for place, k in enumerate(order):
        temperature, loss_N = tempered(outputs_KNC[k], losses, scale)
        alone = _at(outputs_KNC[k], temperature, scale)
        score = _scoring(task, target_N, alone)(everything)
        if score is not None and score > base and _is_surely_better(task, target_N, alone, joint, groups_N, seed):
            found.append((-round(score, 12), float(loss_N.mean()), place, temperature))
    if not found:
        return average
    _, _, place, temperature = min(found)
    best = int(order[place])
    return Average(np.eye(len(outputs_KNC))[best], temperature, best)


def _at(outputs: np.ndarray, temperature: float, scale: AnswerScale) -> np.ndarray:
    return np.asarray(scale.temper(outputs, np.full((len(outputs), 1), temperature)))


def _scoring(task: Task, target_N: np.ndarray, outputs: np.ndarray) -> Score:
    """Positions of rows to the number that selects, the larger the better."""

    def score(rows: np.ndarray) -> float | None:
        return task.selecting(task.metrics(target_N[rows], outputs[rows]))

    return score


def _is_surely_better(
    task: Task, target_N: np.ndarray, ours: np.ndarray, theirs: np.ndarray, groups_N: np.ndarray, seed: int
) -> bool:
    """Whether the metric is better by more than one standard error."""
    both, name = [resampled(task.metrics, target_N, one) for one in (ours, theirs)], task.selects or task.primary
    sign = task.selecting({name: 1.0}) or 1.0

    def gap(counts_RN: np.ndarray) -> np.ndarray:
        first_R, second_R = (np.asarray(one(counts_RN, [name])[name]) for one in both if one is not None)
        return np.asarray(sign * (first_R - second_R))

    _, low, _ = paired_metric_difference(
        _scoring(task, target_N, ours), _scoring(task, target_N, theirs), len(target_N), groups=groups_N,
        resamples=RESAMPLES, seed=seed, level=ONE_ERROR, resampled=None if None in both else gap,
    )  # fmt: skip
    return low is not None and low > 0
