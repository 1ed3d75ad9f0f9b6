"""The members of an ensemble on evaluated rows, and pattern by pattern the ensemble against the best one.

The best member of a pattern was chosen on the rows that chose the weights, never on these rows. Rows are encoded once
for all patterns; what the ensemble answers under each of them is handed on to whoever hides modalities too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from plait.data.progress import Progress
from plait.ensemble import Ensemble
from plait.ensemble.selection import Pattern, rows_of_pattern, seen
from plait.evaluation.base import EvaluationInputs
from plait.evaluation.task_intervals import task_difference, task_intervals
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches

ROWS_AT_ONCE = 512
RESAMPLES = 100
MOST_PATTERNS = 15
MOST_CELLS = 100_000_000  # outputs of all members under all patterns; of more rows a sample is measured


@dataclass
class PatternAnswers:
    """What an ensemble and its members answer under each pattern.

    Attributes:
        rows_S: Places of the rows among the evaluated ones.
        total: Evaluated rows.
        patterns: The patterns, everything first.
        joint: Outputs of the ensemble by pattern [S, C] float32.
        members: Those of each member by its number and what it sees of a pattern.
        seconds: What answering took.
    """

    rows_S: np.ndarray  # noqa: N815  shape letters
    total: int
    patterns: list[Pattern]
    joint: dict[Pattern, np.ndarray]
    members: dict[tuple[int, Pattern], np.ndarray]
    seconds: float

    @property
    def of_all_rows(self) -> dict[Pattern, np.ndarray]:
        """Outputs of the ensemble by pattern, where no row was left out; else nothing."""
        return self.joint if len(self.rows_S) == self.total else {}


def answer_patterns(given: EvaluationInputs, *, progress: Progress | None = None, seed: int = 0) -> PatternAnswers:
    """Answers of the ensemble and of each member under each of its patterns.

    Args:
        given: What is evaluated.
        progress: Called with (done, total, what).
        seed: Of the sample, where there are too many rows.
    """
    ensemble, began = cast(Ensemble, given.ensemble), time.monotonic()
    patterns, task = ensemble.patterns[:MOST_PATTERNS], ensemble.task
    uses = [member.uses for member in ensemble.listed]
    asked = list(dict.fromkeys((k, seen(u, p)) for p in patterns for k, u in enumerate(uses)))
    total, width = len(given.positions), given.labels.num_outputs
    most = max(1000, MOST_CELLS // ((len(asked) + len(patterns)) * width))
    rows_S = np.arange(total)
    if total > most:
        rows_S = np.sort(np.random.default_rng([seed, total]).choice(total, most, replace=False))
    batches = RowBatches(given.prepared.sources, given.prepared.rows.index_NM[given.positions[rows_S]])
    members = {key: np.zeros((len(rows_S), width), dtype=np.float32) for key in asked}
    joint = {pattern: np.zeros((len(rows_S), width), dtype=np.float32) for pattern in patterns}
    assert task.inverse is not None
    with evaluation_mode(ensemble):
        walk = evaluation_batches(ensemble, batches, batch_size=ROWS_AT_ONCE, progress=progress, what="judging members")
        for places, batch in walk:
            inputs, present = batch["inputs"], batch["present"]
            _, ready = ensemble.encode(inputs, present, every_member=True)
            found = {
                (k, shown): ensemble.listed[k].outputs(inputs, ready[k], present & present.new_tensor(shown))
                for k, shown in asked
            }
            for key, outputs in found.items():
                members[key][places] = outputs
            for p in patterns:
                average = ensemble.average(
                    lambda k, p=p, found=found: found[k, seen(uses[k], p)],  # type: ignore[misc]
                    present & present.new_tensor(p),
                )
                logits = task.inverse(average, given.labels).astype(np.float32)
                if given.calibration is not None and given.calibration.calibrator is not None:
                    logits = given.calibration.calibrator.logits(logits).astype(np.float32)
                joint[p][places] = task.activate(logits, given.labels)
    return PatternAnswers(rows_S, total, patterns, joint, members, time.monotonic() - began)


def evaluate_members(given: EvaluationInputs, answers: PatternAnswers, *, seed: int = 0) -> dict[str, Any]:
    """``members`` and ``patterns`` of the evaluation.

    A pattern is measured on the rows that have all of it, as it answers those; where fewer than 20 have, on those that
    have some of it.

    Args:
        given: What is evaluated.
        answers: Of its rows.
        seed: Seed of the intervals.
    """
    ensemble, primary = cast(Ensemble, given.ensemble), given.task.primary
    target = given.target[answers.rows_S]
    group = None if given.group is None else given.group[answers.rows_S]
    present_SM = given.prepared.rows.present_NM[given.positions[answers.rows_S]]

    def measured(outputs: np.ndarray, own: np.ndarray, metric: str = primary) -> float | None:
        value = given.task.metrics(own, outputs).get(metric)
        return None if value is None else float(value)

    def of(k: int, pattern: Pattern) -> np.ndarray:
        return answers.members[k, seen(ensemble.listed[k].uses, pattern)]

    names = dict.fromkeys([primary, given.task.selects or primary])
    chosen = [name for name in names if name != primary]  # its interval is told, too
    members = []
    for k, facts in enumerate(ensemble.leaderboard()):
        outputs = of(k, answers.patterns[0])
        values = {name: measured(outputs, target, name) for name in names}
        intervals = task_intervals(
            given.task, target, outputs, groups=group, resamples=given.deadline.resamples(RESAMPLES), seed=seed,
            only=chosen,
        ) if chosen else {}  # fmt: skip
        members.append({**facts, "metrics": values, **({"intervals": intervals} if intervals else {})})
    listed = []
    for p, pattern in enumerate(answers.patterns):
        best, at = int(ensemble.best_P[p]), rows_of_pattern(present_SM, pattern)
        entry: dict[str, Any] = {
            "present": [n for n, there in zip(ensemble.names, pattern, strict=True) if there],
            "rows": len(at),
            "members": {
                ensemble.facts[k].name: round(float(w), 4) for k, w in enumerate(ensemble.weights_PK[p]) if w > 0
            },
            "best member": ensemble.facts[best].name,
        }
        gap = low = high = together = single = None
        if len(at):
            own, joint, alone = target[at], answers.joint[pattern][at], of(best, pattern)[at]
            if np.allclose(joint, alone, rtol=1e-6, atol=1e-8):
                alone = joint  # one member answers: what differs is its rounding on the way through logits
            together, single = measured(joint, own), measured(alone, own)
            gap, low, high = task_difference(
                primary, (given.task, joint), (given.task, alone), own,
                groups=None if group is None else group[at], resamples=given.deadline.resamples(RESAMPLES), seed=seed,
            )  # fmt: skip
        entry |= {
            "metrics": {primary: together}, "best member metrics": {primary: single},
            "difference": {"value": gap, "low": low, "high": high},
        }  # fmt: skip
        listed.append(entry)
    return {"members": members, "patterns": listed}


def blindness_notes(given: EvaluationInputs, measured: dict[str, float | None]) -> list[str]:
    """What to tell where the rows that chose the members were answered far better than the evaluated ones.

    Far is a whole width of the 95 % interval, about four standard errors: chance hardly does that, features that were
    learned from the answers of the choosing rows do, and so do rows of another kind.

    Args:
        given: What is evaluated.
        measured: Value and interval of the primary metric.
    """
    value, low, high = measured["value"], measured["low"], measured["high"]
    if given.ensemble is None or value is None or low is None or high is None:
        return []
    ensemble = cast(Ensemble, given.ensemble)
    best = ensemble.facts[int(ensemble.best_P[0])]
    if best.validation is None or (best.validation - value) * (1 if given.task.higher_is_better else -1) <= high - low:
        return []
    return [
        f"the members were chosen on rows that are answered far better than these ({given.task.primary} "
        f"{best.validation:.3f} by {best.name}, {value:.3f} here): features may have been learned from the answers of "
        "those rows, or these are of another kind, and then the choice is blind; mark rows as val in the split column "
        "that are as new to the features as these are, and they choose"
    ]
