"""Drift between two tables: does B still look like A? By modality on features, by column, and which rows are foreign.

A table read and encoded twice comes in, plain values come out. Each modality is tested twice (a classifier told to tell
the tables apart, and the mean discrepancy), each column by its kind; p values are corrected for how many tests there
are, and an alarm is a corrected p below 0.01. Rows of one unit (captions of one photo) count once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.data.schema import Column, Schema
from plait.data.table import Table
from plait.evaluation.trust.features import item_features
from plait.evaluation.trust.refits import directions
from plait.inputs.inputs import Inputs
from plait.inputs.prepare import Prepared
from plait.metrics.trust.column_drift import category_test, missing_test, number_test
from plait.metrics.trust.foreign_rows import foreignness, nearest_distance
from plait.metrics.trust.two_samples import LEAST_ROWS, classifier_test, discrepancy_test, holm
from plait.model import PlaitModel
from plait.registry import counted
from plait.training.splitting import evaluation_units

ALARM = 0.01  # corrected p value below which there is an alarm
MOST_FOREIGN = 10


@dataclass
class ComparedTable:
    """One of the two tables, read and encoded.

    Attributes:
        prepared: Its rows.
        rows: Positions of the rows that are compared, one a unit.
    """

    prepared: Prepared
    rows: np.ndarray

    @classmethod
    def of(cls, prepared: Prepared, schema: Schema) -> ComparedTable:
        """One row of every unit."""
        return cls(prepared, np.unique(evaluation_units(prepared, schema), return_index=True)[1])

    @property
    def table(self) -> Table:
        """The rows that are compared."""
        return self.prepared.rows.table.take(self.rows)


def drift_report(
    a: ComparedTable,
    b: ComparedTable,
    inputs: Inputs,
    schema: Schema,
    *,
    model: PlaitModel | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Every test, and what they say together.

    Args:
        a: The table that is known.
        b: The table that may differ.
        inputs: What encoded both.
        schema: Columns of A.
        model: Holds encoders that were trained; None: frozen encoders only.
        seed: Of halves and shuffles.

    Returns:
        ``alarm``, ``sentence``, ``rows`` of both, ``modalities`` (name, ``auroc`` with ``low`` and ``high``,
        ``discrepancy``, both p values raw and corrected, ``foreign``: rows of B with the share of A's rows that are as
        far from A), ``columns`` (name, test, value, p, detail) and ``notes``.
    """
    modalities, notes = _modalities(a, b, inputs, model, seed)
    columns = _columns(a, b, schema)
    notes += _absent(a, b, schema)
    tests = [part[key] for part in modalities for key in ("classifier", "discrepancy")] + columns
    for test, corrected in zip(tests, holm([t["p"] for t in tests]) if tests else [], strict=True):
        test |= {"p_corrected": float(corrected), "alarm": bool(corrected < ALARM)}
    for part in modalities:
        part["alarm"] = part["classifier"]["alarm"] or part["discrepancy"]["alarm"]
    lacking = [c.name for c in schema.columns if c.role == "target" and c.name not in b.table.column_names]
    notes += [f"B has no column {name!r}, so it is not compared" for name in lacking]
    for side, name in ((a, "A"), (b, "B")):
        if len(side.rows) < len(side.prepared.rows):
            notes.append(f"{name}: {len(side.prepared.rows):,} rows share {len(side.rows):,} units; each counts once")
    return {
        "alarm": any(t["alarm"] for t in tests), "sentence": _sentence(modalities, columns, len(tests)),
        "rows": {"a": len(a.rows), "b": len(b.rows)}, "modalities": modalities, "columns": columns, "tests": len(tests),
        "level": ALARM, "notes": notes,
    }  # fmt: skip


