"""The finding of ``plait check`` on whether modalities should be fused at all: features first, then their shares."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.checks.finding import Finding
from plait.data.schema import Schema
from plait.data.table import Table
from plait.data.values import read_number

CODE, TITLE = "P060", "should these be fused"
MOST_ROWS = 2000
QUARTERS = 4


def interactions_finding(table: Table, schema: Schema, task: str | None = None) -> Finding:
    """What each pair of modalities says about the target, from the frozen encoders that a fit would take.

    Raises:
        ValueError: Weights of an encoder are not on this machine.
    """
    from plait.api.table_inputs import table_inputs
    from plait.evaluation.interactions import interaction_shares, interactions_table
    from plait.evaluation.trust.features import item_features
    from plait.inputs.prepare import fit_inputs, prepare
    from plait.settings import RunSettings

    if schema.target is None or len(schema.modalities) < 2:
        why = "no target is named (target=COL)" if schema.target is None else "one modality"
        return Finding(CODE, "n/a", TITLE, why, [])
    label, classes = _classes(table.column(schema.target), schema.column(schema.target).scale == "number")
    rows = np.flatnonzero(label >= 0)
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))
    if classes < 2 or len(rows) == 0:
        return Finding(CODE, "n/a", TITLE, "the target has no two classes", [])
    some = table.take(rows)
    inputs = table_inputs(table, schema, RunSettings(), task=task, rows=some)
    prepared = prepare(some, inputs)
    fit_inputs(inputs, prepared, np.arange(len(some)), schema)
    features, present = {}, []
    for name, items_ID in item_features(inputs, prepared).items():
        index_N = prepared.rows.items[name].index_N
        features[name] = np.where((index_N >= 0)[:, None], items_ID[np.maximum(index_N, 0)], 0.0)
        present.append(index_N >= 0)
    if len(features) < 2:
        return Finding(CODE, "n/a", TITLE, "fewer than two modalities have features before training", [])
    found = interaction_shares(features, np.stack(present, axis=1), label[rows], classes)
    if not found:
        return Finding(CODE, "n/a", TITLE, f"too few rows for {classes} classes", [])
    return Finding(CODE, "info", TITLE, interactions_table(found), [])


def _classes(cells: list[Any], is_number: bool) -> tuple[np.ndarray, int]:
    """The class of each row, quarters for numbers, -1 where it is missing; and how many there are."""
    if is_number:
        numbers = [None if c is None else c if isinstance(c, int | float) else read_number(c) for c in cells]
        values = np.array([np.nan if v is None else float(v) for v in numbers])
        edges = np.nanquantile(values, np.linspace(0, 1, QUARTERS + 1)[1:-1])
        return np.where(np.isnan(values), -1, np.searchsorted(edges, np.nan_to_num(values))), QUARTERS
    names = {c: k for k, c in enumerate(sorted({str(c) for c in cells if c is not None}))}
    return np.array([-1 if c is None else names[str(c)] for c in cells]), len(names)
