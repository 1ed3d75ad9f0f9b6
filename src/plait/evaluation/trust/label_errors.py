"""Candidates for wrong labels among all rows of the table, the hardest rows and the most ambiguous ones.

Linear models on the stored features, refitted fold by fold, answer every row without having seen it (``refits``);
confident learning (``metrics.trust.label_errors``) compares their answers with the labels. Probably wrong are those
rows whose odds against the label are very strong; the others that it names are only worth a look. The model that is
judged takes no part, so that its training rows are looked at as its test rows are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.evaluation.base import EvaluationInputs, shown_inputs
from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, needs_labels
from plait.evaluation.trust.features import learned_from_labels, row_features
from plait.evaluation.trust.refits import MOST_ROWS, Refitted, refit_classes
from plait.metrics.trust.label_errors import STRONG, hardest_rows, label_errors, most_ambiguous_rows
from plait.registry import counted

LEAST_ROWS = 40
MOST_SHOWN = 50  # candidates in full
MOST_PICTURED = 12  # of them with their inputs
MOST_HARD = 10
REPEATS = 3  # times that folds are dealt


def evaluate_labels_given(inputs: TrustInputs) -> dict[str, Any]:
    """The part "label_errors".

    Returns:
        ``rows`` looked at; ``candidates``: row, label, suggested class, their probabilities, and inputs of the first;
        ``num_candidates``; ``doubtful_rows``: those that confident learning names too, on weaker odds; ``odds``: from
        which a row is a candidate; ``noise``: estimated fraction of wrong labels, far too high where ``accuracy`` of
        the linear models is low; ``hardest`` and ``ambiguous`` rows; ``notes`` and a ``sentence``.
    """
    given, notes = _at_most(inputs)
    label = np.asarray(given.target, dtype=np.int64)
    names = list(given.model.config.modality_names)
    features = row_features(inputs.fitted.inputs, given)
    present_NM = given.prepared.rows.present_NM[given.positions][:, [names.index(n) for n in features]]
    made = refit_classes(
        features, present_NM, label, len(given.labels.classes), unit=given.group, repeats=REPEATS, seed=inputs.seed
    )
    if made is None:
        return {"sentence": "Too few rows to look for wrong labels.", "candidates": [], "num_candidates": 0}
    learned = learned_from_labels(inputs.fitted.inputs)
    if learned:
        notes.append(
            f"features of {', '.join(learned)} come from encoders that were trained on the labels of training rows: "
            "wrong labels among these may have been learned by heart and go unseen"
        )
    errors = label_errors(made.probability_NC, label)
    accuracy = float((made.probability_NC.argmax(axis=1) == label).mean())
    strong = errors.odds >= STRONG
    first = np.flatnonzero(strong)[:MOST_SHOWN]
    shown = [
        _row(given, int(errors.rows[i]), int(errors.suggested[i]), made, with_inputs=k < MOST_PICTURED)
        for k, i in enumerate(first)
    ]
    numbers = [
        [given.prepared.rows.table.row_number(int(given.positions[i])) for i in errors.rows[which]]
        for which in (strong, ~strong)
    ]
    top = made.probability_NC.argmax(axis=1)
    return {
        "rows": len(label), "num_candidates": len(numbers[0]), "candidate_rows": numbers[0], "candidates": shown,
        "doubtful_rows": numbers[1], "odds": STRONG,
        "noise": errors.noise, "accuracy": accuracy, "folds": made.num_folds,
        "hardest": [
            _row(given, int(i), int(top[i]), made) for i in hardest_rows(made.probability_NC, label, MOST_HARD)
        ],
        "ambiguous": [
            _row(given, int(i), int(top[i]), made) for i in most_ambiguous_rows(made.probability_NC, MOST_HARD)
        ],
        "notes": notes, "sentence": _sentence(len(numbers[0]), len(numbers[1]), len(label), accuracy),
    }  # fmt: skip


def _at_most(inputs: TrustInputs) -> tuple[EvaluationInputs, list[str]]:
    """All labelled rows, or a sample of very many, without classes that training did not have."""
    from dataclasses import replace

    given, notes = inputs.whole, []
    chosen = np.flatnonzero(np.asarray(given.target) >= 0)
    if len(chosen) > MOST_ROWS:
        notes.append(f"{MOST_ROWS:,} of {len(chosen):,} rows, sampled with seed {inputs.seed}")
        rng = np.random.default_rng(inputs.seed)
        chosen = np.sort(rng.choice(chosen, MOST_ROWS, replace=False))
    values = [given.values[int(i)] for i in chosen]
    group = None if given.group is None else given.group[chosen]
    some = replace(given, positions=given.positions[chosen], target=given.target[chosen], values=values, group=group)
    return some, notes


def _row(given: EvaluationInputs, i: int, other: int, made: Refitted, *, with_inputs: bool = False) -> dict[str, Any]:
    label, position = int(given.target[i]), int(given.positions[i])
    found = {
        "row": given.prepared.rows.table.row_number(position), "label": str(given.labels.classes[label]),
        "suggested": str(given.labels.classes[other]), "probability_of_label": float(made.probability_NC[i, label]),
        "probability_of_suggested": float(made.probability_NC[i, other]),
    }  # fmt: skip
    return {**found, "inputs": shown_inputs(given, position)} if with_inputs else found


def _sentence(count: int, doubtful: int, rows: int, accuracy: float) -> str:
    by = f"by linear models that did not see the row and are right on {accuracy:.0%} of the rows"
    if not count + doubtful:
        return f"None of {counted(rows, 'label')} is contradicted {by}."
    first = (
        f"{counted(count, 'label')} of {rows:,} {'is' if count == 1 else 'are'} probably wrong: another class is more "
        f"than {int(STRONG)} times likelier, {by}"
        if count
        else f"None of {counted(rows, 'label')} is contradicted strongly {by}"
    )
    more = f"; {doubtful:,} more {'is' if doubtful == 1 else 'are'} hard or wrong, which they cannot tell"
    return f"{first}{more if doubtful else ''}. Look at them before correcting any."


def _reason(inputs: TrustInputs) -> str | None:
    reason = needs_labels("classes")(inputs)
    if reason is None and len(inputs.fitted.labels.classes) < 2:
        reason = "the model knows one class only"
    if reason is None and inputs.fitted.task.judges_pairs:
        reason = "pairs that match are known, not labelled"
    if reason is None and len(inputs.whole.positions) < LEAST_ROWS:
        reason = f"{counted(len(inputs.whole.positions), 'labelled row')}; {LEAST_ROWS} are needed"
    return reason


TRUST_PARTS.add("label_errors", TrustPart("Labels that are probably wrong", evaluate_labels_given, _reason))
