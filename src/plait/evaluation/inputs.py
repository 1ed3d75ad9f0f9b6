"""From a fitted model and prepared rows to what an evaluation takes: the rows with a target, and their targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.data.shown import shown_text
from plait.evaluation.base import EvaluationInputs
from plait.inputs.prepare import Prepared
from plait.registry import counted
from plait.training.fitted import FittedParts
from plait.training.splitting import evaluation_units, parse_targets


def evaluation_inputs(
    fitted: FittedParts, prepared: Prepared, positions: np.ndarray, split: str, notes: Sequence[str] = (), *,
    unseen: str = "wrong",
) -> EvaluationInputs:  # fmt: skip
    """Collect what evaluation needs; rows whose target is unreadable are reported.

    Args:
        fitted: The model.
        prepared: Rows and sources of the whole table.
        positions: Positions of the rows that may be evaluated.
        split: What to call them.
        notes: What must be reported about them.
        unseen: What becomes of rows of a class that training did not have: "wrong" (no answer can be right, and a note
            names the classes) or "out" (they are reported and left out, where a loss is asked for).

    Raises:
        ValueError: No row has a target that this model can be evaluated by.
    """
    task, rows = fitted.task, prepared.rows
    chosen, values = _with_target(fitted, prepared, positions, unseen)
    notes = [*notes, *_unseen_note(fitted, values)]
    unit_N = evaluation_units(prepared, fitted.schema)[chosen]
    asked = fitted.settings.judge.by
    sliced = [c.name for c in fitted.schema.columns if c.kind == "categorical" and c.role == "input"]
    sliced += [*task.slice_by, *asked]
    absent = [c for c in asked if c not in rows.table.column_names]
    notes = [*notes, *(f"judge.by: {rows.table.source} has no column {c!r}" for c in absent)]
    return EvaluationInputs(
        fitted.model, fitted.baselines, task, fitted.labels, prepared, chosen,
        _truths(fitted, values), values,
        unit_N if len(np.unique(unit_N)) < len(unit_N) else None,
        [c for c in dict.fromkeys(sliced) if c in rows.table.column_names], split, list(notes),
        fitted.settings.judge, fitted.settings.language.beams or 1, fitted.ensemble,
        calibration=fitted.calibration, training_seconds=fitted.report.get("facts", {}).get("training_seconds"),
    )  # fmt: skip


def _truths(fitted: FittedParts, values: list[Any]) -> np.ndarray:
    """Encoded targets, and numbers as they stand in the table: a transform knows nothing beyond the training range."""
    if fitted.task.output_kind == "number" and fitted.labels.scale is not None:
        return np.asarray(values, dtype=np.float64)
    return fitted.task.natural(fitted.task.encode(values, fitted.labels), fitted.labels)


def _unseen_note(fitted: FittedParts, values: list[Any]) -> list[str]:
    """The classes of these rows that training did not have, and how many rows are of them."""
    classes = fitted.labels.classes
    if classes and fitted.task.output_kind == "labels":
        return _unseen_labels_note(fitted, values)
    if not classes or not fitted.task.family.one_class:
        return []
    encoded = fitted.task.encode(values, fitted.labels)
    counts = Counter(shown_text(v) for v, number in zip(values, encoded, strict=True) if number < 0)
    if not counts:
        return []
    named = ", ".join(f"{name!r} ({count})" for name, count in counts.most_common(5))
    more = f" and {counted(len(counts) - 5, 'more class', 'more classes')}" if len(counts) > 5 else ""
    return [
        f"{counts.total():,} of {counted(len(values), 'row')} {'is' if counts.total() == 1 else 'are'} of classes that "
        f"training did not have and {'counts' if counts.total() == 1 else 'count'} as wrong: "
        f"{named}{more}"
    ]


def _unseen_labels_note(fitted: FittedParts, values: list[Any]) -> list[str]:
    """The labels of these rows that training did not have; the metrics know no place for them."""
    counts = Counter(name for labels in values for name in labels if name not in fitted.labels.place)
    if not counts:
        return []
    named = ", ".join(f"{shown_text(name)!r} ({counted(count, 'row')})" for name, count in counts.most_common(5))
    more = f" and {counted(len(counts) - 5, 'more label')}" if len(counts) > 5 else ""
    return [f"labels that training did not have are in no metric: {named}{more}"]


def _with_target(
    fitted: FittedParts, prepared: Prepared, positions: np.ndarray, unseen: str
) -> tuple[np.ndarray, list[Any]]:
    """Positions and plain values of the rows that have a target the model can be evaluated by."""
    task, rows = fitted.task, prepared.rows
    needed = fitted.schema.target if task.needs_target else None
    cells = rows.table.column(needed) if needed is not None else [None] * len(rows)
    parsed = parse_targets(cells, task, None if needed is None else rows.table.reading(needed))
    kept, values = [], []
    for position in positions:
        value = parsed[int(position)]
        if value is None:
            rows.report(int(position), needed, f"expected {task.expects}, got {cells[int(position)]!r}")
        elif (task.needs_known_class or unseen == "out") and _is_unseen(fitted, value):
            rows.report(int(position), needed, f"class {value!r} was not seen in training")
        else:
            kept.append(int(position))
            values.append(value)
    if not kept:
        raise ValueError(f"no row of {rows.table.source} has a target this model can be judged by")
    return np.array(kept, dtype=np.int64), values


def _is_unseen(fitted: FittedParts, value: Any) -> bool:
    if not fitted.labels.classes or not fitted.task.family.one_class:
        return False
    return bool(fitted.task.encode([value], fitted.labels)[0] < 0)
