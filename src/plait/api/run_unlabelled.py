"""What a run makes of its rows without a target: the rows of a plan, the guarded training, and what the report says."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.api.opening import OpenedRun
from plait.api.preparing import PreparedRun
from plait.ensemble.features import TableFeatures
from plait.ensemble.guard import SEMI, guarded
from plait.ensemble.networks import NetworkFits
from plait.ensemble.teachers import check_teacher, teacher_of
from plait.registry import counted
from plait.settings.unlabelled import TEACHERS
from plait.training.plan import Plan
from plait.training.unlabelled.rows import UnlabelledRows
from plait.training.unlabelled.term import check_strong_view


def learn_unlabelled(
    opened: OpenedRun, ready: PreparedRun, plan: Plan, networks: NetworkFits, features: TableFeatures | None,
    num_folds: int,
) -> tuple[Plan, dict[str, Any] | None]:  # fmt: skip
    """Train with and without unlabelled rows and keep the better; the plan to go on with, and what is told.

    Args:
        opened: The run.
        ready: Its rows.
        plan: Without unlabelled rows, its fusion and transform chosen.
        networks: Of the run.
        features: Of its rows, where they are known already.
        num_folds: Of the ensemble.

    Raises:
        ValueError: The method has nothing to work on.
    """
    part, settings = opened.unlabelled, plan.settings.semi
    if part is None:
        return plan, None
    rows = _rows(opened, ready, plan)
    if settings.method in TEACHERS:
        features = features or TableFeatures(plan)
        check_teacher(plan, features, str(settings.method))
        rows.label = teacher_of(plan, features, rows.positions, settings)
    check_strong_view(plan, rows)
    found = guarded(plan, networks, rows, num_folds)
    own = int((part.positions < len(opened.table) - opened.added).sum())
    told = {
        "method": settings.method, "rows": len(rows.positions), "own": own, "second": len(rows.positions) - own,
        "source": part.source, "left_out": part.left_out, "kept": found.kept, **found.facts,
    }  # fmt: skip
    opened.notes.append(f"unlabelled rows ({settings.method}): {found.facts['guard']['sentence']}")
    for one in part.left_out:
        opened.notes.append(
            f"{counted(one['rows'], 'unlabelled row')} left out, which {one['why']}: {', '.join(one['numbers'])}"
            f"{' and more' if one['rows'] > len(one['numbers']) else ''}"
        )
    if "collapsed" in told:
        opened.notes.append(collapse_note(told["collapsed"]))
    return found.plan, told


def collapse_note(collapsed: dict[str, Any]) -> str:
    """The warning about pseudo-labels that are nearly all of one class."""
    return (
        f"pseudo-labels collapse on one class: {collapsed['share']:.0%} are {collapsed['class']!r}, of the labelled "
        f"rows {collapsed['labelled_share']:.0%}; do not trust them"
    )


def trained_rows(ready: PreparedRun, told: dict[str, Any] | None) -> np.ndarray:
    """Positions of the unlabelled rows that trained the network which is kept."""
    return ready.unlabelled if told is not None and told["kept"] == SEMI else ready.unlabelled[:0]


def _rows(opened: OpenedRun, ready: PreparedRun, plan: Plan) -> UnlabelledRows:
    """The unlabelled rows with the targets that some have all the same, which are compared and never learned."""
    assert opened.unlabelled is not None
    truth = opened.unlabelled.truth
    values = [truth.get(int(i)) for i in ready.unlabelled]
    known = np.array([value is not None for value in values], dtype=bool)
    return UnlabelledRows(
        ready.unlabelled, plan.settings.semi, plan.task.encode_all(values, plan.labels), known
    )  # fmt: skip