def _modalities(
    a: ComparedTable, b: ComparedTable, inputs: Inputs, model: PlaitModel | None, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    of_a, of_b = item_features(inputs, a.prepared, model), item_features(inputs, b.prepared, model)
    found, notes = [], []
    for modality in inputs.modalities:
        name = modality.name
        if name not in of_a or name not in of_b:
            notes.append(f"{name} has no features without the model that its encoder was trained in")
            continue
        (x, _), (y, rows) = (_unique(side, name, known[name]) for side, known in ((a, of_a), (b, of_b)))
        if min(len(x), len(y)) < LEAST_ROWS:
            notes.append(f"{name}: {len(x)} and {len(y)} different items; {LEAST_ROWS} of each are needed")
            continue
        told, gap = classifier_test(x, y, seed=seed), discrepancy_test(x, y, seed=seed)
        found.append({
            "modality": name, "items": {"a": len(x), "b": len(y)},
            "classifier": {"auroc": told.value, "low": told.low, "high": told.high, "p": told.p},
            "discrepancy": {"value": gap.value, "p": gap.p}, "foreign": _foreign(b, x, y, rows),
        })  # fmt: skip
    return found, notes


def _unique(side: ComparedTable, name: str, items_ID: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of the different items that the rows show, and a row that shows each."""
    index_N = side.prepared.rows.items[name].index_N[side.rows]
    there = np.flatnonzero(index_N >= 0)
    items, first = np.unique(index_N[there], return_index=True)
    return items_ID[items].astype(np.float64), side.rows[there[first]]


def _foreign(b: ComparedTable, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> list[dict[str, Any]]:
    """The rows of B that are farthest from A, with the share of A's own rows that are as far from the others."""
    both = directions(np.concatenate([x, y]).astype(np.float32), np.ones(len(x) + len(y), dtype=bool))
    known, asked = both[: len(x)], both[len(x) :]
    far = nearest_distance(known, asked)
    share = foreignness(nearest_distance(known), far)
    order = np.argsort(-far, kind="stable")[:MOST_FOREIGN]
    table = b.prepared.rows.table
    return [{"row": table.row_number(int(rows[i])), "distance": float(far[i]), "share": float(share[i])} for i in order]


def _columns(a: ComparedTable, b: ComparedTable, schema: Schema) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for column in _compared(schema):
        if column.role == "target" and not all(column.name in side.table.column_names for side in (a, b)):
            continue  # new rows need no target
        (x, x_gone), (y, y_gone) = (_cells(side, column.name) for side in (a, b))
        tests = [missing_test(x_gone, y_gone)]
        if column.kind in ("numeric", "date") or column.scale == "number":
            tests.append(number_test(_numbers(x), _numbers(y)))
        elif column.kind == "categorical" or column.scale == "class":
            tests.append(category_test(x, y))
        elif column.kind == "text":
            lengths = [[None if v is None else float(len(str(v))) for v in side] for side in (x, y)]
            test = number_test(*lengths)
            tests.append(None if test is None else test._replace(detail=f"letters: {test.detail}"))
        found += [{"column": column.name, **test._asdict()} for test in tests if test is not None]
    return found


def _compared(schema: Schema) -> list[Column]:
    return [column for column in schema.columns if column.role in ("input", "target")]


def _cells(side: ComparedTable, name: str) -> tuple[list[Any], list[bool]]:
    """Cells of a column, all None where the table lacks it, and which of them say nothing: empty or unreadable."""
    rows = side.prepared.rows
    cells = side.table.column(name) if name in side.table.column_names else [None] * len(side.rows)
    unreadable = {bad.row for bad in rows.bad if bad.column == name}
    return cells, [v is None or int(row) in unreadable for v, row in zip(cells, side.rows, strict=True)]


def _absent(a: ComparedTable, b: ComparedTable, schema: Schema) -> list[str]:
    """What is told of columns that one table lacks; a target may be absent from new rows and is passed over."""
    return [
        f"{name} has no column {column.name!r}; all its cells count as missing"
        for side, name in ((a, "A"), (b, "B"))
        for column in _compared(schema)
        if column.name not in side.table.column_names and column.role == "input"
    ]


def _numbers(cells: list[Any]) -> list[float | None]:
    made: list[float | None] = []
    for cell in cells:
        try:
            made.append(None if cell is None else float(cell.toordinal() if hasattr(cell, "toordinal") else cell))
        except (TypeError, ValueError):
            made.append(None)
    return made


def _sentence(modalities: list[dict[str, Any]], columns: list[dict[str, Any]], tests: int) -> str:
    if not tests:
        return "Nothing could be compared; see the notes."
    moved = [f"{m['modality']} (AUROC {m['classifier']['auroc']:.2f})" for m in modalities if m["alarm"]]
    other = list(dict.fromkeys(c["column"] for c in columns if c["alarm"]))
    if not moved and not other:
        best = max((m["classifier"]["auroc"] for m in modalities), default=None)
        seen = "" if best is None else f"; a classifier tells them apart with AUROC {best:.2f} at most"
        return f"No drift found: {counted(tests, 'test')}, none below {ALARM} after correction{seen}."
    parts = [f"features of {', '.join(moved)}"] if moved else []
    parts += [f"{'columns' if len(other) > 1 else 'column'} {', '.join(map(repr, other))}"] if other else []
    return f"B differs from A in {' and in '.join(parts)} ({counted(tests, 'test')}, corrected p below {ALARM})."
