"""Checks of what is missing: how much of each modality, and whether that alone tells the target.

A table in which text is missing mostly where the answer is "bad" teaches a model to read the answer off the gap. The
check asks for each modality whether rows without it have other targets than rows with it: chi-squared of missing by
target, against what chance gives (the same number of gaps dealt out anew over the rows), so that rare classes and few
gaps raise no false alarm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from plait.data.arrow_types import is_list
from plait.data.checks.contents import Contents
from plait.data.checks.finding import Finding, name_rows
from plait.data.modality import Modality
from plait.data.schema import Schema
from plait.data.table import Table
from plait.registry import counted

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ALPHA = 0.001  # for all modalities and labels together
SMALLEST_EFFECT = 0.1  # Cramer's V
LEAST_ROWS = 5  # missing, and present
NUM_BINS = 5
DEALT = 19_999
TITLES = {"P050": "missing modalities", "P051": "missing tells the target"}


def missing_checks(table: Table, schema: Schema, contents: Contents) -> Iterator[Finding]:
    """Both checks."""
    gaps = {m.name: missing_rows(table, m, contents) for m in schema.modalities}
    yield _how_much(table, gaps)
    yield _telling(table, schema, gaps)


def missing_rows(table: Table, modality: Modality, contents: Contents) -> Bools:
    """True where a row lacks the modality [N]: an empty cell in each of its columns, or blank text."""
    gap_N = np.ones(len(table), dtype=np.bool_)
    for column in modality.columns:
        empty_N = np.array([_is_empty(v) or v == [] for v in table.column(column)], dtype=np.bool_)
        empty_N[contents.absent.get(column, [])] = True
        gap_N &= empty_N
    return gap_N


def association(gap_N: Bools, class_N: Ints) -> tuple[float, float]:
    """How strongly being missing goes with a class: Cramer's V (0 to 1), and its p-value by dealing out anew.

    Args:
        gap_N: True where missing.
        class_N: Class number of each row, from 0.

    Example:
        >>> v, p = association(np.array([True] * 20 + [False] * 20), np.array([0] * 20 + [1] * 20))
        >>> v, p
        (1.0, 5e-05)
    """
    size_C = np.bincount(class_N)
    size_C = size_C[size_C > 0]
    _, class_N = np.unique(class_N, return_inverse=True)
    seen_C = np.bincount(class_N[gap_N], minlength=len(size_C))
    expected_C = size_C * gap_N.mean()
    rest_C = size_C - expected_C
    weight_C = 1 / expected_C + 1 / rest_C

    def chi_squared(gaps_C: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        value: npt.NDArray[np.float64] = ((gaps_C - expected_C) ** 2 * weight_C).sum(axis=-1)
        return value

    found = float(chi_squared(seen_C))
    rng = np.random.default_rng(0)
    dealt = rng.multivariate_hypergeometric(size_C, int(gap_N.sum()), size=DEALT, method="marginals")
    as_far = int((chi_squared(dealt) >= found * (1 - 1e-9)).sum())
    return float(np.sqrt(found / len(gap_N))), (as_far + 1) / (DEALT + 1)


def _is_empty(value: Any) -> bool:
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


def _how_much(table: Table, gaps: dict[str, Bools]) -> Finding:
    title = TITLES["P050"]
    if not gaps or not len(table):
        return Finding("P050", "n/a", title, "no inputs" if not gaps else "no rows", [])
    shown = [f"{name!r} in {counted(int(g.sum()), 'row')} ({g.mean():.0%})" for name, g in gaps.items() if g.any()]
    if not shown:
        return Finding("P050", "ok", title, "every row has every modality", [])
    nothing_N = np.stack(list(gaps.values())).all(axis=0)
    detail = "; ".join(shown)
    rows = [table.row_number(int(i)) for i in np.flatnonzero(nothing_N)]
    if rows and len(gaps) > 1:
        return Finding("P050", "warning", title, f"{detail}; nothing at all in {name_rows(rows)}", rows)
    return Finding("P050", "info", title, detail, rows)


def _telling(table: Table, schema: Schema, gaps: dict[str, Bools]) -> Finding:
    title = TITLES["P051"]
    column = schema.column(schema.target) if schema.target is not None else None
    if column is None or column.scale is None:
        return Finding(
            "P051", "n/a", title, "no target is named (target=COL)" if column is None else "no class or number", []
        )
    questions = _questions(table, column.name, column.scale)
    asked, tested = 0, []
    for name, gap_N in gaps.items():
        for label, known_N, class_N, names in questions:
            gap = gap_N[known_N]
            if min(int(gap.sum()), int((~gap).sum())) < LEAST_ROWS or len(np.unique(class_N)) < 2:
                continue
            asked += 1
            tested.append((name, label, gap, class_N, names, *association(gap, class_N)))
    if not asked:
        if not any(g.any() for g in gaps.values()):
            return Finding("P051", "ok", title, "nothing is missing", [])
        why = f"no modality is missing in {LEAST_ROWS} rows and there in {LEAST_ROWS}, under more than one target"
        return Finding("P051", "n/a", title, why, [])
    found = [t for t in tested if t[6] * asked <= ALPHA and t[5] >= SMALLEST_EFFECT]
    if not found:
        strongest = max(tested, key=lambda t: t[5])
        detail = f"the strongest link, of {strongest[0]!r}, is what chance gives (Cramer's V {strongest[5]:.2f})"
        return Finding("P051", "ok", title, detail, [])
    found.sort(key=lambda t: -t[5])
    parts = [_in_words(name, label, gap, c, names, v) for name, label, gap, c, names, v, _ in found[:3]]
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    advice = "a model can read the answer off the gap; will gaps come about in the same way where it is used?"
    return Finding("P051", "warning", title, f"{'; '.join(parts)}{more}; {advice}", [])


def _in_words(name: str, label: str, gap_N: Bools, class_N: Ints, names: list[str], effect: float) -> str:
    shares = [(float(gap_N[class_N == c].mean()), names[c]) for c in np.unique(class_N)]
    (least, where_least), (most, where_most) = min(shares), max(shares)
    of = f" of label {label}" if label else ""
    return (
        f"{name!r} is missing in {most:.0%} of the rows with {where_most}{of} and {least:.0%} of those with "
        f"{where_least} (Cramer's V {effect:.2f})"
    )


def _questions(table: Table, target: str, scale: str) -> list[tuple[str, Bools, Ints, list[str]]]:
    """(label or "", rows with a target, class of each of them, names of the classes): one, or one a common label."""
    values = table.column(target)
    if scale == "number":
        known_N = np.array([not _is_empty(v) and bool(np.isfinite(float(v))) for v in values], dtype=np.bool_)
        numbers = np.array([float(v) for v, k in zip(values, known_N, strict=True) if k])
        if len(numbers) == 0:
            return []
        edges = np.unique(np.quantile(numbers, np.arange(1, NUM_BINS) / NUM_BINS))
        bounds = ["lowest", *(f"{e:.4g}" for e in edges), "highest"]
        names = [f"{target} from {a} to {b}" for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        return [("", known_N, np.searchsorted(edges, numbers, side="left").astype(np.int64), names)]
    known_N = np.array([not _is_empty(v) for v in values], dtype=np.bool_)
    known = [v for v, k in zip(values, known_N, strict=True) if k]
    if is_list(table.arrow.schema.field(target).type):
        counts = Counter(label for labels in known for label in set(labels))
        common = [label for label, count in counts.items() if LEAST_ROWS <= count <= len(known) - LEAST_ROWS]
        return [
            (repr(c), known_N, np.array([c in labels for labels in known], dtype=np.int64), ["no", "yes"])
            for c in common
        ]
    classes = sorted({str(v) for v in known})
    place = {c: i for i, c in enumerate(classes)}
    return [("", known_N, np.array([place[str(v)] for v in known], dtype=np.int64), [repr(c) for c in classes])]
