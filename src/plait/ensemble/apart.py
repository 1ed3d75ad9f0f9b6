"""Whether validation rows that were set apart on purpose tell what held-out training rows do not.

Features may have been learned from the answers of training rows (an encoder that was tuned on them, a column computed
from the target). Training rows that a fold holds out are then answered as if they were easy, whatever a member is
worth, and only rows apart from them can choose. So the members that the choosing rows name the best are compared on
both kinds of rows, by the two-sample test for groups with unequal variances (Welch, Biometrika 1947, on group means).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.ensemble.averaging import Average
from plait.ensemble.choice import Candidate, row_losses
from plait.ensemble.held_out import HeldOut
from plait.ensemble.selection import LEAST_ROWS, Pattern, rows_of_pattern
from plait.training.plan import Plan

CHANCE = 0.0228  # of a false alarm, that of two standard errors; shared by all members that are compared


def worse_apart(
    plan: Plan, found: Sequence[Candidate], answers: HeldOut, patterns: Sequence[Pattern], chosen: Sequence[Average]
) -> str | None:
    """What to tell where validation rows are answered clearly worse than held-out training rows; None where not.

    Args:
        plan: Of the run.
        found: The members.
        answers: Of them, on training and validation rows.
        patterns: What is shown.
        chosen: What answers each pattern, by all of these rows.
    """
    compared = {average.best: pattern for pattern, average in reversed(list(zip(patterns, chosen, strict=True)))}
    for k, pattern in compared.items():
        at = rows_of_pattern(answers.present_NM, pattern)
        rows = answers.rows[at]
        losses, is_val = row_losses(plan, rows)(answers.of(k, pattern)[at]), np.isin(rows, plan.val)
        if is_val.sum() >= LEAST_ROWS and is_worse(losses, is_val, plan.group_N[rows], CHANCE / len(compared)):
            return (
                f"validation rows are answered worse than held-out training rows ({found[k].facts.name}: loss "
                f"{losses[is_val].mean():.3g} against {losses[~is_val].mean():.3g}), as where features were learned "
                "from training rows: they alone choose the members"
            )
    return None


def is_worse(loss_N: np.ndarray, is_apart_N: np.ndarray, group_N: np.ndarray, chance: float) -> bool:
    """Whether rows apart have the larger mean loss, by more than chance would let them.

    Args:
        loss_N: Of each row.
        is_apart_N: Which rows are apart.
        group_N: Rows with equal numbers are one observation.
        chance: Of a false alarm.

    Example:
        >>> loss, apart = np.arange(40.0) % 7, np.arange(40) < 20
        >>> is_worse(loss, apart, np.arange(40), 0.02), is_worse(loss + 9 * apart, apart, np.arange(40), 0.02)
        (False, True)
    """
    from scipy.stats import t  # only fitting needs it

    (apart, apart_variance, apart_groups), (near, near_variance, near_groups) = (
        _mean(loss_N[chosen], group_N[chosen]) for chosen in (is_apart_N, ~is_apart_N)
    )
    if min(apart_groups, near_groups) < 2 or apart <= near:
        return False
    variance = apart_variance + near_variance
    if variance == 0:
        return True
    freedom = variance**2 / (apart_variance**2 / (apart_groups - 1) + near_variance**2 / (near_groups - 1))
    return bool((apart - near) / variance**0.5 > t.isf(chance, freedom))


def _mean(loss_N: np.ndarray, group_N: np.ndarray) -> tuple[float, float, int]:
    """The mean of rows, its variance as far as groups vary, and their number."""
    unit_N = np.unique(group_N, return_inverse=True)[1]
    count = int(unit_N.max(initial=-1)) + 1
    if count < 2:
        return float(loss_N.mean()) if len(loss_N) else 0.0, 0.0, count
    mean = float(loss_N.mean())
    sums = np.bincount(unit_N, weights=loss_N - mean)
    return mean, float((sums**2).sum()) * count / (count - 1) / len(loss_N) ** 2, count
