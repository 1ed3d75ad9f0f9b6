"""The members of an ensemble on evaluated rows, and pattern by pattern the ensemble against the best one.

The best member of a pattern was chosen on the rows that chose the weights, never on these rows.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np

from plait.data.progress import Progress
from plait.ensemble import Ensemble
from plait.evaluation.base import EvaluationInputs
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches
from plait.metrics.intervals import paired_metric_difference

ROWS_AT_ONCE = 512
RESAMPLES = 100
MOST_PATTERNS = 15


def evaluate_members(
    given: EvaluationInputs, fused: np.ndarray, *, progress: Progress | None = None, seed: int = 0
) -> dict[str, Any]:
    """``members`` and ``patterns`` of the evaluation.

    Args:
        given: What is evaluated.
        fused: Outputs of the ensemble [N, C].
        progress: Called with (done, total, what).
        seed: Seed of the intervals.
    """
    ensemble = cast(Ensemble, given.ensemble)
    patterns = ensemble.patterns[:MOST_PATTERNS]
    answers_PKNC, joint_PNC = _answers(given, ensemble, patterns, progress)
    primary = given.task.primary

    def measured(outputs: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float | None:
        value = given.task.metrics(given.target[rows], outputs[rows]).get(primary)
        return None if value is None else float(value)

    members = [
        {**facts, "metrics": {primary: measured(answers_PKNC[0][k])}} for k, facts in enumerate(ensemble.leaderboard())
    ]
    listed = []
    for p, pattern in enumerate(patterns):
        best = int(ensemble.best_P[p])
        single, joint = answers_PKNC[p][best], joint_PNC[p]
        gap, low, high = paired_metric_difference(
            partial(measured, joint), partial(measured, single), len(joint), groups=given.group,
            resamples=RESAMPLES, seed=seed,
        )  # fmt: skip
        listed.append(
            {
                "present": [n for n, there in zip(ensemble.names, pattern, strict=True) if there],
                "members": {
                    ensemble.facts[k].name: round(float(w), 4) for k, w in enumerate(ensemble.weights_PK[p]) if w > 0
                },
                "metrics": {primary: measured(joint)},
                "best member": ensemble.facts[best].name,
                "best member metrics": {primary: measured(single)},
                "difference": {"value": gap, "low": low, "high": high},
            }
        )
    return {"members": members, "patterns": listed}


def _answers(
    given: EvaluationInputs, ensemble: Ensemble, patterns: list[tuple[bool, ...]], progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of each member [P, K, N, C] and of the ensemble [P, N, C] under each pattern."""
    rows = RowBatches(given.prepared.sources, given.prepared.rows.index_NM[given.positions])
    count, width = len(given.positions), given.labels.num_outputs
    members = np.zeros((len(patterns), len(ensemble.members), count, width), dtype=np.float32)
    joint = np.zeros((len(patterns), count, width))
    with evaluation_mode(ensemble):
        walk = evaluation_batches(ensemble, rows, batch_size=ROWS_AT_ONCE, progress=progress, what="judging members")
        for places, batch in walk:
            ready = ensemble.encode(batch["inputs"], batch["present"], every_member=True)
            for p, pattern in enumerate(patterns):
                present = batch["present"] & batch["present"].new_tensor(pattern)
                members[p][:, places], joint[p, places] = ensemble.member_outputs(ready, present)
    return members, joint
