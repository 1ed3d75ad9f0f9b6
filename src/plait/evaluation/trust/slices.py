"""Slices with a real gap: by column, by what is there and by class, corrected for how many were looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, needs_labels
from plait.metrics.breakdown import slices
from plait.metrics.trust.slices import SliceGap, slice_gaps
from plait.registry import counted
from plait.report.words import number, signed

MOST_SHOWN = 12


def evaluate_slices(inputs: TrustInputs) -> dict[str, Any]:
    """The part "slices".

    Returns:
        ``looked_at``: how many slices; ``score``: what is compared; ``real``: those whose interval leaves 0 out,
        each with ``column``,
        ``value``, ``rows``, ``mean``, ``rest``, ``low`` and ``high``; ``widest``: the widest others; and
        a ``sentence``.
    """
    given = inputs.given
    score_N = inputs.row_scores(inputs.outputs_NC)
    found = []
    for column, values in _columns(inputs):
        for part in slices(lambda rows: {"rows": rows}, values, column=column):
            found.append((column, str(part["value"]), np.asarray(part["metrics"]["rows"])))
    gaps = slice_gaps(score_N, found, unit=given.group)
    real = [g for g in gaps if g.is_real]
    name = {"number": "absolute error", "labels": "share of labels right"}.get(given.task.output_kind, "accuracy")
    return {
        "looked_at": len(gaps), "score": name, "real": [_plain(g) for g in real[:MOST_SHOWN]], "num_real": len(real),
        "widest": [_plain(g) for g in gaps if not g.is_real][: MOST_SHOWN // 2],
        "sentence": _sentence(len(gaps), real, name),
    }  # fmt: skip


def _columns(inputs: TrustInputs) -> list[tuple[str, list[Any]]]:
    """What slices are made by: values of columns, lengths of texts, what is there, the true class."""
    given, schema = inputs.given, inputs.fitted.schema
    table = given.prepared.rows.table.take(given.positions)
    names = [c.name for c in schema.columns if c.role == "input" and c.kind in ("categorical", "numeric")]
    names = [c for c in dict.fromkeys([*given.slice_columns, *names]) if c in table.column_names]
    found = [(name, table.column(name)) for name in names]
    for column in schema.columns:
        if column.role == "input" and column.kind == "text" and column.name in table.column_names:
            letters = [None if t is None else float(len(str(t))) for t in table.column(column.name)]
            found.append((f"letters of {column.name}", letters))
    present_NM = given.prepared.rows.present_NM[given.positions]
    for name, there_N in zip(given.model.config.modality_names, present_NM.T, strict=True):
        if 0 < there_N.mean() < 1:
            found.append((f"{name} is there", ["yes" if there else "no" for there in there_N]))
    if given.task.family.one_class and given.task.output_kind != "number":
        classes = list(given.labels.classes)
        found.append(("true class", [str(classes[int(t)]) if t >= 0 else None for t in np.asarray(given.target)]))
    return found


def _plain(gap: SliceGap) -> dict[str, Any]:
    return gap._asdict()


def _sentence(looked: int, real: list[SliceGap], name: str) -> str:
    if not looked:
        return "No slice has ten rows or more inside and outside."
    if not real:
        return f"None of {counted(looked, 'slice')} differs from the other rows by more than chance explains."
    first = real[0]
    return (
        f"{len(real):,} of {counted(looked, 'slice')} {'differs' if len(real) == 1 else 'differ'} by more than chance "
        f"explains, most of all {first.column} = {first.value}: {name} {number(first.mean)} against "
        f"{number(first.rest)} (gap {signed(first.mean - first.rest)}, corrected 95% interval {signed(first.low)} to "
        f"{signed(first.high)})."
    )


TRUST_PARTS.add(
    "slices", TrustPart("Slices with a real gap", evaluate_slices, needs_labels("classes", "labels", "number"))
)
